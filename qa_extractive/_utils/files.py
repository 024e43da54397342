"""Files that survive a power cut: what is said to be written is on the disk."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import CDLL, get_errno
from pathlib import Path
from typing import IO, Any

NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
"""The flag by which opening a link fails; none where there is no such flag (Windows)."""

_READ_BYTES = 1 << 20
_NAME_CHARACTERS = 40  # of a file's name in that of the one being filled, which may have 255 bytes
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1  # of Linux


def sync(file: IO[Any]) -> None:
    """Wait until what was written to a file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def replace_file(temporary: Path, target: Path) -> None:
    """Give a file that is on the disk its final name, at once or not at all."""
    temporary.replace(target)
    _sync_folder(target.parent)


def name_new_file(temporary: Path, target: Path) -> None:
    """Give a file that is on the disk its final name, unless there is a file of that name with other content.

    ``temporary`` may keep its name beside the new one: remove it. After a kill, call this again.

    Raises:
        FileExistsError: There is another file; both stay as they are.
    """
    try:
        if not _rename_new(temporary, target):
            os.link(temporary, target)  # unlike renaming, it never replaces anything
    except OSError as error:
        if os.path.lexists(target):
            if not _same_content(temporary, target):
                raise FileExistsError(error.errno, "it appeared during the run", str(target)) from None
        else:  # a file system without hard links
            temporary.replace(target)
    _sync_folder(target.parent)


def _rename_new(temporary: Path, target: Path) -> bool:
    """Rename a file unless there is one of the new name, in one step; False where the system cannot.

    Raises:
        FileExistsError: There is one.
    """
    rename = getattr(CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    if not rename(_AT_FDCWD, os.fsencode(temporary), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE):
        return True
    if get_errno() == errno.EEXIST:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    return False


def _same_content(one: Path, other: Path) -> bool:
    if not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(_READ_BYTES):
            if block != second.read(_READ_BYTES):
                return False
    return True


def _sync_folder(folder: Path) -> None:
    if os.name != "nt":  # there, a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def atomic_file(target: Path, temporary: Path | None = None) -> Iterator[IO[bytes]]:
    """A file to fill that becomes ``target``, or replaces it, if the block ends well; else it is removed.

    Args:
        target: A link is replaced, not written through.
        temporary: Its name until then; what a kill left under it is replaced. By default one that is new.
    """
    if temporary is None:
        temporary = target.with_name(f".{target.name[:_NAME_CHARACTERS]}.{secrets.token_hex(4)}")
    else:
        temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as file:
            yield file
            sync(file)
        replace_file(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes | str, temporary: Path | None = None) -> None:
    """Write a small file whole or not at all, as ``atomic_file``; what UTF-8 does not have becomes "?"."""
    with atomic_file(path, temporary) as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))


def is_file(name: str) -> bool:
    """Whether a text that somebody typed is the name of a file that is there."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # no name of a file could be so
        return False
