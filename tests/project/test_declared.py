"""What is declared is used: fields of the catalogue, simulated kits, options."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml
from support.source import ROOT, Fault, Source, check, last_name, made_up, package_source

from iotprovision.cli import main
from iotprovision.command_line.command import options_of
from iotprovision.command_line.options import options
from iotprovision.commands import COMMANDS
from iotprovision.environment import Environment
from iotprovision.simulator.kit.catalogue import EMULATED
from iotprovision.simulator.kit.kinds import KINDS

ASKED = ("job", "request")
"""What holds the values of options once they are read."""

MADE_BY = ("command_line/given.py", "command_line/pars", "command_line/rules.py")
"""Who puts values into them."""

JOB, RULES = "runs/job.py", "command_line/rules.py"


def _attributes(source: Source, but: tuple[str, ...] = ()) -> Iterator[ast.Attribute]:
    """Those that the tool reads of anything; the simulator has a catalogue and options of its own."""
    for module in source:
        if not module.path.startswith(("simulator/", *but)):
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    yield node


def unread_fields(source: Source, fields: Collection[str]) -> Iterator[Fault]:
    read = {node.attr for node in _attributes(source)}
    yield from (Fault(f"{field} of boards/kits.yaml is read nowhere") for field in fields if field not in read)


def unread_options(source: Source, names: Collection[str]) -> Iterator[Fault]:
    """Those of a cloud are read by the row that declares them, as ``PROFILE.name``; rules make actions of some."""
    read = {node.attr for node in _attributes(source, but=MADE_BY) if last_name(node.value) in ASKED}
    for module in source:
        if module.path == JOB:
            read |= {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
        if module.path == RULES:
            read |= {str(text.value) for text in module.strings()}
    rows = {last_name(node.value) for node in _attributes(source) if node.attr == "name"}
    for module in source:
        for node in module.tree.body if module.path.startswith("methods/") else ():
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and last_name(node.targets[0]) in rows:
                read |= {str(word.value) for word in node.value.args[:1] if isinstance(word, ast.Constant)}
    yield from (Fault(f"the option {name} is read nowhere") for name in names if name not in read)


def unread_parts_of_the_job(source: Source) -> Iterator[Fault]:
    """What the command line puts into the job somebody else takes out of it."""
    read = {node.attr for node in _attributes(source, but=MADE_BY)}
    for module in source:
        if module.path == JOB:
            classes = [node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
            fields = [node for found in classes for node in found.body if isinstance(node, ast.AnnAssign)]
            names = [ast.unparse(field.target) for field in fields]
            yield from (Fault(f"the part {name} of the job is read nowhere") for name in names if name not in read)


def unnamed_kits(help_text: str, names: Collection[str]) -> Iterator[Fault]:
    """A name may be broken at the end of a line."""
    words = set(re.findall(r"[\w@#-]+", re.sub(r"-\s+", "-", help_text)))
    yield from (Fault(f"--help does not name {name}") for name in names if name not in words)


def fields_of_kits() -> set[str]:
    content = yaml.safe_load((ROOT / "boards" / "kits.yaml").read_text(encoding="utf-8"))
    return {field for kit in content["kits"] for field in kit}


def declared_options() -> set[str]:
    """All that any command takes, by the names that their values have."""
    rows = [*options(), *(row for command in COMMANDS.values() for row in options_of(command))]
    return {row.name for row in rows}


def test_every_field_of_the_catalogue_is_read() -> None:
    check("what kits.yaml says is used", unread_fields(package_source(), fields_of_kits()))


def test_every_option_is_read() -> None:
    names = declared_options()
    assert {"simulate", "json", "agreed", "azure_dps"} < names
    check("what an option sets is read of the job or the request", unread_options(package_source(), names))


def test_every_part_of_the_job_is_read() -> None:
    rule = f"each part of {JOB} is read outside command_line/"
    check(rule, unread_parts_of_the_job(package_source()))


def test_every_simulated_kit_is_named_by_help() -> None:
    out = io.StringIO()
    assert main(["--help"], Environment(out, io.StringIO(), {})) == 0
    names = {*KINDS, *(f"{name}{EMULATED}" for name, kind in KINDS.items() if kind.family.emulator)}
    check("--help names every simulated kit", unnamed_kits(out.getvalue(), names))


def test_the_guards_see_what_they_are_for(tmp_path: Path) -> None:
    texts = {
        "runs/job.py": "class Job:\n    mcu: str\n    kit: str\n    force: str\n    color: int = 1\n",
        "runs/run.py": "def run(self, board):\n    board.leds = self._job.force\n    return board.port, job.mcu\n",
        "command_line/parsing.py": "kit = job.kit",
        "simulator/kit.py": "def start(kit):\n    return kit.modem, kit.leds\n",
    }
    source = made_up(tmp_path, texts)
    assert [fault.text.split()[0] for fault in unread_fields(source, ["leds", "modem", "mcu"])] == ["leds", "modem"]
    unread = [fault.text for fault in unread_options(source, ["force", "port", "mcu"])]
    assert unread == ["the option port is read nowhere"]
    unread = [fault.text for fault in unread_parts_of_the_job(source)]
    assert unread == ["the part kit of the job is read nowhere", "the part color of the job is read nowhere"]
    help_text = "one of a-kit, a-kit@emulated, an-\n    other"
    missing = [fault.text for fault in unnamed_kits(help_text, ["a-kit", "an-other", "an-other@emulated", "a"])]
    assert missing == ["--help does not name an-other@emulated", "--help does not name a"]
