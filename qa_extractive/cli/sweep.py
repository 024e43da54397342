"""``sweep``: a file of several models in; all of them and their comparison out."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from qa_extractive.cli.labelled_rows import column_names, warn
from qa_extractive.cli.training_options import add_ends, say, training
from qa_extractive.cli.training_progress import TrainingLine

EXIT_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``sweep``."""
    parser.usage = "%(prog)s F --output D [options]"
    parser.add_argument(
        "file", type=Path, metavar="F", help="data and models: a JSON file, docs/FINE_TUNE.md"
    )
    parser.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    add_ends(parser, has_base=False)


@training
def run(options: argparse.Namespace) -> int:
    """Train, export and compare all models of a file; 0, or ``EXIT_FAILED`` if one failed."""
    from qa_extractive.finetune.checks import check
    from qa_extractive.finetune.job import read_files
    from qa_extractive.finetune.models_file import ModelsFile
    from qa_extractive.finetune.report import findings_lines

    models = ModelsFile.load(options.file)
    job = read_files(
        models.data,
        test=models.test,
        test_labels=models.test_labels,
        hold_out=models.hold_out,
        names=column_names(options),
        warn=warn,
    )
    checked = check(job)
    print("\n".join(findings_lines(checked.findings)))
    checked.require_usable()

    from qa_extractive.finetune.models_report import comparison_lines, write_comparison
    from qa_extractive.finetune.models_run import run_models

    logging.getLogger("qa_extractive").setLevel(logging.WARNING)
    compared = run_models(
        models, checked.job, options.output, resume=options.resume, say=say, watch=TrainingLine(say)
    )
    paths = write_comparison(options.output, compared)
    print("\n".join(["", *comparison_lines(compared), "", *(f"written: {path}" for path in paths)]))
    return EXIT_FAILED if compared.n_failed else 0
