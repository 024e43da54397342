"""What a student is to learn and to be measured on: read from a task folder, or from files."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_extractive.data.columns import ColumnNames
from qa_extractive.data.contexts import Context, load_contexts
from qa_extractive.data.documents import document_of, place_of
from qa_extractive.data.labels import Labels
from qa_extractive.data.loading import Problem, load_examples
from qa_extractive.errors import DataError
from qa_extractive.types import Example

DESCRIPTION_FILE = "job_description.json"
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """What a student learns from and what it is measured on, as read: nothing is checked or aligned yet.

    Attributes:
        name: Of the folder, or of the first file.
        description: What is to be done, in words; empty where nobody said.
        train: Labelled rows to learn from.
        test: Labelled rows that nothing is learned or chosen on.
        contexts: Texts without answers.
        replay: Earlier labelled rows to learn from again.
        problems: Rows that could not be read.
        errors: Why it cannot be used at all, a line each.
    """

    name: str
    description: str = ""
    train: tuple[Example, ...] = ()
    test: tuple[Example, ...] = ()
    contexts: tuple[Context, ...] = ()
    replay: tuple[Example, ...] = ()
    problems: tuple[Problem, ...] = ()
    errors: tuple[str, ...] = ()


class _TaskReader:
    """Files read one after another; what is wrong with one does not hide what is wrong with the next."""

    def __init__(self, names: ColumnNames) -> None:
        self.names = names
        self.problems: list[Problem] = []
        self.errors: list[str] = []

    def examples(self, paths: Sequence[Path]) -> tuple[Example, ...]:
        try:
            loaded = load_examples(paths, names=self.names)
        except DataError as error:
            self.errors.append(str(error))
            return ()
        self.problems += loaded.problems
        return loaded.examples

    def contexts(self, paths: Sequence[Path]) -> tuple[Context, ...]:
        try:
            loaded = load_contexts(paths, self.names)
        except DataError as error:
            self.errors.append(str(error))
            return ()
        self.problems += loaded.problems
        return loaded.contexts


def read_task_folder(
    folder: Path,
    names: ColumnNames = ColumnNames(),  # noqa: B008 - frozen
    *,
    unlabelled: Sequence[Path] = (),
    replay: Sequence[Path] = (),
) -> Job:
    """Read a task folder: ``train`` and ``test``, ``job_description.json``, perhaps ``unstructured``.

    The tables may be CSV, TSV, JSONL or Parquet. What is missing or broken goes to ``errors``, all of it.

    Args:
        folder: The folder.
        names: Columns named by the user.
        unlabelled: Further tables of contexts.
        replay: Earlier labelled rows.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give one with train.csv and test.csv")
    reader = _TaskReader(names)
    description = _description(folder / DESCRIPTION_FILE, reader.errors)
    tables = {stem: _table(folder, stem) for stem in ("train", "test", "unstructured")}
    for stem in ("train", "test"):
        if tables[stem] is None:
            reader.errors.append(f"{folder / stem}.csv is missing: give question, answer and context there")
    return Job(
        name=folder.resolve().name,
        description=description,
        train=reader.examples([tables["train"]]) if tables["train"] else (),
        test=reader.examples([tables["test"]]) if tables["test"] else (),
        contexts=reader.contexts([*filter(None, [tables["unstructured"]]), *unlabelled]),
        replay=reader.examples(replay),
        problems=tuple(reader.problems),
        errors=tuple(reader.errors),
    )


def read_files(
    data: Sequence[Path],
    *,
    unlabelled: Sequence[Path] = (),
    replay: Sequence[Path] = (),
    test: Sequence[Path] = (),
    test_labels: Path | None = None,
    hold_out: int | None = None,
    names: ColumnNames = ColumnNames(),  # noqa: B008 - frozen
    seed: int = 17,
    warn: Callable[[str], None] = lambda _: None,
) -> Job:
    """Read labelled files, and the rows to measure on from files of their own or held out of them.

    Args:
        data: Labelled rows.
        unlabelled: Tables of contexts.
        replay: Earlier labelled rows.
        test: Rows to measure on; without any, whole documents of ``data`` are held out.
        test_labels: A table with the answers of ``test``, joined on the id.
        hold_out: Rows to hold out, at least; None for a fifth.
        names: Columns named by the user.
        seed: Of the choice of documents.
        warn: Told of labels and rows that do not meet.
    """
    reader = _TaskReader(names)
    train, measured = reader.examples(data), reader.examples(test) if test else ()
    if test_labels is not None and measured:
        labels = Labels(test_labels, names.id, warn=warn)
        measured = labels.join(measured, test[0])
        labels.check_use()
    if not test:
        n_rows = round(HELD_OUT_SHARE * len(train)) if hold_out is None else hold_out
        train, measured = held_out(train, n_rows, seed)
    name = ", ".join(path.name for path in (data or unlabelled)) or "the data"
    return Job(
        name=name,
        train=train,
        test=measured,
        contexts=reader.contexts(unlabelled),
        replay=reader.examples(replay),
        problems=tuple(reader.problems),
        errors=tuple(reader.errors),
    )


def held_out(
    examples: Sequence[Example], n_rows: int, seed: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The examples but for whole documents of at least ``n_rows`` of them, and these; by a hash."""
    order = sorted(dict.fromkeys(map(document_of, examples)), key=lambda d: place_of(d, seed))
    chosen: set[str] = set()
    for document in order:
        if sum(document_of(e) in chosen for e in examples) >= n_rows:
            break
        chosen.add(document)
    kept = tuple(e for e in examples if document_of(e) not in chosen)
    return kept, tuple(e for e in examples if document_of(e) in chosen)


def folded(text: str) -> str:
    """The text as copies of it are told by: without case, Unicode form and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _table(folder: Path, stem: str) -> Path | None:
    found = (folder / f"{stem}{suffix}" for suffix in SUFFIXES)
    return next((path for path in found if path.is_file()), None)


def _description(path: Path, errors: list[str]) -> str:
    """The text of ``task_description``; a missing file says nothing, a broken one is an error."""
    if not path.is_file():
        return ""
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        errors.append(f"{path} is not JSON: {error}")
        return ""
    text = values.get("task_description") if isinstance(values, dict) else None
    if not isinstance(text, str):
        errors.append(f"{path} holds no text under 'task_description': say there what is to be done")
        return ""
    return " ".join(text.split())
