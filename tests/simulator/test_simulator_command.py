"""``python -m iotprovision.simulator``: serve, run, reset; and what holds for the processes behind it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

import pymcuprog
import pytest
import serial
from pymcuprog.backend import Backend, SessionConfig
from pymcuprog.toolconnection import ToolUsbHidConnection
from support.simulated import PROGRAM_TIMEOUT, eventually, kits_on_the_bus, on_the_bus, simulator

from iotprovision.errors import ExitCode, KitNotFoundError, LockedError, StoreError, UsageError
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.bus import Bus, KitConnection
from iotprovision.simulator.usb.host import attached, control, served_kits, start_kits

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and file modes")
KIT = SimulatedKitName.parse("avr-iot-wa")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A kit that ``serve`` serves: (its JSON line, state folder)."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder) as process:
        yield json.loads(process.stdout.readline()), folder
        process.stdin.close()
        process.wait(PROGRAM_TIMEOUT)


@pytest.fixture(scope="module")
def damaged_kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    start_kits([KIT], folder).stop()
    return folder


def serving(folder, *arguments):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "iotprovision.simulator",
            "serve",
            "--state",
            folder,
            *arguments,
            "--while-input-is-open",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def alive(pid):
    status = Path(f"/proc/{pid}/stat")
    if status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
        return False  # it has ended, only nobody has asked yet
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def write_flash(page):
    backend = Backend()
    backend.connect_to_tool(ToolUsbHidConnection(serialnumber=None, tool_name="nedbg"))
    backend.start_session(SessionConfig("atmega4808"))
    backend.erase()
    backend.write_memory(bytearray(page), "flash", 0)
    backend.end_session()
    backend.disconnect_from_tool()


class TestServe:
    def test_line_says_where_everything_is(self, served):
        line, folder = served
        assert line["kit"] == "avr-iot-wa"
        assert line["folder"] == str(folder / "avr-iot-wa")
        assert {"serial_number", "usb_address", "uart", "pty"} <= set(line)
        with serial.serial_for_url(line["uart"]):
            pass
        if sys.platform != "win32":
            with serial.Serial(line["pty"]):
                pass

    def test_folder_holds_what_people_look_at(self, served):
        line, folder = served
        files = {path.name: path.stat().st_size for path in (folder / "avr-iot-wa").iterdir()}
        assert files["flash.bin"] == 48 * 1024
        assert files["winc.bin"] == 1024 * 1024
        assert {"fuses.bin", "board-config.bin", "ecc608.yaml", "meters.json", "kit.yaml", "drive"} <= set(files)
        page = (folder / "avr-iot-wa" / "drive" / "KIT-INFO.HTM").read_text()
        assert f"https://kits.microchip.com/redirect/1/0029?serial={line['serial_number']}" in page

    @POSIX
    def test_secrets_are_for_the_owner_only(self, served):
        _, folder = served
        assert folder.joinpath("avr-iot-wa").stat().st_mode & 0o077 == 0
        for name in ("ecc608.yaml", "connection.json"):
            assert folder.joinpath("avr-iot-wa", name).stat().st_mode & 0o777 == 0o600

    def test_wrong_token_is_refused(self, served):
        _, folder = served
        (address,) = Bus(folder).addresses()
        for token in ("0" * 32, "", "long" * 1000):
            with pytest.raises(OSError, match="wrong token"):
                KitConnection({**address, "token": token})
        with KitConnection(address) as connection:
            assert connection.describe()["present"]

    def test_nonsense_on_the_port_harms_nobody(self, served):
        _, folder = served
        (address,) = Bus(folder).addresses()
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b""):
            with socket.create_connection(("127.0.0.1", address["port"]), timeout=5) as connection:
                connection.sendall(nonsense)
        with KitConnection(address) as connection:
            for request in (b"", b"X" + bytes(3), b"J{", b'J{"do": "dance"}', b"?"):
                with pytest.raises(OSError):
                    connection.ask(request)
            assert connection.describe()["present"]

    def test_only_loopback_listens(self, served):
        _, folder = served
        (address,) = Bus(folder).addresses()
        hosts = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        for host in hosts - {"127.0.0.1", "127.0.1.1"}:
            with pytest.raises(OSError):
                socket.create_connection((host, address["port"]), timeout=2)

    def test_kit_is_served_once(self, served):
        _, folder = served
        result = simulator("serve", "--state", folder)
        assert result.returncode == ExitCode.LOCKED
        assert "served by another process" in result.stderr
        with pytest.raises(LockedError):
            start_kits([KIT], folder)

    def test_unknown_kit(self, tmp_path):
        result = simulator("serve", "toaster", "--state", tmp_path)
        assert result.returncode == ExitCode.USAGE
        assert "avr-iot-wg" in result.stderr

    @POSIX
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signals_stop_it_and_state_is_saved(self, tmp_path, number):
        with serving(tmp_path) as process:
            process.stdout.readline()
            control(tmp_path / "avr-iot-wa", "unplug")
            process.send_signal(number)
            assert process.wait(PROGRAM_TIMEOUT) == 0
        assert not (tmp_path / "avr-iot-wa" / "connection.json").exists()

    def test_two_kits_of_a_kind(self, tmp_path):
        with kits_on_the_bus(tmp_path, "avr-iot-wa", "avr-iot-wa#2") as kits:
            assert len({kit.serial_number for kit in kits.kits}) == 2
            assert len({kit.usb_address for kit in kits.kits}) == 2


class TestLifetime:
    def test_state_survives_a_restart(self, tmp_path):
        page = bytes(range(128))
        with kits_on_the_bus(tmp_path) as kits:
            serial_number = kits.kits[0].serial_number
            write_flash(page)
            counted = kits.meters()
        secret = (tmp_path / "avr-iot-wa" / "ecc608.yaml").read_text()
        with kits_on_the_bus(tmp_path) as kits:
            assert kits.kits[0].serial_number == serial_number
            assert kits.meters() == counted
        assert (tmp_path / "avr-iot-wa" / "flash.bin").read_bytes()[:128] == page
        assert (tmp_path / "avr-iot-wa" / "ecc608.yaml").read_text() == secret

    def test_killed_process_loses_at_most_the_session(self, tmp_path):
        flash = tmp_path / "avr-iot-wa" / "flash.bin"
        with kits_on_the_bus(tmp_path) as kits:
            write_flash(b"\x11" * 128)
            eventually(lambda: flash.read_bytes()[:128] == b"\x11" * 128, "saving at the end of a session")
            os.kill(kits.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            eventually(lambda: not alive(kits.pid), "the end of the process")
            assert Bus(tmp_path).kits() == []
        with kits_on_the_bus(tmp_path) as kits:
            write_flash(b"\x22" * 128)
        assert flash.read_bytes()[:128] == b"\x22" * 128

    def test_what_cannot_be_saved_is_an_error_at_the_end(self, tmp_path):
        kits = start_kits([KIT], tmp_path)
        with attached(tmp_path):
            backend = Backend()
            backend.connect_to_tool(ToolUsbHidConnection(serialnumber=None, tool_name="nedbg"))
            backend.start_session(SessionConfig("atmega4808"))
            shutil.rmtree(kits.folder)
            backend.write_memory(bytearray(128), "flash", 0)
            backend.end_session()
            backend.disconnect_from_tool()
        with pytest.raises(StoreError, match="Cannot save"):
            kits.stop()
        kits.stop()

    def test_nothing_is_left_when_a_test_fails(self, tmp_path):
        with pytest.raises(ZeroDivisionError), kits_on_the_bus(tmp_path) as kits:
            raise ZeroDivisionError
        assert not alive(kits.pid)

    @POSIX
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    def test_kit_ends_with_the_process_that_started_it(self, tmp_path, number):
        program = (
            "import sys, time; from pathlib import Path\n"
            "from iotprovision.simulator.usb.host import start_kits\n"
            "from iotprovision.simulator.kit.kinds import SimulatedKitName\n"
            "with start_kits([SimulatedKitName.parse('avr-iot-wa')], Path(sys.argv[1])) as kits:\n"
            "    print(kits.pid, flush=True)\n"
            "    time.sleep(60)\n"
        )
        owner = subprocess.Popen(
            [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        kit = int(owner.stdout.readline())
        assert alive(kit)
        owner.send_signal(number)
        owner.wait(PROGRAM_TIMEOUT)
        owner.stdout.close()
        eventually(lambda: not alive(kit), "the end of the kit")
        assert not (tmp_path / "avr-iot-wa" / "connection.json").exists()

    @pytest.mark.parametrize(
        ("file", "content"),
        [
            ("winc.bin", b"short"),
            ("flash.bin", None),
            ("ecc608.yaml", b"\tnot: yaml: at all"),
            ("ecc608.yaml", b"- 1"),
            ("meters.json", b"{"),
            ("meters.json", b"[]"),
            ("kit.yaml", b""),
            ("kit.yaml", b"serial_number: 1"),
            ("board-config.bin", b"\x00" * 4097),
        ],
    )
    def test_damaged_state_says_so_and_names_the_cure(self, damaged_kit, file, content):
        path = damaged_kit / "avr-iot-wa" / file
        original = path.read_bytes()
        path.unlink() if content is None else path.write_bytes(content)
        result = simulator("serve", "--state", damaged_kit)
        assert result.returncode == ExitCode.STORE
        assert file in result.stderr
        assert "simulator reset avr-iot-wa" in result.stderr
        assert "Traceback" not in result.stderr
        path.write_bytes(original)

    def test_started_from_a_program_the_error_is_the_same(self, tmp_path):
        start_kits([KIT], tmp_path).stop()
        (tmp_path / "avr-iot-wa" / "kit.yaml").unlink()
        with pytest.raises(StoreError, match="damaged") as raised:
            start_kits([KIT], tmp_path)
        assert "reset avr-iot-wa" in str(raised.value)


class TestReset:
    def test_makes_a_new_kit_but_not_while_served(self, tmp_path):
        with kits_on_the_bus(tmp_path) as kits:
            before = kits.kits[0].serial_number
            write_flash(b"\x33" * 128)
            result = simulator("reset", "--state", tmp_path)
            assert result.returncode == ExitCode.LOCKED
        keys = (tmp_path / "avr-iot-wa" / "ecc608.yaml").read_bytes()
        result = simulator("reset", "--state", tmp_path, "--debugger", "1.15.479")
        assert result.returncode == 0, result.stderr
        assert (tmp_path / "avr-iot-wa" / "flash.bin").read_bytes() == b"\xff" * 0xC000
        assert (tmp_path / "avr-iot-wa" / "ecc608.yaml").read_bytes() != keys
        assert "debugger_version: 1.15.479" in (tmp_path / "avr-iot-wa" / "kit.yaml").read_text()
        with kits_on_the_bus(tmp_path) as kits:
            assert kits.kits[0].serial_number != before
            assert kits.meters()["target_flash_erases"] == 0

    def test_other_folders_are_left_alone(self, tmp_path):
        (tmp_path / "certificates").mkdir()
        assert simulator("reset", "--state", tmp_path).returncode == 0
        assert (tmp_path / "certificates").is_dir()

    def test_version_that_is_none(self, tmp_path):
        assert simulator("reset", "avr-iot-wa", "--debugger", "new", "--state", tmp_path).returncode == ExitCode.USAGE


class TestRun:
    def test_nothing_served(self, tmp_path):
        result = on_the_bus(tmp_path, sys.executable, "-c", "print('never')")
        assert result.returncode == ExitCode.KIT
        assert "serve" in result.stderr
        assert result.stdout == ""
        with pytest.raises(KitNotFoundError):
            served_kits(tmp_path)

    def test_exit_code_and_output_are_the_programs(self, served):
        result = on_the_bus(served[1], sys.executable, "-c", "import sys; print('hello'); sys.exit(42)")
        assert (result.returncode, result.stdout) == (42, "hello\n")

    def test_command_that_is_none(self, served):
        result = on_the_bus(served[1], "no-such-program-here")
        assert result.returncode == ExitCode.USAGE
        assert "no-such-program-here" in result.stderr

    def test_exactly_four_names_are_replaced(self, served, tmp_path):
        """``usb.core`` is a stand-in: nothing of this project needs the real one yet."""
        package = tmp_path / "usb"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "core.py").write_text("def find(**_): 1\ndef show_devices(**_): 2\ndef other(): 3\n")
        program = (
            "import json, hid, usb.core, serial.tools.list_ports as ports\n"
            "import pyedbglib.hidtransport.cyhidapi as cyhidapi\n"
            "from usb.core import find, show_devices\n"
            "print(json.dumps({\n"
            "    'hid': cyhidapi.hid is not hid and hid.__name__ == 'hid' and 'hid' in hid.__file__,\n"
            "    'serial numbers': [device['serial_number'] for device in cyhidapi.hid.enumerate()],\n"
            "    'ports': [[port.device, port.serial_number] for port in ports.comports()],\n"
            "    'hardware': ports.comports()[0].hwid,\n"
            "    'found': [find(idVendor=0x03eb, idProduct=0x2175).serial_number, find(idProduct=0x2fc0)],\n"
            "    'all': len(list(find(find_all=True))),\n"
            "    'shown': show_devices(),\n"
            "    'other': usb.core.other.__module__}))\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        result = on_the_bus(served[1], sys.executable, "-c", program, env=environment)
        seen = json.loads(result.stdout)
        line = served[0]
        assert seen["hid"]
        assert seen["serial numbers"] == [line["serial_number"]]
        assert seen["ports"] == [[line["pty"] or line["uart"], line["serial_number"]]]
        assert seen["hardware"].startswith(f"USB VID:PID=03EB:2175 SER={line['serial_number']}")
        assert seen["found"] == [line["serial_number"], None]
        assert seen["all"] == 1
        assert "03eb:2175" in seen["shown"]
        assert seen["other"] == "usb.core"

    def test_programs_that_use_none_of_them_load_nothing(self, served):
        program = (
            "import sys; print([name for name in sys.modules if 'usb_bus' in name or name.split('.')[0] in"
            " ('iotprovision', 'pyedbglib', 'serial', 'socket', 'json')])"
        )
        result = on_the_bus(served[1], sys.executable, "-S", "-c", "import sitecustomize; " + program)
        assert result.stdout == "[]\n", result.stderr

    def test_sitecustomize_of_the_other_environment_runs_too(self, served, tmp_path):
        (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.THEIRS = __file__\n")
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        program = "import sitecustomize, serial.tools.list_ports as p; print(THEIRS); print(len(p.comports()))"
        result = on_the_bus(served[1], sys.executable, "-c", program, env=environment)
        assert result.stdout.splitlines() == [str(tmp_path / "sitecustomize.py"), "1"], result.stderr

    @POSIX
    def test_other_environment_with_a_package_of_the_same_name(self, served, tmp_path):
        """A virtual environment of its own, with the vendor's libraries and somebody else's ``iotprovision``."""
        venv.create(tmp_path / "other", with_pip=False)
        (packages,) = (tmp_path / "other").glob("lib/python3*/site-packages")
        (packages / "libraries.pth").write_text(str(Path(pymcuprog.__file__).parents[1]) + "\n")
        (packages / "iotprovision").mkdir()
        (packages / "iotprovision" / "__init__.py").write_text("OWNER = 'somebody else'\n")
        program = (
            "import sys, iotprovision\n"
            "from pymcuprog.pymcuprog import main\n"
            "sys.argv = ['pymcuprog', 'ping']\n"
            "code = main()\n"
            "assert iotprovision.OWNER == 'somebody else'\n"
            "assert [name for name in sys.modules if name.startswith('iotprovision')] == ['iotprovision']\n"
            "sys.exit(code)\n"
        )
        result = on_the_bus(served[1], tmp_path / "other" / "bin" / "python", "-c", program, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert "1E9650" in result.stdout

    def test_thousands_of_transactions_a_second(self, served):
        program = (
            "import time, pyedbglib.hidtransport.cyhidapi as c\n"
            "d = c.hid.device(); d.open(0x03eb, 0x2175)\n"
            "start = time.perf_counter()\n"
            "for _ in range(3000): d.write(bytes([0, 0x81]) + bytes(63)); d.read(64)\n"
            "print(3000 / (time.perf_counter() - start))\n"
        )
        best = max(float(on_the_bus(served[1], sys.executable, "-c", program).stdout) for _ in range(3))
        assert best > 5000

    @POSIX
    def test_interrupt_is_for_the_program(self, served):
        program = (
            "import time\n"
            "try:\n    print('ready', flush=True); time.sleep(60)\n"
            "except KeyboardInterrupt:\n    print('interrupted'); raise SystemExit(7)\n"
        )
        command = [sys.executable, "-m", "iotprovision.simulator", "run", "--state", served[1], "--"]
        process = subprocess.Popen(
            [*command, sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=PROGRAM_TIMEOUT)[0] == "interrupted\n"
        assert process.returncode == 7


def test_default_folder_is_in_the_store(tmp_path):
    environment = {**os.environ, "IOTPROVISION_HOME": str(tmp_path / "home")}
    assert simulator("reset", "avr-iot-wg", env=environment).returncode == 0
    assert (tmp_path / "home" / "simulator" / "avr-iot-wg" / "kit.yaml").exists()


@pytest.mark.parametrize("action", ["serve", "reset"])
def test_folder_that_cannot_be_used(tmp_path, action):
    (tmp_path / "file").touch()
    unusable = [tmp_path / "file" / "folder", tmp_path / "file"]
    for folder in unusable + [Path("/proc/self")] * sys.platform.startswith("linux"):
        result = simulator(action, "avr-iot-wa", "--state", folder)
        assert result.returncode == ExitCode.STORE
        assert str(folder) in result.stderr
        assert "Traceback" not in result.stderr


def test_file_in_the_place_of_a_kit(tmp_path):
    (tmp_path / "avr-iot-wa").touch()
    assert simulator("serve", "--state", tmp_path).returncode == ExitCode.STORE
    assert simulator("reset", "--state", tmp_path).returncode == 0
    assert (tmp_path / "avr-iot-wa" / "kit.yaml").exists()


def test_emulator_that_is_not_installed(tmp_path):
    (tmp_path / "yasimavr").mkdir()
    (tmp_path / "yasimavr" / "__init__.py").write_text("raise ImportError(\"No module named 'yasimavr'\")\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = simulator("serve", "avr-iot-wa@emulated", "--state", tmp_path / "kits", env=environment)
    assert result.returncode == ExitCode.USAGE
    assert "yasimavr" in result.stderr
    assert ".[emulator]" in result.stderr


def test_start_is_quick(tmp_path):
    start_kits([KIT], tmp_path).stop()
    start = time.monotonic()
    start_kits([KIT], tmp_path).stop()
    assert time.monotonic() - start < 5


def test_a_kit_that_cannot_be_emulated() -> None:
    with pytest.raises(UsageError, match="cannot be emulated") as caught:
        SimulatedKitName.parse("pic-iot-wg@emulated")
    assert "pic-iot-wg" in caught.value.hint and "pic-iot-wg@emulated" not in caught.value.hint
    with pytest.raises(UsageError, match="no simulated kit") as caught:
        SimulatedKitName.parse("avr-iot")
    assert "avr-iot-cellular@emulated" in caught.value.hint and "pic-iot-wg@emulated" not in caught.value.hint
