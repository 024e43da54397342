"""Where models that were exported or unpacked are kept."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qa_extractive._utils.locks import file_lock
from qa_extractive.errors import ModelError

CACHE_VARIABLE = "QA_EXTRACTIVE_CACHE"
_LOCKS = ".locks"


def cache_folder(cache: str | Path | None = None) -> Path:
    """The folder of models: the one given, else $QA_EXTRACTIVE_CACHE or ~/.cache/qa_extractive."""
    given = cache or os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "qa_extractive"


def make_folder(folder: Path) -> None:
    """Make a folder of the cache where it is missing; ModelError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"{folder} cannot be made a folder: {error.strerror}; set {CACHE_VARIABLE} to one"
        ) from None


def slug(name: str) -> str:
    """A name with nothing in it that a file's name may not hold, of at most 60 characters; may be empty."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[-60:]


@contextmanager
def locked(cache: Path, name: str) -> Iterator[None]:
    """Wait until no other process makes what this name stands for, and keep them waiting for the block.

    The file of the lock stays: who removed it would part those that wait for it from those to come. A file
    system without locks keeps nobody waiting.
    """
    make_folder(cache / _LOCKS)
    with file_lock(cache / _LOCKS / f"{name}.lock", waits=True):
        yield


@dataclass(frozen=True, slots=True)
class FolderState:
    """The files of a folder as they were at a moment: which, and when and how they were last changed.

    Attributes:
        folder: The folder.
        files: Of each file its name, device, number, size and the times of its last changes, in ns.
    """

    folder: Path
    files: tuple[tuple[str | int, ...], ...]

    @classmethod
    def of(cls, folder: Path) -> FolderState:
        """The state now; ModelError where the folder cannot be read."""
        try:
            found = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
        except OSError as error:
            raise ModelError(f"{error.filename or folder} cannot be read: {error.strerror}") from None
        return cls(
            folder,
            tuple(
                (name, each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns)
                for name, each in found
            ),
        )

    def require(self, when: str) -> None:
        """Raise ModelError, with what to do, where a file of the folder is another one now."""
        if FolderState.of(self.folder).files != self.files:
            raise ModelError(f"{self.folder} has changed {when}")
