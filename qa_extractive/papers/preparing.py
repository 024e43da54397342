"""A folder of papers -> a table, file by file in the order of their names, in memory that does not grow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from qa_extractive.errors import DataError
from qa_extractive.papers.reading import Outcome, Skipped, read_papers
from qa_extractive.papers.records import COLUMNS
from qa_extractive.tables.formats import table_format
from qa_extractive.tables.growing import Content, GrowingTable, ParquetContent, partial_path, text_content
from qa_extractive.tables.parquet import require_pyarrow
from qa_extractive.tables.writing import RowWriter, checked_target, write_rows

_ALL_COLUMNS = (*COLUMNS, "file", "record")
_ERROR_COLUMNS = ("file", "record", "kind", "reason")
_PART_ROWS = 256
_PART_CHARACTERS = 8_000_000
_N_SHOWN = 3


@dataclass(slots=True)
class SkippedKind:
    """What was skipped for reasons of one kind.

    Attributes:
        n: How many files and records.
        first: The first few: file, and what was wrong.
    """

    n: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Preparation:
    """What became of a folder.

    Attributes:
        n_files: Files looked at.
        n_papers: Rows written.
        skipped: What was skipped, by kind.
    """

    n_files: int = 0
    n_papers: int = 0
    skipped: dict[str, SkippedKind] = field(default_factory=dict)

    def skip(self, name: str, skipped: Skipped) -> None:
        """Count what was skipped."""
        kind = self.skipped.setdefault(skipped.kind, SkippedKind())
        kind.n += 1
        if len(kind.first) < _N_SHOWN:
            where = name if skipped.record is None else f"{name}, record {skipped.record}"
            kind.first.append((where, skipped.reason))


def prepare(
    folder: Path,
    output: Path,
    *,
    errors: Path | None = None,
    overwrite: bool = False,
    on_file: Callable[[Preparation], object] | None = None,
) -> Preparation:
    """Write the papers of a folder and of those inside it as a table.

    Columns: ``title, abstract, sections, pmid, doi, year, journal, authors, file, record``; sections and
    authors are lists (JSON in a CSV), ``file`` is the path below the folder, ``record`` the number in it.
    Links are skipped, hidden files and folders not looked at. A bad file or record stops no other.

    Args:
        folder: With ``.txt``, ``.json``, ``.jsonl`` and ``.xml`` files (JATS, PubMed), each also ``.gz`` or
            ``.zst``.
        output: The table; its extension names the format. It appears when all is read.
        errors: Table of what was skipped, or None.
        overwrite: Whether to replace a table that is there.
        on_file: Called after each file.

    Raises:
        DataError: The folder is none, no paper was found (what was skipped is listed nevertheless), or a
            table cannot be written.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: give one with papers")
    target = checked_target(output)
    listed = None if errors is None else checked_target(errors)
    for each in (target, listed):
        if each is not None and each.exists() and not overwrite:
            raise DataError(f"{each} exists: replace it with --overwrite")
    if listed == target:
        raise DataError(f"{errors} is the output itself: give the errors another file")
    own = {each.resolve() for each in (target, partial_path(target), listed) if each is not None}
    table = GrowingTable(target, _content(target))
    table.start()
    try:
        with ExitStack() as stack:
            writer = None if listed is None else stack.enter_context(write_rows(listed, _ERROR_COLUMNS))
            done = _fill(folder, own, table, writer, on_file)
        if not done.n_papers:
            raise DataError(f"{folder} holds no paper that can be read: {_summary(done)}")
        table.finish()
    finally:
        table.discard()
    return done


def _content(target: Path) -> Content:
    if table_format(target).kind != "parquet":
        return text_content(target, _ALL_COLUMNS)
    arrow, _ = require_pyarrow()
    return ParquetContent(_types(arrow))


def _types(arrow: ModuleType) -> dict[str, Any]:
    text = arrow.string()
    section = arrow.struct([("heading", text), ("text", text)])
    types = dict.fromkeys(_ALL_COLUMNS, text)
    return types | {
        "sections": arrow.list_(section),
        "authors": arrow.list_(text),
        "year": arrow.int64(),
        "record": arrow.int64(),
    }


def _fill(
    folder: Path,
    own: set[Path],
    table: GrowingTable,
    errors: RowWriter | None,
    on_file: Callable[[Preparation], object] | None,
) -> Preparation:
    done = Preparation()
    part: list[dict[str, Any]] = []
    n_characters = 0
    for path in _files(folder):
        if path.resolve() in own:
            continue
        name = path.relative_to(folder).as_posix()
        done.n_files += 1
        for outcome in _outcomes(path):
            if isinstance(outcome, Skipped):
                done.skip(name, outcome)
                if errors is not None:
                    about = (name, outcome.record, outcome.kind, outcome.reason)
                    errors.write(dict(zip(_ERROR_COLUMNS, about, strict=True)))
                continue
            number, paper = outcome
            done.n_papers += 1
            part.append(paper.to_row() | {"file": name, "record": number})
            n_characters += len(paper.abstract) + sum(len(section.text) for section in paper.sections)
            if len(part) == _PART_ROWS or n_characters > _PART_CHARACTERS:
                table.add(part)
                part, n_characters = [], 0
        if on_file is not None:
            on_file(done)
    if part:
        table.add(part)
    return done


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder that are not hidden, each folder's own before those inside it, by name.

    Folders that are not gone into, as links or not to be opened, come out like files.
    """
    closed: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        links = [name for name in folders if Path(place, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in links)
        yield from (Path(place, name) for name in sorted(names + links) if name[0] != ".")
    yield from closed


def _outcomes(path: Path) -> Iterator[Outcome]:
    if path.is_symlink():
        yield Skipped(None, "a link", "links are not followed: copy the file")
    elif path.is_dir():
        yield Skipped(None, "unreadable", "a folder that cannot be opened")
    else:
        yield from read_papers(path)


def _summary(done: Preparation) -> str:
    kinds = ", ".join(f"{kind.n} {name}" for name, kind in done.skipped.items())
    return kinds or "it is empty"
