"""The gate on figures made by hand, and what became of each row."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from qa_extractive.errors import DataError
from qa_extractive.finetune.gate import Gate, f1_difference, judge
from qa_extractive.finetune.scores import changes, mean_f1, score_systems
from qa_extractive.types import Answer, Example, Question

CONTEXT = "Sleep fell by 2 h in 40 mice."


class Scripted:
    """Answers each question with the text scripted for it; None abstains."""

    def __init__(self, name: str, *texts: str | None) -> None:
        self.name, self.texts = name, texts

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        return [_answer(text) for text in self.texts[: len(questions)]]


def _answer(text: str | None) -> Answer:
    if text is None:
        return Answer("", 0, 0, 0.1, 0.1, abstained=True)
    start = CONTEXT.index(text)
    return Answer(text, start, start + len(text), 0.9, 0.9, False)


ROWS = [
    Example(str(i), Question(f"Question {i}?", CONTEXT), references=references, answerable=bool(references))
    for i, references in enumerate([("2 h",), ("40 mice",), (), ("Sleep",)])
]
OLD = Scripted("old", "2 h", "2 h", None, "Sleep fell")
NEW = Scripted("new", "2 h", "40 mice", "Sleep", "Sleep")
SCORES = score_systems([OLD, NEW], ROWS, n_bootstrap=50, seed=1)
F1_OLD, F1_NEW = (1 + 0 + 1 + 2 / 3) / 4, (1 + 1 + 0 + 1) / 4


def test_rows_are_sorted_into_better_worse_and_same() -> None:
    found = changes(*SCORES.results)
    assert [(row.id, row.before_f1, row.after_f1) for row in found.better] == [
        ("1", 0.0, 1.0), ("3", pytest.approx(2 / 3), 1.0),
    ]  # fmt: skip
    assert [(row.id, row.before, row.after, row.gain) for row in found.worse] == [("2", "", "Sleep", -1.0)]
    assert [row.id for row in found.same] == ["0"]
    assert mean_f1(SCORES.results[0].rows) == pytest.approx(F1_OLD)
    assert sum(row.gain for row in (*found.better, *found.worse)) / 4 == pytest.approx(F1_NEW - F1_OLD)


@pytest.mark.parametrize(
    ("gate", "accepted"),
    [
        (Gate(), True),
        (Gate(min_f1=F1_NEW), True),
        (Gate(min_f1=F1_NEW + 0.01), False),
    ],
)
def test_a_least_f1(gate: Gate, accepted: bool) -> None:
    verdict = judge(gate, SCORES.of("new")[1])
    assert verdict.is_accepted is accepted
    assert bool(verdict.failed) is not accepted


def test_a_model_that_got_worse_is_refused_and_an_equal_one_is_not() -> None:
    old, new = (SCORES.of(name)[1] for name in ("old", "new"))
    difference = f1_difference(SCORES.comparisons, "new")
    assert difference is not None
    assert judge(Gate(), new, old, difference).is_accepted
    assert judge(Gate(), new, new).is_accepted
    refused = judge(Gate(), old, new)
    assert not refused.is_accepted
    assert f"{100 * (F1_OLD - F1_NEW):+.1f}" in refused.failed[0]
    assert judge(Gate(tolerance=F1_NEW - F1_OLD), old, new).is_accepted
    both = judge(Gate(min_f1=0.99), old, new)
    assert len(both.failed) == 2


def test_nothing_known_passes_no_gate() -> None:
    rows = [Example("0", Question("What?", CONTEXT))]
    unknown = score_systems([OLD], rows, n_bootstrap=0, seed=1).evaluations[0]
    assert not judge(Gate(), unknown).is_accepted


@pytest.mark.parametrize("values", [{"min_f1": 40.0}, {"tolerance": -0.1}, {"min_f1": float("nan")}])
def test_a_gate_of_percent_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]"):
        Gate(**values)
