"""A table of answers that live apart from their questions, joined to Examples on the id."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_extractive.data.answerable import answerability, truth, unknown_verdicts, verdict_of
from qa_extractive.data.given_answers import given_answers
from qa_extractive.errors import DataError
from qa_extractive.tables.reading import read_rows
from qa_extractive.types import VERDICTS, Example

_ALTERNATIVES = " || "
_REFERENCE_COLUMNS = ("reference", "references", "answer", "answers")


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a table of labels."""

    id: str
    answerable: str | None
    impossible: str | None
    reference: str | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of the answer of a row.

    Attributes:
        answerable: Whether the context answers the question; None if not known.
        references: The right answers; none where there is no answer, or none is known.
        verdict: As of ``Example``.
    """

    answerable: bool | None = None
    references: tuple[str, ...] = ()
    verdict: str | None = None


class Labels:
    """Answers that live apart from their questions, by id.

    Attributes:
        path: The table they came from.
    """

    def __init__(self, path: Path, id_column: str | None, *, warn: Callable[[str], None]) -> None:
        """Read a table of id, answerable, references and verdict.

        Args:
            path: The table.
            id_column: The column of ids, in any case; None for ``id``, which is also what else is tried.
            warn: Told of rows without a label, labels without a row and verdicts that are none.

        Raises:
            DataError: A column is missing, or a row has a bad cell or no id of its own.
        """
        self.path = path
        self._warn = warn
        reader = read_rows(path)
        columns = _label_columns(path, reader.columns, id_column)
        self._by_id: dict[str, Label] = {}
        self._used: set[str] = set()
        verdicts: list[Any] = []
        for row in reader:
            where = f"{path}, row {row.number}"
            name = _cell_text(row.values.get(columns.id))
            problem = row.error or row.short
            if problem is not None or not name or name in self._by_id:
                raise DataError(f"{where}: {problem or f'id {name!r} is empty or repeated: correct it'}")
            self._by_id[name] = _label(row.values, columns, where)
            verdicts.append(row.values.get(columns.verdict or ""))
        if problem := unknown_verdicts(verdicts):
            warn(f"{path}: {problem}")

    def join(self, examples: Sequence[Example], path: Path) -> tuple[Example, ...]:
        """The examples with these labels instead of their own; those without one lose theirs.

        Args:
            examples: The rows of a file.
            path: The file, for messages.

        Raises:
            DataError: None of the examples has a label.
        """
        missing = [e.id for e in examples if e.id not in self._by_id]
        if len(missing) == len(examples):
            raise DataError(f"{self.path} and {path} share no id: name the column of ids with --id-column")
        if missing:
            self._warn(
                f"{len(missing):,} rows of {path} have no label in {self.path}, the first is {missing[0]}"
            )
        self._used.update(e.id for e in examples)
        return tuple(self._labelled(example) for example in examples)

    def check_use(self) -> None:
        """Warn of labels that belong to no row."""
        unused = [name for name in self._by_id if name not in self._used]
        if unused:
            self._warn(f"{len(unused):,} labels of {self.path} belong to no row, the first is {unused[0]}")

    def _labelled(self, example: Example) -> Example:
        label = self._by_id.get(example.id, Label())
        return dataclasses.replace(
            example,
            answerable=label.answerable,
            references=label.references,
            spans=(),
            verdict=label.verdict,
        )


def _label_columns(path: Path, columns: Sequence[str], id_column: str | None) -> _Columns:
    names = {name.strip().casefold(): name for name in columns}
    wanted = [(id_column or "id").casefold(), "id"]
    ids = next((names[name] for name in wanted if name in names), None)
    reference = next((names[name] for name in _REFERENCE_COLUMNS if name in names), None)
    answerable, impossible = names.get("answerable"), names.get("is_impossible")
    verdict = names.get("verdict")
    if ids is None or not (reference or answerable or impossible or verdict):
        found = ", ".join(map(repr, columns[:30]))
        raise DataError(f"{path}: labels need columns id, and answerable or reference, but have {found}")
    return _Columns(ids, answerable, impossible, reference, verdict)


def _label(values: Mapping[str, Any], columns: _Columns, where: str) -> Label:
    def cell(name: str | None) -> Any:
        return None if name is None else values.get(name)

    parts = [
        p.strip()
        for answer in given_answers(cell(columns.reference))
        for p in answer.text.split(_ALTERNATIVES)
    ]
    references = tuple(part for part in parts if part)
    try:
        said = truth(cell(columns.answerable), "answerable")
        impossible = truth(cell(columns.impossible), "is_impossible")
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    # as in a data file: an empty answer says that there is none
    if_silent = False if columns.reference and not columns.impossible else None
    verdict = verdict_of(cell(columns.verdict))
    has_answers = bool(references) or verdict in VERDICTS
    known = answerability(said, impossible, has_answers=has_answers, if_silent=if_silent)
    return Label(known) if known is False else Label(known, references, verdict)


def _cell_text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()
