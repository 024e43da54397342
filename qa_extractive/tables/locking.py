"""One writer of a file at a time, across processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

from qa_extractive._utils.files import NO_FOLLOW
from qa_extractive.errors import DataError
from qa_extractive.tables.writing import writing

try:
    import fcntl as _fcntl

    _locks: ModuleType | None = _fcntl
except ImportError:  # Windows: nothing keeps two writers apart there
    _locks = None


def lock_path(target: Path) -> Path:
    """The empty file that is locked while a file is written, and removed afterwards."""
    return target.with_name(f"{target.name}.lock")


@contextmanager
def locked(targets: Sequence[Path]) -> Iterator[None]:
    """Keep every other writer away from these files.

    A process that is killed gives its locks back. File systems without locks are written to without them.

    Args:
        targets: The files, links followed. They need not exist.

    Raises:
        DataError: Another process writes one of them, or its folder cannot be written to.
    """
    with ExitStack() as stack:
        for target in sorted(targets):
            stack.enter_context(_locked(target))
        yield


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    path = lock_path(target)
    with writing(target):
        descriptor = _descriptor(path)
        while not _is_taken(descriptor, target) or not _is_still(path, descriptor):
            os.close(descriptor)  # the one who held it has removed the file meanwhile
            descriptor = _descriptor(path)
    try:
        yield
    finally:
        if not os.fstat(descriptor).st_size:  # a file with content is somebody else's
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _descriptor(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)


def _is_taken(descriptor: int, target: Path) -> bool:
    """Take the lock of an open file; True. DataError where another process has it."""
    try:
        if _locks is not None:
            _locks.flock(descriptor, _locks.LOCK_EX | _locks.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DataError(f"another run is writing {target}: wait for it, or give another file") from None
    except OSError:  # a file system without locks
        pass
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether a file has its name yet, so that others would meet the lock."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
