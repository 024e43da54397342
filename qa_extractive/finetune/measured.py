"""Students scored on the test rows, beside their base and the model that the gate compares them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qa_extractive.errors import ModelError
from qa_extractive.evaluation.compare import compare
from qa_extractive.evaluation.run import run_system
from qa_extractive.evaluation.score import score
from qa_extractive.evaluation.systems import DEFAULT, System, open_system
from qa_extractive.evaluation.torch_system import open_torch
from qa_extractive.export.report import ExportReport
from qa_extractive.finetune.gate import Verdict, f1_difference, judge
from qa_extractive.finetune.outcome import FileCheck, TaskSettings
from qa_extractive.finetune.scores import Changes, Scores, changes, score_systems
from qa_extractive.finetune.students import Student
from qa_extractive.finetune.teachers import system_name
from qa_extractive.types import Example


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on the test rows.

    Attributes:
        base_name: Of the base in ``scores``; None where it is a plain encoder, which answers nothing.
        bar_name: Of the model that must be matched; None for none.
        scores: Of both and of all students.
    """

    base_name: str | None
    bar_name: str | None
    scores: Scores

    @classmethod
    def of(cls, folders: Mapping[str, Path], test: Sequence[Example], settings: TaskSettings) -> Measured:
        """Score exported students, by their names, and what they are compared with."""
        base = _base_system(settings)
        systems: list[System] = [] if base is None else [base]
        systems += [open_system(str(folder), (), name=name) for name, folder in folders.items()]
        base_name = None if base is None else base.name
        bar, bar_name = settings.no_worse_than, base_name
        if bar is None:
            bar_name = None
        elif bar != settings.base:  # a plain encoder, which answers nothing, is no bar
            bar_name = f"{_shown(bar)}, to be matched"
            systems.append(open_system(system_name(bar), (), name=bar_name))
        return cls(
            base_name,
            bar_name,
            score_systems(systems, test, n_bootstrap=settings.n_bootstrap, seed=settings.seed),
        )

    def changes(self, name: str) -> Changes | None:
        """What a student answers otherwise than the base; None without one."""
        if self.base_name is None:
            return None
        return changes(self.scores.of(self.base_name)[0], self.scores.of(name)[0])

    def verdict(self, name: str, settings: TaskSettings) -> Verdict:
        """What the gate says of a student."""
        results, evaluation = self.scores.of(name)
        if self.bar_name is None:
            return judge(settings.gate, evaluation)
        bar_results, bar_evaluation = self.scores.of(self.bar_name)
        compared = compare((bar_results, results), n_bootstrap=settings.n_bootstrap, seed=settings.seed)
        return judge(settings.gate, evaluation, bar_evaluation, f1_difference(compared, name))

    def file(
        self, name: str, student: Student, report: ExportReport, test: Sequence[Example], seed: int
    ) -> FileCheck:
        """A student's file beside its checkpoint."""
        in_torch = score(
            run_system(open_torch(student.folder, f"{name}, in torch"), test), n_bootstrap=0, seed=seed
        )
        return FileCheck(
            format=report.format,
            why=report.why,
            tried=tuple(each["words"] for each in report.tried),
            torch_f1=in_torch.forced.squad.f1,
            file_f1=self.scores.of(name)[1].forced.squad.f1,
        )


def _base_system(settings: TaskSettings) -> System | None:
    """The base as it is; None where it is a plain encoder, which answers nothing."""
    try:
        return open_system(system_name(settings.base), (), name=f"{_shown(settings.base)}, as it is")
    except ModelError:
        if settings.keeps_base:
            raise
        return None


def _shown(model: str) -> str:
    return "embedded model" if model == DEFAULT else Path(model).name
