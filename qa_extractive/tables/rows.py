"""One row of a table, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One data row.

    Attributes:
        number: Its place among the data rows, from 1; blank lines are not rows.
        values: The cell of every column, in the order of the columns; text exactly as it stands in
            a CSV or TSV, the value as typed in JSONL and Parquet, None where the row has none. Where
            only some columns of a Parquet file are asked for, the others are ``ArrowValue``.
        error: Why the row is bad, on one line, or None; ``values`` then holds what could be read.
        line: The line of the file on which it starts, from 1; None in Parquet.
        short: Of a row of a CSV that is not bad, but has fewer cells than there are columns, what to say
            where a missing one is needed; else None.
    """

    number: int
    values: dict[str, Any]
    error: str | None = None
    line: int | None = None
    short: str | None = None
