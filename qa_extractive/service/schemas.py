"""What callers send and get, as OpenAPI states it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from qa_extractive.inference.calibration import Calibration
from qa_extractive.service.engine import MAX_QUESTION_CHARACTERS, MAX_TOP_K
from qa_extractive.types import STATUSES

OFFSET_UNIT: Final = "unicode code point"
MAX_ERRORS = 20  # listed in one response
_MAX_FIELDS = 32  # of one object that was sent
_CHECKED_AT_ONCE = 100
_NOT_BLANK = r"[^\s\x1c-\x1f\x85]"  # what str.strip() would leave
_CONTEXT = (
    "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5). "
    "Potassium did not change."
)
_OTHER = "We measured the sleep of 90 nurses. Those on night shifts slept 1.4 hours less."
_ASKED = "By how much did systolic pressure fall?"


def _whole(value: Any) -> Any:
    """5.0 is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _finite(value: Any) -> Any:
    """Of NaN pydantic would say that it is above 1."""
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_share", "must be a number in [0, 1]")
    return value


def _until_enough_errors(items: Any, check: Callable[[Any], Any]) -> Any:
    """The items of a list, checked until enough of them are wrong: each error takes memory and time."""
    if not isinstance(items, list) or len(items) <= _CHECKED_AT_ONCE:
        return check(items)
    made: list[Any] = []
    n_errors = 0
    for end in range(_CHECKED_AT_ONCE, len(items) + _CHECKED_AT_ONCE, _CHECKED_AT_ONCE):
        try:
            made += check(items[end - _CHECKED_AT_ONCE : end])
        except ValidationError as error:
            n_errors += error.error_count()
        if n_errors >= MAX_ERRORS or (n_errors and end >= len(items)):
            check(items[:end])  # raises, with the places of the errors
    return made


ItemT = TypeVar("ItemT")
Items = Annotated[list[ItemT], WrapValidator(_until_enough_errors)]
Whole = Annotated[int, BeforeValidator(_whole)]
QuestionText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_QUESTION_CHARACTERS,
        pattern=_NOT_BLANK,
        description="The question; at most 128 tokens with the embedded model.",
    ),
]
ContextText = Annotated[str, Field(description="The text to answer from. A blank one answers nothing.")]
TitleText = Annotated[
    str | None,
    Field(description="Title of the paper. It is read with the question and never holds the answer."),
]
TopK = Annotated[Whole | None, Field(ge=1, le=MAX_TOP_K, description="Candidates of each answer; default 5.")]
Threshold = Annotated[
    float | None,
    Field(ge=0.0, le=1.0, description="Abstain below this `answerable`; the default is the model's own."),
    BeforeValidator(_finite),
]
Prob = Annotated[float, Field(ge=0.0, le=1.0)]


class Sent(BaseModel):
    """What a caller sends: nothing unknown, and nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _check_number_of_fields(cls, sent: Any) -> Any:
        """Each unknown field would make an error of its own."""
        if isinstance(sent, dict) and len(sent) > _MAX_FIELDS:
            message = f"{len(sent):,} fields are more than any object here has: see /docs"
            raise PydanticCustomError("too_many_fields", message)
        return sent


class Returned(BaseModel):
    """What a caller gets."""

    model_config = ConfigDict(extra="forbid")


class AnswerRequest(Sent):
    """One question and one text."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": _ASKED, "context": _CONTEXT}]})

    question: QuestionText
    context: ContextText
    title: TitleText = None
    top_k: TopK = None
    threshold: Threshold = None


class QuestionItem(Sent):
    """One question of several."""

    question: QuestionText
    context: ContextText
    title: TitleText = None


class PaperItem(Sent):
    """One paper of several."""

    context: ContextText
    title: TitleText = None


class ManyQuestions(Sent):
    """Questions, each with its own text; answered in this order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"questions": [{"question": _ASKED, "context": _CONTEXT}]}]}
    )

    questions: Annotated[Items[QuestionItem], Field(min_length=1)]
    top_k: TopK = None
    threshold: Threshold = None


class ManyPapers(Sent):
    """One question to several papers; answered best first: by `score`, abstentions last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"question": _ASKED, "papers": [{"context": _OTHER}, {"context": _CONTEXT}]}]
        }
    )

    question: QuestionText
    papers: Annotated[Items[PaperItem], Field(min_length=1)]
    top_k: TopK = None
    threshold: Threshold = None


