"""What the commands that read labelled rows share: names of columns, and what is said of rows left out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qa_extractive.data.columns import ColumnNames

TRAINING_PARTS = ("question", "context", "title", "answer", "id")
PARTS = (*TRAINING_PARTS, "answerable")


def add_columns(parser: argparse.ArgumentParser, parts: Sequence[str] = PARTS) -> None:
    """Declare an option for the name of each column."""
    group = parser.add_argument_group("columns, found by their usual names unless named")
    for part in parts:
        group.add_argument(f"--{part}-column", metavar="NAME", help=f"name of the {part} column")


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
