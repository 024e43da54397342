"""A cache of files that is bounded by their total size. Serving code: no dependency."""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import Any

from qa_extractive._utils.files import NO_FOLLOW

logger = logging.getLogger(__name__)

_SUFFIX = ".kept"
_OWN_NAME = re.compile(rf"([0-9a-f]{{64}}|\.[0-9a-f]{{16}})\{_SUFFIX}")
"""The files that are counted and removed: those that are whole, and those being filled. No others."""
_SLACK = 20  # the folder is looked through whenever this part of what it may hold was written
_NO_WAITING: int = getattr(os, "O_NONBLOCK", 0)  # for a writer, where the file is a pipe


class BoundedFolder:
    """Files by their digests; those used longest ago make room.

    Threads and processes may share a folder, without locks: a file has its name only when it is whole, and
    one that is gone is made anew. Each process counts what it writes, and looks at all files now and then: so
    ``n`` of them exceed the limit by at most ``n - 1`` twentieths, or files, for a while. The time of a
    file's last change is that of its last use.

    It costs no more than the cache when something fails: a file that cannot be read is none, and after
    one that cannot be written no other is, with one warning.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Take a folder, which is made when it is first needed, and the bytes that its files may have."""
        self.folder, self.max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        self._n_unseen = max_bytes  # bytes written since the folder was looked through
        self._is_writable = True

    def read_into(self, digest: str, buffers: Sequence[memoryview]) -> bool:
        """Fill buffers from the file of that name, if it has as many bytes as they have together.

        Files of other users, links and whatever is not a plain file are not read.

        Args:
            digest: 64 hexadecimal digits.
            buffers: Of bytes. What they hold is not to be used where the file cannot be read.

        Returns:
            Whether they are filled.
        """
        path = self._path(digest)
        try:
            with open(path, "rb", 0, opener=_open_plain) as file:
                if not _is_own_file(file.fileno(), sum(buffer.nbytes for buffer in buffers)):
                    return False
                is_filled = all(file.readinto(buffer) == buffer.nbytes for buffer in buffers)
        except OSError:
            return False
        if is_filled:
            with suppress(OSError):  # read-only
                os.utime(path)
        return is_filled

    def write(self, digest: str, buffers: Sequence[memoryview | bytes]) -> None:
        """Write a file, or replace it, unless it is larger than the whole folder may be."""
        n_bytes = sum(len(buffer) for buffer in buffers)
        if not self._is_writable or n_bytes > self.max_bytes:
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self._give_up("it is no folder" if isinstance(error, FileExistsError) else error.strerror)
            return
        try:
            self._make_room(n_bytes)
            self._write(digest, buffers)
        except FileNotFoundError:  # another process has removed it, or the folder
            return
        except OSError as error:
            self._give_up(error.strerror)

    def _give_up(self, reason: str | None) -> None:
        with self._lock:
            is_first, self._is_writable = self._is_writable, False
        if is_first:
            logger.warning("%s keeps nothing more (%s); answers stay the same", self.folder, reason)

    def _write(self, digest: str, buffers: Sequence[memoryview | bytes]) -> None:
        temporary = self.folder / f".{secrets.token_hex(8)}{_SUFFIX}"
        try:
            with open(temporary, "xb", opener=partial(os.open, mode=0o600)) as file:
                for buffer in buffers:
                    file.write(buffer)
            temporary.replace(self._path(digest))  # not synced: what a power cut breaks is found broken
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def _make_room(self, n_bytes: int) -> None:
        """Remove files until there is room for so many bytes and some more, if there may be none."""
        slack = self.max_bytes // _SLACK
        with self._lock:
            if self._n_unseen + n_bytes > slack:
                self._remove_oldest(self.max_bytes - max(n_bytes, slack))
                self._n_unseen = 0
            self._n_unseen += n_bytes

    def _remove_oldest(self, max_bytes: int) -> None:
        """Remove the files used longest ago until the others have at most so many bytes."""
        found: list[tuple[int, int, Path]] = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if _OWN_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        state = entry.stat(follow_symlinks=False)
                        found.append((state.st_mtime_ns, state.st_size, Path(entry.path)))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= max_bytes:
                break
            try:
                path.unlink()
            except FileNotFoundError:
                pass
            except OSError:  # another user's, or, on Windows, being read
                continue
            total -= size

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}{_SUFFIX}"

    def __reduce__(self) -> tuple[type[BoundedFolder], tuple[Any, ...]]:
        return type(self), (self.folder, self.max_bytes)


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | NO_FOLLOW | _NO_WAITING)


def _is_own_file(descriptor: int, n_bytes: int) -> bool:
    """Whether it is a plain file of this user and has so many bytes."""
    state = os.fstat(descriptor)
    is_own = not hasattr(os, "geteuid") or state.st_uid == os.geteuid()
    return S_ISREG(state.st_mode) and is_own and state.st_size == n_bytes
