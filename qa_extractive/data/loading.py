"""Data sets -> Examples: tables (CSV, TSV, JSONL, Parquet), SQuAD and PubMedQA JSON, and our own JSONL."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qa_extractive.data.annotated import (
    accepted_rows,
    is_annotated,
    is_prodigy,
    is_tasks,
    labelled_spans,
    rows_of_tasks,
)
from qa_extractive.data.answerable import answerability, truth, verdict_of
from qa_extractive.data.columns import ColumnNames, TableColumns, question_from_row, resolve_columns
from qa_extractive.data.example_jsonl import example_from_values, holds_examples
from qa_extractive.data.given_answers import GivenAnswer, given_answers, spans_of, with_places
from qa_extractive.data.hub import Table, is_data_set, open_table
from qa_extractive.data.outcomes import Outcome, attempt
from qa_extractive.data.squad_json import (
    document_hash,
    is_pubmedqa,
    is_squad,
    pubmedqa_examples,
    squad_examples,
)
from qa_extractive.errors import DataError
from qa_extractive.tables.reading import Row
from qa_extractive.tables.text_files import data_stem, read_json
from qa_extractive.types import VERDICTS, Example


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that could not be used.

    Attributes:
        path: Its file.
        row: Its number in the file, from 1: the data row of a table, the question of a JSON file.
        message: What is wrong, where and what to do, on one line, without the path and the row.
    """

    path: Path
    row: int
    message: str

    def __str__(self) -> str:
        """The whole message, on one line."""
        return f"{self.path}, row {self.row}: {self.message}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came out of some files.

    Attributes:
        examples: The usable records, in order; every id is unique.
        problems: The others.
    """

    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]


def load_examples(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    names: ColumnNames = ColumnNames(),  # noqa: B008 - frozen
    strict: bool = False,
) -> Loaded:
    """Read data files of any known kind.

    SQuAD and PubMedQA are told by the content of a ``.json`` or ``.json.gz``; a list of flat objects,
    there or under ``data``, is a table, and so is Label Studio's export, full or JSON-MIN. In a table:

    - an empty answer (null too) means that the context does not answer the question; without an answer
      column nothing is known. A column ``answerable`` (true/false, yes/no, 1/0) overrides that, and what
      it marks unanswerable keeps neither references nor spans; in ``is_impossible`` true says the same,
      and false without an answer that nobody has labelled the row yet. So does an empty answer in what an
      annotation tool wrote (Label Studio, doccano, Prodigy);
    - a column ``verdict`` may say yes, no or mixed of a yes/no question (none: it is no such question), which
      without a word on it means that there is an answer; whatever else stands there is a further field;
    - ``answers`` may be a list or SQuAD's ``{"text": [...], "answer_start": [...]}``, or have ``start`` and
      ``end``; ``answer_start`` may also be a column. Offsets are checked against the context, in code
      points, else in UTF-16 units or bytes; answers without them give references only;
    - ``id`` defaults to ``<file stem>-<row>``, ``document`` is a hash of the context, and further columns
      go to ``fields``, where they have a value.

    An id met before gets the suffix ``#2``, ``#3`` ...

    Args:
        paths: The files, or one; folders and ``hf:`` names as ``hub`` says.
        names: Columns named by the user; with any, a file of ``examples_to_jsonl`` is read as a table.
        strict: Whether the first bad record is an error.

    Raises:
        DataError: A file cannot be read at all or lacks a column; with ``strict``, a record is bad.
    """
    files = [paths] if isinstance(paths, str | os.PathLike) else paths
    examples: list[Example] = []
    problems: list[Problem] = []
    for path in map(Path, files):
        for row, outcome in _outcomes(path, names):
            if isinstance(outcome, Example):
                examples.append(outcome)
                continue
            problems.append(Problem(path, row, str(outcome)))
            if strict:
                raise DataError(str(problems[-1]))
    return Loaded(tuple(_with_unique_ids(examples)), tuple(problems))


def _outcomes(path: Path, names: ColumnNames) -> Iterator[Outcome]:
    if path.name.lower().endswith((".json", ".json.gz")) and not is_data_set(path):
        return _json_outcomes(path, names)
    return _table_outcomes(path, open_table(path), names)


def _json_outcomes(path: Path, names: ColumnNames) -> Iterator[Outcome]:
    value = read_json(path)
    if is_squad(value):
        return squad_examples(value, data_stem(path))
    if is_pubmedqa(value):
        return pubmedqa_examples(value, data_stem(path))
    records = value.get("data") if isinstance(value, dict) else value
    if not isinstance(records, list) or not records or not all(isinstance(item, dict) for item in records):
        raise DataError(f"{path}: neither SQuAD, nor PubMedQA, nor a list of objects: make it JSONL or CSV")
    columns = tuple(dict.fromkeys(name for item in records for name in item))
    rows = (Row(number, dict.fromkeys(columns) | item) for number, item in enumerate(records, start=1))
    return _table_outcomes(path, Table(columns, rows, data_stem(path)), names)


def _table_outcomes(path: Path, table: Table, names: ColumnNames) -> Iterator[Outcome]:
    if names == ColumnNames() and holds_examples(table.columns):
        return _attempts(table.rows, _saved_example)
    annotated = is_annotated(table.columns)
    if is_tasks(table.columns):
        table = _flat_tasks(table)
    elif is_prodigy(table.columns):
        table = replace(table, rows=accepted_rows(table.rows))
    try:
        found = resolve_columns(table.columns, names, repeats=table.repeats)
        found = replace(found, is_annotated=annotated)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return _attempts(table.rows, lambda row: _table_example(row, found, table.stem))


def _flat_tasks(table: Table) -> Table:
    rows = list(rows_of_tasks(table.rows))
    columns = dict.fromkeys(name for row in rows for name in row.values) or dict.fromkeys(table.columns)
    whole = (replace(row, values=dict.fromkeys(columns) | row.values) for row in rows)
    return Table(tuple(columns), whole, table.stem)


def _attempts(rows: Iterable[Row], build: Callable[[Row], Example]) -> Iterator[Outcome]:
    for row in rows:
        where = f"line {row.line}" if row.line and row.error is None else ""
        yield row.number, attempt(partial(build, row), where)


def _saved_example(row: Row) -> Example:
    if row.error is not None:
        raise DataError(row.error)
    return example_from_values(row.values)


def _table_example(row: Row, columns: TableColumns, stem: str) -> Example:
    question = question_from_row(row, columns)
    if row.short is not None and any(row.values[name] is None for name in columns.used):
        raise DataError(row.short)
    answers = _answers(row, columns, question.context)
    verdict = verdict_of(_cell(row, columns.verdict))
    answerable = answerability(
        truth(_cell(row, columns.answerable), columns.answerable or ""),
        truth(_cell(row, columns.impossible), columns.impossible or ""),
        has_answers=bool(answers) or verdict in VERDICTS,
        if_silent=columns.if_silent,
    )
    if answerable is False:
        answers = ()
    given_id, document = _cell(row, columns.id), _cell(row, columns.document)
    return Example(
        id=f"{stem}-{row.number}" if given_id in (None, "") else str(given_id),
        question=question,
        references=tuple(answer.text for answer in answers),
        spans=spans_of(question.context, answers),
        answerable=answerable,
        document=document_hash(question.context) if document in (None, "") else str(document),
        source=stem,
        fields=_further(row, columns.used),
        verdict=None if answerable is False else verdict,
    )


def _answers(row: Row, columns: TableColumns, context: str) -> tuple[GivenAnswer, ...]:
    cell = _cell(row, columns.answer)
    if columns.answer is None:
        cell = labelled_spans(row.values, columns.used, in_any=columns.is_annotated)
    starts, ends = _cell(row, columns.start), _cell(row, columns.end)
    return with_places(given_answers(cell, context), context, starts, ends)


def _cell(row: Row, column: str | None) -> Any:
    return None if column is None else row.values.get(column)


def _further(row: Row, used: frozenset[str]) -> dict[str, Any]:
    return {name: cell for name, cell in row.values.items() if name not in used and cell is not None}


def _with_unique_ids(examples: Iterable[Example]) -> Iterator[Example]:
    """The examples, one whose id was met before renamed: ``7``, ``7#2``, ``7#3``."""
    seen: set[str] = set()
    repeats: Counter[str] = Counter()
    for example in examples:
        name = example.id
        while name in seen:
            repeats[example.id] += 1
            name = f"{example.id}#{repeats[example.id] + 1}"
        seen.add(name)
        yield example if name == example.id else replace(example, id=name)
