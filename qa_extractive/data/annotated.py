"""Rows as annotation tools export them -> rows of a table with a column ``answer``.

Label Studio's full export nests what was labelled; doccano and Prodigy give spans by their offsets alone. In
all of them a text without a span is one that nobody labelled, unless a choice says that there is no answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qa_extractive.data.given_answers import holds_spans
from qa_extractive.tables.reading import Row

ANSWER = "answer"

_ANNOTATIONS = ("annotations", "completions")  # Label Studio, and before its version 1.0
_LABEL_STUDIO_MIN = {"annotator", "annotation_id", "lead_time"}
_SPAN_COLUMNS = ("label", "labels", "entities", "spans")
_PRODIGY = {"_input_hash", "_task_hash"}


def is_tasks(columns: Sequence[str]) -> bool:
    """Whether a table is Label Studio's full export."""
    return "data" in columns and any(name in columns for name in _ANNOTATIONS)


def is_annotated(columns: Sequence[str]) -> bool:
    """Whether a table comes from an annotation tool: no span then means that nothing is known."""
    names = set(columns)
    return bool(names & (_LABEL_STUDIO_MIN | _PRODIGY)) or is_tasks(columns)


def is_prodigy(columns: Sequence[str]) -> bool:
    """Whether a table is Prodigy's, whose column ``answer`` holds "accept", "reject" or "ignore"."""
    return {"spans", ANSWER} <= set(columns) and bool(_PRODIGY & set(columns))


def rows_of_tasks(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of Label Studio's full export: its data, ``answer`` with all spans and texts, its choices.

    Annotations that were cancelled do not count.
    """
    for row in rows:
        yield row if row.error is not None else replace(row, values=_flat(row.values))


def accepted_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of Prodigy: spans that were not accepted are no answers."""
    for row in rows:
        spans = row.values.get("spans") if row.values.get(ANSWER) == "accept" else None
        yield row if row.error is not None else replace(row, values=row.values | {ANSWER: spans})


def labelled_spans(values: Mapping[str, Any], used: frozenset[str], *, in_any: bool) -> Any:
    """The first cell that lists spans with their offsets, of a column that plays no other part.

    Args:
        values: Of the row.
        used: The columns with a part.
        in_any: Whether any column may hold them; else only those that tools name so.
    """
    names = [name for name in values if name not in used and (in_any or name in _SPAN_COLUMNS)]
    return next((values[name] for name in names if holds_spans(values[name])), None)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    data = values.get("data")
    flat = dict(data) if isinstance(data, dict) else {}
    if flat.get("id") is None and values.get("id") is not None:
        flat["id"] = values["id"]
    answers: list[Any] = []
    for result in _results(values):
        value = result.get("value")
        if not isinstance(value, dict):
            continue
        if "choices" in value:
            flat[str(result.get("from_name"))] = ", ".join(map(str, value["choices"] or ()))
        elif "text" in value or "start" in value:
            answers.append(value)
    flat[ANSWER] = answers or None
    return flat


def _results(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in _ANNOTATIONS:
        for annotation in _dicts(values.get(name)):
            if not annotation.get("was_cancelled") and not annotation.get("skipped"):
                yield from _dicts(annotation.get("result"))


def _dicts(items: object) -> Iterator[dict[str, Any]]:
    return (item for item in (items if isinstance(items, list) else ()) if isinstance(item, dict))
