"""A folder that is there whole or not at all, however its making ends."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qa_extractive.errors import ExportError, reason_of

_NAME_CHARACTERS = 40  # of the folder's name in that of the one being filled, which may have 255 bytes


@contextmanager
def atomic_folder(output: Path, *, marker: str | None = None) -> Iterator[Path]:
    """A new folder beside ``output`` to fill, which becomes ``output`` if the block ends well.

    Args:
        output: May be missing or empty, or hold an earlier folder of this kind, which is replaced.
        marker: File by which an earlier one is known; None to replace none.

    Raises:
        ExportError: ``output`` holds something else, or cannot be made.
    """
    try:
        if output.is_symlink() and output.is_dir():  # what it leads to is replaced, not the link
            output = output.resolve()
        new = output.parent / f".{output.name[:_NAME_CHARACTERS]}.{secrets.token_hex(4)}"
        _check_replaceable(output, marker)
        new.mkdir(parents=True)
    except (OSError, ValueError) as error:  # no such name can be given, or not there
        raise ExportError(f"{output!s:.200} cannot be made a folder: {reason_of(error)}") from None
    try:
        yield new
        _swap(new, output)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _check_replaceable(output: Path, marker: str | None) -> None:
    if output.is_symlink() and not output.exists():
        raise ExportError(f"{output} is a link that leads nowhere: give a folder to write")
    if output.exists() and not output.is_dir():
        raise ExportError(f"{output} is a file: give a folder to write")
    if not output.is_dir() or not any(output.iterdir()):
        return
    if marker is None or not (output / marker).is_file():
        lacks = f" and holds no {marker}" if marker else ""
        raise ExportError(f"{output} is not empty{lacks}: give another folder")


def _swap(new: Path, output: Path) -> None:
    if not output.exists():
        new.rename(output)
        return
    old = new.with_name(new.name + ".old")
    output.rename(old)
    new.rename(output)
    shutil.rmtree(old)
