"""What crosses module borders: frozen records that check themselves when built.

Offsets are Python string indices (Unicode code points), half open, into the text *as given*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from qa_extractive.errors import DataError

ANSWERED, UNSURE, NOT_REPORTED = STATUSES = ("answered", "unsure", "not_reported")

VERDICTS = ("yes", "no", "mixed")
"""What a text can say to a yes/no question; "mixed" stands for both, for some only, and for inconclusive."""

NO_VERDICT = "none"
"""Of a question that is known not to be a yes/no question."""

VERDICT_CLASSES = (*VERDICTS, NO_VERDICT)
"""In the order of a model's verdict logits."""

VOTES = (*VERDICTS, NOT_REPORTED)
"""What a paper can say to a yes/no question, or that it does not say."""

VoteProbs: TypeAlias = tuple[float, float, float, float]
"""Calibrated probabilities of ``VOTES``, in that order, of sum 1."""

UNSURE_FROM = 0.2
"""The lowest ``answerable`` of an abstention that still shows its best span: below it, at most one
question in five has an answer in its context, if the probabilities are calibrated."""


def _require_text(value: object, name: str) -> None:
    if not isinstance(value, str):
        raise DataError(f"{name} must be a string, not {type(value).__name__}: pass text")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a context.

    Attributes:
        text: The verbatim piece, ``context[start:end]``.
        start: Index of its first character in the context.
        end: Index after its last character.
        score: Of a predicted span, the calibrated probability that it is right; of a weak label,
            the confidence in the label. In [0, 1].
    """

    text: str
    start: int
    end: int
    score: float = 1.0

    def __post_init__(self) -> None:
        """Raise DataError unless the offsets fit the text and the score lies in [0, 1]."""
        if self.start < 0 or self.end - self.start != len(self.text):
            raise DataError(
                f"span [{self.start}:{self.end}] does not fit its text of {len(self.text)} characters"
            )
        if not 0.0 <= self.score <= 1.0:
            raise DataError(f"span score must lie in [0, 1], got {self.score}")

    @classmethod
    def cut(cls, context: str, start: int, end: int, score: float = 1.0) -> Span:
        """The span ``context[start:end]``; DataError if it is empty or outside the context."""
        if not 0 <= start < end <= len(context):
            raise DataError(f"span [{start}:{end}] lies outside its context of {len(context)} characters")
        return cls(context[start:end], start, end, score)

    def overlaps(self, other: Span) -> bool:
        """Whether the two spans share at least one character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Question:
    """A question to be answered from one context.

    Attributes:
        question: The question; must hold more than white space.
        context: The text that holds the answer; may be empty, which means "no answer".
        title: The title of the paper, or None. It is read but can hold no span.
    """

    question: str
    context: str
    title: str | None = None

    def __post_init__(self) -> None:
        """Raise DataError unless all are strings and the question is not blank."""
        _require_text(self.question, "question")
        _require_text(self.context, "context")
        if self.title is not None:
            _require_text(self.title, "title")
        if not self.question.strip():
            raise DataError("question is empty: give a question")

    @classmethod
    def of(cls, values: Question | Mapping[str, Any]) -> Question:
        """A question as it is, or made of its values by name, as the HTTP service takes them.

        Args:
            values: ``question``, ``context`` and perhaps ``title``.

        Raises:
            DataError: A value is missing, is no string, or has another name; or the question is blank.
        """
        if isinstance(values, Question):
            return values
        unknown = [key for key in values if key not in ("question", "context", "title")]
        missing = [key for key in ("question", "context") if key not in values]
        if unknown or missing:
            wrong = f"no {missing[0]!r}" if missing else f"a key {unknown[0]!r:.40}"
            raise DataError(f"there is {wrong}: give 'question', 'context' and, if there is one, 'title'")
        return cls(values["question"], values["context"], values.get("title"))


