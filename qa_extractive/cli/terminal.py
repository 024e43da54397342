"""Lines that fit a terminal and do not steer it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Control characters and what turns the direction of a line: a paper must not steer a terminal.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


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
    print(f"\r{line:<{room}.{room}}\r", end="", file=sys.stderr, flush=True)


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


@contextmanager
def closed_pipe_is_fine() -> Iterator[None]:
    """Whoever reads our output may stop early (``| head``)."""
    try:
        yield
        print(end="", flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # or the flush at exit would fail again
        os.dup2(nowhere, sys.stdout.fileno())
