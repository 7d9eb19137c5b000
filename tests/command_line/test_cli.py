"""The command line: what is declared is read, what makes no sense is refused, and help is cheap."""

import ast
import dataclasses
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import iotprovision
from iotprovision.cli import main
from iotprovision.command_line.command import options_of, purpose_of
from iotprovision.command_line.options import ACTIONS, method_options, options
from iotprovision.command_line.parsing import parse as parse_all
from iotprovision.commands import COMMANDS
from iotprovision.environment import Environment
from iotprovision.errors import ExitCode, UsageError
from iotprovision.frozen import Frozen
from iotprovision.option import Option
from iotprovision.runs.job import Job

PACKAGE = Path(iotprovision.__file__).parent


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(io.StringIO(), io.StringIO(), {"IOTPROVISION_HOME": str(tmp_path / "store")})


def parse(arguments: list[str], environment: Environment) -> Job:
    return parse_all(arguments, environment, COMMANDS)[0]


def request_of(arguments: list[str], environment: Environment) -> Frozen:
    return parse_all(arguments, environment, COMMANDS)[1]


def names_read(holder: str, folder: Path) -> set[str]:
    """Every attribute that is read of an object of that name, or of one whose name has an underscore before it."""
    names: set[str] = set()
    for file in folder.rglob("*.py") if folder.is_dir() else [folder]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                owner = node.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                if name in {holder, f"_{holder}"}:
                    names.add(node.attr)
    return names


def read_below_the_command_line() -> set[str]:
    files = [file for room in ("commands", "methods") for file in sorted((PACKAGE / room).glob("*.py"))]
    files += [PACKAGE / "command_line" / "passphrases.py", *sorted((PACKAGE / "runs").glob("*.py"))]
    names = {name for file in files for name in names_read("job", file)}
    return names | (names_read("self", PACKAGE / "runs" / "job.py") if "forced" in names else set())


def names_of(rows: tuple[Option, ...]) -> set[str]:
    return {option.name for option in rows}


def test_every_option_is_a_value_of_a_job_that_is_read() -> None:
    fields = {field.name for field in dataclasses.fields(Job)}
    names = names_of(options()) - names_of(method_options())
    assert names - fields == {"wincupgrade"}, "which is one of the actions"
    assert fields - read_below_the_command_line() == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_read(command: str) -> None:
    module = COMMANDS[command]
    own = names_of(module.OPTIONS)
    assert set(module.Request.names()) - own == set()
    assert own - set(module.Request.names()) <= names_of(options())
    assert set(module.SHARED) <= names_of(options())
    assert {"json", "simulate", "logging"} <= names_of(options_of(module))
    assert set(module.Request.names()) - names_read("request", PACKAGE / "commands" / f"{command}.py") == set()


