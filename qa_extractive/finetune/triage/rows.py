"""Tables of yes or no -> rows to train on and rows to measure on, no document in both."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from qa_extractive.data.columns import ColumnNames
from qa_extractive.data.loading import Problem, load_examples
from qa_extractive.errors import DataError
from qa_extractive.finetune.job import HELD_OUT_SHARE, SUFFIXES, folded, held_out
from qa_extractive.tables.reading import read_rows
from qa_extractive.types import Example

LABELS = ("label", "included", "include", "relevant", "answerable")
MIN_OF_EACH = 5
_FEW_OF_EACH = 20


@dataclass(frozen=True, slots=True)
class TriageRows:
    """Rows with a label each: ``answerable`` is True for yes and False for no.

    Attributes:
        name: Of what was read.
        train: To learn from.
        test: To measure on.
        problems: Rows that could not be used.
        warnings: What is odd, a line each.
    """

    name: str
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def read_triage(
    source: Path,
    *,
    test: Sequence[Path] = (),
    hold_out: int | None = None,
    names: ColumnNames = ColumnNames(),  # noqa: B008 - frozen
    label: str | None = None,
    seed: int = 17,
) -> TriageRows:
    """Read labelled rows.

    Args:
        source: A table, or a folder with ``train`` and ``test``.
        test: Tables to measure on; without any, whole documents of ``source`` are held out by a hash.
        hold_out: Rows to hold out, at least; None for a fifth.
        names: Columns named by the user.
        label: Column of the labels; None for a usual name.
        seed: Of the choice of documents.

    Raises:
        DataError: A file or a column is missing, or there are too few rows of either kind.
    """
    name = Path(os.path.realpath(source)).name
    if source.is_dir():
        source, *test = [_required_table(source, stem) for stem in ("train", "test")]
    problems: list[Problem] = []
    train = _load([source], names, label, problems)
    if test:
        measured = _load(test, names, label, problems)
    else:
        n_rows = round(HELD_OUT_SHARE * len(train)) if hold_out is None else hold_out
        train, measured = held_out(train, n_rows, seed)
    return split_rows(name, train, measured, problems)


def split_rows(
    name: str, train: Sequence[Example], test: Sequence[Example], problems: Sequence[Problem] = ()
) -> TriageRows:
    """Rows to learn from, without copies and without the texts of the test rows; DataError if too few."""
    texts = {folded(example.question.context) for example in test}
    apart = [example for example in train if folded(example.question.context) not in texts]
    kept = list({_asked(example): example for example in reversed(apart)}.values())[::-1]
    warnings = []
    if len(apart) < len(train):
        warnings.append(f"{len(train) - len(apart):,} rows left out: their texts are texts of test rows")
    if len(kept) < len(apart):
        warnings.append(f"{len(apart) - len(kept):,} rows left out: asked before of the same text")
    _require(kept, test, problems)
    n_few = min(sum(_is_yes(kept)), len(kept) - sum(_is_yes(kept)))
    if n_few < _FEW_OF_EACH:
        warnings.append(f"only {n_few} training rows of one kind: the probabilities will be rough")
    return TriageRows(name, tuple(kept), tuple(test), tuple(problems), tuple(warnings))


def table_of(folder: Path, stem: str) -> Path | None:
    """The table of this name in a folder, whatever its format."""
    found = (folder / f"{stem}{suffix}" for suffix in SUFFIXES)
    return next((path for path in found if path.is_file()), None)


def _required_table(folder: Path, stem: str) -> Path:
    path = table_of(folder, stem)
    if path is None:
        raise DataError(f"{folder / stem}.csv is missing: give question, context and label there")
    return path


def holds_labels(folder: Path) -> bool:
    """Whether the training table of a task folder has a column ``label`` and none of answers."""
    table = table_of(folder, "train")
    if table is None:
        return False
    try:
        columns = {column.strip().casefold() for column in read_rows(table).columns}
    except DataError:  # whoever reads the folder says so
        return False
    return "label" in columns and not columns & {"answer", "answers"}


def _load(
    paths: Sequence[Path], names: ColumnNames, label: str | None, problems: list[Problem]
) -> tuple[Example, ...]:
    found: list[Example] = []
    for path in paths:
        loaded = load_examples(path, names=replace(names, answerable=_label_column(path, label)))
        problems += loaded.problems
        unread = {problem.row for problem in loaded.problems}
        numbers = (number for number in count(1) if number not in unread)
        for number, example in zip(numbers, loaded.examples, strict=False):
            reason = _unusable(example)
            if reason:
                problems.append(Problem(path, number, reason))
            else:
                found.append(replace(example, references=(), spans=()))
    return tuple(found)


def _unusable(example: Example) -> str:
    if example.answerable is None:
        return "it has no label: write yes or no"
    return "" if example.question.context.strip() else "its text is empty"


def _label_column(path: Path, label: str | None) -> str:
    columns = read_rows(path).columns
    folded_columns = {column.strip().casefold(): column for column in columns}
    for name in (label,) if label else LABELS:
        if name.strip().casefold() in folded_columns:
            return folded_columns[name.strip().casefold()]
    wanted = f"no column is named {label!r}" if label else "no column 'label'"
    raise DataError(
        f"{path}: {wanted}; the columns are {', '.join(map(repr, columns))}: use --label-column NAME"
    )


def _require(train: Sequence[Example], test: Sequence[Example], problems: Sequence[Problem]) -> None:
    n_yes = sum(_is_yes(train))
    n_no = len(train) - n_yes
    if min(n_yes, n_no) < MIN_OF_EACH:
        unread = f"; {len(problems)} rows cannot be used, first {problems[0]}" if problems else ""
        raise DataError(
            f"{n_yes} training rows say yes and {n_no} no: at least {MIN_OF_EACH} of each are needed{unread}"
        )
    if not test:
        raise DataError("there are no test rows: give --test, or a --hold-out of at least 1")


def _is_yes(examples: Sequence[Example]) -> list[bool]:
    return [bool(example.answerable) for example in examples]


def _asked(example: Example) -> tuple[str, str]:
    return folded(example.question.question), folded(example.question.context)
