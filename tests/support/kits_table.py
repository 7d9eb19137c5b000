"""The table of kits and methods in docs/kits.md: read, and written anew from what runs came to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "kits.md"
BEGIN, END = "<!-- written by the tests: begin -->", "<!-- written by the tests: end -->"
_ROW = re.compile(r"\| (?P<kit>[^|]+) \| `(?P<simulated>[a-z0-9-]+)` \| (?P<cells>.+) \|")
_CELL = re.compile(r"(?P<words>[^\[]+?)(?: \[(?P<number>\d+)\])?")
_REASON = re.compile(r"(?P<number>\d+)\. (?P<text>.+)")


@dataclass(frozen=True)
class Cell:
    """What a kit does with a method, and why it does no more."""

    words: str
    reason: str = ""


@dataclass
class KitsTable:
    """Rows of kits, columns of methods.

    :param names: of each kit, what it is called where it is simulated
    :param cells: by kit and column
    """

    names: dict[str, str] = field(default_factory=dict)
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)

    @classmethod
    def of_page(cls) -> KitsTable:
        """The table as the page has it now; empty where it has none."""
        lines = _split(PAGE.read_text(encoding="utf-8"))[1].splitlines()
        reasons = {match["number"]: match["text"] for match in map(_REASON.fullmatch, lines) if match}
        heads = next((line for line in lines if line.startswith("| kit ")), "")
        columns = [head.strip() for head in heads.strip("| ").split(" | ")][2:]
        table = cls()
        for row in filter(None, map(_ROW.fullmatch, lines)):
            table.names[row["kit"]] = row["simulated"]
            for column, text in zip(columns, row["cells"].split(" | "), strict=True):
                cell = _CELL.fullmatch(text)
                if cell:
                    table.cells[row["kit"], column] = Cell(cell["words"], reasons.get(cell["number"], ""))
        return table

    def write(self, names: Mapping[str, str], columns: list[str]) -> None:
        """Put the table into the page: these kits and columns, in this order, and no others."""
        cells = {(kit, column): self.cells.get((kit, column), Cell("not run")) for kit in names for column in columns}
        reasons = list(dict.fromkeys(cell.reason for cell in cells.values() if cell.reason))
        lines = [_row(["kit", "simulated as", *columns]), "|---" * (len(columns) + 2) + "|"]
        for kit, simulated in names.items():
            lines.append(_row([kit, f"`{simulated}`", *(_text(cells[kit, column], reasons) for column in columns)]))
        lines += ["", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]
        before, _, after = _split(PAGE.read_text(encoding="utf-8"))
        PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


def _split(page: str) -> tuple[str, str, str]:
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(cell: Cell, reasons: list[str]) -> str:
    return f"{cell.words} [{reasons.index(cell.reason) + 1}]" if cell.reason else cell.words
