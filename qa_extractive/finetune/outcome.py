"""How a student is made, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qa_extractive.config import TrainConfig
from qa_extractive.errors import ModelError
from qa_extractive.evaluation.systems import DEFAULT
from qa_extractive.export.cross_fit import CrossFit
from qa_extractive.finetune.checks import CheckedJob
from qa_extractive.finetune.gate import Gate, Verdict
from qa_extractive.finetune.pseudo_labels import Labelled, LabellingSettings
from qa_extractive.finetune.scores import Changes, Scores
from qa_extractive.finetune.validation import TeacherCheck

if TYPE_CHECKING:  # so that a report can be written without torch
    from qa_extractive.finetune.students import Student

_LABELLING, _GATE = LabellingSettings(), Gate()


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """How a student is made.

    Attributes:
        base: What it starts from: ``default``, a folder, or a hub id.
        keeps_base: Whether the base is a model whose abilities are to be kept (``update``).
        teacher: Names for ``open_teacher``; empty for the base.
        overrides: Settings of ``TrainConfig`` that were given.
        labelling: How texts are labelled.
        distillation_weight: Of the teacher's logits beside its hard labels; 0 for hard labels alone.
        temperature: Of the distillation.
        anchor_weight: Of the base's logits, where it is to be kept; 0 for no anchor.
        folds: Of the cross-validation that chooses between with and without the unlabelled texts, and that
            fits the threshold and the probabilities of few rows; 0 or 1 for none.
        min_teacher_f1: What the teacher must reach on the training rows; None for more than a reader
            without a model.
        gate: What the student must reach.
        no_worse_than: Model that it must be no worse than; None for none.
        n_bootstrap: Resamples for the intervals.
        seed: Of every random choice but the training's own.
    """

    base: str = DEFAULT
    keeps_base: bool = False
    teacher: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    labelling: LabellingSettings = _LABELLING
    distillation_weight: float = 1.0
    temperature: float = 2.0
    anchor_weight: float = 1.0
    folds: int = 3
    min_teacher_f1: float | None = None
    gate: Gate = _GATE
    no_worse_than: str | None = None
    n_bootstrap: int = 1000
    seed: int = 17


@dataclass(frozen=True, slots=True)
class Choice:
    """Why a student was chosen.

    Attributes:
        name: Its name.
        reason: In words.
        f1: Cross-validated mean F1 on the training rows, as answered, by name; empty if not measured.
    """

    name: str
    reason: str
    f1: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileCheck:
    """The exported file beside the checkpoint that it was made of.

    Attributes:
        format: Of the file, in words.
        why: In words, why this format.
        tried: What was found of each format that was tried, in words.
        torch_f1: F1 of the checkpoint in torch on the test rows, never abstaining, in [0, 1];
            None where none has an answer.
        file_f1: The same of the file.
    """

    format: str
    why: str
    tried: tuple[str, ...]
    torch_f1: float | None
    file_f1: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        checked: The job.
        settings: How it was run.
        config: Settings of the run on the labelled rows.
        teacher: How the teacher did on the training rows; None without rows.
        labelled: What it labelled.
        has_logits: Whether the student learned from its logits.
        students: The checkpoints by name, in the order of the table.
        scores: The base as it is, the students, and the model that the gate compares with.
        choice: The student chosen.
        calibrated: By student, the threshold and the probabilities fitted across folds; they are the
            student's where ``is_better``, else those of the base are.
        base_name: Name of the base in the scores; None where it cannot answer as it is.
        changes: The chosen student against the base, row by row; None without a base.
        verdict: What the gate says.
        file: The file of the chosen student beside its checkpoint.
    """

    checked: CheckedJob
    settings: TaskSettings
    config: TrainConfig
    teacher: TeacherCheck | None
    labelled: Labelled
    has_logits: bool
    students: Mapping[str, Student]
    scores: Scores
    choice: Choice
    calibrated: Mapping[str, CrossFit]
    base_name: str | None
    changes: Changes | None
    verdict: Verdict
    file: FileCheck


class WeakTeacherError(ModelError):
    """The teacher cannot do the task; nothing was trained.

    Attributes:
        check: Its score.
    """

    def __init__(self, check: TeacherCheck) -> None:
        better = "more than" if check.is_above else "at least"
        super().__init__(
            f"the teacher {check.teacher.system} scores F1 {100 * check.f1:.1f} on {check.teacher.n} "
            f"training rows, where {better} {100 * check.bar:.1f} is needed: give another --teacher, "
            "or lower --min-teacher-f1"
        )
        self.check = check
