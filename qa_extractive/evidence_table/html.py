"""An evidence table as one HTML file: each cell opens its quote, marked in the text of its paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_extractive._utils.files import atomic_file
from qa_extractive.errors import DataError
from qa_extractive.evidence_table.about import About
from qa_extractive.evidence_table.rows import Cell, PaperRow
from qa_extractive.evidence_table.together import Together
from qa_extractive.tables.writing import writing

MAX_TEXT_CHARACTERS = 20_000_000
"""Of all papers that stand in the file whole; of those that follow, what is around their quotes does."""

_AROUND = 600  # characters before and after a quote


@contextmanager
def html_writer(
    output: Path, about: About, together: Callable[[], Sequence[Together]]
) -> Iterator[Callable[[PaperRow], None]]:
    """What writes the rows of a table; the file appears, or replaces the one there, when the block ends well.

    It loads nothing, and runs a script of its own that shows the quotes, filters and sorts.

    Args:
        output: The file.
        about: What stands beside the table.
        together: What all papers say, asked for when the last row is written.

    Raises:
        DataError: Jinja2 is missing, or the file cannot be written.
    """
    parts = _template().make_module({"about": about})
    with writing(output), atomic_file(output) as file:
        page = _Page(file, parts)
        page.write(str(parts.head()))
        yield page.add
        page.write(str(parts.tail(together())))


@dataclass(slots=True, eq=False)
class _Page:
    file: Any
    parts: Any
    n_characters: int = 0

    def write(self, text: str) -> None:
        """Add to the file."""
        self.file.write(text.encode("utf-8", "replace"))

    def add(self, row: PaperRow) -> None:
        """Write a paper."""
        text = row.paper.text
        self.n_characters += len(text)
        is_whole = self.n_characters <= MAX_TEXT_CHARACTERS
        data = {"text": text} if is_whole else {"parts": [_around(text, cell) for cell in row.cells]}
        self.write(str(self.parts.row(row, [_place(cell) for cell in row.cells], _as_script(data))))


def _around(text: str, cell: Cell) -> dict[str, Any] | None:
    """What is around a quote, and where that begins."""
    if cell.start is None or cell.end is None:
        return None
    first = max(0, cell.start - _AROUND)
    return {"text": text[first : cell.end + _AROUND], "first": first}


def _place(cell: Cell) -> str:
    """As "Results, p. 4"."""
    page = f"p. {cell.page}" if cell.page else ""
    return ", ".join(filter(None, (cell.section, page)))


def _as_script(data: dict[str, Any]) -> str:
    """JSON that stays inside its script element, whatever the texts hold."""
    return json.dumps(data).replace("<", "\\u003c").replace("&", "\\u0026")


def _template() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise DataError("an .html table needs Jinja2: pip install 'qa-extractive[papers]'") from None
    pages = Environment(
        loader=PackageLoader("qa_extractive.evidence_table"), autoescape=True, undefined=StrictUndefined
    )
    pages.filters["percent"] = lambda value: "" if value is None else f"{100 * value:.0f} %"
    return pages.get_template("evidence.html")
