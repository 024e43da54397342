"""Whether a teacher can do the task at all: its score on the labelled rows beside what needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qa_extractive.errors import ModelError
from qa_extractive.evaluation.baselines import open_baseline
from qa_extractive.evaluation.figures import Evaluation
from qa_extractive.finetune.scores import score_systems
from qa_extractive.types import Answer, Example, Question

if TYPE_CHECKING:
    from qa_extractive.finetune.teachers import Teacher

BASELINES = ("first", "last", "tfidf")


@dataclass(frozen=True, slots=True)
class TeacherCheck:
    """A teacher on the labelled rows that have an answer, never abstaining where it can help it.

    Attributes:
        teacher: Its figures.
        baselines: Those of readers without a model.
        bar: F1, in [0, 1], that the teacher must reach.
        is_above: Whether it must be above the bar, not just at it.
    """

    teacher: Evaluation
    baselines: tuple[Evaluation, ...]
    bar: float
    is_above: bool

    @property
    def f1(self) -> float:
        """The teacher's F1, in [0, 1]."""
        return self.teacher.forced.squad.f1 or 0.0

    @property
    def can(self) -> bool:
        """Whether the teacher can do the task."""
        return self.f1 > self.bar if self.is_above else self.f1 >= self.bar

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        baselines = {each.system: each.forced.squad.f1 for each in self.baselines}
        return {
            "name": self.teacher.system,
            "n": self.teacher.n,
            "n_failed": self.teacher.n_failed,
            "f1": self.f1,
            "f1_interval": self.teacher.forced.f1_interval,
            "baselines": baselines,
            "bar": self.bar,
            "can": self.can,
        }


class _AsSystem:
    """A teacher as what is evaluated."""

    def __init__(self, teacher: Teacher) -> None:
        self.name = teacher.name
        self.answer_rows = teacher.answer_rows

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        raise ModelError(f"{self.name} answers row by row")  # run_system asks for rows where it can


def check_teacher(
    teacher: Teacher, examples: Sequence[Example], *, min_f1: float | None, n_bootstrap: int, seed: int
) -> TeacherCheck | None:
    """Score a teacher on labelled rows; None where none has an answer.

    Args:
        teacher: Who is to teach.
        examples: The training rows; those without an answer are left out.
        min_f1: What it must reach, in [0, 1]; None for more than the best reader without a model.
        n_bootstrap: Resamples for the intervals.
        seed: Of the resampling.
    """
    rows = [e for e in examples if e.answerable is not False and (e.references or e.spans)]
    if not rows:
        return None
    systems = [_AsSystem(teacher), *(open_baseline(kind, rows) for kind in BASELINES)]
    scores = score_systems(systems, rows, n_bootstrap=n_bootstrap, seed=seed)
    own, *baselines = scores.evaluations
    best = max(each.forced.squad.f1 or 0.0 for each in baselines)
    bar, is_above = (best, True) if min_f1 is None else (min_f1, False)
    return TeacherCheck(own, tuple(baselines), bar, is_above)
