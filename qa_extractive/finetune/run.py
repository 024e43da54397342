"""A checked job -> a student: the teacher checked, texts labelled, runs, scores, gate, export, archive."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from qa_extractive.archive.pack import pack
from qa_extractive.config import WindowConfig
from qa_extractive.data.contexts import Context
from qa_extractive.data.documents import folds_of
from qa_extractive.data.example_jsonl import examples_to_jsonl
from qa_extractive.errors import DataError, ModelError
from qa_extractive.evaluation.chat_endpoint import EndpointSettings
from qa_extractive.evaluation.systems import DEFAULT
from qa_extractive.export.cross_fit import CrossFit, cross_fit
from qa_extractive.export.exporter import export
from qa_extractive.export.recalibrate import note_calibration
from qa_extractive.export.report import ExportReport
from qa_extractive.finetune.card import add_to_card
from qa_extractive.finetune.checks import CheckedJob
from qa_extractive.finetune.measured import Measured
from qa_extractive.finetune.outcome import Choice, Outcome, TaskSettings, WeakTeacherError
from qa_extractive.finetune.plan import JobClock, works
from qa_extractive.finetune.pseudo_labels import (
    SOURCE,
    Labelled,
    label_contexts,
    rehearsal_questions,
)
from qa_extractive.finetune.report import write_outcome
from qa_extractive.finetune.scores import mean_f1
from qa_extractive.finetune.students import (
    HeldOut,
    Student,
    calibration_rows,
    cross_validated,
    pseudo_label_settings,
    settings_for,
    teach,
)
from qa_extractive.finetune.teachers import Teacher, open_span_model, open_teacher
from qa_extractive.finetune.validation import TeacherCheck, check_teacher
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.calibration_fit import FitRows, can_calibrate
from qa_extractive.inference.windows import Windower
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.training.distillation import Distillation
from qa_extractive.training.progress import Watch
from qa_extractive.training.run import LOG_FILE, load_tokenizer
from qa_extractive.types import Example

MODEL, CHECKPOINT, ARCHIVE, REFUSED = "model", "checkpoint", "model.tar.gz", "refused"
LABELLED_FILE = "unlabelled_rows.jsonl.gz"
_WORK = "work"
_REHEARSED, _LEAST_ROWS = 3, 10  # rehearsed questions for each labelled row, counted as at least so many

Say = Callable[[str], None]


def run_job(
    checked: CheckedJob,
    settings: TaskSettings,
    output: Path,
    *,
    endpoint: EndpointSettings | None = None,
    say: Say = lambda _: None,
    watch: Watch | None = None,
) -> Outcome:
    """Make a student of a job in ``output``, with its report; a refused one is kept aside there.

    Args:
        checked: The job; usable (``CheckedJob.require_usable``).
        settings: How.
        output: Folder to write; missing or empty.
        endpoint: Where an ``openai:`` teacher answers.
        say: Told what is going on, a line at a time.
        watch: Told after every step of a training run how far it is; None for nobody.

    Raises:
        WeakTeacherError: The teacher is needed and cannot do the task.
        QAError: The base or the teacher cannot be had, or ``output`` is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(f"{output} is not empty: give another --output")
    run = _Run(checked, settings, output, endpoint, say, watch)
    try:
        return run.run()
    finally:
        shutil.rmtree(run.work, ignore_errors=True)


def accepts(base: str) -> Callable[[Example], bool]:
    """Whether a base can read an example: not one whose question is too long for it."""
    try:
        windower = open_span_model(base).windower
    except ModelError:  # a plain encoder
        windower = Windower(load_tokenizer(base), WindowConfig())
    return lambda example: windower.accepts(example.question)


