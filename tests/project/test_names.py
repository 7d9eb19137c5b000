"""Where a file may lie and how it may be called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from support.source import Fault, Source, check, made_up, package_source

IN_THE_SIMULATOR = ("__init__.py", "__main__.py", "bench.py")
ENTRIES = ("__init__", "__main__")

SAME_NAME = {
    "authority: pki, steps": "steps/ makes true what pki/ says of authorities",
    "aws: methods, simulator, steps": "methods/ and steps/ provision for it, simulator/ plays it",
    "azure: methods, simulator, steps": "methods/ and steps/ provision for it, simulator/ plays it",
    "bench: runs, simulator": "a run works with a real bench or with a simulated one",
    "board: boards, simulator": "simulator/ plays what boards/ speaks to",
    "doctor: commands, inspection": "commands/ shows what inspection/ finds",
    "factory_certificates: formats, steps": "formats/ reads their bytes, steps/ proves them",
    "history: commands, runs": "commands/ shows what runs/ recorded",
    "id_scope: formats, steps": "formats/ has its bytes, steps/ writes them",
    "wifi_network: boards, steps": "boards/ says what one is, steps/ tells it to a board",
    "status: commands, inspection": "commands/ shows what inspection/ finds",
}
"""Names that several rooms have for one subject, and why."""


def same_names(source: Source) -> Iterator[Fault]:
    """Within a room a name may be there several times: each family of boards has its board.py."""
    modules = defaultdict(list)
    for module in source:
        modules[Path(module.path).stem].append(module)
    for name, same in modules.items():
        rooms = sorted({module.room for module in same})
        if len(rooms) > 1 and name not in ENTRIES:
            yield Fault(f"{name}: {', '.join(rooms)}", ", ".join(module.path for module in same))


def loose_files_of_the_simulator(source: Source) -> Iterator[Fault]:
    for module in source:
        folder, _, name = module.path.partition("/")
        if folder == "simulator" and "/" not in name and name not in IN_THE_SIMULATOR:
            yield module.fault("lies directly in simulator/")


def test_a_name_has_one_meaning() -> None:
    rule = "modules of different rooms have different names, or one subject and the reason in SAME_NAME"
    check(rule, same_names(package_source()), SAME_NAME.keys())


def test_the_simulator_lies_in_its_rooms() -> None:
    rule = f"directly in simulator/ lie {', '.join(IN_THE_SIMULATOR)} and rooms, and nothing else"
    check(rule, loose_files_of_the_simulator(package_source()))


def test_the_guards_see_what_they_are_for(tmp_path: Path) -> None:
    texts = dict.fromkeys(
        ("boards/board.py", "boards/esp32/board.py", "steps/links.py", "boards/links.py", "simulator/usb/bus.py"), ""
    )
    source = made_up(tmp_path, {**texts, "simulator/bench.py": "", "simulator/drive.py": "", "steps/__init__.py": ""})
    assert [fault.text for fault in same_names(source)] == ["links: boards, steps"]
    assert [fault.text for fault in loose_files_of_the_simulator(source)] == [
        "simulator/drive.py lies directly in simulator/"
    ]
