"""``--question-column`` and its like."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qa_extractive.data.columns import ColumnNames


def add_columns(parser: argparse.ArgumentParser, parts: Sequence[str]) -> None:
    """Declare an option for the name of each column."""
    group = parser.add_argument_group("columns, found by their usual names unless named")
    for part in parts:
        group.add_argument(f"--{part}-column", metavar="NAME", help=f"name of the {part} column")


def column_names(options: argparse.Namespace, parts: Sequence[str]) -> ColumnNames:
    """The columns that options name."""
    from qa_extractive.data.columns import ColumnNames

    return ColumnNames(**{part: getattr(options, f"{part}_column") for part in parts})
