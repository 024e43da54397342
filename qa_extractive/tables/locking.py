"""One writer of a file at a time, across processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from qa_extractive._utils.locks import file_lock
from qa_extractive.errors import DataError
from qa_extractive.tables.writing import writing


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
    with ExitStack() as stack:
        with writing(target):
            try:
                stack.enter_context(file_lock(path, waits=False))
            except TimeoutError:
                raise DataError(
                    f"another run is writing {target}: wait for it, or give another file"
                ) from None
        try:
            yield
        finally:
            with suppress(OSError):
                if not path.lstat().st_size:  # a file with content is somebody else's
                    path.unlink()