@dataclass(frozen=True, slots=True)
class Example:
    """A question with what is known of its answer: the unit of training and evaluation.

    Attributes:
        id: Unique within its data set.
        question: The question and its context.
        references: Reference answers as given, verbatim or free-form; empty if none is known.
        spans: Labelled spans of the context, best first; each score is the confidence in it.
            Several spans mean that any of them is right. Empty: no label.
        answerable: Whether the context answers the question; None if not known.
        verdict: One of ``VERDICTS``, or ``NO_VERDICT``; None if not known.
        document: The document the context came from: what a split must keep together.
        source: The data set it came from.
        fields: Further columns (year, field ...), for slices.
    """

    id: str
    question: Question
    references: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    answerable: bool | None = None
    document: str = ""
    source: str = ""
    fields: dict[str, Any] = field(default_factory=dict, compare=False)
    verdict: str | None = None

    def __post_init__(self) -> None:
        """Raise DataError where a span differs from its text, or a label contradicts ``answerable``."""
        for span in self.spans:
            if self.question.context[span.start : span.end] != span.text:
                raise DataError(
                    f"{self.id}: the context at [{span.start}:{span.end}] is not {span.text[:60]!r}"
                )
        if self.spans and self.answerable is False:
            raise DataError(f"{self.id}: has labelled spans but is marked unanswerable")
        if self.verdict not in (None, NO_VERDICT, *VERDICTS):
            raise DataError(
                f"{self.id}: verdict must be one of {', '.join(VERDICTS)}, got {self.verdict!r:.40}"
            )
        if self.verdict in VERDICTS and self.answerable is False:
            raise DataError(f"{self.id}: has the verdict {self.verdict!r} but is marked unanswerable")

    @property
    def is_labelled(self) -> bool:
        """Whether it can train the span head: a labelled span, or known to have none."""
        return bool(self.spans) or self.answerable is False


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    Attributes:
        text: The verbatim answer, ``context[start:end]``; empty if abstained.
        start: Index of its first character in the context as given; 0 if abstained.
        end: Index after its last character; 0 if abstained.
        score: Calibrated probability that the best span is right (token F1 >= 0.5 against a
            reference), in [0, 1].
        answerable: Calibrated probability that the context answers the question, in [0, 1].
        abstained: Whether ``answerable`` is below the threshold.
        sentence: The sentence that holds the answer; None if abstained.
        candidates: The best spans, best first, none overlapping another; present if abstained too.
        verdict: What the context says to a yes/no question, one of ``VERDICTS``, with ``text`` as its
            evidence; None if abstained, for other questions, and of models without such a head.
        verdict_probs: Calibrated probabilities of ``VERDICTS``, in that order, of sum 1; None where there
            is no verdict.
        vote_probs: Calibrated probabilities of ``VOTES`` if the question is one for yes or no, which the
            caller must know; present if abstained too, None of models without a verdict head.
    """

    text: str
    start: int
    end: int
    score: float
    answerable: float
    abstained: bool
    sentence: Span | None = None
    candidates: tuple[Span, ...] = ()
    verdict: str | None = None
    verdict_probs: tuple[float, float, float] | None = None
    vote_probs: VoteProbs | None = None

    def __post_init__(self) -> None:
        """Raise DataError where an abstained answer holds a span or verdict, or a span does not fit."""
        if (self.verdict is None) != (self.verdict_probs is None) or (self.abstained and self.verdict):
            raise DataError("a verdict has its probabilities and its quote, or there is none")
        if self.abstained and (self.text or self.start or self.end):
            raise DataError("an abstained answer holds no text and no offsets")
        if self.start < 0 or self.end - self.start != len(self.text):
            raise DataError(f"answer [{self.start}:{self.end}] does not fit its text")

    @property
    def verdict_score(self) -> float | None:
        """Calibrated probability of ``verdict``, in [0, 1]; None where there is none."""
        return None if self.verdict_probs is None else max(self.verdict_probs)

    @property
    def status(self) -> str:
        """What to tell a person, one of ``STATUSES``.

        "answered": the answer is ``text``. "unsure": abstained, but ``answerable`` is at least
        ``UNSURE_FROM``, so that ``best`` is worth a look. "not_reported": the context does not say.
        """
        if not self.abstained:
            return ANSWERED
        return UNSURE if self.candidates and self.answerable >= UNSURE_FROM else NOT_REPORTED

    @property
    def best(self) -> Span | None:
        """The best span, whether given as the answer or not; None where the context holds none."""
        return next(iter(self.candidates), None)

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values that ``json`` can write."""
        return {
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "score": self.score,
            "answerable": self.answerable,
            "abstained": self.abstained,
            "status": self.status,
            "sentence": None if self.sentence is None else _span_dict(self.sentence),
            "candidates": [_span_dict(span) for span in self.candidates],
            "verdict": self.verdict,
            "verdict_score": self.verdict_score,
            "verdict_probs": self.verdict_probs and dict(zip(VERDICTS, self.verdict_probs, strict=True)),
        }


def _span_dict(span: Span) -> dict[str, Any]:
    return {"text": span.text, "start": span.start, "end": span.end, "score": span.score}


def documents_of(examples: Sequence[Example]) -> list[str]:
    """The distinct documents of the examples, in order of first appearance."""
    return list(dict.fromkeys(example.document for example in examples))
