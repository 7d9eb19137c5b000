"""Where passphrases come from: a file, the environment, or a person at the terminal; never a log."""

from __future__ import annotations

from pathlib import Path

from iotprovision.boards.wifi_network import OPEN
from iotprovision.environment import PASSPHRASE_VARIABLE, PSK_VARIABLE, Environment
from iotprovision.errors import UsageError
from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.runs.job import Job

CA_SOURCES = f"--ca-passphrase-file FILE, or the variable {PASSPHRASE_VARIABLE}"


class Passphrases:
    """Those of one run."""

    def __init__(self, job: Job, environment: Environment) -> None:
        self._job = job
        self._environment = environment

    @property
    def can_be_seen(self) -> bool:
        """Whether the passphrase of the Wi-Fi network was an argument, which every user of the machine can read."""
        return self._job.wifi_passphrase_can_be_seen

    def of_wifi(self) -> str | None:
        """:raises UsageError: the file is of no use, or there is nobody to ask"""
        job = self._job
        if job.wifi_passphrase_file is not None:
            return _first_line(job.wifi_passphrase_file).decode("utf-8", "replace")
        if job.wifi_passphrase:
            return job.wifi_passphrase
        if job.wifi_authentication == OPEN:
            return None
        return self._environment.ask_secret(
            f"Passphrase of the Wi-Fi network {job.wifi_ssid}: ", f"--psk-file FILE, or the variable {PSK_VARIABLE}"
        )

    def ca_at_hand(self) -> bytes | None:
        """That of the CA keys, as far as nobody has to be asked for it.

        :raises UsageError: the file is of no use
        """
        if self._job.ca_passphrase_file is not None:
            return _first_line(self._job.ca_passphrase_file)
        return self._environment.variables.get(PASSPHRASE_VARIABLE, "").encode("utf-8", "surrogateescape") or None

    def of_ca(self, exists: bool) -> bytes | None:
        """That of the CA keys; None for keys that are not encrypted.

        :param exists: whether there are keys that were encrypted with it
        :raises UsageError: there is nobody to ask, or what was typed is of no use
        """
        given = self.ca_at_hand()
        if given:
            return given
        if exists:
            return self._environment.ask_secret("Passphrase of the CA keys: ", CA_SOURCES).encode("utf-8")
        if not self._job.encrypt_keys:
            return None
        first, second = (
            self._environment.ask_secret(f"{prompt} passphrase of the CA keys: ", CA_SOURCES)
            for prompt in ("New", "Repeat the")
        )
        if first != second or not first:
            raise UsageError("The two passphrases are not the same" if first else "The passphrase is empty")
        return first.encode("utf-8")

    @staticmethod
    def check_encryption(authority: Authority) -> None:
        """Whoever asks for encrypted keys must not be left with plain ones.

        :raises UsageError: there are keys already, and they are not encrypted
        """
        if authority.state() is AuthorityState.COMPLETE and not authority.is_encrypted:
            raise UsageError(
                "The CA keys exist already, and are not encrypted",
                "--encrypt-keys is for keys that are made in this run.",
                "encrypt them yourself, each under its own name: openssl pkcs8 -topk8 -in signer-ca.key -out NEW\n"
                "or have new ones made: --fca",
            )


def _first_line(file: Path) -> bytes:
    """The secret in a file: its first line, without the line end."""
    try:
        first = bytes(file.read_bytes().partition(b"\n")[0].rstrip(b"\r"))
    except OSError as error:
        raise UsageError(f"The passphrase file {file} cannot be read", str(error.strerror)) from error
    if not first:
        raise UsageError(f"The passphrase file {file} is empty", "Its first line is the passphrase.")
    return first
