"""``finetune``: a task folder in; a student, its report and an exit code out."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.endpoint_options import add_endpoint_arguments, endpoint_settings
from qa_extractive.cli.labelled_rows import column_names
from qa_extractive.cli.training_options import add_ends, add_settings, given, overrides, say, training
from qa_extractive.cli.training_progress import TrainingLine
from qa_extractive.errors import DataError
from qa_extractive.training.distributed import n_processes

if TYPE_CHECKING:
    from qa_extractive.finetune.job import Job
    from qa_extractive.finetune.outcome import Outcome, TaskSettings

EXIT_REFUSED = 4
EXIT_WEAK_TEACHER = 5
_NONE = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``finetune``."""
    parser.usage = "%(prog)s DIR --output D [options]"
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="a task folder: train.csv, test.csv, perhaps unstructured.csv; docs/FINE_TUNE.md",
    )
    add_ends(parser)
    add_student_arguments(parser)


def add_student_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Declare what ``update`` takes too; the group of the teacher."""
    group = parser.add_argument_group("the teacher and the texts that it labels")
    group.add_argument(
        "--unlabelled", nargs="+", type=Path, default=[], metavar="F", help="tables of texts without answers"
    )
    group.add_argument(
        "--replay",
        nargs="+",
        type=Path,
        default=[],
        metavar="F",
        help="earlier labelled rows to train on again",
    )
    group.add_argument(
        "--teacher",
        nargs="+",
        default=[],
        metavar="T",
        help="what labels the texts: 'default', a folder, hf:ID, several of these with one tokenizer, or "
        "openai:NAME (default: the embedded model; for update, M)",
    )
    group.add_argument("--n-contexts", type=int, metavar="N", help="texts to label; 0 for all (200)")
    group.add_argument("--n-questions", type=int, metavar="N", help="questions for each text (3)")
    group.add_argument("--min-score", type=float, metavar="P", help="lowest score of a label (0.5)")
    group.add_argument("--min-agreement", type=float, metavar="F1", help="lowest F1 of the round trip (0.6)")
    group.add_argument(
        "--min-teacher-f1",
        type=float,
        metavar="F1",
        help="lowest F1, in [0, 1], of the teacher on the training rows (default: above the best baseline)",
    )
    group.add_argument(
        "--distillation-weight", type=float, metavar="W", help="weight of the teacher's logits (1)"
    )
    group.add_argument("--temperature", type=float, metavar="T", help="temperature of the logits (2)")
    group.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="cross-validation that decides on the unlabelled texts and, of fewer than 400 rows, fits "
        "threshold and probabilities; 0: none (3)",
    )
    _add_gate_arguments(parser)
    add_settings(parser)
    add_endpoint_arguments(parser)
    return group


def _add_gate_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        f"the gate: a model that fails is kept aside and not packed, exit code {EXIT_REFUSED}"
    )
    group.add_argument("--min-f1", type=float, metavar="F1", help="lowest F1 on the test rows, in [0, 1]")
    group.add_argument(
        "--no-worse-than",
        metavar="M",
        help="model that it must not score below (default: the one it starts from); 'none' for no such gate",
    )
    group.add_argument(
        "--tolerance", type=float, default=0.0, metavar="F1", help="how far below it may score (0)"
    )


@training
def run(options: argparse.Namespace) -> int:
    """Make a student; 0, ``EXIT_REFUSED`` or ``EXIT_WEAK_TEACHER``."""
    return make_student(options, read_folder(options), options.base)


def read_folder(options: argparse.Namespace) -> Job:
    """The job of a task folder."""
    from qa_extractive.finetune.job import read_task_folder
    from qa_extractive.finetune.triage.rows import holds_labels

    if holds_labels(options.folder):
        raise DataError(f"{options.folder} holds labels, yes or no, and no answers: give it to triage")
    return read_task_folder(
        options.folder, column_names(options), unlabelled=options.unlabelled, replay=options.replay
    )


def make_student(options: argparse.Namespace, job: Job, base: str, *, keeps_base: bool = False) -> int:
    """Make a student of a job.

    Args:
        options: As parsed.
        job: What to train on.
        base: What to start from.
        keeps_base: Whether the student is to keep what that model knows.

    Returns:
        0, ``EXIT_REFUSED`` or ``EXIT_WEAK_TEACHER``.
    """
    from qa_extractive.finetune.checks import check
    from qa_extractive.finetune.outcome import WeakTeacherError
    from qa_extractive.finetune.report import file_line, findings_lines, score_lines, verdict_lines
    from qa_extractive.finetune.run import accepts, run_job

    if n_processes() > 1:
        raise DataError("finetune and update are for one process: start them without torchrun")
    logging.getLogger("qa_extractive").setLevel(logging.WARNING)
    settings = _settings(options, base, keeps_base)
    checked = check(job, accepts=accepts(settings.base))
    print("\n".join(findings_lines(checked.findings)))
    checked.require_usable()
    try:
        outcome = run_job(
            checked,
            settings,
            options.output,
            endpoint=endpoint_settings(options),
            say=say,
            watch=TrainingLine(say, says_estimate=False),
        )
    except WeakTeacherError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_WEAK_TEACHER
    print("\n".join(["", *score_lines(outcome.scores), "", *verdict_lines(outcome.verdict)]))
    print(file_line(outcome.file))
    return _ended(outcome, options.output)


def _ended(outcome: Outcome, output: Path) -> int:
    from qa_extractive.finetune.report import MARKDOWN_FILE
    from qa_extractive.finetune.run import ARCHIVE, REFUSED

    changed = "" if outcome.changes is None else f"; {outcome.changes.counts} than {outcome.base_name}"
    if not outcome.verdict.is_accepted:
        failed, aside = "; ".join(outcome.verdict.failed), output / REFUSED
        anyway = "; to ship it anyway: --no-worse-than none" if " against " in failed else ""
        print(
            f"refused: {failed}{changed}; kept aside in {aside}; why: {output / MARKDOWN_FILE}{anyway}",
            file=sys.stderr,
        )
        return EXIT_REFUSED
    print(
        f"shipped: {outcome.choice.name} ({outcome.choice.reason}){changed}; report: {output / MARKDOWN_FILE}"
    )
    print(f"next: python infer.py --batch data/inference_data.csv --model {output / ARCHIVE}")
    return 0


def _settings(options: argparse.Namespace, started_from: str, keeps_base: bool) -> TaskSettings:
    from qa_extractive.archive.unpack import unpacked
    from qa_extractive.finetune.gate import Gate
    from qa_extractive.finetune.outcome import TaskSettings
    from qa_extractive.finetune.pseudo_labels import LabellingSettings

    labelling = {
        name: getattr(options, name) for name in ("n_contexts", "n_questions", "min_score", "min_agreement")
    }
    further = {
        name: getattr(options, name)
        for name in ("distillation_weight", "temperature", "folds", "min_teacher_f1")
    }
    further["anchor_weight"] = getattr(options, "anchor_weight", None)  # of update
    if options.seed is not None:
        further["seed"] = labelling["seed"] = options.seed
    base = unpacked(started_from)
    return TaskSettings(
        base=base,
        keeps_base=keeps_base,
        teacher=tuple(map(unpacked, options.teacher)),
        overrides=overrides(options),
        labelling=LabellingSettings(**given(labelling)),
        gate=Gate(options.min_f1, options.tolerance),
        no_worse_than=_other(options.no_worse_than, started_from, base),
        **given(further),
    )


def _other(named: str | None, started_from: str, base: str) -> str | None:
    """The model that the gate compares with: the one named, or the one that the student starts from."""
    from qa_extractive.archive.unpack import unpacked

    name = named or started_from
    if name == _NONE:
        return None
    return base if name == started_from else unpacked(name)
