"""What callers of the tools send and get, as the tools' JSON schemas state it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from qa_extractive.service.evidence_schemas import PaperTextItem, Together, VoteProbs
from qa_extractive.service.schemas import (
    AnswerFields,
    AnswerRequest,
    ContextText,
    Items,
    Prob,
    QuestionText,
    Returned,
    Sent,
    Threshold,
    TitleText,
    TopK,
)

MAX_TABLE_QUESTIONS = 100
_MAX_PATHS = 100

Vote = Literal["yes", "no", "mixed", "not_reported"]
Status = Literal["answered", "unsure", "not_reported"]
Says = Literal["yes", "unsure", "no"]
Index = Annotated[int, Field(ge=0)]


class AnswerArguments(AnswerRequest):
    """One question and one text."""


class PapersArguments(Sent):
    """One question and several papers."""

    question: QuestionText
    papers: Annotated[Items[PaperTextItem], Field(min_length=1)]
    top_k: TopK = None
    threshold: Threshold = None


class TableArguments(Sent):
    """Questions, and papers as texts or as files."""

    questions: Annotated[Items[QuestionText], Field(min_length=1, max_length=MAX_TABLE_QUESTIONS)]
    papers: Annotated[Items[PaperTextItem], Field(description="Papers as texts.")] = Field(
        default_factory=list
    )
    paths: Annotated[
        Items[str],
        Field(
            max_length=_MAX_PATHS,
            description="Files of papers (PDF, exports, tables, texts) or folders of them, below the folder "
            "that the server may read.",
        ),
    ] = Field(default_factory=list)
    output: Annotated[
        str | None,
        Field(description="Also write the table to this new file, a name that ends in .xlsx or .csv."),
    ] = None
    threshold: Threshold = None


class QuoteArguments(Sent):
    """A quote, the text that it should stand in, and perhaps a question that it should answer."""

    quote: Annotated[str, Field(min_length=1, max_length=100_000, description="The words to look for.")]
    text: ContextText
    question: QuestionText | None = None
    title: TitleText = None


class Told(Returned):
    """What stands beside the answers of every tool."""

    threshold: Annotated[Prob, Field(description="Below this `answerable` nothing is given as an answer.")]
    model: str
    offset_unit: Literal["unicode code point"]


class AnswerResult(AnswerFields, Told):
    """The answer to one question; `status` is `not_reported` where the text does not say."""


class PaperResult(AnswerFields):
    """What one paper says, and where."""

    index: Annotated[Index, Field(description="Position of the paper in the call.")]
    id: str | None
    title: str | None
    section: Annotated[str | None, Field(description="Heading of the best span's section.")]
    page: Annotated[int | None, Field(ge=1, description="Of the best span, from 1.")]
    vote: Annotated[Vote | None, Field(description="Of a yes/no question; null for others.")]
    vote_probs: VoteProbs | None


class PapersResult(Told):
    """What each paper says, in the order given, and what they say together."""

    papers: list[PaperResult]
    together: Together


class TableCell(Returned):
    """What one paper says to one question."""

    status: Status
    shown: Annotated[str, Field(description="For people: the quote, or `not reported`.")]
    quote: Annotated[str, Field(description="Verbatim; of the status `unsure` the closest span; else empty.")]
    start: Annotated[int | None, Field(ge=0, description="Of the quote in the paper's text.")]
    end: Annotated[int | None, Field(ge=0)]
    sentence: Annotated[str | None, Field(description="That holds the answer.")]
    section: str | None
    page: Annotated[int | None, Field(ge=1)]
    score: Annotated[Prob, Field(description="Probability that the best span is right.")]
    answerable: Annotated[Prob, Field(description="Probability that the paper answers the question.")]
    verdict: Literal["yes", "no", "mixed"] | None
    verdict_score: Prob | None
    vote: Vote | None


class TableRow(Returned):
    """One paper."""

    id: str | None
    title: str | None
    file: Annotated[str | None, Field(description="That it was read from; null of a text that was sent.")]
    record: Annotated[int, Field(ge=1, description="Its number in the file.")]
    cells: Annotated[list[TableCell], Field(description="One for each question, in that order.")]


class SkippedPaper(Returned):
    """A file, or a record of one, that is no paper or could not be read."""

    file: str
    record: int | None
    kind: str
    reason: str


class TableResult(Told):
    """A row for each paper: the texts as sent, then those of the files."""

    questions: list[str]
    rows: list[TableRow]
    together: Annotated[list[Together], Field(description="One for each question, in that order.")]
    skipped: Annotated[list[SkippedPaper], Field(description="At most 1,000.")]
    n_skipped: Index
    written: Annotated[str | None, Field(description="Name of the file that was written.")]


class QuotePlaceResult(Returned):
    """Where the quote stands: `text[start:end]`, which is `stands`."""

    start: Index
    end: Index
    stands: str
    is_whole: Annotated[bool, Field(description="False where a word or number is cut: `5 mg` of `1.5 mg`.")]


class Difference(Returned):
    """Characters that look alike."""

    quote: str
    text: str


class QuoteAnswer(Returned):
    """Whether the quote answers the question."""

    answers: Annotated[
        Says | None,
        Field(
            description="`yes`: the text's answer lies in the quote, or the quote alone answers; `unsure`: "
            "the same of an answer that is not certain; null where the quote does not stand in the text."
        ),
    ]
    in_quote: Annotated[
        Prob | None,
        Field(
            description="Highest `score` of a candidate of the text that lies in the quote; null: none does."
        ),
    ]
    alone: Annotated[
        Prob | None,
        Field(description="Probability that the quote, read without the text, answers; null if not found."),
    ]
    text_answer: Annotated[AnswerResult, Field(description="What the text says to the question.")]


class QuoteResult(Returned):
    """Whether a quote is verbatim."""

    verbatim: Annotated[
        bool, Field(description="Whether it stands in the text, not cut out of a word or number.")
    ]
    match: Annotated[
        Literal["exact", "white_space", "look_alikes", "not_found"],
        Field(description="What had to be taken for equal: white space, or also characters that look alike."),
    ]
    note: Annotated[str, Field(description="The same in words.")]
    places: Annotated[list[QuotePlaceResult], Field(description="Where, in order; at most 100.")]
    differences: list[Difference]
    question: Annotated[QuoteAnswer | None, Field(description="Null where no question was asked.")]
    offset_unit: Literal["unicode code point"]
