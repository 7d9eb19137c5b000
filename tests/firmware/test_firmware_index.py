"""The list of firmware images against what the vendor published."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from support.firmware_images import firmware_cache, hex_image, image_path

from iotprovision.boards.catalogue import kit_by_name, kits
from iotprovision.errors import UsageError
from iotprovision.firmware.index import index_path, load_index

ROOT = Path(__file__).parents[2]
AVR = "AVR-IoT WG,AVR-IoT WA"
PIC = "PIC-IoT WG,PIC-IoT WA"
WG, WX = "SAMD21-IoT WG", "SAMD21-IoT Wx"
CELLULAR, MINI = "AVR-IoT Cellular,AVR-IoT LTE-M", "AVR-IoT Cellular Mini"

# What the vendor's kit table (pykitcommander 2.8.3.18) says: kits, file, bytes, protocol, version.
PUBLISHED = [
    (AVR, "avr/atmega4808-iot-provision-v2.hex", 100167, "ProvisioningV2", "0.4.9"),
    (AVR, "avr/atmega4808-iot-winc-upgrade.hex", 35830, "WincUpgradeV1", None),
    (AVR, "avr/atmega4808-aws-iot-demo.hex", 123222, "WxDemoV1", "4.1.2"),
    (AVR, "avr/atmega4808-google-iot-demo.hex", 127687, "WxDemoV1", "4.0.0"),
    (CELLULAR, "avr/avr128db64-iot-cellular-provision.hex", 61772, "ProvisioningV2", "0.3.1"),
    (MINI, "avr/avr128db48-iot-cellular-mini-provisioning.hex", 81856, "ProvisioningV2", "1.1.8"),
    (MINI, "avr/avr128db48-iot-cellular-mini-arduino-demo.hex", 110280, None, "1.3.9"),
    (PIC, "pic/pic24fj128ga705-iot-provision-v2.hex", 180264, "ProvisioningV2", "0.4.7"),
    (PIC, "pic/pic24fj128ga705-iot-winc-upgrade.hex", 142228, "WincUpgradeV1", None),
    (PIC, "pic/pic24fj128ga705-aws-iot-demo.hex", 282140, "WxDemoV1", "4.1.3"),
    (PIC, "pic/pic24fj128ga705-google-iot-demo.hex", 314204, "WxDemoV1", "1.1.1"),
    (PIC, "pic/AzureIotPnpDps.X.production.hex", 498128, "WxDemoV1", "1.1.1"),
    (WG, "sam/samd21g18a-iot-provision.hex", 509070, "ProvisioningV2", "1.0.1"),
    (WG, "sam/samd21g18a-iot-winc-upgrade.hex", 223718, "WincUpgradeV1", None),
    (WG, "sam/AzureIotPnpDps.X.production.hex", 643974, "WxDemoV1", "2.0.0"),
    (WG, "sam/sam_d21_iot_wg.X.production.hex", 422082, "WxDemoV1", "1.4.0"),
    (WX, "sam/samd21g18a-iot-wx-provision.hex", 508998, "ProvisioningV2", "1.0.0"),
    (WX, "sam/samd21g18a-iot-wx-winc-upgrade.hex", 213012, "WincUpgradeV1", None),
    (
        "CryptoAuth Trust Platform",
        "sam/samd21e18a-trustplatform-provision.hex",
        69590,
        "ProvisioningV2",
        "1.1.0",
    ),
]
IMAGES = load_index().images
HEX_IMAGES = [image for image in IMAGES if image.file.endswith(".hex")]


def test_every_published_hex_image_is_listed_with_its_facts() -> None:
    listed = [
        (
            ",".join(image.kits),
            image.file.removeprefix("pykitcommander/fw/"),
            image.size,
            image.protocol,
            image.version,
        )
        for image in HEX_IMAGES
    ]
    assert sorted(listed) == sorted(PUBLISHED)


def test_the_other_binaries_are_listed() -> None:
    others = {image.file_name: image.size for image in IMAGES if image not in HEX_IMAGES}
    assert others == {
        "WINC1500_19.7.7.bin": 1048576,
        "WINC1500_19.7.6.bin": 1048576,
        "tls_root_cert.bin": 2984,
        "nedbg_fw.zip": 109970,
    }


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_fetched_from_its_wheel_is_as_listed(image) -> None:
    content = image_path(image.name).read_bytes()
    assert len(content) == image.size
    assert hashlib.sha256(content).hexdigest() == image.sha256
    assert image.licence == image.wheel.licence == "MIT"


@pytest.mark.parametrize("name", ["avr-iot-provisioning", "avr-iot-aws-demo", "avr-iot-google-demo"])
def test_the_listed_version_is_in_the_image(name: str) -> None:
    flash = hex_image(name).flash
    version = firmware_cache().index.image(name).version
    parts = bytes(int(part) for part in version.split("."))
    assert version.encode() in flash or parts in flash


def test_names_are_unique_and_a_job_of_a_kit_has_one_image() -> None:
    names = [image.name for image in IMAGES]
    assert len(set(names)) == len(names)
    jobs = [(kit, job) for image in IMAGES for kit in image.kits for job in image.jobs]
    assert len(set(jobs)) == len(jobs)


def test_an_image_is_found_by_kit_and_job_in_any_letter_case() -> None:
    assert load_index().find("avr-iot wa", "demo-aws").version == "4.1.2"


def test_a_job_that_no_image_does_is_told_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="demo-azure") as raised:
        load_index().find("AVR-IoT WA", "demo-azure")
    assert "wincupgrade" in str(raised.value)


def test_an_unknown_image_name_is_told() -> None:
    with pytest.raises(UsageError, match="no-such"):
        load_index().image("no-such")


@pytest.mark.parametrize("kit", kits(), ids=lambda kit: kit.name)
def test_images_of_a_kit_of_the_catalogue_are_for_its_mcu(kit) -> None:
    assert kit.image("iotprovision").mcu == kit.mcu
    for image in load_index().for_kit(kit.name):
        assert image.mcu in (kit.mcu, None)
    assert kit_by_name(kit.name.upper()) is kit


@pytest.mark.slow
def test_the_built_wheel_carries_the_index(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("iotprovision", "firmware"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "images"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    # From the unpacked wheel alone, with no source tree above it.
    program = "from iotprovision.firmware.index import *; print(index_path(), len(load_index().images))"
    outcome = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "installed", check=True, capture_output=True, text=True
    )
    place, count = outcome.stdout.split()
    assert Path(place) == tmp_path / "installed" / "iotprovision" / "firmware" / "index.yaml"
    assert int(count) == len(yaml.safe_load(index_path().read_text(encoding="utf-8"))["images"])
