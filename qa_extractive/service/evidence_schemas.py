"""What callers of ``/v1/evidence`` send and get, as OpenAPI states it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from qa_extractive.service.schemas import (
    AnswerFields,
    ContextText,
    Envelope,
    Items,
    Prob,
    QuestionText,
    Returned,
    Sent,
    Threshold,
    TitleText,
    TopK,
    Whole,
)

Place = Annotated[Whole, Field(ge=0, le=1 << 53)]
_SALT = "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5)."
_OTHER = "Systolic pressure did not differ between the salt substitute and table salt."


class PassageItem(Sent):
    """Where a section lies in the text of its paper."""

    heading: str | None = None
    start: Place
    end: Place


class PaperTextItem(Sent):
    """One paper, with what is known of its sections and pages."""

    text: ContextText
    title: TitleText = None
    id: Annotated[str | None, Field(description="The caller's own; it comes back with the answers.")] = None
    pages: Annotated[
        Items[Place], Field(max_length=100_000, description="Where each page begins in `text`, not falling.")
    ] = Field(default_factory=list)
    passages: Annotated[
        Items[PassageItem], Field(max_length=10_000, description="Where its sections lie in `text`.")
    ] = Field(default_factory=list)


class EvidenceRequest(Sent):
    """Questions to each of several papers, to be seen together."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "questions": ["Does the salt substitute lower blood pressure?"],
                    "papers": [{"id": "a", "title": "Salt", "text": _SALT}, {"id": "b", "text": _OTHER}],
                }
            ]
        }
    )

    questions: Annotated[Items[QuestionText], Field(min_length=1)]
    papers: Annotated[Items[PaperTextItem], Field(min_length=1)]
    top_k: TopK = None
    threshold: Threshold = None
    max_risk: Annotated[
        float | None,
        Field(
            gt=0.0,
            lt=1.0,
            description="Instead of `threshold`: the lowest one that keeps the share of wrong answers at "
            "most this, with 95 % confidence, on questions like those of the calibration.",
        ),
    ] = None


class VoteProbs(Returned):
    """Probabilities of what a paper says to a yes/no question, of sum 1, whether it abstained or not."""

    yes: Prob
    no: Prob
    mixed: Prob
    not_reported: Prob


class EvidenceAnswer(AnswerFields):
    """What one paper says to one question, and where."""

    question: Annotated[int, Field(ge=0, description="Position of the question in the request.")]
    section: Annotated[str | None, Field(description="Heading of the best span's section.")]
    page: Annotated[int | None, Field(ge=1, description="Of the best span, from 1.")]
    vote: Annotated[
        Literal["yes", "no", "mixed", "not_reported"] | None,
        Field(description="What it counts for in the tally; null where there is none."),
    ]
    vote_probs: VoteProbs | None


class EvidencePaper(Returned):
    """What one paper says to each question; as a stream, one line."""

    index: Annotated[int, Field(ge=0, description="Position of the paper in the request.")]
    id: str | None
    title: str | None
    answers: list[EvidenceAnswer]


class CountBody(Returned):
    """How many papers say one thing: shown, expected, and the 95 % interval for the true number."""

    n: Annotated[int, Field(ge=0)]
    expected: Annotated[float, Field(ge=0.0)]
    low: Annotated[int, Field(ge=0)]
    high: Annotated[int, Field(ge=0)]


class ShareBody(Returned):
    """The share of yes among the papers that report, with the 95 % interval for the true one."""

    shown: Prob | None
    expected: Prob
    low: Prob
    high: Prob


class TallyBody(Returned):
    """What the papers say to a yes/no question, counted."""

    n_papers: Annotated[int, Field(ge=0)]
    yes: CountBody
    no: CountBody
    mixed: CountBody
    not_reported: CountBody
    yes_share: ShareBody | None
    error: Annotated[Prob, Field(description="Error of the probabilities that the intervals allow for.")]


class ValueBody(Returned):
    """A number of a quote as it stands, or the quote alone."""

    paper: Annotated[int, Field(ge=0, description="Position of the paper in the request.")]
    quote: str
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]
    number: Annotated[str | None, Field(description="With its bound, sign, currency and power.")]
    value: Annotated[float | None, Field(description="The number, where it is a plain one.")]
    unit: str | None
    interval: Annotated[str | None, Field(description="The ends of its confidence interval.")]


class Together(Returned):
    """What the papers say to one question together."""

    question: str
    tally: Annotated[
        TallyBody | None, Field(description="Of a yes/no question, if the model has a verdict head.")
    ]
    values: Annotated[list[ValueBody], Field(description="Of other questions, in the order of the papers.")]
    limits: Annotated[str, Field(description="What this cannot know.")]


class EvidenceBody(Envelope):
    """What each paper says, and what they say together."""

    papers: list[EvidencePaper]
    together: Annotated[list[Together], Field(description="One for each question, in that order.")]
