"""``update``: a model and new rows in; a better model that keeps what it knew, or a refusal, out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.finetune import add_student_arguments, make_student, read_folder
from qa_extractive.cli.labelled_rows import column_names, warn
from qa_extractive.cli.training_options import add_ends, add_test_rows, training
from qa_extractive.errors import DataError

if TYPE_CHECKING:
    from qa_extractive.finetune.job import Job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``update``."""
    parser.usage = "%(prog)s M (--data F [F ...] | --task DIR) --output D [options]"
    parser.add_argument("model", metavar="M", help="the model: 'default', a folder, an archive")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", nargs="+", type=Path, metavar="F", help="new rows")
    data.add_argument(
        "--task", dest="folder", type=Path, metavar="DIR", help="or a task folder, as of finetune"
    )
    add_ends(parser, has_base=False)
    add_test_rows(parser)
    parser.add_argument("--test-labels", type=Path, metavar="F", help="answers of --test, joined on the id")
    add_student_arguments(parser).add_argument(
        "--anchor-weight", type=float, metavar="W", help="weight of the logits of M; 0 for none (1)"
    )


@training
def run(options: argparse.Namespace) -> int:
    """Make a student; the codes of ``finetune``."""
    if options.folder and (options.test or options.test_labels or options.hold_out is not None):
        raise DataError("--test, --test-labels and --hold-out are of --data: a task has its own test rows")
    return make_student(options, _job(options), options.model, keeps_base=True)


def _job(options: argparse.Namespace) -> Job:
    from qa_extractive.finetune.job import read_files

    if options.folder:
        return read_folder(options)
    return read_files(
        options.data,
        unlabelled=options.unlabelled,
        replay=options.replay,
        test=options.test,
        test_labels=options.test_labels,
        hold_out=options.hold_out,
        names=column_names(options),
        warn=warn,
    )
