"""Examples as JSONL, one a line, with nothing lost: what training and evaluation pass on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qa_extractive.errors import DataError
from qa_extractive.tables.formats import table_format
from qa_extractive.tables.writing import write_rows
from qa_extractive.types import Example, Question, Span

_VERDICT = "verdict"  # added later: files without it are read too
_COLUMNS = (
    "id", "question", "context", "title", "references", "spans", "answerable", "document", "source", "fields",
)  # fmt: skip


def examples_to_jsonl(path: str | os.PathLike[str], examples: Iterable[Example]) -> None:
    """Write Examples so that ``load_examples`` reads the same ones back.

    Values in ``fields`` that JSON has no word for come back as text; tuples in it as lists.

    Args:
        path: A ``.jsonl`` file, or ``.jsonl.gz``; it appears whole or not at all.
        examples: What to write.

    Raises:
        DataError: The file is not named so, or cannot be written.
    """
    if table_format(Path(path)).kind != "jsonl":
        raise DataError(f"{path}: examples are written as JSONL: name the file .jsonl or .jsonl.gz")
    with write_rows(path, (*_COLUMNS, _VERDICT)) as writer:
        for example in examples:
            writer.write(_values(example))


def holds_examples(columns: Sequence[str]) -> bool:
    """Whether a table is one that ``examples_to_jsonl`` wrote; it may have further columns."""
    return set(_COLUMNS) <= set(columns)


def example_from_values(values: Mapping[str, Any]) -> Example:
    """The Example of a row; DataError where a value is not of its type. Further columns go to ``fields``."""
    references = _typed(values, "references", list)
    if not all(isinstance(text, str) for text in references):
        raise DataError("column 'references' must be a list of texts: correct the row")
    known = (*_COLUMNS, _VERDICT)
    further = {name: cell for name, cell in values.items() if name not in known and cell is not None}
    return Example(
        id=_typed(values, "id", str),
        question=Question(values["question"], values["context"], values["title"]),
        references=tuple(references),
        spans=tuple(_span(item) for item in _typed(values, "spans", list)),
        answerable=None if values["answerable"] is None else _typed(values, "answerable", bool),
        document=_typed(values, "document", str),
        source=_typed(values, "source", str),
        fields=_typed(values, "fields", dict) | further,
        verdict=None if values.get(_VERDICT) is None else _typed(values, _VERDICT, str),
    )


def _values(example: Example) -> dict[str, Any]:
    plain = ("id", "references", "answerable", "document", "source", "fields", _VERDICT)
    values = {name: getattr(example, name) for name in plain}
    return values | asdict(example.question) | {"spans": [asdict(span) for span in example.spans]}


def _typed(values: Mapping[str, Any], name: str, kind: type) -> Any:
    if not isinstance(values[name], kind):
        found = type(values[name]).__name__
        raise DataError(f"column {name!r} holds a {found} where a {kind.__name__} is needed: correct the row")
    return values[name]


def _span(item: Any) -> Span:
    try:
        return Span(str(item["text"]), int(item["start"]), int(item["end"]), float(item["score"]))
    except (KeyError, TypeError, ValueError):
        raise DataError("a span needs 'text', 'start', 'end' and 'score': correct the row") from None
