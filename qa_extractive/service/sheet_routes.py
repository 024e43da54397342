"""Routes for who holds a table of evidence: it as a workbook, and its votes counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from qa_extractive import __version__
from qa_extractive.errors import DataError
from qa_extractive.evidence.tally import tally_of
from qa_extractive.evidence_table.about import About
from qa_extractive.evidence_table.rows import Cell, PaperRow
from qa_extractive.evidence_table.together import VALUE_HEADS, VOTE_HEADS, Together, share_rows
from qa_extractive.evidence_table.xlsx import xlsx_writer
from qa_extractive.papers.types import Paper
from qa_extractive.service.engine import Engine
from qa_extractive.service.evidence_schemas import TallyBody
from qa_extractive.service.failures import FieldsError
from qa_extractive.service.responses import ERRORS, Json
from qa_extractive.service.sheet_schemas import SheetRequest, SheetRow, SheetTogether, TallyRequest
from qa_extractive.types import VOTES

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MOST_SKIPPED_LISTED = 1000
_NO_TEXT = "-"  # a paper must have some, and a workbook shows none
_BOOK: dict[str, Any] = {
    "description": "The workbook.",
    "content": {XLSX: {"schema": {"type": "string", "format": "binary"}}},
}
_DISPOSITION = {"Content-Disposition": 'attachment; filename="evidence.xlsx"', "Cache-Control": "no-store"}


def add_sheet(app: FastAPI, engine: Engine) -> None:
    """Add them."""

    @app.post(
        "/v1/evidence/xlsx", tags=["answers"], responses={200: _BOOK, **ERRORS}, response_class=Response
    )
    async def xlsx(body: SheetRequest) -> Response:
        """A table that the caller holds as a workbook, as `qa-extractive table` writes it."""
        for i, row in enumerate(body.rows):
            if len(row.cells) != len(body.asked):
                raise FieldsError((f"rows[{i}].cells", f"must be {len(body.asked)}, one for each of asked"))
        book = await engine.in_time(run_in_threadpool(_book, body, _about(engine, body)))
        return Response(book, media_type=XLSX, headers=_DISPOSITION)

    @app.post("/v1/evidence/tally", tags=["answers"], responses={200: {"model": TallyBody}, **ERRORS})
    async def tally(body: TallyRequest) -> Json:
        """The votes of papers that were asked in several calls, counted as `/v1/evidence` does."""
        return Json(await engine.in_time(run_in_threadpool(_tally, body)))


def _tally(body: TallyRequest) -> dict[str, Any]:
    try:
        return tally_of([each.vote for each in body.votes], [each.probs() for each in body.votes]).to_dict()
    except DataError as error:
        raise FieldsError(("votes", str(error))) from None


def _book(body: SheetRequest, about: About) -> bytes:
    together = [_together(each, body.rows) for each in body.together]
    with TemporaryDirectory(prefix="qa-extractive-") as folder:
        path = Path(folder, "evidence.xlsx")
        with xlsx_writer(path, about, lambda: together) as add:
            for number, row in enumerate(body.rows, start=1):
                add(_row(number, row))
        return path.read_bytes()


def _about(engine: Engine, body: SheetRequest) -> About:
    skipped = [(each.file, each.record, each.kind, each.reason) for each in body.skipped]
    return About(
        source="the page of a service",
        questions=tuple(body.asked),
        n_papers=len(body.rows),
        skipped=tuple(skipped[:_MOST_SKIPPED_LISTED]),
        n_skipped=len(skipped),
        model=engine.predictor.model_name,
        version=__version__,
        threshold=engine.predictor.threshold,
        max_risk=None,
        effort=engine.predictor.effort,
    )


def _row(number: int, sent: SheetRow) -> PaperRow:
    paper = Paper(
        sent.title or "", _NO_TEXT, doi=sent.doi or None, year=sent.year, authors=tuple(sent.authors)
    )
    cells = tuple(Cell(**each.model_dump()) for each in sent.cells)
    return PaperRow(number, paper, sent.file or f"paper {number}", sent.record, cells)


def _together(sent: SheetTogether, rows: list[SheetRow]) -> Together:
    if sent.tally is None:
        return Together(sent.question, VALUE_HEADS, tuple(_values(sent, rows)), sent.limits)
    counts = [(vote, getattr(sent.tally, vote)) for vote in VOTES]
    votes = tuple((vote.replace("_", " "), n.n, n.expected, n.low, n.high) for vote, n in counts)
    return Together(sent.question, VOTE_HEADS, votes + share_rows(sent.tally.yes_share), sent.limits)


def _values(sent: SheetTogether, rows: list[SheetRow]) -> Iterator[tuple[Any, ...]]:
    for i, value in enumerate(sent.values):
        if value.row >= len(rows):
            raise FieldsError((f"together.values[{i}].row", f"must be below {len(rows)}"))
        row = rows[value.row]
        yield row.title or row.file, value.number, value.unit, value.interval, value.quote
