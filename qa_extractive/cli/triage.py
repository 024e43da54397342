"""``triage``: rows of yes or no in; a model that sorts papers, and how it compares, out."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from qa_extractive.cli.labelled_rows import column_names
from qa_extractive.cli.training_options import add_ends, add_settings, add_test_rows, overrides, say, training
from qa_extractive.cli.training_progress import TrainingLine
from qa_extractive.errors import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``triage``."""
    parser.usage = "%(prog)s F --output D [options]"
    parser.add_argument(
        "rows",
        type=Path,
        metavar="F",
        help="rows of question, context and a label, yes or no: a table, or a folder with train and test; "
        "docs/FINE_TUNE.md",
    )
    parser.add_argument(
        "--train-encoder",
        action="store_true",
        help="train the encoder too, not the answerability head alone: slower, and spans change",
    )
    add_test_rows(parser)
    parser.add_argument("--label-column", metavar="NAME", help="name of the label column")
    add_ends(parser)
    add_settings(parser)


@training
def run(options: argparse.Namespace) -> int:
    """Train, export and measure; 0."""
    from qa_extractive.archive.unpack import unpacked
    from qa_extractive.finetune.triage.report import rows_lines, score_lines, write_triage
    from qa_extractive.finetune.triage.rows import read_triage
    from qa_extractive.finetune.triage.run import ARCHIVE, TriageSettings, run_triage

    if options.rows.is_dir() and (options.test or options.hold_out is not None):
        raise DataError("--test and --hold-out are of a table: a folder has its own test rows")
    settings = overrides(options)
    further = {name: value for name, value in settings.items() if name != "seed"}
    if further and not options.train_encoder:
        name = next(iter(further)).replace("_", "-")
        raise DataError(f"--{name} needs --train-encoder: the head alone is cross-validated instead")
    logging.getLogger("qa_extractive").setLevel(logging.WARNING)
    seed = settings.get("seed", 17)
    rows = read_triage(
        options.rows,
        test=options.test,
        hold_out=options.hold_out,
        names=column_names(options),
        label=options.label_column,
        seed=seed,
    )
    print("\n".join(rows_lines(rows)))
    how = TriageSettings(
        base=unpacked(options.base), train_encoder=options.train_encoder, overrides=further, seed=seed
    )
    outcome = run_triage(rows, how, options.output, say=say, watch=TrainingLine(say))
    report = write_triage(options.output, outcome)
    print("\n".join(["", *score_lines(outcome), "", f"report: {report}"]))
    print(f"next: python infer.py --batch data/inference_data.csv --model {options.output / ARCHIVE}")
    return 0
