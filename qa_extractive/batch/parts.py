"""A run whose parts are finished one by one: what is finished survives whatever happens next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from qa_extractive.batch.destination import Destination
from qa_extractive.batch.fingerprint import Fingerprint
from qa_extractive.batch.source import Source
from qa_extractive.batch.state import RunState
from qa_extractive.batch.summary import Counts
from qa_extractive.errors import DataError
from qa_extractive.tables.growing import Content, GrowingTable

# With the two batches that may be answered but not written, a kill costs fewer than 500 rows.
PART_ROWS = 400
PART_SECONDS = 30.0  # and where rows take long, fewer, if the format allows that

Rows = Sequence[Mapping[str, Any]]


class PartedRun:
    """The output, and the errors if they are kept apart, as they grow.

    Use it as a context, inside that of ``Destination.locked``. Where the block ends early, the finished
    parts stay for ``--resume``; where there are none, nothing stays.

    Attributes:
        counts: Of the rows whose parts are finished.
    """

    def __init__(
        self, destination: Destination, fingerprint: Fingerprint, contents: Sequence[Content], source: Source
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
        self._earlier: RunState | None = None
        self._replaces = destination.existing == "overwrite"
        self.counts = Counts()

    def __enter__(self) -> PartedRun:
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

    def check_source(self) -> None:
        """Raise DataError where the table that is read has changed or is gone."""
        try:
            self._source.check()
        except DataError as error:
            raise DataError(f"{error}{self.hint()}") from None

    def commit(self, rows: Sequence[Rows], counts: Counts) -> None:
        """Finish a part.

        Args:
            rows: Of the output and, where they are wanted, of the errors.
            counts: Of all rows up to here.

        Raises:
            DataError: A file cannot be written, or the table that is read has changed.
        """
        self.check_source()
        try:
            sizes = [table.add(each) for table, each in zip(self._tables, rows, strict=True)]
            self._destination.save(self._state(counts, sizes))
        except DataError as error:
            raise DataError(f"{error}{self.hint()}") from error
        self.counts = counts

    def finish(self) -> None:
        """Make the tables of their parts.

        Raises:
            DataError: A file cannot be written or must not be replaced, or the table has changed.
        """
        self.check_source()
        try:
            for table in reversed(self._tables):  # the output last: where it is, all is done
                table.finish(replace=self._replaces)
            size = self._destination.output.stat().st_size
            self._destination.save(self._state(self.counts, output_bytes=size))
        except DataError as error:
            raise DataError(f"{error}{self.hint()}") from error
        for table in self._tables:
            table.discard()
        self._destination.remove_partial()

    def hint(self) -> str:
        """How to go on after an error, if there is something to go on from."""
        n_rows = self.counts.n_rows
        return f"; the first {n_rows:,} rows are kept: put that right, then --resume" if n_rows else ""

    def _open(self) -> None:
        state = self._destination.left()
        if state is not None and self._goes_on(state):
            state.require_same(self._fingerprint, self._destination.output)
            self.counts, self._replaces = state.counts, state.replaces
            for table, size in zip(self._tables, state.sizes, strict=True):
                table.resume(size)
            return
        if state is not None and self._destination.existing == "resume":
            self._replaces = state.replaces and not state.is_finished  # it had not begun to write
        self._destination.save(self._state(Counts()))  # from here on the partial files are this run's
        self._earlier = state
        self._destination.remove_partials(state)
        for table in self._tables:
            table.start()

    def _goes_on(self, state: RunState) -> bool:
        return self._destination.existing == "resume" and not state.is_finished and bool(state.counts.n_rows)

    def _state(
        self, counts: Counts, sizes: Sequence[int] = (), *, output_bytes: int | None = None
    ) -> RunState:
        return RunState(self._fingerprint, tuple(sizes), counts, output_bytes, self._replaces)

    def _close(self) -> None:
        for table in self._tables:
            table.close() if self.counts.n_rows else table.discard()
        if not self.counts.n_rows:
            self._forget()

    def _forget(self) -> None:
        """Leave the state as it was before this run, which wrote nothing."""
        with suppress(DataError, OSError):  # what ended the run is to be told, not this
            if self._destination.left() != self._state(Counts()):
                return
            if self._earlier is not None and self._earlier.is_finished:
                self._destination.save(self._earlier)
            else:
                self._destination.state_path.unlink(missing_ok=True)