def test_an_option_is_spelled_in_one_row_only() -> None:
    for rows in (options(), *(options_of(COMMANDS[command]) for command in COMMANDS)):
        spellings = [spelling for option in rows for spelling in option.spellings]
        assert len(spellings) == len(set(spellings))
        assert len(names_of(rows)) == len(rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"  iotprovision {command}" in text.partition("examples:")[2]


def test_help_explains_every_option_action_and_command(capsys: pytest.CaptureFixture[str]) -> None:
    for command, rows in (("", options()), *((name, options_of(COMMANDS[name])) for name in COMMANDS)):
        assert main([*command.split(), "--help"]) == 0
        page = capsys.readouterr().out
        assert page.startswith(f"usage: iotprovision {command}".rstrip())
        in_one_line = " ".join(page.split())
        for option in rows:
            assert f"  {', '.join(option.spellings)}" in page
            assert " ".join(option.text.split()) in in_one_line
        assert all(len(line) < 120 for line in page.splitlines())
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in page
        assert f"{COMMANDS.purpose(name)}." not in page
        assert COMMANDS.purpose(name).removesuffix(".") in page
    assert set(ACTIONS) <= set(page.partition("ACTION ...")[2].partition("(default")[0].replace(",", "").split())


@pytest.mark.parametrize("words", [["-V"], ["certs", "--version"], ["history", "-V"]])
def test_the_version(words: list[str], environment: Environment) -> None:
    assert main(words, environment) == 0
    assert isinstance(environment.out, io.StringIO)
    assert environment.out.getvalue() == f"iotprovision {iotprovision.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_is_for_is_known_without_loading_it(command: str) -> None:
    assert COMMANDS.purpose(command) == purpose_of(COMMANDS[command])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("others", [["provision"], ["account"], ["all"]])
def test_a_command_stands_alone(command: str, others: list[str], environment: Environment) -> None:
    for arguments in ([command, *others], [*others, command], ["--simulate", *others, command]):
        assert main(arguments, environment) == ExitCode.USAGE
        assert f"{command} stands alone" in environment.err.getvalue()
        assert others[0] in environment.err.getvalue()
    assert not environment.store_folder.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_of_actions_is_refused_with_a_command(
    command: str, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--no-lock"], environment) == ExitCode.USAGE
    assert "--no-lock" in capsys.readouterr().err


def test_options_of_a_command_are_refused_with_actions(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    actions = {spelling for option in options() for spelling in option.spellings}
    all_of_commands = (option for command in COMMANDS for option in COMMANDS[command].OPTIONS)
    own = {spelling for option in all_of_commands for spelling in option.spellings} - actions
    assert own
    for option in own:
        assert main(["certs", option], environment) == ExitCode.USAGE
        assert option in capsys.readouterr().err


def test_a_command_is_found_wherever_it_stands(environment: Environment) -> None:
    for arguments in (["-s", "12", "--simulate", "history"], ["history", "--simulate", "-s", "12"]):
        job = parse(arguments, environment)
        assert (job.command, job.simulate, job.serial_number) == ("history", "avr-iot-wa", "12")
    job = parse(["-s", "history", "certs"], environment)
    assert (job.command, job.actions, job.serial_number) == ("provision", ("certs",), "history")


def test_a_command_takes_the_settings_that_it_shares_and_leaves_the_others(environment: Environment) -> None:
    write_settings(environment, "serial-number: 4321\nprovision-method: jitr\npsk-file: somewhere\n")
    assert parse(["history"], environment).serial_number == "4321"
    assert parse(["history", "-s", "1"], environment).serial_number == "1"


def test_options_are_spelled_as_users_know_them() -> None:
    spelled = {spelling for option in options() for spelling in option.spellings} | {"-h", "--help", "-V", "--version"}
    assert spelled >= {
        *("-h", "-c", "-m", "-a", "-P", "-p", "-f", "-app", "-ssid", "-psk", "-auth", "-s", "-l", "-V"),
        *("--verify", "--help", "--cloud-provider", "--provision-method", "--aws-profile", "--port"),
        *("--provision-firmware", "--force", "--application-firmware", "--wifi-ssid", "--wifi-psk", "--wifi-auth"),
        *("--serial-number", "--logging", "--version", "--simulate", "--dry-run", "--no-lock", "--json"),
    }


@pytest.mark.parametrize("arguments", [["--provision-meth", "jitr"], ["--sim"], ["--js"], ["-m", "magic"], ["-x"]])
def test_unknown_and_abbreviated_options_are_refused(
    arguments: list[str], environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, environment) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-m", "jitr", "fly"], "fly"),
        (["-m", "jitr", "none", "certs"], "none"),
        (["-m", "jitr", "-psk", "12345678"], "-ssid"),
        (["-m", "jitr", "-ssid", "home", "certs"], "application"),
        (["-m", "jitr", "--simulate", "--simulate-ap", "lab:correct horse"], "emulated"),
        (["-m", "jitr", "--simulate", "avr-iot-wa@emulated", "--simulate-ap", "lab"], "SSID:PASSPHRASE"),
        (["-m", "jitr", "--simulate", "avr-iot-wa@emulated", "--simulate-ap", "lab:horse"], "passphrase"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], word: str, environment: Environment) -> None:
    assert main(arguments, environment) == 2
    assert isinstance(environment.err, io.StringIO)
    assert word in environment.err.getvalue()


def test_all_is_every_action(environment: Environment) -> None:
    everything = ("dbgupgrade", "certs", "provision", "links", "application")
    assert parse(["-m", "jitr"], environment).actions == everything
    assert parse(["-m", "custom", "all"], environment).actions == everything
    assert parse(["none"], environment).actions == ("none",)


def test_simulate_takes_an_action_for_an_action(environment: Environment) -> None:
    job = parse(["-m", "jitr", "--simulate", "certs"], environment)
    assert (job.simulate, job.actions) == ("avr-iot-wa", ("certs",))
    assert parse(["-m", "jitr", "--simulate", "avr-iot-wg"], environment).simulate == "avr-iot-wg"


def write_settings(environment: Environment, text: str) -> None:
    environment.store_folder.mkdir(parents=True)
    (environment.store_folder / "config.yaml").write_text(text, encoding="utf-8")


def test_settings_file_gives_defaults_and_the_command_line_wins(environment: Environment) -> None:
    write_settings(environment, "org: Example Devices\naws-profile: factory\nno-lock: true\nprovision-method: jitr\n")
    job = parse(["-a", "mine"], environment)
    assert (job.organization, job.method_options["aws_profile"], job.no_lock) == ("Example Devices", "mine", True)
    assert job.method == "jitr"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("aws-profil: factory\n", "'aws-profile'"),
        ("no-lock: 1\n", "true or false"),
        ("org: [a]\n", "takes a text"),
        ("provision-method: magic\n", "jitr"),
        ("- a\n- b\n", "option: value"),
        ("org:\n", "takes a text"),
        ("a: [\n", "not YAML"),
    ],
)
def test_settings_file_with_mistakes(text: str, word: str, environment: Environment) -> None:
    write_settings(environment, text)
    with pytest.raises(UsageError) as caught:
        parse(["-m", "jitr"], environment)
    assert word in str(caught.value)


