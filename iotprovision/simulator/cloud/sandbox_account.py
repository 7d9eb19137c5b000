"""The vendor's sandbox account in a simulated run: it knows the chips of the simulator's factory, and no others."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision.cloud.aws import sandbox
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_lambda import policy
from iotprovision.errors import ProofError
from iotprovision.formats.ecc608_zones import (
    DEVICE_CERTIFICATE_SLOT,
    SIGNER_CERTIFICATE_SLOT,
    SIGNER_PUBLIC_KEY_SLOT,
    Kind,
    public_key_from_coordinates,
)
from iotprovision.formats.factory_certificates import FactoryCertificates, rebuild
from iotprovision.pki.certificates import thing_name
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.simulator.kit.factory import factory_root

FOLDER = "sandbox-cloud"
# Another host name wants another server certificate.
FOLDER_FOR_MODEMS = "sandbox-cloud-ats"
POLICY = "sandbox"


class SandboxAccount:
    """An account beside the user's, in a local cloud of its own that devices know by the real host name.

    :param state_folder: the simulator's folder
    :param has_wifi: False for kits with a modem, which know the account by another host name
    """

    def __init__(self, state_folder: Path, has_wifi: bool = True) -> None:
        self._state_folder = state_folder
        self.cloud = LocalCloud(
            state_folder / (FOLDER if has_wifi else FOLDER_FOR_MODEMS), host_name=sandbox.endpoint(has_wifi)
        )

    def account(self) -> Account:
        """The vendor's own way in; the running cloud's."""
        return Account(endpoint_url=self.cloud.endpoint_url, config_file=self.cloud.config_file)

    def learn(self, kit_folder: Path) -> None:
        """Tell the account what the factory knows of a kit's chip: signer, certificate, thing and policy.

        A chip that is not from the factory stays unknown.

        :param kit_folder: of the simulated kit; its chip is read as it was saved last
        """
        chip = Ecc608.from_state(yaml.safe_load((kit_folder / "ecc608.yaml").read_text(encoding="utf-8")))
        try:
            root = factory_root(self._state_folder, Kind.of(chip.serial_number))
            pair = rebuild(
                chip.serial_number,
                chip.public_key(),
                bytes(chip.slots[DEVICE_CERTIFICATE_SLOT]),
                bytes(chip.slots[SIGNER_PUBLIC_KEY_SLOT]),
                bytes(chip.slots[SIGNER_CERTIFICATE_SLOT]),
                root,
            )
        except ProofError:
            return
        self._admit(pair, thing_name(public_key_from_coordinates(chip.public_key())))

    def _admit(self, pair: FactoryCertificates, thing: str) -> None:
        iot = self.account().client("iot")
        device, signer = (
            certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in (pair.device, pair.signer)
        )
        known = iot.exceptions.ResourceAlreadyExistsException
        with suppress(known):
            # The factory keeps the signer's key to itself; an authority of this mode needs no proof with it.
            iot.register_ca_certificate(caCertificate=signer, certificateMode="SNI_ONLY", setAsActive=True)
        try:
            answer = iot.register_certificate(certificatePem=device, caCertificatePem=signer, status="ACTIVE")
            certificate = answer["certificateArn"]
        except known as error:
            certificate = error.response["resourceArn"]
        iot.create_thing(thingName=thing)
        with suppress(known):
            iot.create_policy(policyName=POLICY, policyDocument=json.dumps(policy(certificate.split(":cert/")[0])))
        iot.attach_policy(policyName=POLICY, target=certificate)
        iot.attach_thing_principal(thingName=thing, principal=certificate)