class QuestionsOfPapers(Sent):
    """The same questions to each of several papers; answered paper by paper, in the order given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "questions": [_ASKED, "How many adults took part?"],
                    "papers": [{"context": _CONTEXT}, {"context": _OTHER}],
                }
            ]
        }
    )

    questions: Annotated[Items[QuestionText], Field(min_length=1)]
    papers: Annotated[Items[PaperItem], Field(min_length=1)]
    top_k: TopK = None
    threshold: Threshold = None


FORM_TAGS = ("papers-form", "questions-form", "table-form")
_PAPERS_FORM, _QUESTIONS_FORM, _TABLE_FORM = FORM_TAGS


def _form(body: Any) -> str:
    names = body if isinstance(body, dict) else ()
    if "papers" not in names:
        return _QUESTIONS_FORM
    return _TABLE_FORM if "questions" in names else _PAPERS_FORM


AnswersRequest = Annotated[
    Annotated[ManyPapers, Tag(_PAPERS_FORM)]
    | Annotated[ManyQuestions, Tag(_QUESTIONS_FORM)]
    | Annotated[QuestionsOfPapers, Tag(_TABLE_FORM)],
    Discriminator(_form),
]


class SpanBody(Returned):
    """A piece of the context: `context[start:end] == text`."""

    text: str
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]
    score: Prob


class CalibrationBody(Returned):
    """What stands behind the probabilities."""

    fitted_on: str
    n_examples: int
    answerable_share: Prob
    operating_point: str
    score_means: str

    @classmethod
    def of(cls, calibration: Calibration) -> CalibrationBody:
        """What a model's calibration says of itself."""
        return cls(
            fitted_on=calibration.fitted_on,
            n_examples=calibration.n_examples,
            answerable_share=calibration.answerable_share,
            operating_point=calibration.operating_point,
            score_means="probability of a token F1 of at least 0.5 against a reference answer",
        )


class TimingBody(Returned):
    """Where the time went, in milliseconds."""

    tokenize_ms: float
    queue_ms: float
    model_ms: float
    total_ms: float


class AnswerFields(Returned):
    """An answer, as ``Answer.to_dict`` has it."""

    text: Annotated[str, Field(description="The verbatim answer; empty if abstained.")]
    start: Annotated[int, Field(ge=0, description="First character in the context as sent; 0 if abstained.")]
    end: Annotated[int, Field(ge=0, description="After the last character; 0 if abstained.")]
    score: Annotated[float, Field(ge=0.0, le=1.0, description="Probability that the best span is right.")]
    answerable: Annotated[
        float, Field(ge=0.0, le=1.0, description="Probability that the context answers the question.")
    ]
    abstained: Annotated[bool, Field(description="Whether `answerable` is below `threshold`.")]
    status: Annotated[
        str,
        Field(
            json_schema_extra={"enum": list(STATUSES)},
            description="`answered`; `unsure`: abstained, but the first candidate is worth a look; or "
            "`not_reported`: the context does not say.",
        ),
    ]
    sentence: Annotated[SpanBody | None, Field(description="The sentence around the answer.")]
    candidates: Annotated[
        list[SpanBody], Field(description="The best spans, none overlapping; present if abstained too.")
    ]
    verdict: Annotated[
        Literal["yes", "no", "mixed"] | None,
        Field(
            description="What the context says to a yes/no question, with `text` as its evidence; null if "
            "abstained, for other questions, and of models without such a head."
        ),
    ]
    verdict_score: Annotated[
        float | None, Field(ge=0.0, le=1.0, description="Probability of `verdict`; null where there is none.")
    ]
    verdict_probs: Annotated[
        dict[str, float] | None, Field(description="Probabilities of `yes`, `no` and `mixed`.")
    ]


class Envelope(Returned):
    """What stands beside the answers of every call."""

    threshold: Annotated[float, Field(ge=0.0, le=1.0, description="The threshold that was applied.")]
    model: str
    calibration: CalibrationBody
    offset_unit: Literal["unicode code point"]
    request_id: str
    timing: TimingBody


class AnswerBody(AnswerFields, Envelope):
    """The answer to one question."""


class IndexedAnswer(AnswerFields):
    """One answer of several."""

    index: Annotated[int, Field(ge=0, description="Position of its question or paper in the request.")]


class AnswersBody(Envelope):
    """Answers, in the order asked or, of one question to several papers, best first."""

    answers: list[IndexedAnswer]


class PaperAnswers(Returned):
    """What one paper says to each question."""

    index: Annotated[int, Field(ge=0, description="Position of the paper in the request.")]
    title: Annotated[str | None, Field(description="Its title as sent.")]
    answers: Annotated[
        list[IndexedAnswer], Field(description="One for each question, in that order; `index` says which.")
    ]


class TableBody(Envelope):
    """The answers of several papers to the same questions, paper by paper, in the order given."""

    papers: list[PaperAnswers]


class FieldError(Returned):
    """What is wrong with one field."""

    path: str
    message: str


class ErrorDetail(Returned):
    """What went wrong and what to do."""

    code: str
    message: str
    request_id: str
    fields: list[FieldError]


class ErrorBody(Returned):
    """Of every response that is no success, `/v2` excepted."""

    error: ErrorDetail


class StatusBody(Returned):
    """Of the health endpoints."""

    status: Literal["ok", "unavailable"]