class _Run:
    """The steps of a job, in order."""

    def __init__(
        self,
        checked: CheckedJob,
        settings: TaskSettings,
        output: Path,
        endpoint: EndpointSettings | None,
        say: Say,
        watch: Watch | None,
    ) -> None:
        self.checked, self.settings, self.output, self.say = checked, settings, output, say
        self.watch = watch
        self.job = checked.job
        self.work = output / _WORK
        self.endpoint = endpoint
        self.exports: dict[str, ExportReport] = {}
        self.rows = (*self.job.train, *self.job.replay)
        self.config = settings_for(len(self.rows), dict(settings.overrides))
        self.clock = JobClock((), say, watch)

    def run(self) -> Outcome:
        teacher = self.open_teacher()
        check = self.check(teacher)
        labelled = self.label(teacher)
        soft = self.soft(teacher) if labelled.examples else None
        folds = self.folds(labelled)
        self.clock = JobClock(
            works(len(self.rows), len(labelled.examples), len(folds), self.config), self.say, self.watch
        )
        students = self.students(labelled, soft)
        folders = {name: self.export(name, student) for name, student in students.items()}
        held_out = self.cross_validate(students, folds)
        choice = self.choose(students, held_out)
        calibrated = {
            name: self.calibrate(students[name], folders[name], own) for name, own in held_out.items()
        }
        self.say(f"scoring on {len(self.job.test):,} test rows")
        measured = Measured.of(folders, self.job.test, self.settings)
        outcome = Outcome(
            checked=self.checked,
            settings=self.settings,
            config=self.config,
            teacher=check,
            labelled=labelled,
            has_logits=soft is not None,
            students=students,
            scores=measured.scores,
            choice=choice,
            calibrated={name: fitted for name, fitted in calibrated.items() if fitted is not None},
            base_name=measured.base_name,
            changes=measured.changes(choice.name),
            verdict=measured.verdict(choice.name, self.settings),
            file=measured.file(
                choice.name,
                students[choice.name],
                self.exports[choice.name],
                self.job.test,
                self.settings.seed,
            ),
        )
        write_outcome(self.output, outcome)  # before anything is packed, so that it is there whatever happens
        self.keep(outcome, folders)
        return outcome

    def open_teacher(self) -> Teacher:
        own = self.settings.base if self.settings.keeps_base else DEFAULT
        names = self.settings.teacher or (own,)
        return open_teacher(names, endpoint=self.endpoint, description=self.job.description)

    def check(self, teacher: Teacher) -> TeacherCheck | None:
        settings = self.settings
        self.say(f"checking the teacher {teacher.name}")
        check = check_teacher(
            teacher,
            self.job.train,
            min_f1=settings.min_teacher_f1,
            n_bootstrap=settings.n_bootstrap,
            seed=settings.seed,
        )
        if check is not None and not check.can and (self.job.contexts or settings.min_teacher_f1 is not None):
            raise WeakTeacherError(check)
        return check

    def label(self, teacher: Teacher) -> Labelled:
        if not self.job.contexts:
            return Labelled()
        self.say(f"labelling texts: {len(self.job.contexts):,} there are")
        labelled = label_contexts(self.job.contexts, teacher, self.settings.labelling)
        self.output.mkdir(parents=True, exist_ok=True)
        examples_to_jsonl(self.output / LABELLED_FILE, labelled.examples)
        return labelled

    def soft(self, teacher: Teacher) -> Distillation | None:
        """What the student learns from the teacher's logits of the rows that it labelled."""
        settings = self.settings
        backend = teacher.backend_for(load_tokenizer(self.base_folder()))
        if backend is None or not settings.distillation_weight:
            return None
        return Distillation(
            backend, settings.distillation_weight, settings.temperature, sources=frozenset({SOURCE})
        )

    @cached_property
    def anchor(self) -> Distillation | None:
        """What keeps the student near the model it started from: its logits of all that is read."""
        settings = self.settings
        if not (settings.keeps_base and settings.anchor_weight):
            return None
        rows = {e.question.context: e for e in self.rows if e.question.context.strip()}
        texts = [Context(e.id, text, e.question.title) for text, e in rows.items()]
        n_most = _REHEARSED * max(_LEAST_ROWS, len(self.rows))
        asked = rehearsal_questions([*texts, *self.job.contexts], settings.labelling, n_most)
        return Distillation(
            open_span_model(settings.base).backend,
            settings.anchor_weight,
            settings.temperature,
            rehearsal=asked,
        )

    def base_folder(self) -> Path | str:
        base = self.settings.base
        return DEFAULT_MODEL if base == DEFAULT else base

    def students(self, labelled: Labelled, soft: Distillation | None) -> dict[str, Student]:
        """The student without and the one with the unlabelled texts, as far as there are rows for each."""
        made: dict[str, Student] = {}
        if self.rows:
            self.say(f"training on {len(self.rows):,} labelled rows")
            made[_named(len(self.rows), 0)] = self.fit(self.rows, self.settings.base, self.work / "labelled")
        if labelled.examples:
            self.say(f"training on {len(labelled.examples):,} rows that the teacher labelled")
            student = teach(
                labelled.examples,
                base=self.settings.base,
                output=self.work / "taught",
                config=pseudo_label_settings(self.config),
                distillation=soft,
                watch=self.clock.begin(),
            )
            name = _named(len(self.rows), len(labelled.examples))
            if self.rows:
                self.say(f"training on {len(self.rows):,} labelled rows after these")
                student = self.fit(self.rows, str(student.folder), self.work / "both")
            made[name] = student
        if not made:
            raise DataError(
                "there is nothing to train on: no labelled row, and no text the teacher could label"
            )
        return made

    def fit(self, rows: Sequence[Example], base: str, folder: Path) -> Student:
        return teach(
            rows,
            base=base,
            output=folder,
            config=self.config,
            distillation=self.anchor,
            watch=self.clock.begin(),
        )

    def folds(self, labelled: Labelled) -> list[set[str]]:
        """The documents of each fold; none where nothing is to be chosen or calibrated across folds."""
        if self.settings.folds < 2 or not self.rows:
            return []
        is_chosen = bool(labelled.examples)
        if not is_chosen and (self.config.n_calibration or not can_calibrate(calibration_rows(self.rows))):
            return []
        folds = folds_of(self.rows, self.settings.folds, self.settings.seed)
        return folds if len(folds) > 1 else []

    def export(self, name: str, student: Student) -> Path:
        """The exported model; calibrated on held-out rows, or else with the base's calibration."""
        folder = self.work / f"{student.folder.name}-onnx"
        self.say(f"exporting: {name}")
        has_rows = bool(student.report.n_calibration)
        # The texts of the test rows, not their answers: how far the file is from torch there.
        texts = [replace(each, references=(), spans=(), answerable=None) for each in self.job.test]
        examples = None if has_rows else ()
        self.exports[name] = export(
            student.folder, folder, calibrate=examples, check=[*self.job.train, *texts]
        )
        shutil.copyfile(student.folder / LOG_FILE, folder / LOG_FILE)
        return folder

    def cross_validate(
        self, students: Mapping[str, Student], folds: Sequence[set[str]]
    ) -> dict[str, HeldOut]:
        """What students made in the same way, without a fold, make of it; empty without folds."""
        if not folds:
            return {}
        self.say(f"cross-validating in {len(folds)} folds")
        bases = (self.settings.base, str(self.work / "taught"))
        return {
            name: cross_validated(
                self.rows,
                lambda kept, folder, base=base: self.fit(kept, base, folder),  # type: ignore[misc]
                folds=folds,
                work=self.work / f"folds-{number}",
            )
            for number, (name, base) in enumerate(zip(students, bases, strict=False))
        }

    def choose(self, students: Mapping[str, Student], held_out: Mapping[str, HeldOut]) -> Choice:
        """The student to ship: the only one, or the better in cross-validation; the test plays no part."""
        *_, last = students
        if len(students) == 1:
            return Choice(last, "there is no other")
        if not held_out:
            return Choice(last, "not cross-validated: the texts were given to be used")
        found = {name: mean_f1(own.rows) or 0.0 for name, own in held_out.items()}
        best = max(found, key=lambda name: found[name])
        return Choice(best, "the better of both across folds of the labelled rows", found)

    def calibrate(self, student: Student, folder: Path, held_out: HeldOut) -> CrossFit | None:
        """Fit threshold and probabilities to what was held out; kept where they are better across folds.

        None where an eighth of the rows has calibrated the student, or the rows cannot.
        """
        if student.report.n_calibration:
            return None
        rows = FitRows.of(held_out.predictions, held_out.examples)
        fitted_on = (
            f"torch fp32 logits that students trained without them gave {len(rows)} rows, across folds"
        )
        try:
            fitted = cross_fit(rows, Calibration.load(folder), fitted_on=fitted_on, seed=self.settings.seed)
        except DataError as error:
            self.say(f"the calibration of the base stays: {error}")
            return None
        if fitted.is_better:
            for each in (student.folder, folder):
                fitted.calibration.save(each)
            note_calibration(folder, fitted.calibration)
        return fitted

    def keep(self, outcome: Outcome, folders: Mapping[str, Path]) -> None:
        """Move the chosen student to its place and pack it; one that was refused goes aside, unpacked."""
        name, is_accepted = outcome.choice.name, outcome.verdict.is_accepted
        place = self.output if is_accepted else self.output / REFUSED
        place.mkdir(parents=True, exist_ok=True)
        shutil.move(folders[name], place / MODEL)
        shutil.move(outcome.students[name].folder, place / CHECKPOINT)
        add_to_card(place / MODEL, outcome)
        if is_accepted:
            pack(place / MODEL, self.output / ARCHIVE)


def _named(n_rows: int, n_labelled: int) -> str:
    """What a student is called in the table."""
    parts = [f"{n_rows:,} labelled rows"] if n_rows else []
    parts += [f"{n_labelled:,} that the teacher labelled"] if n_labelled else []
    return f"fine-tuned on {' and '.join(parts)}"
