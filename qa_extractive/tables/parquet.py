"""Parquet in and out, by pyarrow, which is imported only here and only when a Parquet file is met."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any

from qa_extractive.errors import DataError, reason_of
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.arrow_values import plain_cells, python_cells, untouched_cells
from qa_extractive.tables.rows import Row
from qa_extractive.tables.surrogates import has_surrogates
from qa_extractive.tables.text_files import check_file, os_reason

_BATCH_ROWS = 1024
_MAX_ROW_BYTES = 1 << 26  # a longer row is refused
_READ_BYTES = 1 << 20  # at once, of each column; otherwise a whole row group is held


def parquet_shape(path: Path) -> tuple[tuple[str, ...], int]:
    """The names of the columns of a Parquet file and its number of rows."""
    with _opened(path) as file:
        metadata = file.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if group.total_byte_size > _MAX_ROW_BYTES * max(1, group.num_rows):
                raise _too_long(path)
        return tuple(file.schema_arrow.names), metadata.num_rows


def parquet_rows(
    path: Path, columns: Sequence[str], n_skipped: int = 0, asked: Collection[str] | None = None
) -> Iterator[Row]:
    """The rows of a Parquet file after the first few, read some thousand at a time.

    Args:
        path: The file.
        columns: The name of each of its columns, in their order.
        n_skipped: How many rows to leave out.
        asked: The columns whose cells become Python values; the others are ``ArrowValue``. None for all.
    """
    number = n_skipped
    for batch in parquet_batches(path, n_skipped):
        for cells in zip(*_columns(batch, columns, asked), strict=True):
            number += 1
            values = {name: value for name, (value, _) in zip(columns, cells, strict=True)}
            wrong = (f"column {name!r}: {why}" for name, (_, why) in zip(columns, cells, strict=True) if why)
            yield Row(number, values, next(wrong, None))


def _columns(
    batch: Any, columns: Sequence[str], asked: Collection[str] | None
) -> list[Iterable[tuple[Any, str | None]]]:
    """The cells of each column, and what is wrong with each of them."""
    out: list[Iterable[tuple[Any, str | None]]] = []
    for name, column in zip(columns, batch.columns, strict=True):
        if asked is None:
            out.append(plain_cells(column))
        elif name in asked:
            out.append(python_cells(column))
        else:
            out.append(untouched_cells(column))
    return out


def parquet_batches(path: Path, n_skipped: int = 0) -> Iterator[Any]:
    """The rows of a Parquet file after the first few, as Arrow record batches of at most a thousand."""
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            if n_skipped < batch.num_rows:
                _check_sizes(path, batch)
                yield batch.slice(n_skipped)
            n_skipped = max(0, n_skipped - batch.num_rows)


def _check_sizes(path: Path, batch: Any) -> None:
    """Raise DataError where a row is too long."""
    if batch.nbytes > _MAX_ROW_BYTES and any(
        batch.slice(index, 1).nbytes > _MAX_ROW_BYTES for index in range(batch.num_rows)
    ):
        raise _too_long(path)


def _too_long(path: Path) -> DataError:
    return DataError(
        f"{path}: a row of more than {_MAX_ROW_BYTES:,} bytes: shorten it, or leave out the column"
    )


class ParquetSlices:
    """Pieces of a Parquet file by row numbers; asked for in rising order, the file is read through once."""

    def __init__(self, path: Path) -> None:
        """Take the file; DataError where it is none."""
        self._path = path
        with _opened(path) as file:
            groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        self._group_ends = list(accumulate(groups))
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._start = 0  # row number of the batch's first row

    def read(self, first: int, n_rows: int) -> Any:
        """Row ``first``, from 0, and those after it: ``n_rows``, or fewer at the end, as one record batch."""
        arrow, _ = require_pyarrow()
        pieces: list[Any] = []
        n_rows = min(n_rows, self._group_ends[-1] - first)
        while n_rows:
            self._seek(first)
            piece = self._batch.slice(first - self._start, n_rows)
            pieces.append(piece)
            first, n_rows = first + piece.num_rows, n_rows - piece.num_rows
        return arrow.Table.from_batches(pieces).combine_chunks().to_batches()[0]

    def _seek(self, row: int) -> None:
        """Make the batch the one that holds a row."""
        group = bisect_right(self._group_ends, row)
        group_start = self._group_ends[group - 1] if group else 0
        if self._batch is None or row < self._start or group_start > self._start + self._batch.num_rows:
            self._batches = self._from_group(group)
            self._batch, self._start = next(self._batches), group_start
        while row >= self._start + self._batch.num_rows:
            self._start += self._batch.num_rows
            self._batch = next(self._batches)

    def _from_group(self, group: int) -> Iterator[Any]:
        with _opened(self._path) as file:
            groups = list(range(group, len(self._group_ends)))
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups):
                _check_sizes(self._path, batch)
                yield batch


def parquet_schema(path: Path) -> Any:
    """The Arrow schema of a Parquet file."""
    with _opened(path) as file:
        return file.schema_arrow


def write_parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write whole columns; one whose values have no common type is written as text (JSON for non-text)."""
    arrow, parquet = require_pyarrow()
    table = arrow.table({name: _arrow_column(arrow, values) for name, values in columns.items()})
    parquet.write_table(table, path)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    arrow, parquet = require_pyarrow()
    check_file(path)
    try:
        with path.open("rb") as stream:
            source = stream if has_surrogates(str(path)) else str(path)  # pyarrow wants names in UTF-8
            with parquet.ParquetFile(source, buffer_size=_READ_BYTES) as file:
                yield file
    except MemoryError:
        raise DataError(f"{path} cannot be read: a part of it does not fit into memory: split it") from None
    except (arrow.ArrowException, ValueError) as error:
        raise DataError(
            f"{path} is not a Parquet file, or damaged ({reason_of(error)}): write it again"
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {os_reason(error)}") from None


def _arrow_column(arrow: ModuleType, values: Sequence[Any]) -> Any:
    try:
        column = arrow.array(values)
    except (arrow.ArrowException, ValueError, TypeError, OverflowError):
        return arrow.array([as_text(value) for value in values], arrow.large_string())
    if "struct<>" in str(column.type):  # Parquet cannot hold a struct without fields
        return arrow.array([as_text(value) for value in values], arrow.large_string())
    return column


def as_text(value: Any) -> str | None:
    """A value as text: JSON where it is none; None stays None."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
