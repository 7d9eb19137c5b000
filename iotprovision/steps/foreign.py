"""What somebody else put into an account under a name of this tool's is not overwritten without being asked to."""

from __future__ import annotations

from iotprovision.errors import CloudError
from iotprovision.findings import Finding


def not_foreign(finding: Finding, overwrites: bool) -> Finding:
    """The same finding.

    :param overwrites: whether the user asked to overwrite what somebody else made
    :raises CloudError: somebody else made the difference, and the user did not
    """
    if finding.foreign and not overwrites:
        raise CloudError(
            f"The account has something of the same name that this tool did not make: {finding.found}",
            "Nothing was changed.",
            "look at it; --force puts what this tool needs in its place",
        )
    return finding