@pytest.mark.parametrize("value", ["01234567", "1234.5678", "2026-11-22", "12_345_678", "1:30:00.00", "false888"])
def test_settings_are_taken_as_they_are_written(value: str, environment: Environment) -> None:
    write_settings(environment, f"wifi-psk: {value}\nwifi-ssid: {value}\n")
    job = parse(["application"], environment)
    assert (job.wifi_passphrase, job.wifi_ssid) == (value, value)


@pytest.mark.parametrize("value", ['"hunter22', "[hunter22", "[hunter22]", "{hunter22: 1}", "*hunter22", "!hunter22!x"])
def test_a_passphrase_in_a_settings_file_with_a_mistake_is_not_shown(value: str, environment: Environment) -> None:
    write_settings(environment, f"org: Example\npsk: {value}\n")
    assert main(["none"], environment) == ExitCode.USAGE
    assert isinstance(environment.err, io.StringIO)
    assert "hunter22" not in environment.err.getvalue()
    assert "config.yaml" in environment.err.getvalue()


def test_settings_for_all_runs_are_left_out_where_they_are_of_no_use(environment: Environment, tmp_path: Path) -> None:
    write_settings(environment, f"ssid: home\npsk-file: {tmp_path}\nwifi-module-firmware: {tmp_path}\n")
    job = parse(["certs"], environment)
    assert (job.wifi_ssid, job.wifi_module_firmware) == (None, None)
    assert parse(["application"], environment).wifi_ssid == "home"
    assert parse(["certs", "-w"], environment).wifi_module_firmware == tmp_path
    with pytest.raises(UsageError, match="application"):
        parse(["certs", "-ssid", "other"], environment)
    variables = {"IOTPROVISION_HOME": str(tmp_path / "empty"), "IOTPROVISION_WIFI_PSK": "correct horse"}
    assert parse(["certs"], Environment(variables=variables)).wifi_ssid is None


