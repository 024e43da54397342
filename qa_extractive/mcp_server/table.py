"""The tool ``evidence_table``: papers x questions, with files read and written where that is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qa_extractive import __version__
from qa_extractive.errors import DataError
from qa_extractive.evidence.gather import together
from qa_extractive.evidence.types import PaperAnswer, PaperText
from qa_extractive.evidence_table.about import About
from qa_extractive.evidence_table.flat import flat_writer
from qa_extractive.evidence_table.rows import Cell, PaperRow
from qa_extractive.evidence_table.together import Collector
from qa_extractive.evidence_table.xlsx import xlsx_writer
from qa_extractive.mcp_server.asking import Asker, paper_texts
from qa_extractive.mcp_server.folders import read_file
from qa_extractive.mcp_server.results import told
from qa_extractive.mcp_server.schemas import TableArguments, TableResult
from qa_extractive.papers.types import Paper, Passage
from qa_extractive.tables.surrogates import replace_surrogates
from qa_extractive.types import NOT_REPORTED

_MOST_SKIPPED = 1000
_NO_TEXT = "-"  # a paper of a workbook must have some


@dataclass(frozen=True, slots=True)
class _Read:
    """A paper, and what a table tells of it beside its answers."""

    text: PaperText
    file: str | None = None
    record: int = 1
    doi: str | None = None
    year: int | None = None
    authors: tuple[str, ...] = ()


@dataclass(slots=True)
class _Papers:
    read: list[_Read] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)

    @property
    def texts(self) -> list[PaperText]:
        return [each.text for each in self.read]


async def table(asker: Asker, arguments: TableArguments) -> TableResult:
    """The table, written to a file too where that was asked for.

    Raises:
        DataError: There are no papers or too many, or a file may not be read or written.
    """
    questions = [" ".join(each.split()) for each in arguments.questions]
    target = None if arguments.output is None else asker.folders.target(arguments.output)
    papers = await _papers(asker, arguments)
    said = await asker.table(questions, papers.texts, arguments.threshold)
    threshold = asker.predictor.settings.chosen(arguments.threshold, None).threshold
    if target is not None:
        about = _about(asker, papers, questions, threshold)
        await asyncio.to_thread(_write, target, about, _sheet_rows(papers.read, said))
    return TableResult.model_validate(
        {
            "questions": questions,
            "rows": [_row(each, answers) for each, answers in zip(papers.read, said, strict=True)],
            "together": [
                together(each, papers.texts, [answers[i] for answers in said]).together_dict()
                for i, each in enumerate(questions)
            ],
            "skipped": papers.skipped[:_MOST_SKIPPED],
            "n_skipped": len(papers.skipped),
            "written": arguments.output,
        }
        | told(asker, threshold)
    )


async def _papers(asker: Asker, arguments: TableArguments) -> _Papers:
    if not arguments.papers and not arguments.paths:
        raise DataError("there is no paper: give papers as texts, or paths of files")
    texts = paper_texts(arguments.papers)
    asker.check_sent(texts)
    papers = _Papers([_Read(each) for each in texts])
    files = await asyncio.to_thread(asker.folders.files, arguments.paths, asker.settings.max_questions)
    for file in files:
        await _read(asker, file, papers)
        asker.check_table(arguments.questions, papers.texts)
    if not papers.read:
        why = [f"{each['file']}: {each['reason']}" for each in papers.skipped[:1]]
        raise DataError(f"paths: no paper could be read: {''.join(why) or 'the folders hold no file'}")
    return papers


async def _read(asker: Asker, file: Path, papers: _Papers) -> None:
    name = asker.folders.name_of(file)
    try:
        content = await asyncio.to_thread(read_file, file, asker.settings.max_upload_bytes)
    except DataError as error:
        papers.skipped.append({"file": name, "record": None, "kind": "unreadable", "reason": str(error)})
        return
    found = replace_surrogates(await asker.uploads.read(content, file.name))  # JSON has none
    papers.skipped += ({"file": name, **each} for each in found["skipped"])
    papers.read += (_of_file(each, name) for each in found["papers"])


def _of_file(values: Mapping[str, Any], file: str) -> _Read:
    passages = tuple(Passage(each["heading"], each["start"], each["end"]) for each in values["passages"])
    text = PaperText(
        values["text"],
        values["title"] or None,
        values["pmid"] or values["doi"],
        passages,
        tuple(values["pages"]),
    )
    authors = tuple(values["authors"])
    return _Read(text, file, values["record"], values["doi"], values["year"], authors)


def _row(read: _Read, said: Sequence[PaperAnswer]) -> dict[str, Any]:
    cells = [_cell_dict(_cell(read.text, each), each) for each in said]
    about = {"id": read.text.id, "title": read.text.title, "file": read.file, "record": read.record}
    return about | {"cells": cells}


def _cell_dict(cell: Cell, said: PaperAnswer) -> dict[str, Any]:
    names = ("status", "shown", "quote", "start", "end", "sentence", "section", "page")
    probs = ("score", "answerable", "verdict", "verdict_score")
    return {name: getattr(cell, name) for name in (*names, *probs)} | {"vote": said.vote}


def _cell(paper: PaperText, said: PaperAnswer) -> Cell:
    answer = said.answer
    best = None if answer.status == NOT_REPORTED else answer.best
    return Cell(
        status=answer.status,
        quote="" if best is None else best.text,
        start=None if best is None else best.start,
        end=None if best is None else best.end,
        sentence=None if answer.sentence is None else answer.sentence.text,
        section=None if best is None else said.section,
        page=None if best is None else said.page,
        score=answer.score,
        answerable=answer.answerable,
        verdict=answer.verdict,
        verdict_score=answer.verdict_score,
        vote_probs=answer.vote_probs,
    )


def _sheet_rows(read: Sequence[_Read], said: Sequence[Sequence[PaperAnswer]]) -> list[PaperRow]:
    return [
        PaperRow(
            number,
            Paper(
                each.text.title or "",
                each.text.text if each.text.text.strip() else _NO_TEXT,
                doi=each.doi,
                year=each.year,
                authors=each.authors,
            ),
            each.file or f"paper {number}",
            each.record,
            tuple(_cell(each.text, answer) for answer in answers),
        )
        for number, (each, answers) in enumerate(zip(read, said, strict=True), start=1)
    ]


def _about(asker: Asker, papers: _Papers, questions: Sequence[str], threshold: float) -> About:
    skipped = [(each["file"], each["record"], each["kind"], each["reason"]) for each in papers.skipped]
    return About(
        source="a client of the MCP server",
        questions=tuple(questions),
        n_papers=len(papers.read),
        skipped=tuple(skipped[:_MOST_SKIPPED]),
        n_skipped=len(skipped),
        model=asker.predictor.model_name,
        version=__version__,
        threshold=threshold,
        max_risk=None,
        effort=asker.predictor.effort,
    )


def _write(target: Path, about: About, rows: Sequence[PaperRow]) -> None:
    collector = Collector(about.questions)
    for row in rows:
        collector.add(row)
    is_book = target.suffix.lower() == ".xlsx"
    writer = (
        xlsx_writer(target, about, collector.together) if is_book else flat_writer(target, about.questions)
    )
    with writer as add:
        for row in rows:
            add(row)
