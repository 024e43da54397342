"""Macro F1 and what question words tell, by hand and against scikit-learn."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("sklearn")

from sklearn.metrics import f1_score

from qa_extractive.metrics.classes import macro_f1
from qa_extractive.metrics.question_words import told_by_words
from qa_extractive.types import VERDICTS


def test_macro_f1_by_hand() -> None:
    # yes: 1 right of 2 true, 2 told: F1 0.5; no: 1 right of 2 true, 1 told: F1 2/3; "mixed" is true of none.
    assert macro_f1(["yes", "yes", "no", "no"], ["yes", "mixed", "yes", "no"]) == pytest.approx(
        (0.5 + 2 / 3) / 2
    )
    assert macro_f1(["yes", "no"], [None, None]) == 0.0
    assert macro_f1([], []) is None


def test_macro_f1_is_that_of_scikit_learn_where_every_class_is_true_of_a_row() -> None:
    rng = random.Random(2)
    true = [*VERDICTS, *(rng.choice(VERDICTS) for _ in range(200))]
    given = [rng.choice((*VERDICTS, "")) for _ in true]
    wanted = f1_score(true, given, labels=VERDICTS, average="macro", zero_division=0)
    assert macro_f1(true, [each or None for each in given]) == pytest.approx(wanted)


def _asked(n: int) -> tuple[list[str], list[str]]:
    words = [("does the drug help", "yes"), ("is there any harm", "no")]
    pairs = [words[i % 2] for i in range(n)]
    return [f"{question} {i}" for i, (question, _) in enumerate(pairs)], [label for _, label in pairs]


def test_words_tell_what_questions_of_other_documents_taught() -> None:
    questions, labels = _asked(40)
    assert told_by_words(questions, labels, [f"d{i // 4}" for i in range(40)]) == labels


def test_words_never_see_a_row_of_the_same_document() -> None:
    """Each document has words of its own that give its label away: they are of no use elsewhere."""
    rng = random.Random(5)
    documents = [f"d{i // 5}" for i in range(200)]
    label_of = {name: rng.choice(("yes", "no")) for name in dict.fromkeys(documents)}
    labels = [label_of[name] for name in documents]
    questions = [f"does word{name} hold" for name in documents]
    told = told_by_words(questions, labels, documents)
    assert told is not None
    n_right = sum(a == b for a, b in zip(told, labels, strict=True))
    assert n_right <= 130, "with its own document taught it would be right on all 200"
    assert told_by_words(questions, labels, range(200)) == labels, "as it is where rows are taught apart"


def test_where_words_have_nothing_to_learn() -> None:
    questions, labels = _asked(4)
    assert told_by_words(questions, labels, ["d"] * 4) is None
    assert told_by_words([], [], []) is None
    assert told_by_words(questions, ["yes"] * 4, "abcd") == ["yes"] * 4
    assert told_by_words(["?", "!", "?", "?"], ["yes", "yes", "yes", "no"], "abcd") == ["yes"] * 4
