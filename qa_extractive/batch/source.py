"""The table that is read, held open for as long as a run lasts, so that a change of it is noticed."""

from __future__ import annotations

import os
import stat
import time
import weakref
from pathlib import Path

from qa_extractive.errors import DataError
from qa_extractive.tables.text_files import reading
from qa_extractive.tables.writing import naming

_CLOCK_TICK_S = 0.02  # a file that changes twice within one may show the same times

Stamp = tuple[int, int, int, int, int]


class Source:
    """A file and what it was before its first byte was read: device, inode, size and times.

    A file that takes its name has another inode, which cannot be reused while this one is open; one that
    is written to has another time of change, which nobody can set back.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Open a file; DataError where it is none or cannot be read."""
        self.path = path
        with naming(path):
            if path.is_dir():
                raise DataError(f"{path} is a folder: give a file")
            if path.exists() and not path.is_file():  # opening a pipe would wait for somebody to write
                raise DataError(f"{path} is not a regular file: save its content to a file first")
        with reading(path):
            self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        self.close = weakref.finalize(self, os.close, self._descriptor)
        self._stamp = _settled(self._descriptor)

    def check(self) -> None:
        """Raise DataError unless the file is still the one that was opened, unchanged."""
        try:
            now = _stamp(self.path.stat())
        except FileNotFoundError:
            raise DataError(f"{self.path} was deleted while it was read: put it back as it was") from None
        except OSError as error:
            raise DataError(f"{self.path} cannot be read any more: {os.strerror(error.errno or 0)}") from None
        if not now == self._stamp == _stamp(os.fstat(self._descriptor)):
            raise DataError(
                f"{self.path} changed while it was read: put it back as it was, "
                "or start again with --overwrite"
            )


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _settled(descriptor: int) -> Stamp:
    """The stamp of a file, taken so long after its last change that another one must show."""
    status = os.fstat(descriptor)
    age_s = time.time() - max(status.st_mtime, status.st_ctime)
    if 0.0 <= age_s < _CLOCK_TICK_S and stat.S_ISREG(status.st_mode):
        time.sleep(_CLOCK_TICK_S)
    return _stamp(os.fstat(descriptor))
