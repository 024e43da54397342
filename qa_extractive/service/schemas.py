"""What callers send and get, as OpenAPI states it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from qa_extractive.calibration import Calibration
from qa_extractive.service.engine import MAX_QUESTION_CHARACTERS, MAX_TOP_K

OFFSET_UNIT = "unicode code point"
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
]
Prob = Annotated[float, Field(ge=0.0, le=1.0)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Returned(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AnswerRequest(_Sent):
    """One question and one text."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": _ASKED, "context": _CONTEXT}]})

    question: QuestionText
    context: ContextText
    title: TitleText = None
    top_k: TopK = None
    threshold: Threshold = None


class QuestionItem(_Sent):
    """One question of several."""

    question: QuestionText
    context: ContextText
    title: TitleText = None


class PaperItem(_Sent):
    """One paper of several."""

    context: ContextText
    title: TitleText = None


class ManyQuestions(_Sent):
    """Questions, each with its own text; answered in this order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"questions": [{"question": _ASKED, "context": _CONTEXT}]}]}
    )

    questions: Annotated[list[QuestionItem], Field(min_length=1)]
    top_k: TopK = None
    threshold: Threshold = None


class ManyPapers(_Sent):
    """One question to several papers; answered best first: by `score`, abstentions last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"question": _ASKED, "papers": [{"context": _OTHER}, {"context": _CONTEXT}]}]
        }
    )

    question: QuestionText
    papers: Annotated[list[PaperItem], Field(min_length=1)]
    top_k: TopK = None
    threshold: Threshold = None


def _form(body: Any) -> str:
    return "papers" if isinstance(body, dict) and "papers" in body else "questions"


FORM_TAGS = ("papers-form", "questions-form")
AnswersRequest = Annotated[
    Annotated[ManyPapers, Tag(FORM_TAGS[0])] | Annotated[ManyQuestions, Tag(FORM_TAGS[1])],
    Discriminator(lambda body: f"{_form(body)}-form"),
]


class SpanBody(_Returned):
    """A piece of the context: `context[start:end] == text`."""

    text: str
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]
    score: Prob


class CalibrationBody(_Returned):
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


class TimingBody(_Returned):
    """Where the time went, in milliseconds."""

    tokenize_ms: float
    queue_ms: float
    model_ms: float
    total_ms: float


class _Answer(_Returned):
    text: Annotated[str, Field(description="The verbatim answer; empty if abstained.")]
    start: Annotated[int, Field(ge=0, description="First character in the context as sent; 0 if abstained.")]
    end: Annotated[int, Field(ge=0, description="After the last character; 0 if abstained.")]
    score: Annotated[float, Field(ge=0.0, le=1.0, description="Probability that the best span is right.")]
    answerable: Annotated[
        float, Field(ge=0.0, le=1.0, description="Probability that the context answers the question.")
    ]
    abstained: Annotated[bool, Field(description="Whether `answerable` is below `threshold`.")]
    sentence: Annotated[SpanBody | None, Field(description="The sentence around the answer.")]
    candidates: Annotated[
        list[SpanBody], Field(description="The best spans, none overlapping; present if abstained too.")
    ]


class _Envelope(_Returned):
    threshold: Annotated[float, Field(ge=0.0, le=1.0, description="The threshold that was applied.")]
    model: str
    calibration: CalibrationBody
    offset_unit: Literal["unicode code point"]
    request_id: str
    timing: TimingBody


class AnswerBody(_Answer, _Envelope):
    """The answer to one question."""


class IndexedAnswer(_Answer):
    """One answer of several."""

    index: Annotated[int, Field(ge=0, description="Position of its question or paper in the request.")]


class AnswersBody(_Envelope):
    """Answers, in the order asked or, of one question to several papers, best first."""

    answers: list[IndexedAnswer]


class FieldError(_Returned):
    """What is wrong with one field."""

    path: str
    message: str


class ErrorDetail(_Returned):
    """What went wrong and what to do."""

    code: str
    message: str
    request_id: str
    fields: list[FieldError]


class ErrorBody(_Returned):
    """Of every response that is no success, `/v2` excepted."""

    error: ErrorDetail


class StatusBody(_Returned):
    """Of the health endpoints."""

    status: Literal["ok", "unavailable"]
