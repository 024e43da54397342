"""What the words of a question alone give away, and negatives that take it back."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("sklearn")

from qa_extractive.config import TrainConfig
from qa_extractive.training.question_only import answerable_probs, question_only_auroc
from qa_extractive.training.splits import with_negatives
from qa_extractive.types import Example, Question, Span

TOPICS = "zinc iron sleep tea salt light noise yoga rice milk".split()


def _examples(n: int = 400) -> list[Example]:
    """Questions on cost have no answer, questions on effects have one: the form tells nearly all."""
    rng = random.Random(3)
    examples = []
    for i in range(n):
        topic, kind = rng.choice(TOPICS), rng.random()
        tells = rng.random() < 0.9
        answerable = kind < 0.6
        word = "effect" if answerable == tells else "cost"
        context = f"Study {i} on {topic} number {i} found {topic}{i} to be of use in {i} people."
        answer = f"{topic}{i}"
        span = Span.cut(context, context.index(answer), context.index(answer) + len(answer))
        examples.append(
            Example(
                id=f"q-{i}",
                question=Question(f"What is the {word} of {topic}?", context),
                references=(answer,) if answerable else (),
                spans=(span,) if answerable else (),
                answerable=answerable,
                document=f"d-{i}",
                source="made-up",
            )
        )
    return examples


def test_a_form_that_tells_is_found_out() -> None:
    examples = _examples()
    auroc = question_only_auroc(examples)
    assert auroc is not None
    assert 0.8 < auroc < 0.95
    probs = answerable_probs(examples)
    assert probs is not None
    assert probs.shape == (400,)
    cost = ["cost" in e.question.question for e in examples]
    assert max(p for p, c in zip(probs, cost, strict=True) if c) < min(
        p for p, c in zip(probs, cost, strict=True) if not c
    )


def test_balanced_negatives_leave_the_form_little_to_tell() -> None:
    examples = _examples()
    plain = with_negatives(examples, TrainConfig(mismatch_share=0.5, removal_share=0), random.Random(1))
    config = TrainConfig(mismatch_share=0.5, removal_share=0, balanced_sources=["made-up"])
    balanced = with_negatives(examples, config, random.Random(1))
    told, left = question_only_auroc(plain), question_only_auroc(balanced)
    assert told is not None
    assert left is not None
    assert left < told - 0.03
    mismatched = [e for e in balanced if e.fields.get("negative") == "mismatched"]
    assert mismatched
    assert all("effect" in e.question.question for e in mismatched), "of questions on cost there are enough"


def test_too_few_of_a_kind_tell_nothing() -> None:
    assert answerable_probs(_examples(60)) is None
    assert question_only_auroc([e for e in _examples() if e.answerable]) is None


def test_a_negative_is_judged_together_with_the_question_it_was_made_of() -> None:
    """Otherwise the model would have seen the very question with the other label, and fall below chance."""
    config = TrainConfig(mismatch_share=1.0, removal_share=0)
    alone = [e for e in _examples() if e.answerable]
    auroc = question_only_auroc(with_negatives(alone, config, random.Random(1)))
    assert auroc == pytest.approx(0.5, abs=0.08)
