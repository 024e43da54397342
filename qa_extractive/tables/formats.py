"""Which table format a file has, told by its name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qa_extractive.errors import DataError

Kind = Literal["csv", "jsonl", "parquet"]
Compression = Literal["", "gzip", "zstd"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSONL = (".jsonl", ".ndjson")
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
KNOWN_NAMES = ".csv, .tsv, .jsonl (or .ndjson), each also with .gz or .zst, and .parquet"


@dataclass(frozen=True, slots=True)
class TableFormat:
    """The format of a table.

    Attributes:
        kind: What holds the rows.
        delimiter: What parts the cells of a CSV or TSV; else empty.
        compression: What the text is compressed with; empty for nothing.
    """

    kind: Kind
    delimiter: str = ""
    compression: Compression = ""


def table_format(path: Path) -> TableFormat:
    """The format that a file's extension names, in any case; DataError for one that is unknown."""
    compression = compression_of(path)
    suffix = (Path(path.stem) if compression else path).suffix.lower()
    if suffix in _DELIMITERS:
        return TableFormat("csv", _DELIMITERS[suffix], compression)
    if suffix in _JSONL:
        return TableFormat("jsonl", compression=compression)
    if suffix == ".parquet" and not compression:
        return TableFormat("parquet")
    raise DataError(f"{path}: a table's name must end in {KNOWN_NAMES}: rename or convert it")


def compression_of(path: Path) -> Compression:
    """The compression that the end of a file's name stands for, in any case."""
    return _COMPRESSIONS.get(path.suffix.lower(), "")


def check_columns(columns: tuple[str, ...], where: object) -> None:
    """Raise DataError where two columns share a name."""
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        names = ", ".join(repr(name) for name in repeated[:10])
        raise DataError(f"{where}: more than one column is named {names}: give each its own name")
