"""What stands in an evidence table: a row for each paper, a cell for each question."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qa_extractive.errors import DataError
from qa_extractive.evidence.types import PaperText
from qa_extractive.papers.pdf.types import Box
from qa_extractive.papers.types import NoPaperError, Paper, Section
from qa_extractive.rows.cells import FAILED, VOTE_COLUMNS
from qa_extractive.tables.reading import read_rows
from qa_extractive.types import ANSWERED, UNSURE, VoteProbs

SURE, LIKELY, DOUBTFUL = "sure", "likely", "doubtful"
"""How certain a given answer is: ``score`` of at least 0.8, of at least 0.5, or below."""

NOT_REPORTED_TEXT = "not reported"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a paper says to a question.

    Attributes:
        status: "answered", "unsure", "not_reported" or "failed".
        quote: The verbatim answer, or the closest span where it is unsure; else empty.
        start: Where the quote begins in the text of the paper; None without a quote. The same goes for
            ``end``, where it ends.
        sentence: That holds the answer; None unless answered.
        section: Heading of the section that the quote stands in; None where it has none.
        page: Of the quote, from 1; None where the paper has no pages.
        score: Calibrated probability that the best span is right, in [0, 1]; None where it failed.
        answerable: Calibrated probability that the paper answers the question, in [0, 1].
        verdict: "yes", "no" or "mixed", of a yes/no question that is answered.
        verdict_score: Its calibrated probability.
        error: Why it failed; None where it did not.
        boxes: Of the quote's lines in its PDF; empty where it is none or the quote was not found for sure.
        vote_probs: As of ``Answer``; None where it failed, and of models without a verdict head.
    """

    status: str
    quote: str = ""
    start: int | None = None
    end: int | None = None
    sentence: str | None = None
    section: str | None = None
    page: int | None = None
    score: float | None = None
    answerable: float | None = None
    verdict: str | None = None
    verdict_score: float | None = None
    error: str | None = None
    boxes: tuple[Box, ...] = ()
    vote_probs: VoteProbs | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the quote is given as the answer."""
        return self.status == ANSWERED

    @property
    def shown(self) -> str:
        """What a person reads in the cell."""
        if self.status == FAILED:
            return f"failed: {self.error}"
        if self.status == UNSURE:
            return f"not sure; closest: {self.quote}"
        return self.quote if self.is_answered else NOT_REPORTED_TEXT

    @property
    def certainty(self) -> str:
        """``SURE``, ``LIKELY`` or ``DOUBTFUL`` of an answer, else the status."""
        if not self.is_answered or self.score is None:
            return self.status
        return SURE if self.score >= 0.8 else LIKELY if self.score >= 0.5 else DOUBTFUL


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A row of the table.

    Attributes:
        number: Of the paper, from 1.
        paper: As it was read.
        file: Its file, below the folder of the papers.
        record: Its number in the file.
        cells: One for each question, in order.
    """

    number: int
    paper: Paper
    file: str
    record: int
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """What the paper is called: its title, or its file."""
        return self.paper.title or self.place

    @property
    def place(self) -> str:
        """Its file, and its record where it is not the first."""
        return self.file if self.record == 1 else f"{self.file}, record {self.record}"

    @property
    def link(self) -> str | None:
        """The address that its DOI leads to; None where it has none."""
        return self.paper.doi and f"https://doi.org/{quote(self.paper.doi, errors='replace')}"


def paper_rows(papers: Path, answers: Path, n_questions: int) -> Iterator[PaperRow]:
    """The rows of a table, one at a time.

    Args:
        papers: What ``prepare`` wrote, with the text of every paper.
        answers: What ``answer_table`` made of it, ``n_questions`` rows for each paper.
        n_questions: How many questions each paper was asked.

    Raises:
        DataError: A file cannot be read, or the two do not belong together.
    """
    answered = iter(read_rows(answers))
    for number, row in enumerate(read_rows(papers), start=1):
        paper = _paper_of_row(row.values, papers)
        own = [each.values for each in islice(answered, n_questions)]
        if len(own) < n_questions:
            raise DataError(f"{answers} holds fewer rows than {papers} needs: start again with --overwrite")
        text = PaperText.of(paper)
        cells = tuple(_cell(values, text) for values in own)
        yield PaperRow(number, paper, str(row.values["file"]), int(row.values["record"]), cells)


def _paper_of_row(values: Mapping[str, Any], papers: Path) -> Paper:
    try:
        return paper_of_row(values)
    except (NoPaperError, KeyError, TypeError, ValueError):  # a file of the run's own, and no longer so
        raise DataError(f"{papers} is damaged: start again with --overwrite") from None


def paper_of_row(values: Mapping[str, Any]) -> Paper:
    """The paper that ``Paper.to_row`` made a row of, through JSON Lines or Parquet."""
    sections = tuple(Section(each["heading"], each["text"]) for each in _list(values["sections"]))
    year = values["year"]
    return Paper(
        title=values["title"] or "",
        abstract=values["abstract"] or "",
        sections=sections,
        pmid=values["pmid"],
        doi=values["doi"],
        year=None if year is None else int(year),
        journal=values["journal"],
        authors=tuple(_list(values["authors"])),
        pages=tuple(_list(values["pages"])),
    )


def _list(value: Any) -> list[Any]:
    return json.loads(value) if isinstance(value, str) else list(value or ())


def _cell(values: Mapping[str, Any], paper: PaperText) -> Cell:
    status = values["status"]
    is_quoted = status in (ANSWERED, UNSURE)
    start, end = (values["best_start"], values["best_end"]) if is_quoted else (None, None)
    return Cell(
        status=status,
        quote="" if start is None else paper.text[start:end],
        start=start,
        end=end,
        sentence=values["sentence"],
        section=None if start is None else paper.section_at(start),
        page=None if start is None else paper.page_at(start),
        score=values["score"],
        answerable=values["answerable"],
        verdict=values["verdict"],
        verdict_score=values["verdict_score"],
        error=values["error"],
        vote_probs=_vote_probs(values),
    )


def _vote_probs(values: Mapping[str, Any]) -> VoteProbs | None:
    yes, no, mixed, silent = (values[name] for name in VOTE_COLUMNS)
    return None if yes is None else (yes, no, mixed, silent)
