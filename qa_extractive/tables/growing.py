"""A table that grows part by part in ``<name>.partial`` beside it, and takes its name when it is whole.

The bytes of a part depend on its rows alone, and those of the table on its parts: whoever knows how long
the file was after a part can cut it there and go on, and will end with the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from qa_extractive._utils.files import NO_FOLLOW, name_new_file, replace_file, sync
from qa_extractive.errors import DataError
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.arrow_types import arrow_array
from qa_extractive.tables.compression import compressed
from qa_extractive.tables.formats import Compression, Dialect, table_format
from qa_extractive.tables.reading import RowReader
from qa_extractive.tables.writing import TextLines, replace_surrogates, writing

_GROUP_ROWS = 10_000  # of a row group of Parquet, at most about; held in memory
_GROUP_BYTES = 1 << 25


class Content(Protocol):
    """How rows are kept while a table grows, and what it becomes."""

    def head(self) -> bytes:
        """What comes before the rows."""

    def part(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """Some rows."""

    def convert(self, partial: Path, file: IO[bytes]) -> None:
        """Write the table from head and parts."""

    @property
    def is_final(self) -> bool:
        """Whether head and parts are the table, so that nothing is to be converted."""

    @property
    def is_same_in_any_parts(self) -> bool:
        """Whether the table has the same bytes wherever a part ends."""


class TextContent:
    """CSV, TSV and JSONL; compressed at the end, so that the table is one stream that every tool reads."""

    def __init__(self, lines: TextLines, compression: Compression) -> None:
        """Take what makes the lines."""
        self._lines = lines
        self._compression = compression

    def head(self) -> bytes:
        """The line with the names."""
        return self._lines.head().encode("utf-8")

    def part(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """A line for each row."""
        return "".join(map(self._lines.row, rows)).encode("utf-8")

    def convert(self, partial: Path, file: IO[bytes]) -> None:
        """Compress."""
        with partial.open("rb") as source, compressed(file, self._compression) as stream:
            shutil.copyfileobj(source, stream, 1 << 20)

    @property
    def is_final(self) -> bool:
        """Whether nothing is compressed."""
        return not self._compression

    @property
    def is_same_in_any_parts(self) -> bool:
        """Always."""
        return True


class ParquetContent:
    """Parquet; grows as an Arrow stream, since a Parquet file cannot be added to."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        """Take the Arrow type of each column, in order."""
        self._arrow, self._parquet = require_pyarrow()
        self._types = types
        self._schema = self._arrow.schema([(replace_surrogates(name), kind) for name, kind in types.items()])

    def head(self) -> bytes:
        """The schema."""
        content: bytes = self._schema.serialize().to_pybytes()
        return content

    def part(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """One record batch."""
        columns = [
            arrow_array([row.get(name) for row in rows], kind, name) for name, kind in self._types.items()
        ]
        batch = self._arrow.record_batch(columns, schema=self._schema)
        content: bytes = batch.serialize().to_pybytes()
        return content

    def convert(self, partial: Path, file: IO[bytes]) -> None:
        """Write row groups of some thousand rows."""
        with partial.open("rb") as source, self._arrow.ipc.open_stream(source) as batches:
            write_parquet_groups(batches, self._schema, file)

    @property
    def is_final(self) -> bool:
        """Never."""
        return False

    @property
    def is_same_in_any_parts(self) -> bool:
        """No: row groups are made of whole parts."""
        return False


def write_parquet_groups(batches: Iterable[Any], schema: Any, file: IO[bytes]) -> None:
    """Write record batches as one Parquet file, whose bytes depend on the batches alone."""
    arrow, parquet = require_pyarrow()
    with parquet.ParquetWriter(file, schema) as writer:
        for group in _groups(batches):
            writer.write_table(arrow.Table.from_batches(group, schema))


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    n_rows = n_bytes = 0
    for batch in batches:
        group.append(batch)
        n_rows, n_bytes = n_rows + batch.num_rows, n_bytes + batch.nbytes
        if n_rows >= _GROUP_ROWS or n_bytes >= _GROUP_BYTES:
            yield group
            group, n_rows, n_bytes = [], 0, 0
    if group:
        yield group


def text_content(target: Path, columns: Sequence[str], like: RowReader | None = None) -> TextContent:
    """The content of a CSV, TSV or JSONL file.

    Args:
        target: The file.
        columns: The names of its columns, in order.
        like: The table it is made of, whose byte order mark and delimiter a CSV keeps.
    """
    layout = table_format(target)
    dialect = Dialect(layout.delimiter) if like is None else like.dialect_of(layout)
    return TextContent(TextLines(dialect, tuple(columns)), layout.compression)


class GrowingTable:
    """A table that is being written.

    Attributes:
        target: The table, which appears, or is replaced, when it is whole.
        partial: The file that holds its parts until then.
    """

    def __init__(self, target: Path, content: Content) -> None:
        """Take where the table goes, links followed, and what it is made of; touch no file."""
        self.target = target
        self.partial = partial_path(target)
        self._content = content
        self._file: IO[bytes] | None = None
        self._is_finished = False

    def start(self) -> None:
        """Start with no rows, dropping those of a partial file; DataError where it cannot be written."""
        with writing(self.target):
            self._open(os.O_CREAT | os.O_TRUNC)
            self._put(self._content.head())

    def resume(self, n_bytes: int) -> None:
        """Go on after so many bytes, or find that the table has its name already.

        Raises:
            DataError: The file cannot be written, or is shorter than that.
        """
        with writing(self.target):
            if self.partial.exists() and self.partial.stat().st_size >= n_bytes:
                self._open(0)
                self.file.truncate(n_bytes)
                self.file.seek(n_bytes)
            elif self._content.is_final and self.target.exists() and self.target.stat().st_size == n_bytes:
                self._is_finished = True
            else:
                raise DataError(f"{self.partial} is shorter than it was: start again with --overwrite")

    @property
    def file(self) -> IO[bytes]:
        """The open file of the parts."""
        if self._file is None:
            raise ValueError("the table is not open")
        return self._file

    def add(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Add a part and wait until it is on the disk; the bytes then there.

        Raises:
            DataError: The file cannot be written, or a value has no place in it.
        """
        content = self._content.part(rows)
        with writing(self.target):
            return self._put(content)

    def finish(self, *, replace: bool = True) -> None:
        """Make the table of its parts; it appears at once or not at all. The parts may be discarded then.

        Args:
            replace: Whether a file that has the table's name may be lost.

        Raises:
            DataError: The table cannot be written, or there is a file that must not be lost.
        """
        if self._is_finished:
            return
        with writing(self.target):
            self.close()
            if self._content.is_final:
                self._name(self.partial, replace)
            else:
                self._convert(replace)
        self._is_finished = True

    @property
    def _converted(self) -> Path:
        return converted_path(self.target)

    def _convert(self, replace: bool) -> None:
        self._converted.unlink(missing_ok=True)  # left by a kill; it may be the table itself by now
        try:
            with self._converted.open("xb") as file:
                self._content.convert(self.partial, file)
                sync(file)
            self._name(self._converted, replace)
        except BaseException:
            self._converted.unlink(missing_ok=True)
            raise

    def _name(self, file: Path, replace: bool) -> None:
        if replace:
            replace_file(file, self.target)
            return
        try:
            name_new_file(file, self.target)
        except FileExistsError:
            raise DataError(
                f"{self.target} appeared during the run and was left as it is: move it away"
            ) from None

    def discard(self) -> None:
        """Remove the parts, if they were begun or gone on with here."""
        if self._file is not None:
            self.close()
            self._converted.unlink(missing_ok=True)
            self.partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, keeping what is in it."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def _open(self, flags: int) -> None:
        """Open the partial file for reading and writing, but never through a link."""
        if self.partial.is_symlink():
            raise DataError(f"{self.partial} is a link: move it away, or give another output")
        descriptor = os.open(self.partial, os.O_RDWR | NO_FOLLOW | getattr(os, "O_BINARY", 0) | flags, 0o666)
        self._file = os.fdopen(descriptor, "r+b")

    def _put(self, content: bytes) -> int:
        self.file.write(content)
        sync(self.file)
        return self.file.tell()


def partial_path(target: Path) -> Path:
    """Where a table grows."""
    return target.with_name(f"{target.name}.partial")


def converted_path(target: Path) -> Path:
    """Where a table is converted at the end, if its parts are not the table."""
    return target.with_name(f"{target.name}.partial.tmp")
