"""What a run takes from the process it lives in."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TextIO

SETTING_PREFIX = "IOTPROVISION_"
HOME_VARIABLE = "IOTPROVISION_HOME"
PSK_VARIABLE = "IOTPROVISION_WIFI_PSK"
PASSPHRASE_VARIABLE = "IOTPROVISION_CA_PASSPHRASE"  # noqa: S105 - the name of a variable


def _nowhere() -> TextIO:
    """For a program that was started without the stream (``>&-``)."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - kept open as long as the program runs


class Environment:
    """What a run takes from the process it lives in; tests hand in their own."""

    def __init__(
        self,
        out: TextIO | None = None,
        err: TextIO | None = None,
        variables: Mapping[str, str] | None = None,
        home: Path | None = None,
    ) -> None:
        self.out = out or sys.stdout or _nowhere()
        self.err = err or sys.stderr or _nowhere()
        self.variables = os.environ if variables is None else variables
        self._home = home

    @property
    def store_folder(self) -> Path:
        """The certificate folder: IOTPROVISION_HOME, else ``.microchip-iot`` under the user's home.

        :raises UsageError: it lies under the home of a user who has none
        """
        from pathlib import Path

        from iotprovision.errors import UsageError

        try:
            if moved := self.variables.get(HOME_VARIABLE):
                return Path(moved).expanduser()
            return (self._home or Path.home()) / ".microchip-iot"
        except RuntimeError as error:
            raise UsageError(
                "The folder for keys and certificates cannot be found",
                str(error),
                f"name one with the variable {HOME_VARIABLE}",
            ) from error

    def confirm(self, question: str, otherwise: str) -> bool:
        """Ask at the terminal whether something shall be done; only ``y`` or ``yes`` is a yes.

        :param otherwise: how to agree without a terminal, for the message
        :raises UsageError: there is no terminal to ask at
        """
        self.require_terminal(question, otherwise)
        print(f"{question}\nGo on? [y/N] ", end="", file=self.err, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def require_terminal(self, question: str, otherwise: str) -> None:
        """Find out early whether :meth:`confirm` will be able to ask; the same parameters.

        :raises UsageError: there is no terminal to ask at
        """
        from iotprovision.errors import UsageError

        if not sys.stdin or not sys.stdin.isatty():
            raise UsageError("This must be agreed to, and there is no terminal to ask at", question, otherwise)

    def ask_secret(self, prompt: str, otherwise: str) -> str:
        """Ask at the terminal, without echo.

        :param otherwise: where else the secret may come from, for the message
        :raises UsageError: there is no terminal to ask at, or nothing was typed there
        """
        import getpass

        from iotprovision.errors import UsageError

        if not sys.stdin or not sys.stdin.isatty():
            raise UsageError("A passphrase is needed, and there is no terminal to ask at", hint=otherwise)

        try:
            return getpass.getpass(prompt, stream=self.err)
        except EOFError as error:
            raise UsageError("A passphrase is needed, and none was typed", hint=otherwise) from error
