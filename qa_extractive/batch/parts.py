"""A run whose parts are finished one by one: what is finished survives whatever happens next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import IO, Any

from qa_extractive.batch.destination import Destination, RunState
from qa_extractive.batch.fingerprint import Fingerprint
from qa_extractive.batch.summary import Counts
from qa_extractive.errors import DataError
from qa_extractive.tables.growing import Content, GrowingTable, partial_path, remove_partial
from qa_extractive.tables.writing import writing

try:
    import fcntl as _fcntl

    _locks: ModuleType | None = _fcntl
except ImportError:  # Windows: nothing keeps two runs apart there
    _locks = None

# With the two batches that may be answered but not written, a kill costs fewer than 500 rows.
PART_ROWS = 400

Rows = Sequence[Mapping[str, Any]]


class PartedRun:
    """The output, and the errors if they are kept apart, as they grow.

    Use it as a context. Where the block ends early, the finished parts stay for ``--resume``; where there
    are none, nothing stays.

    Attributes:
        counts: Of the rows whose parts are finished.
    """

    def __init__(
        self, destination: Destination, fingerprint: Fingerprint, contents: Sequence[Content], source: Path
    ) -> None:
        """Take what is written where; touch no file.

        Args:
            destination: The files.
            fingerprint: What is written to them.
            contents: Of the output and, where they are wanted, of the errors.
            source: The table that is read, which must stay as it is.
        """
        self._destination = destination
        self._fingerprint = fingerprint
        self._tables = [GrowingTable(*each) for each in zip(destination.targets, contents, strict=True)]
        self._source = source
        self._source_stamp = _stamp(source)
        self._lock: IO[bytes] | None = None
        self.counts = Counts()

    def __enter__(self) -> PartedRun:
        clear_way(self._destination, self._fingerprint, for_folder=False)
        self._lock = locked(self._tables[0].partial, self._destination.output)
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def commit(self, rows: Sequence[Rows], counts: Counts) -> None:
        """Finish a part.

        Args:
            rows: Of the output and, where they are wanted, of the errors.
            counts: Of all rows up to here.

        Raises:
            DataError: A file cannot be written, or the table that is read has changed.
        """
        if _stamp(self._source) != self._source_stamp:
            raise DataError(f"{self._source} changed while it was read: start again with --overwrite")
        try:
            sizes = [table.add(each) for table, each in zip(self._tables, rows, strict=True)]
            self._destination.save(RunState(self._fingerprint, tuple(sizes), counts))
        except DataError as error:
            raise DataError(f"{error}{self.hint()}") from error
        self.counts = counts

    def finish(self) -> None:
        """Make the tables of their parts."""
        try:
            for table in reversed(self._tables):  # the output last: where it is, all is done
                table.finish()
            size = self._destination.output.stat().st_size
            self._destination.save(RunState(self._fingerprint, (), self.counts, size))
        except DataError as error:
            raise DataError(f"{error}{self.hint()}") from error
        for table in self._tables:
            table.discard()

    def hint(self) -> str:
        """How to go on after an error, if there is something to go on from."""
        n_rows = self.counts.n_rows
        return f"; the first {n_rows:,} rows are kept: put that right, then --resume" if n_rows else ""

    def _open(self) -> None:
        state = self._destination.state()
        if state is not None and not state.is_finished:
            if self._destination.existing == "resume":
                self._resume(state)
                return
            self._destination.state_path.unlink()
        for table in self._tables:
            table.start()

    def _resume(self, state: RunState) -> None:
        self.counts = state.counts
        for table, size in zip(self._tables, state.sizes, strict=True):
            table.resume(size)

    def _close(self) -> None:
        for table in self._tables:
            table.close() if self.counts.n_rows else table.discard()
        if self._lock is not None:
            self._lock.close()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def clear_way(destination: Destination, fingerprint: Fingerprint, *, for_folder: bool) -> None:
    """Check that the run there may be continued, or remove a growing file or folder that is in the way.

    Raises:
        DataError: The run that is to be continued was made of something else.
    """
    state = destination.state()
    if destination.existing == "resume" and state is not None and not state.is_finished:
        state.require_same(fingerprint, destination.output)
        return
    partial = partial_path(destination.output)
    if partial.exists() and partial.is_dir() != for_folder:
        remove_partial(destination.output)


def tidy(destination: Destination) -> None:
    """Remove what a run that was stopped in its last moment left beside its finished output."""
    for target in destination.targets:
        remove_partial(target)


def locked(path: Path, output: Path) -> IO[bytes]:
    """Keep other runs of an output away until the returned file is closed."""
    with writing(output):
        file = path.open("ab")
    try:
        if _locks is not None:
            _locks.flock(file, _locks.LOCK_EX | _locks.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataError(f"another run is writing {output}: wait for it, or give another output") from None
    except OSError:  # a file system without locks
        pass
    return file
