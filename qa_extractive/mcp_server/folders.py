"""The folders that the operator opened: files are read below one and written into another, nowhere else."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from qa_extractive.errors import DataError, shortened

OUTPUTS = (".xlsx", ".csv")
_NAME = re.compile(r"[^\W_][\w .()-]{0,150}")
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


@dataclass(frozen=True, slots=True)
class Folders:
    """What may be read and written.

    Attributes:
        papers: The folder below which files may be read; None for none.
        output: The folder into which new tables may be written; None for none.
    """

    papers: Path | None = None
    output: Path | None = None

    def __post_init__(self) -> None:
        """Raise DataError for what is no folder; links on the way to it are followed now, and never again."""
        for name in ("papers", "output"):
            folder = getattr(self, name)
            if folder is not None:
                if not folder.is_dir():
                    raise DataError(f"{folder} is no folder: give --{name} a folder")
                object.__setattr__(self, name, folder.resolve())

    def files(self, paths: Sequence[str], most: int) -> list[Path]:
        """The files that paths name, those of a folder in order; none twice.

        Args:
            paths: Relative to the folder of papers, or absolute.
            most: Files at most.

        Raises:
            DataError: No folder is open, a path leads out of it or to nothing, or there are too many files.
        """
        if not paths:
            return []
        if self.papers is None:
            raise DataError(
                "paths: this server reads no files: send papers as texts, or start it with --papers DIR"
            )
        found: dict[Path, None] = {}
        for i, given in enumerate(paths):
            for file in islice(self._below(self.papers, given, f"paths[{i}]"), most + 1):
                found[file] = None
            if len(found) > most:
                raise DataError(f"paths: more than {most:,} files: make several tables")
        return list(found)

    def name_of(self, file: Path) -> str:
        """What a file is called below the folder of papers, as text: bytes that are none become U+FFFD."""
        name = file.relative_to(self.papers).as_posix() if self.papers is not None else file.name
        return os.fsencode(name).decode("utf-8", "replace")

    def target(self, name: str) -> Path:
        """Where a new table is written.

        Raises:
            DataError: No folder is open, it is no plain name of a table, or the file is there.
        """
        if self.output is None:
            raise DataError(
                "output: this server writes no files: leave it out, or start it with --output DIR"
            )
        if not _NAME.fullmatch(name) or Path(name).suffix.lower() not in OUTPUTS:
            raise DataError(
                f"output: {shortened(name)} is no plain file name that ends in {' or '.join(OUTPUTS)}"
            )
        target = self.output / name
        if os.path.lexists(target):
            raise DataError(f"output: {name} exists: give another name")
        return target

    def _below(self, root: Path, given: str, where: str) -> Iterator[Path]:
        """The files that a path names, links followed but never out of the folder."""
        named = _resolved(root / given, where)
        if not _is_below(named, root):
            raise DataError(f"{where}: {shortened(given)} is outside the folder that this server may read")
        try:
            mode = named.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise DataError(f"{where}: {shortened(given)} is not there") from None
        except OSError as error:  # a name that is too long, a folder that is closed
            raise DataError(f"{where}: {shortened(given)} cannot be read: {error.strerror}") from None
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise DataError(f"{where}: {shortened(given)} is neither a regular file nor a folder")
        from qa_extractive.papers.prepare import files_below  # what reads papers is not needed at the start

        for file in files_below(named):
            with suppress(DataError):  # a loop of links among them
                real = _resolved(file, where)
                if _is_below(real, root) and _may_be_read(real):
                    yield real


def read_file(file: Path, most: int) -> bytes:
    """What a file holds.

    Args:
        file: With no link in it; a link put there since is refused.
        most: Bytes at most.

    Raises:
        DataError: It is no plain file, is too large, or cannot be read.
    """
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | _FLAGS), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise DataError("no plain file")
            content = stream.read(most + 1)
    except OSError as error:
        raise DataError(error.strerror or "cannot be read") from None
    if len(content) > most:
        raise DataError(f"larger than {most / 1_000_000:g} MB")
    return content


def _resolved(path: Path, where: str) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # a null character, a loop of links
        raise DataError(f"{where}: {shortened(path.name)} is no path") from None


def _may_be_read(file: Path) -> bool:
    """Whether it is a regular file; also where that cannot be told, and ``read_file`` will say why."""
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _is_below(path: Path, root: Path) -> bool:
    return path == root or root in path.parents
