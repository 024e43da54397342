"""``train --config``: a file of several models in; all of them and their comparison out."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_extractive.cli.training_progress import TrainingLine
from qa_extractive.errors import DataError

EXIT_FAILED = 1
_NOT_WITH = ("init", "unlabelled", "replay", "teacher", "test", "test_labels", "hold_out", "min_f1",
             "no_worse_than", "data_root")  # fmt: skip


def add_models_arguments(parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup) -> None:
    """Declare ``--config``."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="F",
        help="several models in one run, with a comparison: a JSON file, docs/FINE_TUNE.md",
    )


def run_models_file(options: argparse.Namespace, overrides: Mapping[str, Any]) -> int:
    """Train, export and compare all models of a file; 0, or ``EXIT_FAILED`` if one failed."""
    from qa_extractive.cli.train_task import column_names
    from qa_extractive.finetune.checks import check
    from qa_extractive.finetune.job import read_files
    from qa_extractive.finetune.models_file import ModelsFile
    from qa_extractive.finetune.report import findings_lines

    _check_options(options, overrides)
    models = ModelsFile.load(options.config)
    job = read_files(
        models.data,
        test=models.test,
        test_labels=models.test_labels,
        hold_out=models.hold_out,
        names=column_names(options),
        warn=lambda message: print(f"warning: {message}", file=sys.stderr),
    )
    checked = check(job)
    print("\n".join(findings_lines(checked.findings)))
    checked.require_usable()

    from qa_extractive.finetune.models_report import comparison_lines, write_comparison
    from qa_extractive.finetune.models_run import run_models

    logging.getLogger("qa_extractive").setLevel(logging.WARNING)
    compared = run_models(
        models, checked.job, options.output, resume=options.resume, say=_say, watch=TrainingLine(_say)
    )
    paths = write_comparison(options.output, compared)
    print("\n".join(["", *comparison_lines(compared), "", *(f"written: {path}" for path in paths)]))
    return EXIT_FAILED if compared.n_failed else 0


def _check_options(options: argparse.Namespace, overrides: Mapping[str, Any]) -> None:
    given = [*overrides, *(name for name in _NOT_WITH if getattr(options, name))]
    given += ["base"] if options.base != "default" else []
    given += ["allow_pickle"] if options.allow_pickle else []
    if given:
        raise DataError(f"--{given[0].replace('_', '-')} does not go with --config: say it in that file")


def _say(line: str) -> None:
    print(f"- {line}", flush=True)
