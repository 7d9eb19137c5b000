"""What was asked for. Whoever asks makes a job: the command line from words and settings, others as they like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """What was asked for, complete: what was left open has its default here.

    :param command: what is to be done: a module of ``commands/``
    :param actions: those of the command that does actions, in any order
    :param cloud: that the kit is for; None for a command that has nothing to do with one
    :param method: the way of registration in that cloud; None for any
    :param method_options: options that only the methods of one cloud have, by the names they have there
    :param serial_number: end of the USB serial number of the kit that is meant
    :param port: serial port of the kit, where it is not the one found by the serial number
    :param kit: what a kit is taken for that does not say which it is
    :param simulate: name of the simulated kit to work on; None for real ones
    :param simulated_access_point: ``SSID:PASSPHRASE`` of the network that an emulated kit can join
    :param dry_run: look, and say what would be done; change nothing
    :param force: do it even where it is done already
    :param new_device_certificate: even where there is one
    :param new_authority: root and signer, even where there are such
    :param redeploy: the parts in the account, even where they are in place
    :param compare_wifi_module: compare all of the Wi-Fi module's firmware, not only its version
    :param verify: prove the whole once more at the end
    :param no_lock: leave slots of the secure element unlocked
    :param no_packed_reports: program with one transfer in a report
    :param debugger_archive: firmware for the debugger; None for the vendor's
    :param provisioning_firmware: hex file; None for the vendor's
    :param provisioning_firmware_is_there: the MCU holds it already
    :param application: hex file; None for the vendor's demo
    :param wifi_module_firmware: image; None for the vendor's
    :param wifi_ssid: the network to set; None leaves Wi-Fi alone
    :param wifi_authentication: how that network is joined
    :param wifi_passphrase_file: file whose first line is its passphrase; comes before ``wifi_passphrase``
    :param wifi_passphrase_can_be_seen: it was given where every user of the machine can read it
    :param encrypt_keys: encrypt new CA keys
    :param ca_passphrase_file: file whose first line is the passphrase of the CA keys
    :param organization: in the certificates; None for the usual one, as the names below
    :param json: show the result as one JSON document
    :param logging: least severity of log messages shown
    """

    command: str
    actions: tuple[str, ...] = ()
    cloud: str | None = None
    method: str | None = None
    method_options: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    serial_number: str | None = None
    port: str | None = None
    kit: str | None = None
    simulate: str | None = None
    simulated_access_point: str | None = field(default=None, repr=False)
    dry_run: bool = False
    force: bool = False
    new_device_certificate: bool = False
    new_authority: bool = False
    redeploy: bool = False
    compare_wifi_module: bool = False
    verify: bool = False
    no_lock: bool = False
    no_packed_reports: bool = False
    debugger_archive: Path | None = None
    provisioning_firmware: Path | None = None
    provisioning_firmware_is_there: bool = False
    application: Path | None = None
    wifi_module_firmware: Path | None = None
    wifi_ssid: str | None = None
    wifi_authentication: str = "wpa-psk"
    wifi_passphrase: str | None = field(default=None, repr=False)
    wifi_passphrase_file: Path | None = None
    wifi_passphrase_can_be_seen: bool = False
    encrypt_keys: bool = False
    ca_passphrase_file: Path | None = None
    organization: str | None = None
    root_common_name: str | None = None
    signer_common_name: str | None = None
    json: bool = False
    logging: str = "warning"

    @property
    def forced(self) -> frozenset[str]:
        """What is done even where it is in place, in the words that steps have for it."""
        given = {
            "force": self.force,
            "fdev": self.new_device_certificate,
            "fca": self.new_authority,
            "faws": self.redeploy,
            "fwinc": self.compare_wifi_module,
        }
        return frozenset(name for name, is_given in given.items() if is_given)
