"""Which table format a file has, told by its name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qa_extractive.errors import DataError

Kind = Literal["csv", "jsonl", "parquet"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSONL = (".jsonl", ".ndjson")
KNOWN_NAMES = ".csv, .tsv, .jsonl (or .ndjson), each also with .gz, and .parquet"


@dataclass(frozen=True, slots=True)
class TableFormat:
    """The format of a table.

    Attributes:
        kind: What holds the rows.
        delimiter: What parts the cells of a CSV or TSV; else empty.
        gzipped: Whether the text is compressed with gzip.
    """

    kind: Kind
    delimiter: str = ""
    gzipped: bool = False


def table_format(path: Path) -> TableFormat:
    """The format that a file's extension names, in any case; DataError for one that is unknown."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[:-1][-1:] if gzipped else suffixes[-1:])
    if suffix in _DELIMITERS:
        return TableFormat("csv", _DELIMITERS[suffix], gzipped)
    if suffix in _JSONL:
        return TableFormat("jsonl", gzipped=gzipped)
    if suffix == ".parquet" and not gzipped:
        return TableFormat("parquet")
    raise DataError(f"{path}: a table's name must end in {KNOWN_NAMES}: rename or convert it")


def check_columns(columns: tuple[str, ...], where: object) -> None:
    """Raise DataError where two columns share a name."""
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        names = ", ".join(repr(name) for name in repeated[:10])
        raise DataError(f"{where}: more than one column is named {names}: give each its own name")
