"""The ID scope of an Azure Device Provisioning Service, as the vendor's Azure demos read it from the secure element.

It is the beginning of slot 8: eleven characters and a NUL. Kits for cellular networks keep a list of items there, which
starts otherwise; a slot holds one or the other.
"""

from __future__ import annotations

import re

from iotprovision.errors import UsageError

ID_SCOPE_RULE = re.compile(r"0ne[0-9A-Za-z]{8}", re.ASCII)
STORED_SIZE = 12


class IdScope:
    """An ID scope.

    :param text: ``0ne`` and eight letters or digits
    :raises UsageError: it is something else
    """

    def __init__(self, text: str) -> None:
        if not ID_SCOPE_RULE.fullmatch(text):
            raise UsageError(
                f"{text!r} is not an ID scope",
                "It is 0ne and eight letters or digits, and letter case matters.",
                "copy it from the overview of your Device Provisioning Service in the Azure portal, or in IoT Central "
                "from Permissions, Device connection groups",
            )
        self.text = text

    def stored(self) -> bytes:
        """The first bytes of the slot, 12."""
        return self.text.encode("ascii").ljust(STORED_SIZE, b"\0")
