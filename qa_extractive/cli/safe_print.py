"""Prints that end no work: hours of training are not lost because a disk under a log is full."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from qa_extractive.errors import DataError


class _Steady:
    """A text stream that, once it cannot be written, takes everything and keeps nothing.

    Attributes:
        failure: Why it cannot be written, or None.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        if self.failure is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.failure = error
        with suppress(OSError, ValueError):  # what is still to be written would fail again at the end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def steady_stdout() -> Iterator[None]:
    """A block that goes on to its end where standard output is full; who left the pipe is not missed.

    Raises:
        DataError: At the end of the block, that standard output could not be written.
    """
    if sys.stdout is None:  # closed from the start: print does nothing then
        yield
        return
    stream = sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show stops nothing
    steady = _Steady(stream)
    sys.stdout = cast(TextIO, steady)
    try:
        yield
        steady.flush()
    finally:
        sys.stdout = stream
    if steady.failure is not None and not isinstance(steady.failure, BrokenPipeError):
        reason = steady.failure.strerror or steady.failure
        raise DataError(
            f"standard output cannot be written: {reason}; the work was done, its prints are lost"
        )