def test_a_passphrase_on_the_command_line_wins_over_the_file_of_the_settings(
    environment: Environment, tmp_path: Path
) -> None:
    write_settings(environment, f"ssid: home\npsk-file: {tmp_path}\n")
    job = parse(["application", "-psk", "correct horse"], environment)
    assert (job.wifi_passphrase_file, job.wifi_passphrase_can_be_seen) == (None, True)
    assert not parse(["application"], environment).wifi_passphrase_can_be_seen


def test_a_home_that_nobody_has() -> None:
    err = io.StringIO()
    environment = Environment(io.StringIO(), err, {"IOTPROVISION_HOME": "~nobody-of-this-name/store"})
    assert main(["none"], environment) == ExitCode.USAGE
    assert "IOTPROVISION_HOME" in err.getvalue()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("iotprovision --dry", "--dry-run"),
        ("iotprovision -m ji", "jitr"),
        ("iotprovision prov", "provision"),
        ("iotprovision his", "history"),
        ("iotprovision history --la", "--last"),
        ("iotprovision --simulate restore --only app", "application"),
        ("iotprovision --he", "--help"),
    ],
)
def test_shell_completion(typed: str, offered: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    variables = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": typed,
        "COMP_POINT": str(len(typed)),
    }
    subprocess.run([sys.executable, "-m", "iotprovision"], env=variables, check=True)
    assert offered in answer.read_text().replace("\013", " ").split()


def test_settings_from_the_environment_win_over_the_file(environment: Environment) -> None:
    write_settings(environment, "aws-profile: factory\nrcn: Root\n")
    home = str(environment.store_folder)
    variables = {"IOTPROVISION_HOME": home, "IOTPROVISION_AWS_PROFILE": "lab", "IOTPROVISION_NO_LOCK": "1"}
    job = parse(["-m", "jitr"], Environment(variables=variables))
    assert (job.method_options["aws_profile"], job.root_common_name, job.no_lock) == ("lab", "Root", True)
    job = parse(["-m", "jitr", "-a", "mine"], Environment(variables=variables))
    assert job.method_options["aws_profile"] == "mine"
    with pytest.raises(UsageError, match="IOTPROVISION_NO_LOCK"):
        parse(["-m", "jitr"], Environment(variables={"IOTPROVISION_HOME": home, "IOTPROVISION_NO_LOCK": "perhaps"}))


def test_a_passphrase_in_the_environment_wins_over_a_file_in_the_settings(environment: Environment) -> None:
    write_settings(environment, "psk-file: somewhere\n")
    variables = {**environment.variables, "IOTPROVISION_WIFI_PSK": "correct horse"}
    job = parse(["-m", "jitr", "-ssid", "lab"], Environment(variables=variables))
    assert (job.wifi_passphrase, job.wifi_passphrase_file) == ("correct horse", None)
    job = parse(["-m", "jitr", "-ssid", "lab", "--psk-file", "here"], Environment(variables=variables))
    assert job.wifi_passphrase_file == Path("here")


def test_a_misspelt_variable_is_an_error(environment: Environment) -> None:
    variables = {**environment.variables, "IOTPROVISION_DRYRUN": "1"}
    with pytest.raises(UsageError, match="IOTPROVISION_DRYRUN") as caught:
        parse([], Environment(variables=variables))
    assert "IOTPROVISION_DRY_RUN" in caught.value.hint


def test_newer_spellings_mean_the_same(environment: Environment) -> None:
    older = parse(["-m", "jitr", "-ssid", "a", "-psk", "12345678", "-auth", "open", "-l", "info"], environment)
    newer = parse(["-m", "jitr", "--ssid", "a", "--psk", "12345678", "--auth", "open", "-v", "info"], environment)
    assert older == newer
    assert parse(["-m", "jitr", "account"], environment).actions == ("certs",)


def test_help_and_version_import_nothing_heavy() -> None:
    script = (
        "import sys\nfrom iotprovision.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "heavy = {'boto3', 'botocore', 'cryptography', 'pymcuprog', 'pyedbglib', 'rich', 'yaml', 'argparse', 'inspect'}"
        " & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for arguments in (["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)):
        subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True)
