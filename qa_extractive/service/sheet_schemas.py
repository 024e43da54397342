"""What callers send of a table that they hold, as OpenAPI states it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from qa_extractive.service.evidence_schemas import Place
from qa_extractive.service.schemas import Items, Prob, QuestionText, Sent, Whole
from qa_extractive.types import VOTES

_MOST_QUESTIONS = 100
Number = Annotated[Whole, Field(ge=1, le=1 << 53)]
_SALT: dict[str, Any] = {
    "status": "answered",
    "quote": "3.3 mmHg",
    "start": 57,
    "end": 65,
    "score": 0.94,
    "answerable": 0.97,
}


class SheetCell(Sent):
    """What a paper says to a question: fields of an answer of `/v1/evidence`, `quote` its best span."""

    status: Literal["answered", "unsure", "not_reported", "failed"]
    quote: str = ""
    start: Place | None = None
    end: Place | None = None
    sentence: str | None = None
    section: str | None = None
    page: Number | None = None
    score: Prob | None = None
    answerable: Prob | None = None
    verdict: Literal["yes", "no", "mixed"] | None = None
    verdict_score: Prob | None = None
    error: str | None = None


class SheetRow(Sent):
    """One paper and what it says."""

    title: str | None = None
    authors: Items[str] = Field(default_factory=list)
    year: Annotated[Whole | None, Field(ge=-9999, le=9999)] = None
    doi: str | None = None
    file: str = ""
    record: Number = 1
    cells: Annotated[list[SheetCell], Field(max_length=_MOST_QUESTIONS, description="One a question.")]


class SheetCount(Sent):
    """As `/v1/evidence` has it."""

    n: Place
    expected: Annotated[float, Field(ge=0.0, le=1e9)]
    low: Place
    high: Place


class SheetShare(Sent):
    """As `/v1/evidence` has it."""

    shown: Prob | None = None
    expected: Prob
    low: Prob
    high: Prob


class SheetTally(Sent):
    """Votes, as `/v1/evidence` counts them."""

    yes: SheetCount
    no: SheetCount
    mixed: SheetCount
    not_reported: SheetCount
    yes_share: SheetShare | None = None


class SheetValue(Sent):
    """A value, as `/v1/evidence` lists it, `row` for its paper."""

    row: Place
    quote: str
    number: str | None = None
    unit: str | None = None
    interval: str | None = None


class SheetTogether(Sent):
    """What the papers say to one question together."""

    question: str
    tally: SheetTally | None = None
    values: Items[SheetValue] = Field(default_factory=list)
    limits: str = ""


class SheetSkipped(Sent):
    """What was not read."""

    file: str
    record: Number | None = None
    kind: str
    reason: str


class SheetRequest(Sent):
    """A table of evidence."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "asked": ["By how much did systolic pressure fall?"],
                    "rows": [{"title": "Salt", "authors": ["Ann Green"], "year": 2020, "cells": [_SALT]}],
                }
            ]
        }
    )

    asked: Annotated[list[QuestionText], Field(min_length=1, max_length=_MOST_QUESTIONS)]
    rows: Annotated[Items[SheetRow], Field(min_length=1)]
    skipped: Items[SheetSkipped] = Field(default_factory=list)
    together: Annotated[list[SheetTogether], Field(max_length=_MOST_QUESTIONS)] = Field(default_factory=list)


class VoteItem(Sent):
    """`vote` and `vote_probs` of an answer of `/v1/evidence`; the probabilities have the sum 1."""

    vote: Literal["yes", "no", "mixed", "not_reported"]
    yes: Prob
    no: Prob
    mixed: Prob
    not_reported: Prob

    def probs(self) -> tuple[float, ...]:
        """In the order of ``VOTES``."""
        return tuple(getattr(self, vote) for vote in VOTES)


class TallyRequest(Sent):
    """The votes of papers that were asked in several calls."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"votes": [{"vote": "yes", "yes": 0.9, "no": 0, "mixed": 0, "not_reported": 0.1}]}]
        }
    )

    votes: Annotated[Items[VoteItem], Field(min_length=1)]
