"""Lines that fit a terminal and do not steer it, on streams that may be full or closed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qa_extractive.errors import DataError

# Control characters and what turns the direction of a line: a paper must not steer a terminal.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_STREAMS = (0, 1, 2)


def one_line(text: str) -> str:
    """The text on one line, without what a terminal would obey."""
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.split()))


def fitted(head: str, text: str, tail: str = "") -> str:
    """Head, text and tail on one line of the terminal; only the text is cut short."""
    text, room = one_line(text), max(20, _width() - len(head) - len(tail))
    return head + (text if len(text) <= room else text[: room - 3] + "...") + tail


def replace_line(line: str) -> None:
    """Replace the last line of stderr, leaving the cursor at its start."""
    room = _width() - 1
    with suppress(OSError):  # a terminal that is gone stops nothing
        print_on_stderr(f"\r{line:<{room}.{room}}\r")


def note(line: str) -> None:
    """Print a line on stderr, if it can be printed."""
    with suppress(OSError):
        print_on_stderr(f"{line}\n")


def print_on_stderr(text: str) -> None:
    """Print on stderr, leaving nothing in its buffer for the exit to fail at; OSError where it is full."""
    try:
        number = sys.stderr.fileno()
    except (OSError, ValueError):  # it is no file
        print(text, end="", file=sys.stderr, flush=True)
        return
    left = text.encode(sys.stderr.encoding or "utf-8", "backslashreplace")
    while left:
        left = left[os.write(number, left) :]


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def occupy_closed_streams() -> None:
    """Open nothing in place of each standard stream that is closed.

    Otherwise the next file that is opened would become that stream, and take in what is printed.
    """
    for number in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it stays open


def flush_stdout() -> None:
    """Print what is still to be printed; whoever reads our output may have left (``| head``).

    Raises:
        DataError: Standard output cannot be written.
    """
    with ignore_broken_pipe():
        pass


@contextmanager
def ignore_broken_pipe() -> Iterator[None]:
    """A block that prints: whoever reads our output may stop early (``| head``).

    Raises:
        DataError: Standard output cannot be written, as where a disk is full.
    """
    try:
        yield
        print(end="", flush=True)
    except BrokenPipeError:
        _drop_stdout()
    except OSError as error:
        if error.filename is not None:  # it is about another file
            raise
        _drop_stdout()
        reason = os.strerror(error.errno or errno.EIO)
        raise DataError(f"standard output cannot be written: {reason}") from None


def _drop_stdout() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)  # or the flush at exit would fail again
    with suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
