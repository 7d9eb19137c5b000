"""Package definition of iotprovision."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "iotprovision/__init__.py").read_text()).group(1)

SIMULATOR = ["ministack==1.5.33", "paho-mqtt>=2,<3"]
EMULATOR = SIMULATOR + ["yasimavr==0.1.6", "unicorn>=2.1", "tlslite-ng>=0.8.2,<0.9"]


class BuildWithFirmwareIndex(build_py):
    """Puts the list of firmware images, which is kept at the top of the source tree, into the package."""

    def run(self):
        super().run()
        if not getattr(self, "editable_mode", False):
            shutil.copy(ROOT / "firmware/index.yaml", Path(self.build_lib) / "iotprovision/firmware/index.yaml")


setup(
    name="iotprovision",
    version=VERSION,
    description="Makes a Microchip IoT kit a trusted device of a cloud account, and proves it",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["iotprovision", "iotprovision.*"]),
    package_data={
        "iotprovision": [
            "py.typed",
            "boards/kits.yaml",
            "cloud/aws/amazon-roots.pem",
            "simulator/kit/catalogue/*/*.yaml",
            "simulator/usb/injected/sitecustomize.py",
        ]
    },
    cmdclass={"build_py": BuildWithFirmwareIndex},
    install_requires=[
        "argcomplete>=3",
        "boto3>=1.34",
        "cryptography>=43",
        "filelock>=3.30",
        "intelhex>=2.3",
        "libusb-package>=1.0.26",
        "platformdirs>=4",
        "pydebuggerconfig~=3.14",
        "pydebuggerupgrade~=3.7",
        "pyedbglib~=2.24",
        "pymcuprog~=3.19",
        "pyserial>=3.5",
        "pyusb>=1.2",
        "pyyaml>=6",
        "rich>=13",
    ],
    extras_require={"simulator": SIMULATOR, "emulator": EMULATOR, "azure": ["azure-identity>=1.17,<2"]},
    entry_points={
        "console_scripts": [
            "iotprovision = iotprovision.cli:main",
            "iotprovision-firmware = iotprovision.command_line.firmware_command:main",
        ]
    },
)
