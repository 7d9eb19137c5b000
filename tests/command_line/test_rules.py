"""The rules about combinations: each holds by itself, and what was typed is told from what is a setting."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest

from iotprovision.cli import main
from iotprovision.command_line.given import Origin
from iotprovision.command_line.parsing import parse, said
from iotprovision.command_line.rules import RULES, settled
from iotprovision.commands import COMMANDS
from iotprovision.environment import Environment
from iotprovision.errors import ExitCode, UsageError
from iotprovision.runs.job import Job

SETTINGS = (
    "",
    "provision-method: jitr\n",
    "cloud-provider: azure\nazure-dps: mine\nid-scope: 0ne00000001\n",
    "ssid: home\npsk: correct horse\nwifi-module-firmware: image.bin\narchive: nedbg.zip\n",
    "simulate-ap: 'lab:correct horse'\naws-profile: lab\nprovision-method: custom\npsk-file: passphrase\n",
)
LINES = (
    "",
    "none all",
    "fly -ssid home --archive x",
    "certs -ssid home -psk 12345678 -A nedbg.zip",
    "certs -w --wifi-module-firmware image.bin",
    "--wifi-module-firmware image.bin --simulate-ap lab: -psk 12345678",
    "-c azure -m jitr --azure-dps mine -a work",
    "-c azure certs --id-scope 0ne00000001 --azure-central mine",
    "-c google --azure-dps mine -m mar",
    "--simulate certs -psk 12345678",
    "-m custom --simulate avr-iot-wg@emulated --simulate-ap lab:",
    "unprovision -c azure -a work -m sandbox",
    "unprovision -c google --azure-central mine provision",
    "unprovision -m custom --simulate",
    "doctor -m custom fly",
    "history --simulate certs status",
)


def environment_with(folder: Path, settings: str = "", **variables: str) -> Environment:
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(settings, encoding="utf-8")
    return Environment(io.StringIO(), io.StringIO(), {"IOTPROVISION_HOME": str(folder), **variables})


def job_of(line: str, environment: Environment) -> Job:
    return parse(line.split(), environment, COMMANDS)[0]


def outcome(asked: Any, rules: Any) -> object:
    try:
        return settled(asked, rules)
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("line", LINES)
def test_the_order_of_the_rules_means_nothing(line: str, settings: str, tmp_path: Path) -> None:
    asked = said(line.split(), environment_with(tmp_path / "store", settings), COMMANDS)
    as_they_stand = outcome(asked, RULES)
    shuffled = random.Random(line + settings)  # noqa: S311 - the same orders in every run of the tests
    for _ in range(20):
        assert outcome(asked, shuffled.sample(RULES, len(RULES))) == as_they_stand


def test_the_lines_come_to_both_ends(tmp_path: Path) -> None:
    """Of the lines above, some are refused and some are not; else the order would have nothing to say."""
    ends = {type(outcome(said(line.split(), environment_with(tmp_path), COMMANDS), RULES)) for line in LINES}
    assert ends == {str, dict}


def test_each_value_has_its_origin(tmp_path: Path) -> None:
    environment = environment_with(
        tmp_path,
        "org: of the file\nrcn: of the file\nscn: of the file\n",
        IOTPROVISION_RCN="of the environment",
        IOTPROVISION_SCN="of the environment",
    )
    asked = said(["--scn", "typed"], environment, COMMANDS)
    names = ("organization", "root_common_name", "signer_common_name", "kit")
    assert [(asked.value(name), asked.origin(name)) for name in names] == [
        ("of the file", Origin.FILE),
        ("of the environment", Origin.ENVIRONMENT),
        ("typed", Origin.TYPED),
        (None, Origin.DEFAULT),
    ]


@pytest.mark.parametrize("settings", ["", "provision-method: jitr\n", "provision-method: mar\n"])
@pytest.mark.parametrize("cloud", ["azure", "google"])
def test_a_method_of_another_cloud(cloud: str, settings: str, tmp_path: Path) -> None:
    """Typed, it is refused whatever the settings say; as a setting for all runs, it waits for runs on its cloud."""
    environment = environment_with(tmp_path, settings)
    assert (job_of(f"-c {cloud}", environment).cloud, job_of(f"-c {cloud}", environment).method) == (cloud, "custom")
    with pytest.raises(UsageError, match="The method jitr is one of AWS"):
        job_of(f"-c {cloud} -m jitr", environment)
    assert job_of("-m jitr", environment).method == "jitr"
    assert job_of("-c aws", environment).method == (settings.partition(": ")[2].strip() or "sandbox")


def test_a_typed_method_of_another_cloud_than_that_of_the_settings(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, "cloud-provider: azure\n")
    with pytest.raises(UsageError, match="The method jitr is one of AWS"):
        job_of("-m jitr", environment)
    assert job_of("-c aws -m jitr", environment).method == "jitr"


def test_the_vendors_older_word_means_the_same(tmp_path: Path) -> None:
    environment = environment_with(tmp_path)
    assert job_of("-m custom", environment) == job_of("-m jitr", environment)
    assert job_of("doctor -m custom", environment).method == "jitr"
    assert job_of("unprovision", environment).method is None


def test_what_equals_a_setting_was_typed_all_the_same(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, "ssid: home\narchive: nedbg.zip\nid-scope: 0ne00000001\n")
    assert job_of("certs", environment).wifi_ssid is None
    for words, match in (
        ("certs -ssid home", "application"),
        ("certs -A nedbg.zip", "dbgupgrade"),
        ("certs --id-scope 0ne00000001", "ID scope"),
    ):
        with pytest.raises(UsageError, match=match):
            job_of(words, environment)


def test_a_profile_of_aws_is_of_no_use_in_another_cloud(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--aws-profile names a profile of AWS") as caught:
        job_of("-c azure -a work", environment_with(tmp_path, "aws-profile: lab\n"))
    assert caught.value.hint == "iotprovision -c aws --aws-profile NAME"
    job = job_of("-c azure", environment_with(tmp_path, "aws-profile: lab\n"))
    assert job.method_options["aws_profile"] == "default"
    assert job_of("status", environment_with(tmp_path, "aws-profile: lab\n")).method_options == {"aws_profile": "lab"}


def test_the_stronger_of_two_services_is_meant(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, "azure-dps: of-the-file\n", IOTPROVISION_AZURE_CENTRAL="of-the-variable")
    options = job_of("-c azure", environment).method_options
    assert (options["azure_dps"], options["azure_central"]) == (None, "of-the-variable")
    options = job_of("-c azure --azure-dps typed", environment).method_options
    assert (options["azure_dps"], options["azure_central"]) == ("typed", None)


def test_two_services_among_the_settings(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, "azure-dps: one\nazure-central: other\n")
    for words in ("-c azure", "unprovision -c azure"):
        with pytest.raises(UsageError, match="azure-central and azure-dps are both among the settings"):
            job_of(words, environment)
        assert job_of(f"{words} --azure-dps mine", environment).method_options["azure_dps"] == "mine"
    assert job_of("-c azure certs", environment).method_options["azure_dps"] is None
    assert job_of("unprovision", environment).method_options["azure_dps"] is None


def test_an_option_that_a_command_has_for_itself_takes_no_setting(tmp_path: Path) -> None:
    """What --force of a command overwrites is not what it overwrites with actions."""
    environment = environment_with(tmp_path, "force: true\nverify: true\ndry-run: true\n")
    assert job_of("", environment).force
    job = job_of("restore", environment)
    assert (job.force, job.verify, job.dry_run) == (False, False, True)
    assert job_of("restore -f", environment).force


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--help", ExitCode.OK),
        ("history --help", ExitCode.OK),
        ("-x", ExitCode.USAGE),
        ("restore --only x", ExitCode.USAGE),
    ],
)
def test_help_and_mistakes_come_before_the_settings(
    words: str, code: ExitCode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = environment_with(tmp_path, "[broken", IOTPROVISION_NO_SUCH="1")
    assert main(words.split(), environment) == code
    assert isinstance(environment.err, io.StringIO)
    assert environment.err.getvalue() == ""
    assert isinstance(environment.out, io.StringIO)
    shown = environment.out.getvalue() if code == ExitCode.OK else capsys.readouterr().err
    assert shown.startswith("usage: iotprovision")


def test_no_secret_is_in_what_a_job_shows_of_itself(tmp_path: Path) -> None:
    environment = environment_with(tmp_path)
    job = job_of("-c azure -ssid home -psk hunter22 --azure-dps SharedAccessKey=hunter22", environment)
    assert (job.wifi_passphrase, job.method_options["azure_dps"]) == ("hunter22", "SharedAccessKey=hunter22")
    assert "hunter22" not in repr(job)
    assert "home" in repr(job)
