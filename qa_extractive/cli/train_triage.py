"""``train --triage``: rows of yes or no in; a model that sorts papers, and how it compares, out."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_extractive.cli.train_task import column_names
from qa_extractive.cli.training_progress import TrainingLine
from qa_extractive.errors import DataError

_NOT_WITH = ("data", "recipe", "config", "init", "unlabelled", "replay", "teacher", "test_labels", "min_f1",
             "no_worse_than", "resume", "allow_pickle")  # fmt: skip


def add_triage_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of sorting papers."""
    group = parser.add_argument_group("sorting papers (--triage), docs/FINE_TUNE.md")
    group.add_argument(
        "--triage",
        type=Path,
        metavar="F",
        help="rows of question, context and a label, yes or no: a table, or a folder with train and test; "
        "--test and --hold-out as with --init",
    )
    group.add_argument("--label-column", metavar="NAME", help="column that holds the label")
    group.add_argument(
        "--train-encoder",
        action="store_true",
        help="train the encoder too, not the answerability head alone: slower, and spans change",
    )


def is_triage(options: argparse.Namespace) -> bool:
    """Whether papers are to be sorted; DataError where the options contradict each other."""
    from qa_extractive.finetune.triage.rows import holds_labels

    if options.triage is None and options.task is not None and holds_labels(options.task):
        options.triage, options.task = options.task, None
    if options.triage is None:
        for name in ("train_encoder", "label_column"):
            if getattr(options, name):
                raise DataError(f"--{name.replace('_', '-')} needs --triage")
        return False
    stray = [name for name in (*_NOT_WITH, "task") if getattr(options, name)]
    if stray:
        raise DataError(f"--{stray[0].replace('_', '-')} does not go with --triage")
    if options.triage.is_dir() and (options.test or options.hold_out is not None):
        raise DataError("--test and --hold-out are of a table: a folder has its own test rows")
    return True


def run_triage_command(options: argparse.Namespace, overrides: Mapping[str, Any]) -> int:
    """Train, export and measure; 0."""
    from qa_extractive.archive.unpack import unpacked
    from qa_extractive.finetune.triage.report import rows_lines, score_lines, write_triage
    from qa_extractive.finetune.triage.rows import read_triage
    from qa_extractive.finetune.triage.run import ARCHIVE, TriageSettings, run_triage

    further = {name: value for name, value in overrides.items() if name != "seed"}
    if further and not options.train_encoder:
        name = next(iter(further)).replace("_", "-")
        raise DataError(f"--{name} needs --train-encoder: the head alone is cross-validated instead")
    logging.getLogger("qa_extractive").setLevel(logging.WARNING)
    seed = overrides.get("seed", 17)
    rows = read_triage(
        options.triage,
        test=options.test,
        hold_out=options.hold_out,
        names=column_names(options),
        label=options.label_column,
        seed=seed,
    )
    print("\n".join(rows_lines(rows)))
    settings = TriageSettings(
        base=unpacked(options.base), train_encoder=options.train_encoder, overrides=further, seed=seed
    )
    outcome = run_triage(rows, settings, options.output, say=_say, watch=TrainingLine(_say))
    report = write_triage(options.output, outcome)
    print("\n".join(["", *score_lines(outcome), "", f"report: {report}"]))
    print(f"next: python infer.py --batch data/inference_data.csv --model {options.output / ARCHIVE}")
    return 0


def _say(line: str) -> None:
    print(f"- {line}", flush=True)
