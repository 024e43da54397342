"""Tables out: CSV, TSV, JSONL (each also .gz or .zst) and Parquet, whole or not at all.

Rows go to a temporary file in the folder of the target, which takes the target's name once all are
written. Lone surrogates, which no encoding can hold, are written as U+FFFD.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Protocol

from qa_extractive.errors import DataError
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.arrow_values import ArrowValue
from qa_extractive.tables.compression import compressed, require_compression
from qa_extractive.tables.dialects import DELIMITERS, sep_line_delimiter
from qa_extractive.tables.formats import Dialect, TableFormat, check_columns, table_format
from qa_extractive.tables.parquet import write_parquet
from qa_extractive.tables.surrogates import has_surrogates, replace_surrogates
from qa_extractive.tables.text_files import os_reason

__all__ = [
    "RowWriter",
    "TextLines",
    "cells_of",
    "checked_target",
    "replace_surrogates",
    "write_rows",
    "writing",
]

_MARK = "\ufeff"
_QUOTE = '"'
_LONGEST_SUFFIX = ".run.json.tmp"  # of the files that are beside a table while it is written


class RowWriter(Protocol):
    """Takes rows, in order."""

    def write(self, values: Mapping[str, Any]) -> None:
        """Add a row.

        Args:
            values: A value by column; a column that is left out is None. None is an empty cell (null
                in JSONL and Parquet). In a CSV or TSV, text is written as it is, dates and times as text,
                anything else as JSON.

        Raises:
            DataError: The file cannot be written, or a value belongs to no column.
        """


@contextmanager
def write_rows(path: str | os.PathLike[str], columns: Sequence[str]) -> Iterator[RowWriter]:
    """A writer of rows to a file that appears, or replaces the one there, when the block ends well.

    After an exception the target is as it was, and nothing is left beside it. Parquet is held in memory
    until the end; the other formats are not.

    Args:
        path: The target; its extension names the format as in ``read_rows``.
        columns: The names of the columns, in order.

    Raises:
        DataError: The format is unknown, a column is repeated, or the file cannot be written.
    """
    target = checked_target(Path(path))
    layout = table_format(target)
    check_columns(tuple(columns), target)
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    with writing(target):
        writer = _open_writer(target, temporary, layout, tuple(columns))
    try:
        yield writer
        with writing(target):
            writer.finish()
            temporary.replace(target)
    except BaseException:
        writer.abandon()
        temporary.unlink(missing_ok=True)
        raise


class _Writer(RowWriter, Protocol):
    def finish(self) -> None: ...

    def abandon(self) -> None: ...


def checked_target(path: Path) -> Path:
    """The file to write, links followed; DataError where there cannot be one."""
    with naming(path):
        target = path.resolve()
        require_compression(table_format(target).compression)
        if target.is_dir():
            raise DataError(f"{target} is a folder: give a file")
        if not target.parent.is_dir():
            raise DataError(f"{target.parent} is not a folder that exists: create it first")
        if target.is_symlink():  # they were followed above
            raise DataError(f"{path} is a link that leads back to itself: give a file")
        if target.exists() and not target.is_file():
            raise DataError(f"{target} is not a regular file: give another file")
        _require_room_for_name(target)
    return target


def _require_room_for_name(target: Path) -> None:
    """Raise OSError where the file, or one beside it, would have too long a name."""
    with suppress(FileNotFoundError):
        target.with_name(f"{target.name}{_LONGEST_SUFFIX}").lstat()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what is wrong with the name of a file (too long, a loop of links) into a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be used: {os_reason(error)}: give another file") from None
    except RuntimeError:  # before Python 3.13
        raise DataError(f"{path} leads through a link back to itself: give another file") from None


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn an OSError into the DataError that this file cannot be written."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{target} cannot be written: {os_reason(error)}") from error


def _open_writer(target: Path, temporary: Path, layout: TableFormat, columns: tuple[str, ...]) -> _Writer:
    if layout.kind == "parquet":
        return _ParquetWriter(target, temporary, columns)
    return _TextWriter(target, temporary, layout, columns)


class _TextWriter:
    def __init__(self, target: Path, temporary: Path, layout: TableFormat, columns: tuple[str, ...]) -> None:
        self._target = target
        self._lines = TextLines(Dialect(layout.delimiter), columns)
        self._file = temporary.open("xb")
        stream = compressed(self._file, layout.compression) if layout.compression else self._file
        self._text = TextIOWrapper(stream, "utf-8", newline="")
        self._text.write(self._lines.head())

    def write(self, values: Mapping[str, Any]) -> None:
        line = self._lines.row(values)
        with writing(self._target):
            self._text.write(line)

    def finish(self) -> None:
        self._text.close()
        self._file.close()

    def abandon(self) -> None:
        with suppress(OSError, ValueError):
            self._text.close()
        with suppress(OSError):
            self._file.close()


class _ParquetWriter:
    def __init__(self, target: Path, temporary: Path, columns: tuple[str, ...]) -> None:
        require_pyarrow()
        temporary.touch(exist_ok=False)
        self._target = target
        self._temporary = temporary
        self._values: dict[str, list[Any]] = {name: [] for name in columns}

    def write(self, values: Mapping[str, Any]) -> None:
        for column, cell in zip(self._values.values(), cells_of(values, tuple(self._values)), strict=True):
            column.append(replace_surrogates(cell))

    def finish(self) -> None:
        columns = {replace_surrogates(name): cells for name, cells in self._values.items()}
        write_parquet(self._temporary, columns)

    def abandon(self) -> None:
        self._values.clear()


class TextLines:
    """The lines of a CSV, TSV or JSONL file, without lone surrogates."""

    def __init__(self, dialect: Dialect, columns: tuple[str, ...]) -> None:
        """Take how it is written, of JSONL without a delimiter, and the names of the columns, in order."""
        self._dialect = dialect
        self._delimiter = dialect.delimiter
        self._columns = columns

    def head(self) -> str:
        """What comes before the rows; nothing in JSONL."""
        if not self._delimiter:
            return ""
        mark = _MARK if self._dialect.has_mark else ""
        sep_line = f"sep={self._delimiter}\n" if self._dialect.has_sep_line else ""
        return mark + sep_line + str(replace_surrogates(_head_line(self._columns, self._delimiter)))

    def row(self, values: Mapping[str, Any]) -> str:
        """The line of a row; see ``RowWriter.write``."""
        cells = [_without_arrow(cell) for cell in cells_of(values, self._columns)]
        line = self._line(cells)
        return self._line(replace_surrogates(cells)) if has_surrogates(line) else line

    def _line(self, cells: Sequence[Any]) -> str:
        if self._delimiter:
            return _csv_line([_cell_text(cell) for cell in cells], self._delimiter)
        return _json_text(dict(zip(self._columns, cells, strict=True))) + "\n"


def _without_arrow(cell: Any) -> Any:
    return cell.plain() if isinstance(cell, ArrowValue) else cell


def cells_of(values: Mapping[str, Any], columns: tuple[str, ...]) -> list[Any]:
    """The cell of each column, None where there is none; DataError for a value without a column."""
    unknown = values.keys() - columns
    if unknown:
        names = ", ".join(map(repr, sorted(unknown)))
        raise DataError(f"no such column: {names}: name it when opening the writer")
    return [values.get(name) for name in columns]


def _cell_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    text = _json_text(value)
    if text.startswith('"'):  # a date or the like, of which JSON has none
        return str(json.loads(text))
    return "" if text == "null" else text


def _json_text(value: Any) -> str:
    """A value as JSON on one line; NaN and infinities become null, unknown types their ``str``."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # not finite
        finite = json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)
        return json.dumps(finite, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _head_line(names: Sequence[str], delimiter: str) -> str:
    """The names, those in quotes that a reader could take for something else without them."""
    is_blank = not any(name.strip() for name in names)
    cells = [
        f'"{name.replace(_QUOTE, 2 * _QUOTE)}"'
        if is_blank or sep_line_delimiter(name) or any(mark in name for mark in DELIMITERS)
        else _quoted(name, delimiter)
        for name in names
    ]
    return delimiter.join(cells) + "\n"


def _csv_line(cells: Sequence[str], delimiter: str) -> str:
    line = delimiter.join(_quoted(cell, delimiter) for cell in cells)
    return (line or '""') + "\n"


def _quoted(cell: str, delimiter: str) -> str:
    """A cell, in quotes where it would be read as something else: a byte order mark too."""
    if cell.startswith(_MARK) or any(mark in cell for mark in ('"', delimiter, "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell
