"""Files that survive a power cut: what is said to be written is on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any


def sync(file: IO[Any]) -> None:
    """Wait until what was written to a file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def replace_file(temporary: Path, target: Path) -> None:
    """Give a file that is on the disk its final name, at once or not at all."""
    temporary.replace(target)
    if os.name != "nt":  # there, a folder cannot be opened
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        sync(file)
    replace_file(temporary, path)
