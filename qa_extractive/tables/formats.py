"""Which table format a file has, told by its name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from qa_extractive.errors import DataError

Kind = Literal["csv", "jsonl", "parquet"]
Compression = Literal["", "gzip", "zstd"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSONL = (".jsonl", ".ndjson")
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
_DOCUMENTS = (".docx", ".doc", ".odt", ".rtf", ".pptx")
_PAPERS = (".txt", ".xml", ".nxml")

MAX_ROW_CHARACTERS: Final = 1 << 24
"""Of one row of text; a longer one is refused before it is read, so that no file can fill the memory."""

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


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV or TSV is written, so that what comes of it can be written the same way.

    Attributes:
        delimiter: What parts the cells.
        has_mark: Whether a byte order mark comes first, without which Excel does not see that it is Unicode.
        has_sep_line: Whether a line like ``sep=;`` tells Excel the delimiter.
    """

    delimiter: str
    has_mark: bool = False
    has_sep_line: bool = False


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
    raise DataError(f"{path}: a table's name must end in {KNOWN_NAMES}: {_advice(suffix)}")


def _advice(suffix: str) -> str:
    """What to do with a file that is no table, by its extension."""
    if suffix in _SPREADSHEETS:
        return "save the sheet as 'CSV UTF-8' (in Excel: File, Save As) and give that file"
    prepare = "then run 'qa-extractive prepare FOLDER --output papers.csv'"
    if suffix == ".pdf":
        return f"ask PDFs with 'qa-extractive table'; or put them into a folder, {prepare}"
    if suffix in _DOCUMENTS:
        return f"save a table in it as 'CSV UTF-8'; save papers as .txt files in a folder, {prepare}"
    if suffix in _PAPERS:
        return f"name a table so; put papers into a folder, {prepare}"
    if suffix == ".json":
        return "if each of its lines is an object, name it .jsonl; otherwise save it as CSV or JSONL"
    return "rename or convert it"


def compression_of(path: Path) -> Compression:
    """The compression that the end of a file's name stands for, in any case."""
    return _COMPRESSIONS.get(path.suffix.lower(), "")


def check_columns(columns: tuple[str, ...], where: object) -> None:
    """Raise DataError where two columns share a name."""
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        names = ", ".join(repr(name) for name in repeated[:10])
        raise DataError(f"{where}: more than one column is named {names}: give each its own name")
