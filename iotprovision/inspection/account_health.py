"""Whether an AWS account can be used for a method; asked in ways that change nothing in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.call_errors import is_unreachable
from iotprovision.cloud.aws.rights import METHODS, Answer, Right, ask, rights_for
from iotprovision.errors import CloudDeniedError, CloudError, ProvisioningError, UsageError
from iotprovision.inspection.diagnosis import Diagnosis, fine, from_error, note, problem


class AccountHealth:
    """Asks one account.

    :param open_account: gives it
    :param methods: whose rights are asked for
    :param is_needed: whether something that the user named needs an account
    :ivar time: what AWS said the time was; None as long as it said nothing
    """

    def __init__(self, open_account: Callable[[], Account], methods: Sequence[str], is_needed: bool) -> None:
        self._open = open_account
        self._methods = methods
        self._is_needed = is_needed
        self.time: datetime | None = None

    def check(self) -> Iterator[Diagnosis]:
        """From the profile to the rights; what stands in the way ends it."""
        try:
            account = self._open()
        except UsageError as error:
            yield self._no_profile(error)
            return
        except ProvisioningError as error:
            yield from_error("aws-credentials", error)
            return
        yield fine("aws-profile", f"{account.profile}, region {account.region}")
        try:
            identity: dict[str, Any] = dict(account.identity())
        except (CloudDeniedError, CloudError) as error:
            self.time = _time_of(getattr(error.__cause__, "response", {}))
            yield self._not_reached(error)
            return
        self.time = _time_of(identity)
        yield fine("aws-credentials", str(identity["Arn"]))
        yield fine("aws-connection", "it answers")
        yield from self._endpoint(account)
        try:
            answers = ask(account, rights_for(self._methods))
        except (CloudDeniedError, CloudError) as error:
            yield self._not_reached(error)
            return
        yield from self._rights(account, answers)

    def _no_profile(self, error: UsageError) -> Diagnosis:
        if self._is_needed:
            return from_error("aws-profile", error)
        found = f"{error.what}. The vendor's sandbox needs none, an account of your own does"
        return note("aws-profile", found, error.hint or "aws configure")

    @staticmethod
    def _not_reached(error: ProvisioningError) -> Diagnosis:
        if isinstance(error, CloudDeniedError):
            return from_error("aws-credentials", error)
        check = "aws-connection" if is_unreachable(error) else "aws-credentials"
        return from_error(check, error, "try again in a minute")

    @staticmethod
    def _endpoint(account: Account) -> Iterator[Diagnosis]:
        try:
            yield fine("aws-endpoint", account.iot_endpoint())
        except CloudDeniedError:
            return  # a right that is lacking, said below
        except CloudError as error:
            yield from_error("aws-endpoint", error, "try again in a minute")

    def _rights(self, account: Account, answers: dict[Right, Answer]) -> Iterator[Diagnosis]:
        lacking = [right for right, answer in answers.items() if answer is Answer.DENIED]
        unknown = [right for right, answer in answers.items() if answer is Answer.UNKNOWN]
        for right in lacking:
            methods = " and ".join(each for each in METHODS if each in right.methods and each in self._methods)
            yield problem(
                "aws-rights",
                f"the profile may not do {right.action} on {right.on(account)}; {methods} needs it",
                f"give the profile the right {right.action}; docs/aws-setup.md has the whole policy",
            )
        if not lacking:
            count = len(answers) - len(unknown)
            yield fine("aws-rights", f"{count} rights for {' and '.join(self._methods)}")
        if unknown:
            names = ", ".join(dict.fromkeys(right.action for right in unknown))
            yield note(
                "aws-rights-unknown",
                f"nothing tells without trying them: {names}",
                "let somebody who may use iam:SimulatePrincipalPolicy run this, or compare the policy of the profile "
                "with docs/aws-setup.md",
            )


def _time_of(answer: Any) -> datetime | None:
    try:
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, TypeError, ValueError):
        return None
