"""Locks between processes; one that dies gives its locks back."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_S = 0.1  # of who does not wait: a lock whose file is being removed is free in a moment
_NO_LOCKS = {errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def file_lock(path: Path, *, waits: bool) -> Iterator[None]:
    """Hold a lock between processes during the block; where the file system has none, nobody is kept out.

    Args:
        path: The file that is locked. It and its folder are made where they are missing; it stays.
        waits: Whether to wait for the one who has it.

    Raises:
        TimeoutError: Another has it, and ``waits`` is False.
        OSError: The file cannot be opened, or is a link.
    """
    from filelock import FileLock

    lock = FileLock(path, timeout=-1 if waits else _PATIENCE_S, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()
