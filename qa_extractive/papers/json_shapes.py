"""Where the records are in a JSON file, and what an object calls its values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# Names of keys, in small letters and without spaces, underscores and hyphens.
_LISTS = ("papers", "articles", "records", "documents", "data")
_WRAPPERS = ("metadata", "attributes", "bibjson", "source", "fields", "pdfparse", "item", "coredata")
TITLE = ("title", "papertitle", "articletitle", "titles", "dc:title", "titledisplay", "displayname")
BODY = ("sections", "bodytext", "body", "fulltext", "text", "passages")
ABSTRACT = (
    *(
        "abstract",
        "context",
        "summary",
        "paper",
        "abstracttext",
        "paperabstract",
        "abstractnote",
        "abstracts",
    ),
    *("contexts", "dc:description", "description", "descriptions"),
)
INVERTED_ABSTRACT = "abstractinvertedindex"  # of OpenAlex: where each word stands
# What only a paper has; the other names are those of many things.
_SURE = frozenset(
    "title papertitle articletitle titles dc:title titledisplay abstract abstracttext paperabstract "
    f"abstractnote bodytext sections passages {INVERTED_ABSTRACT}".split()
)
_MAX_LEVELS = 4
_MAX_CONTAINERS = 1_000_000  # objects and lists, in memory at once


def records_of_json(value: object) -> list[object]:
    """The records of a JSON file: a list, the lists of records inside an object, or the one object."""
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping):
        return [value]
    values = by_name(value)
    named = [values[name] for name in _LISTS if isinstance(values.get(name), list)]
    if named and (any(map(_has_records, named)) or not is_record(value)):
        others = [each for name, each in values.items() if name not in _LISTS and _has_records(each)]
        return [record for each in (named + others) for record in each]
    return [value] if is_record(value) else records_inside(value) or [value]


def records_inside(value: Mapping[str, Any]) -> list[object]:
    """The records that the answer of an interface wraps: all at the first level that has any."""
    level: list[Mapping[str, Any]] = [value]
    for _ in range(_MAX_LEVELS):
        inside = [part for each in level for part in each.values()]
        found: list[object] = []
        for part in inside:
            found += part if _has_records(part) else [part] if is_record(part) else []
        if found:
            return found
        level = [part for part in inside if isinstance(part, Mapping)]
    return []


def is_record(value: object) -> bool:
    """Whether an object surely is of a paper, itself or in what wraps its metadata."""
    return isinstance(value, Mapping) and not _SURE.isdisjoint(merged(value))


def has_text(values: Mapping[str, Any]) -> bool:
    """Whether an object, by its names, has what may be a text of a paper."""
    return any(name in values for name in (*_SURE, *ABSTRACT, *BODY))


def by_name(value: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an object by name, however its keys are written."""
    return {re.sub(r"[\s_-]", "", str(key).casefold()): each for key, each in value.items()}


def merged(record: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an object by name, with those of objects that wrap its metadata."""
    values = by_name(record)
    for name in _WRAPPERS:
        inner = values.get(name)
        if isinstance(inner, Mapping):
            values = by_name(inner) | values
    return values


def first(values: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first value there is under these names."""
    return next((values[name] for name in names if values.get(name)), None)


def is_too_large(text: str) -> bool:
    """Whether a JSON text holds so many values that they would fill the memory."""
    return text.count("{") + text.count("[") + text.count(",") // 5 > _MAX_CONTAINERS


def _has_records(value: object) -> bool:
    return isinstance(value, list) and any(
        isinstance(part, Mapping) and (is_record(part) or has_text(by_name(part))) for part in value
    )
