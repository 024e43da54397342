"""The quotes of a table in their PDFs: where they stand, and copies in which they are marked."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from qa_extractive.evidence_table.rows import Cell, PaperRow
from qa_extractive.papers.pdf.highlight import highlight
from qa_extractive.papers.pdf.places import locate
from qa_extractive.papers.pdf.types import Mark
from qa_extractive.papers.types import NoPaperError
from qa_extractive.tables.writing import writing

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class MarkedPdfs:
    """Copies of the PDFs of a table with the given answers marked.

    Attributes:
        papers: The folder that was read, or the one file.
        output: The folder of the copies, which is made where it is missing.
        questions: Of the table, in order.
        n_files: Copies written so far; a PDF without any answer has none.
        n_marks: Quotes marked so far.
        n_lost: Quotes that were not found for sure, and so not marked.
    """

    papers: Path
    output: Path
    questions: tuple[str, ...]
    n_files: int = field(default=0, init=False)
    n_marks: int = field(default=0, init=False)
    n_lost: int = field(default=0, init=False)
    _taken: set[str] = field(default_factory=set, init=False)

    def add(self, row: PaperRow) -> None:
        """Copy the PDF of a row, if it is one, with its answers marked.

        Raises:
            DataError: The copy cannot be written.
        """
        cells = [i for i, cell in enumerate(row.cells) if cell.is_answered]
        if not row.paper.pages or not cells:
            return
        marks = [_mark(self.questions[i], row.cells[i]) for i in cells]
        copy = self._free_copy(row.file)
        with writing(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            places = highlight(pdf_of(self.papers, row), copy, marks)
        except NoPaperError as error:
            logger.warning("%s: not marked: %s", row.file, error)
            return
        self.n_files += 1
        self.n_marks += sum(place is not None for place in places)
        self.n_lost += sum(place is None for place in places)

    def _free_copy(self, file: str) -> Path:
        """Where the copy of a file goes; no other's goes there, whether a disk tells case apart or not."""
        copy = first = copy_path(self.output, file)
        n = 1
        while str(copy).casefold() in self._taken:
            n += 1
            copy = first.with_stem(f"{first.stem} ({n})")
        self._taken.add(str(copy).casefold())
        return copy


def copy_path(output: Path, file: str) -> Path:
    """Where the marked copy of a file below the papers goes: its own name, with .pdf where it has another."""
    return output / (file if file.lower().endswith(".pdf") else f"{file}.pdf")


def located(papers: Path, row: PaperRow) -> PaperRow:
    """The row with the boxes of its quotes in its PDF, if it is one; those not found for sure have none."""
    cells = [i for i, cell in enumerate(row.cells) if cell.start is not None]
    if not row.paper.pages or not cells:
        return row
    try:
        places = locate(pdf_of(papers, row), [_span(row.cells[i]) for i in cells])
    except NoPaperError as error:
        logger.warning("%s: its quotes were not placed: %s", row.file, error)
        return row
    boxes = {i: place.boxes for i, place in zip(cells, places, strict=True) if place is not None}
    placed = (replace(cell, boxes=boxes.get(i, ())) for i, cell in enumerate(row.cells))
    return replace(row, cells=tuple(placed))


def pdf_of(papers: Path, row: PaperRow) -> Path:
    """The file that a row was read from."""
    return papers if papers.is_file() else papers / row.file


def _mark(question: str, cell: Cell) -> Mark:
    return Mark(*_span(cell), question, cell.score or 0.0, cell.quote)


def _span(cell: Cell) -> tuple[int, int]:
    return cell.start or 0, cell.end or 0
