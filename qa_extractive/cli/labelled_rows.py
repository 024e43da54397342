"""What the commands that read labelled rows share: names of columns, and what is said of rows left out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qa_extractive.errors import DataError

if TYPE_CHECKING:
    from qa_extractive.data.columns import ColumnNames

TRAINING_PARTS = ("question", "context", "title", "answer", "id")
PARTS = (*TRAINING_PARTS, "answerable")


def add_columns(parser: argparse.ArgumentParser, parts: Sequence[str] = PARTS) -> None:
    """Declare an option for the name of each column."""
    group = parser.add_argument_group("columns, found by their usual names unless named")
    for part in parts:
        group.add_argument(f"--{part}-column", metavar="NAME", help=f"name of the {part} column")


def add_answerable_share(parser: argparse.ArgumentParser) -> None:
    """Declare the option for the share of answerable questions in use."""
    parser.add_argument(
        "--answerable-share",
        type=float,
        metavar="S",
        help="share of answerable questions that the threshold is chosen for (default: that of the labelled "
        "rows)",
    )


def check_answerable_share(options: argparse.Namespace) -> None:
    """Raise DataError for a share that is none."""
    share = options.answerable_share
    if share is not None and not 0.0 < share < 1.0:
        raise DataError(f"--answerable-share must lie between 0 and 1, got {share:g}")


def column_names(options: argparse.Namespace) -> ColumnNames:
    """The columns that options name."""
    from qa_extractive.data.columns import ColumnNames

    return ColumnNames(**{part: getattr(options, f"{part}_column", None) for part in PARTS})


def warn(message: str) -> None:
    """Print a warning on stderr."""
    print(f"warning: {message}", file=sys.stderr)


def warn_of_skipped(problems: Sequence[object], n_shown: int, of: str = "") -> None:
    """Print the first rows that could not be read, and how many more there are."""
    for problem in problems[:n_shown]:
        warn(f"skipped {problem}")
    if len(problems) > n_shown:
        warn(f"skipped {len(problems) - n_shown:,} more rows{of}")
