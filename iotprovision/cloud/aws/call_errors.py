"""What botocore's errors mean to a person: refused, not reachable, too much, or something else."""

from __future__ import annotations

import re

from botocore import exceptions

from iotprovision.errors import CloudDeniedError, CloudError, ProvisioningError, UsageError

DENIED = {
    "401",  # an answer without a code of its own, as proxies and gateways make them
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "AuthorizationErrorException",
    "Forbidden",
    "ForbiddenException",
    "NotAuthorized",
    "UnauthorizedException",
    "UnauthorizedOperation",
}
BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
THROTTLED = {
    "429",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
QUOTA = {"LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException", "VersionsLimitExceededException"}
ABSENT = {"NoSuchEntity", "NotFoundException", "ResourceNotFoundException"}
EXISTS = "ResourceAlreadyExistsException"

# Credentials that cannot be had are the same to a person as credentials that are refused.
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.NoAuthTokenError,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
    *([exceptions.LoginError] if hasattr(exceptions, "LoginError") else []),  # "aws login", botocore of 2025
)
_UNREACHABLE = (exceptions.ConnectionError, exceptions.HTTPClientError)
_RESOURCE = re.compile(r"on resource: (\S+)")
_ACTION = re.compile(r"to perform: ([a-z0-9-]+:\w+)")


def code(error: exceptions.ClientError) -> str:
    """The code of a service's error, ``ResourceNotFoundException``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def explain(error: Exception, action: str, resource: str, profile: str) -> ProvisioningError:
    """The error to raise instead.

    :param action: ``iot:RegisterCACertificate``
    :param resource: a name or an ARN, empty where none is known
    :param profile: the profile whose credentials were used
    """
    if isinstance(error, exceptions.ClientError):
        return _explain_answer(error, action, resource, profile)
    if isinstance(error, _NO_CREDENTIALS):
        return CloudDeniedError(
            f"The credentials of the AWS profile {profile!r} cannot be used", str(error), _renew(profile)
        )
    if isinstance(error, (exceptions.InvalidConfigError, exceptions.UnknownCredentialError)):
        return UsageError(
            f"The AWS profile {profile!r} cannot be used", str(error), f"aws configure --profile {profile}"
        )
    if isinstance(error, (exceptions.InvalidRegionError, exceptions.NoRegionError)):
        return UsageError(
            f"The AWS profile {profile!r} has no usable region",
            str(error),
            f"aws configure set region REGION --profile {profile}",
        )
    if isinstance(error, _UNREACHABLE):
        return CloudError(
            f"The cloud did not answer {action}", str(error), "look at the network, the proxy settings and the region"
        )
    return CloudError(f"{action} failed", str(error))


def is_unreachable(error: ProvisioningError) -> bool:
    """Whether an error that :func:`explain` made says that the cloud did not answer at all."""
    return isinstance(error.__cause__, _UNREACHABLE)


def _explain_answer(error: exceptions.ClientError, action: str, resource: str, profile: str) -> ProvisioningError:
    name, message = code(error), str(error.response.get("Error", {}).get("Message", ""))
    if name in BAD_CREDENTIALS:
        return CloudDeniedError(
            f"The credentials of the AWS profile {profile!r} were refused",
            f"{action}: {name}: {message}",
            _renew(profile),
        )
    if name in DENIED:
        # IAM speaks of the action that lacks, which may be another one than was called (iam:PassRole).
        named_resource = _RESOURCE.search(message)
        action = denied_action(message) or action
        resource = named_resource.group(1) if named_resource else resource
        return CloudDeniedError(
            f"The AWS profile {profile!r} may not do {action}" + (f" on {resource}" if resource else ""),
            message,
            f"give the profile the right {action}; docs/aws-setup.md has the whole policy",
        )
    if name in THROTTLED:
        return CloudError(f"The cloud asks for a pause ({action})", f"{name}: {message}", "try again in a minute")
    if name in QUOTA:
        return CloudError(
            f"A quota of the account is used up ({action})",
            f"{name}: {message}",
            "remove what is not needed any more, or ask AWS for a higher quota",
        )
    of = f" for {resource}" if resource else ""
    return CloudError(f"{action} failed{of}", f"{name}: {message}")


def denied_action(message: str) -> str:
    """The action that IAM says is not allowed, ``iam:CreateRole``; empty where it says nothing of the kind."""
    match = _ACTION.search(message)
    return match.group(1) if match else ""


def _renew(profile: str) -> str:
    return f"aws sts get-caller-identity --profile {profile}\naws configure --profile {profile}, or aws sso login"
