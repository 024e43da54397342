"""``train --task`` and ``train --init``: options in; a student, its report and an exit code out."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_extractive.cli.endpoint_options import add_endpoint_arguments, endpoint_settings
from qa_extractive.cli.training_progress import TrainingLine
from qa_extractive.errors import DataError

if TYPE_CHECKING:
    from qa_extractive.data.columns import ColumnNames
    from qa_extractive.finetune.checks import CheckedJob
    from qa_extractive.finetune.job import Job
    from qa_extractive.finetune.outcome import Outcome, TaskSettings

EXIT_REFUSED = 4
EXIT_WEAK_TEACHER = 5
_NONE = "none"


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a task and of retraining, each group by itself."""
    group = parser.add_argument_group("a task (--task) or retraining (--init), docs/FINE_TUNE.md")
    group.add_argument(
        "--init",
        metavar="M",
        help="continue from this model and keep what it knows: 'default', a folder, an archive",
    )
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
        "openai:NAME (default: --init, or the embedded model)",
    )
    group.add_argument("--n-contexts", type=int, metavar="N", help="texts to label; 0 for all (200)")
    group.add_argument("--n-questions", type=int, metavar="N", help="questions for each text (3)")
    group.add_argument("--min-score", type=float, metavar="P", help="least score of a label (0.5)")
    group.add_argument("--min-agreement", type=float, metavar="F1", help="least F1 of the round trip (0.6)")
    group.add_argument(
        "--min-teacher-f1",
        type=float,
        metavar="F1",
        help="least F1, in [0, 1], of the teacher on the training rows (more than the best baseline)",
    )
    group.add_argument("--distillation-weight", type=float, metavar="W", help="of the teacher's logits (1)")
    group.add_argument("--anchor-weight", type=float, metavar="W", help="of --init's logits; 0 for none (1)")
    group.add_argument("--temperature", type=float, metavar="T", help="of both (2)")
    group.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="cross-validation that decides on the unlabelled texts and, of fewer than 400 rows, fits "
        "threshold and probabilities; 0: none (3)",
    )
    _add_gate_arguments(parser)
    add_endpoint_arguments(parser)


def _add_gate_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        f"the gate: a model that fails is kept aside and not packed, exit code {EXIT_REFUSED}"
    )
    group.add_argument("--min-f1", type=float, metavar="F1", help="least F1 on the test rows, in [0, 1]")
    group.add_argument(
        "--no-worse-than",
        metavar="M",
        help="model that it must not score less than: the one it starts from, unless named; 'none' for no "
        "such gate",
    )
    group.add_argument("--tolerance", type=float, default=0.0, metavar="F1", help="by how much it may (0)")
    group.add_argument(
        "--test", nargs="+", type=Path, default=[], metavar="F", help="test rows of --init --data"
    )
    group.add_argument("--test-labels", type=Path, metavar="F", help="their answers, joined on the id")
    group.add_argument(
        "--hold-out",
        type=int,
        metavar="N",
        help="without --test: rows of --data to hold out, whole documents (a fifth)",
    )


def is_task(options: argparse.Namespace) -> bool:
    """Whether the options ask for a task or for retraining; DataError where they contradict each other."""
    asked = options.task is not None or options.init is not None
    if options.init is not None and options.recipe is not None:
        raise DataError("--init takes --data or --task, not --recipe: give the model as --base")
    if options.init is not None and options.base != "default":
        raise DataError("--init is what it starts from: give it or --base, not both")
    if asked and options.resume:
        raise DataError("--resume is of --data and --recipe: a task is run anew, in another --output")
    if options.task is not None and (options.test or options.test_labels or options.hold_out is not None):
        raise DataError("--test, --test-labels and --hold-out are of --data: a task has its own test rows")
    if not asked:
        stray = [name for name in ("unlabelled", "teacher", "test", "replay") if getattr(options, name)]
        stray += [name for name in ("min_f1", "no_worse_than") if getattr(options, name) is not None]
        if stray:
            raise DataError(f"--{stray[0].replace('_', '-')} needs --task or --init")
    return asked


def run_task(options: argparse.Namespace, overrides: Mapping[str, Any]) -> int:
    """Make a student; 0, ``EXIT_REFUSED`` or ``EXIT_WEAK_TEACHER``."""
    from qa_extractive.finetune.outcome import WeakTeacherError
    from qa_extractive.finetune.report import file_line, findings_lines, score_lines, verdict_lines
    from qa_extractive.finetune.run import run_job

    logging.getLogger("qa_extractive").setLevel(logging.WARNING)
    settings = _settings(options, overrides)
    checked = _checked(options, settings)
    print("\n".join(findings_lines(checked.findings)))
    checked.require_usable()
    try:
        outcome = run_job(
            checked,
            settings,
            options.output,
            endpoint=endpoint_settings(options),
            say=_say,
            watch=TrainingLine(_say, says_estimate=False),
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


def _say(line: str) -> None:
    print(f"- {line}", flush=True)


def _settings(options: argparse.Namespace, overrides: Mapping[str, Any]) -> TaskSettings:
    from qa_extractive.archive.unpack import unpacked
    from qa_extractive.finetune.gate import Gate
    from qa_extractive.finetune.outcome import TaskSettings
    from qa_extractive.finetune.pseudo_labels import LabellingSettings

    labelling = {
        name: getattr(options, name) for name in ("n_contexts", "n_questions", "min_score", "min_agreement")
    }
    further = {
        name: getattr(options, name)
        for name in ("distillation_weight", "anchor_weight", "temperature", "folds", "min_teacher_f1")
    }
    if options.seed is not None:
        further["seed"] = labelling["seed"] = options.seed
    base = unpacked(options.init or options.base)
    return TaskSettings(
        base=base,
        keeps_base=options.init is not None,
        teacher=tuple(map(unpacked, options.teacher)),
        overrides=overrides,
        labelling=LabellingSettings(**_given(labelling)),
        gate=Gate(options.min_f1, options.tolerance),
        no_worse_than=_other(options, base),
        **_given(further),
    )


def _other(options: argparse.Namespace, base: str) -> str | None:
    """The model that the gate compares with: the one named, or the one that the student starts from."""
    from qa_extractive.archive.unpack import unpacked

    started_from = options.init or options.base
    name: str = options.no_worse_than or started_from
    if name == _NONE:
        return None
    return base if name == started_from else unpacked(name)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _checked(options: argparse.Namespace, settings: TaskSettings) -> CheckedJob:
    """The job, without the rows that the base cannot read."""
    from qa_extractive.finetune.checks import check
    from qa_extractive.finetune.run import accepts

    return check(_job(options), accepts=accepts(settings.base))


def _job(options: argparse.Namespace) -> Job:
    from qa_extractive.finetune.job import read_files, read_task_folder

    if options.task is not None:
        return read_task_folder(
            options.task, column_names(options), unlabelled=options.unlabelled, replay=options.replay
        )
    return read_files(
        options.data or (),
        unlabelled=options.unlabelled,
        replay=options.replay,
        test=options.test,
        test_labels=options.test_labels,
        hold_out=options.hold_out,
        names=column_names(options),
        warn=lambda message: print(f"warning: {message}", file=sys.stderr),
    )


def column_names(options: argparse.Namespace) -> ColumnNames:
    """The columns that options name."""
    from qa_extractive.data.columns import ColumnNames

    parts = ("question", "context", "title", "answer", "id")
    return ColumnNames(**{part: getattr(options, f"{part}_column") for part in parts})
