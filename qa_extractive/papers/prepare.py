"""A folder of papers -> a table, file by file in the order of their names, in memory that does not grow."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from qa_extractive.errors import DataError
from qa_extractive.papers.languages import is_foreign
from qa_extractive.papers.reading import Outcome, Skipped, read_papers
from qa_extractive.papers.types import COLUMNS, LATER_COLUMNS, Paper
from qa_extractive.settings import LONG_CONTEXT_CHARACTERS
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.formats import table_format
from qa_extractive.tables.growing import Content, GrowingTable, ParquetContent, partial_path, text_content
from qa_extractive.tables.locking import lock_path, locked
from qa_extractive.tables.text_files import os_reason
from qa_extractive.tables.writing import RowWriter, checked_target, write_rows, writing

_ALL_COLUMNS = (*COLUMNS, "file", "record", *LATER_COLUMNS)
_ERROR_COLUMNS = ("file", "record", "kind", "reason")
_PART_ROWS = 256
_PART_CHARACTERS = 8_000_000
_N_SHOWN = 3


@dataclass(slots=True)
class SkippedKind:
    """What was skipped, or taken with a warning, for reasons of one kind.

    Attributes:
        n: How many files and records.
        first: The first few: file, and what was wrong.
    """

    n: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)

    def count(self, where: str, reason: str) -> None:
        """Count one more."""
        self.n += 1
        if len(self.first) < _N_SHOWN:
            self.first.append((where, reason))


@dataclass(slots=True)
class Preparation:
    """What became of a folder.

    Attributes:
        n_files: Files looked at.
        n_papers: Rows written.
        skipped: What was skipped, by kind.
        foreign: Rows whose abstract, or body where there is none, is not in English.
        long: Rows of more than ``LONG_CONTEXT_CHARACTERS``, each of which takes minutes to answer from.
    """

    n_files: int = 0
    n_papers: int = 0
    skipped: dict[str, SkippedKind] = field(default_factory=dict)
    foreign: SkippedKind = field(default_factory=SkippedKind)
    long: SkippedKind = field(default_factory=SkippedKind)

    def take(self, where: str, paper: Paper) -> None:
        """Count a row, and what there is to warn of."""
        self.n_papers += 1
        if is_foreign(paper.abstract or " ".join(section.text for section in paper.sections[:3])):
            self.foreign.count(where, paper.abstract[:100] or paper.title[:100])
        if paper.n_characters > LONG_CONTEXT_CHARACTERS:
            self.long.count(where, f"{paper.n_characters:,} characters")

    def skip(self, name: str, skipped: Skipped) -> None:
        """Count what was skipped."""
        where = name if skipped.record is None else f"{name}, record {skipped.record}"
        self.skipped.setdefault(skipped.kind, SkippedKind()).count(where, skipped.reason)


def prepare(
    folder: Path,
    output: Path,
    *,
    errors: Path | None = None,
    overwrite: bool = False,
    with_text: bool = False,
    unread: Sequence[Path] = (),
    on_file: Callable[[Preparation], object] | None = None,
) -> Preparation:
    """Write the papers of a folder and of those inside it, or of one file, as a table.

    Columns: ``title, abstract, sections, pmid, doi, year, journal, authors, file, record, text, pages``;
    sections, authors and pages are lists (JSON in a CSV), ``file`` is the path below the folder, ``record``
    the number in it; ``text`` is the abstract and the body in one, empty where there is no body.
    Links are skipped, hidden files and folders not looked at. A bad file or record stops no other.

    Args:
        folder: With files of the formats that docs/BATCH.md lists; or one such file.
        output: The table; its extension names the format. It appears when all is read.
        errors: Table of what was skipped, or None.
        overwrite: Whether to replace a table that is there.
        with_text: Whether ``text`` is there where a paper has no body too, and holds its abstract.
        unread: Files and folders to leave out, links followed.
        on_file: Called after each file.

    Raises:
        DataError: There is no such folder or file, no paper was found (what was skipped is listed
            nevertheless), another run writes one of the tables, or a table cannot be written.
    """
    if not os.path.isdir(folder) and not os.path.isfile(folder):  # noqa: PTH112, PTH113 (too long a name is none)
        raise DataError(f"{folder} is not a folder or a file: give one with papers")
    target = checked_target(output)
    listed = None if errors is None else checked_target(errors)
    if listed == target:
        raise DataError(f"{errors} is the output itself: give the errors another file")
    if folder.resolve() in (target, listed):
        raise DataError(f"{folder} is what is read: give another file to write")
    targets = [each for each in (target, listed) if each is not None]
    with locked(targets):
        for each in targets:
            _check_free(each, overwrite=overwrite)
        _check_not_begun(target, overwrite=overwrite)
        table = GrowingTable(target, _content(target))
        try:
            table.start()
            with ExitStack() as stack:
                writer = None if listed is None else stack.enter_context(write_rows(listed, _ERROR_COLUMNS))
                work = _Work(table, writer, with_text, on_file)
                done = _fill(files_below(folder, (*_own_files(targets), *unread)), folder, work)
            if not done.n_papers:
                raise DataError(f"{folder} holds no paper that can be read: {_summary(done)}")
            _check_free(target, overwrite=overwrite)  # it may have appeared meanwhile
            table.finish()
        finally:
            table.discard()
    return done


def _check_free(target: Path, *, overwrite: bool) -> None:
    """Raise DataError where a table that must not be lost is in the way."""
    if target.exists() and not overwrite:
        raise DataError(f"{target} exists: replace it with --overwrite")


def _check_not_begun(target: Path, *, overwrite: bool) -> None:
    """Raise DataError where rows of a run that was stopped would be lost."""
    partial = partial_path(target)
    with writing(target):  # a name that becomes too long
        is_begun = partial.exists()
    if is_begun and not overwrite:
        raise DataError(f"{partial} is left of a run that was stopped: replace it with --overwrite")


def _own_files(targets: Sequence[Path]) -> set[Path]:
    """What is written here, which is no paper if it lies in the folder."""
    return {own for target in targets for own in (target, partial_path(target), lock_path(target))}


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
        "pages": arrow.list_(arrow.int64()),
    }


@dataclass(frozen=True, slots=True)
class _Work:
    table: GrowingTable
    errors: RowWriter | None
    with_text: bool
    on_file: Callable[[Preparation], object] | None

    def skip(self, name: str, skipped: Skipped) -> None:
        """List what is skipped, where that is wanted."""
        if self.errors is not None:
            about = (name, skipped.record, skipped.kind, skipped.reason)
            self.errors.write(dict(zip(_ERROR_COLUMNS, about, strict=True)))

    def row(self, name: str, number: int, paper: Paper) -> dict[str, Any]:
        """The row of a paper."""
        row = paper.to_row() | {"file": name, "record": number}
        return row | {"text": paper.text} if self.with_text else row


def _fill(files: Iterable[Path], folder: Path, work: _Work) -> Preparation:
    done = Preparation()
    part = _Part(work.table)
    for path in files:
        name = path.relative_to(folder).as_posix() if folder.is_dir() else folder.name
        done.n_files += 1
        for outcome in _outcomes(path):
            if isinstance(outcome, Skipped):
                done.skip(name, outcome)
                work.skip(name, outcome)
                continue
            number, paper = outcome
            done.take(f"{name}, record {number}", paper)
            part.add(work.row(name, number, paper), paper.n_characters)
        if work.on_file is not None:
            work.on_file(done)
    part.write()
    return done


class _Part:
    """Rows that are written together."""

    def __init__(self, table: GrowingTable) -> None:
        self._table = table
        self._rows: list[dict[str, Any]] = []
        self._n_characters = 0

    def add(self, row: dict[str, Any], n_characters: int) -> None:
        """Take a row; what there is is written first where it would become too large."""
        if len(self._rows) == _PART_ROWS or self._n_characters + n_characters > _PART_CHARACTERS:
            self.write()
        self._rows.append(row)
        self._n_characters += n_characters

    def write(self) -> None:
        """Write what there is."""
        if self._rows:
            self._table.add(self._rows)
        self._rows, self._n_characters = [], 0


def files_below(folder: Path, unread: Collection[Path] = ()) -> Iterator[Path]:
    """The files that ``prepare`` looks at, in its order, but those that are or lie in ``unread``."""
    place = folder.resolve()  # below it no link is followed
    for path in _files(folder):
        real = place / path.relative_to(folder) if folder.is_dir() else place
        if not any(real == each or each in real.parents for each in unread):
            yield path


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder that are not hidden, each folder's own before those inside it, by name.

    Folders that are not gone into, as links or not to be opened, come out like files; a file comes out alone.
    """
    if folder.is_file():
        yield folder.resolve()
        return
    closed: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in links)
        yield from (Path(place, name) for name in sorted(names + links) if name[0] != ".")
    yield from closed


def _outcomes(path: Path) -> Iterator[Outcome]:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        yield Skipped(None, "unreadable", os_reason(error))
        return
    if stat.S_ISLNK(mode):
        yield Skipped(None, "a link", "links are not followed: copy the file")
    elif stat.S_ISDIR(mode):
        yield Skipped(None, "unreadable", "a folder that cannot be opened")
    else:
        yield from read_papers(path)


def _summary(done: Preparation) -> str:
    kinds = ", ".join(
        f"{kind.n} {name} ({kind.first[0][0]}: {kind.first[0][1]})" for name, kind in done.skipped.items()
    )
    return kinds or "it is empty"
