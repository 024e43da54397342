"""Texts without answers -> questions, the teacher's answers to them, and the rows that can be trusted.

A row is kept where the teacher answers, is sure enough, and means the piece of text that the question
was made for (the round trip). What is dropped is counted by the reason.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from qa_extractive.data.contexts import Context
from qa_extractive.data.documents import place_of
from qa_extractive.data.squad_json import document_hash
from qa_extractive.errors import DataError, QAError
from qa_extractive.finetune.job import folded
from qa_extractive.finetune.made_questions import MadeQuestion, make_questions
from qa_extractive.metrics.text import token_f1
from qa_extractive.types import Answer, Example, Span

if TYPE_CHECKING:  # so that labelling loads no torch
    from qa_extractive.finetune.teachers import Teacher

SOURCE = "unlabelled"
FAILED, ABSTAINED, UNSURE, DISAGREED, REPEATED = (
    "the teacher failed", "the teacher abstained", "not sure enough", "round trip disagreed", "asked before",
)  # fmt: skip
DROPPED = (FAILED, ABSTAINED, UNSURE, DISAGREED, REPEATED)


@dataclass(frozen=True, slots=True)
class LabellingSettings:
    """How texts are labelled.

    Attributes:
        n_contexts: Texts used at most, chosen by a hash; 0 for all.
        n_questions: Questions made for each at most.
        min_score: Least probability, as the teacher gives it, that its answer is right; in [0, 1].
        min_agreement: Least token F1 of the teacher's answer with what the question was made for.
        seed: Of the choice of texts and questions.
    """

    n_contexts: int = 200
    n_questions: int = 3
    min_score: float = 0.5
    min_agreement: float = 0.6
    seed: int = 17

    def __post_init__(self) -> None:
        """Raise DataError for a setting outside its range."""
        if self.n_contexts < 0 or self.n_questions < 1:
            raise DataError("give at least 1 question for each text, and 0 or more texts")
        if not (0.0 <= self.min_score <= 1.0 and 0.0 <= self.min_agreement <= 1.0):
            raise DataError("the least score and the least agreement must lie in [0, 1]")


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What one kind of question came to.

    Attributes:
        kind: How the questions were made.
        n_made: Questions made.
        n_kept: Rows kept.
        dropped: The others by the reason.
    """

    kind: str
    n_made: int
    n_kept: int
    dropped: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return {"kind": self.kind, "n_made": self.n_made, "n_kept": self.n_kept, "dropped": self.dropped}


@dataclass(frozen=True, slots=True)
class Labelled:
    """What came of labelling.

    Attributes:
        examples: The rows kept; the score of a span is the teacher's confidence in it.
        counts: By kind of question.
        n_contexts: Texts used.
        n_without_questions: Of these, texts for which no question was made.
    """

    examples: tuple[Example, ...] = ()
    counts: tuple[SourceCounts, ...] = ()
    n_contexts: int = 0
    n_without_questions: int = 0


def label_contexts(contexts: Sequence[Context], teacher: Teacher, settings: LabellingSettings) -> Labelled:
    """Ask about texts, have the teacher answer, and keep what it is sure of and means.

    Args:
        contexts: The texts.
        teacher: Answers; makes the questions too if it can.
        settings: How many, and how sure.
    """
    chosen = choose_contexts(contexts, settings)
    made: list[MadeQuestion] = []
    failed = n_without = 0
    for context in chosen:
        own = _made(context, teacher, settings)
        failed += own is None
        n_without += own == []
        made += own or []
    answers = teacher.answer_rows([each.question for each in made])
    kept, counts = _sorted_out(made, answers, settings)
    if failed:
        counts.append(SourceCounts("teacher", failed, 0, {FAILED: failed}))
    return Labelled(tuple(kept), tuple(counts), len(chosen), n_without)


def choose_contexts(contexts: Sequence[Context], settings: LabellingSettings) -> list[Context]:
    """At most ``n_contexts`` of the texts, in their order, by a hash of each."""
    n = settings.n_contexts or len(contexts)
    chosen = set(sorted(contexts, key=lambda c: place_of(c.text, settings.seed))[:n])
    return [context for context in contexts if context in chosen]


def rehearsal_questions(
    contexts: Sequence[Context], settings: LabellingSettings, n_most: int
) -> tuple[Example, ...]:
    """Questions made by rule for texts, without labels: what an anchor is asked.

    Args:
        contexts: The texts.
        settings: How many of them, and how many questions each.
        n_most: Questions at most, drawn with the seed: an anchor must not outweigh what is to be learned.
    """
    made = [each for context in choose_contexts(contexts, settings) for each in _by_rule(context, settings)]
    drawn = random.Random(settings.seed).sample(made, min(n_most, len(made)))
    return tuple(
        Example(f"rehearsal-{i}", each.question, source="rehearsal") for i, each in enumerate(drawn, start=1)
    )


def _by_rule(context: Context, settings: LabellingSettings) -> list[MadeQuestion]:
    rng = random.Random(f"{settings.seed}:{context.text}")
    return make_questions(context, settings.n_questions, rng)


def _made(context: Context, teacher: Teacher, settings: LabellingSettings) -> list[MadeQuestion] | None:
    """Questions by the teacher or else by rule; None where the teacher failed."""
    if context.question is not None:
        return _by_rule(context, settings)
    try:
        made = teacher.make(context, settings.n_questions)
    except QAError:
        return None
    return _by_rule(context, settings) if made is None else made


def _sorted_out(
    made: Sequence[MadeQuestion], answers: Sequence[Answer | QAError], settings: LabellingSettings
) -> tuple[list[Example], list[SourceCounts]]:
    n_made = Counter(each.kind for each in made)
    dropped: dict[str, Counter[str]] = {kind: Counter() for kind in n_made}
    kept: list[Example] = []
    asked: set[tuple[str, str]] = set()
    for each, answer in zip(made, answers, strict=True):
        key = folded(each.question.question), folded(each.question.context)
        span = REPEATED if key in asked else _span_of(each, answer, settings)
        asked.add(key)
        if isinstance(span, str):
            dropped[each.kind][span] += 1
        else:
            kept.append(_example(len(kept) + 1, each, span))
    counts = [
        SourceCounts(kind, n, n - sum(dropped[kind].values()), dict(dropped[kind]))
        for kind, n in sorted(n_made.items())
    ]
    return kept, counts


def _span_of(made: MadeQuestion, answer: Answer | QAError, settings: LabellingSettings) -> Span | str:
    """The span to learn, or why there is none.

    It is what the question was made for, since that stands where it was taken from; of a question asked
    by someone else, the teacher's answer.
    """
    if isinstance(answer, QAError):
        return FAILED
    if answer.abstained:
        return ABSTAINED
    if answer.score < settings.min_score:
        return UNSURE
    if made.expected is None:
        return Span(answer.text, answer.start, answer.end, answer.score)
    if token_f1(answer.text, made.expected.text) < settings.min_agreement:
        return DISAGREED
    return replace(made.expected, score=answer.score)


def _example(number: int, made: MadeQuestion, span: Span) -> Example:
    return Example(
        id=f"{SOURCE}-{number}",
        question=made.question,
        references=(span.text,),
        spans=(span,),
        answerable=True,
        document=document_hash(made.question.context),
        source=SOURCE,
        fields={"made": made.kind},
    )
