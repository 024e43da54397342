"""An evidence table for programs: CSV, TSV and Parquet with a group of columns a question, or JSON Lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qa_extractive.evidence_table.rows import NOT_REPORTED_TEXT, Cell, PaperRow
from qa_extractive.tables.formats import table_format
from qa_extractive.tables.writing import write_rows
from qa_extractive.types import UNSURE

PAPER_COLUMNS = ("paper", "title", "authors", "year", "journal", "doi", "pmid", "file", "record")
CELL_COLUMNS = (
    *("quote", "status", "verdict", "verdict_score", "score", "answerable"),
    *("closest", "sentence", "section", "page", "start", "end", "boxes", "error"),
)


@contextmanager
def flat_writer(output: Path, questions: Sequence[str]) -> Iterator[Callable[[PaperRow], None]]:
    """What writes the rows of a table; the file appears when the block ends well.

    JSON Lines have a list ``answers`` with a dict for each question; the other formats have the columns
    ``q1_question``, ``q1_quote`` and so on, with "not reported" or "not sure" where there is no quote to
    give; ``q1_closest`` is the closest span where it is not sure. Each of ``boxes`` is a list of page, left,
    bottom, right and top, in points.
    """
    is_nested = table_format(output).kind == "jsonl"
    columns = (*PAPER_COLUMNS, "answers") if is_nested else (*PAPER_COLUMNS, *_columns(len(questions)))
    made = _nested if is_nested else _flat
    with write_rows(output, columns) as writer:
        yield lambda row: writer.write(_about(row) | made(row, questions))


def _columns(n_questions: int) -> list[str]:
    return [f"q{i}_{name}" for i in range(1, n_questions + 1) for name in ("question", *CELL_COLUMNS)]


def _about(row: PaperRow) -> dict[str, Any]:
    paper = row.paper
    values = (
        row.number,
        paper.title,
        "; ".join(paper.authors),
        paper.year,
        paper.journal,
        paper.doi,
        paper.pmid,
    )
    return dict(zip(PAPER_COLUMNS, (*values, row.file, row.record), strict=True))


def _flat(row: PaperRow, questions: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for i, (question, cell) in enumerate(zip(questions, row.cells, strict=True), start=1):
        closest = cell.quote if cell.status == UNSURE else None
        own = _values(cell) | {"quote": _quoted(cell), "closest": closest, "question": question}
        values |= {f"q{i}_{name}": own[name] for name in ("question", *CELL_COLUMNS)}
    return values


def _quoted(cell: Cell) -> str | None:
    if cell.is_answered or cell.error:
        return cell.quote or None
    return "not sure" if cell.status == UNSURE else NOT_REPORTED_TEXT


def _nested(row: PaperRow, questions: Sequence[str]) -> dict[str, Any]:
    pairs = zip(questions, row.cells, strict=True)
    return {"answers": [{"question": question} | _values(cell) for question, cell in pairs]}


def _values(cell: Cell) -> dict[str, Any]:
    values = asdict(cell)
    return values | {"boxes": [list(box.values()) for box in values["boxes"]]}
