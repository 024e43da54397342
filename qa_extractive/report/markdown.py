"""A report as Markdown with GitHub's tables; plots are left to the HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from qa_extractive.report.blocks import Block, Bullets, Paragraph, Plot, Section, Table

_SPECIAL = re.compile(r"[\\`*_|~$]|\](?=[(\[:])|!(?=\[)")
_AT_START = re.compile(r"^(?:[-+=#]|\d+(?=[.)]))")


def markdown(report: Section) -> str:
    """The whole file."""
    return "\n".join(_section(report, 1)) + "\n"


def escaped(text: str) -> str:
    """The text on one line, so that it is shown as it is, within a line and in a cell of a table."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\g<0>", line)


def _line(text: str) -> str:
    """The same at the start of a line, where a sign or a number could start a list or a heading."""
    line = escaped(text)
    start = _AT_START.match(line)
    if start is None:
        return line
    sign = start.group()
    return f"{sign}\\{line[len(sign) :]}" if sign.isdigit() else f"\\{line}"


def _section(section: Section, level: int) -> Iterator[str]:
    yield f"{'#' * min(level, 6)} {_line(section.title)}"
    yield ""
    for block in section.blocks:
        if isinstance(block, Section):
            yield from _section(block, level + 1)
        else:
            yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield from (_line(block.text), "")
    elif isinstance(block, Bullets):
        yield from (*(f"- {_line(item)}" for item in block.items), "")
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Plot):
        yield from (f"*{escaped(block.caption)}* {escaped(block.alt)}", "")


def _table(table: Table) -> Iterator[str]:
    yield from (f"**{escaped(table.caption)}**", "")
    cells = [[escaped(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip_longest(*cells, fillvalue="")]
    yield _row(cells[0], widths)
    right = "-" if table.is_text else ":"
    yield "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else right) for i, w in enumerate(widths)) + "|"
    yield from (_row(row, widths) for row in cells[1:])
    yield ""


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    # Padding is for people who read the source; prose is not padded.
    padded = [cell.ljust(w) if w <= 40 else cell for cell, w in zip(cells, widths, strict=True)]
    return f"| {' | '.join(padded)} |"
