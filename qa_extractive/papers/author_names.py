"""Names of authors, as cells and fields have them, -> given name before family name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from qa_extractive.papers.types import one_line

_ID = re.compile(r"\s*\((?:\d{6,}|[\d-]{16,})\)$")  # of Scopus: "Doe, J. (57190000000)"
_INITIALS = re.compile(r"[^\W\d_][\w'\u2019. -]* [A-Z\u00c0-\u00de][\w.-]{0,4}")  # "van Doe JR"


def given_first(name: str) -> str:
    """``Doe, Jane`` -> ``Jane Doe``; a name without a comma as it is."""
    family, comma, given = _ID.sub("", name.strip()).rstrip(",").partition(",")
    return one_line(f"{given} {family}" if comma else family)


def names_in(cell: str) -> tuple[str, ...]:
    """The names in a cell, parted by semicolons, bars, line ends, "and" or commas, or in a JSON list."""
    return tuple(filter(None, map(given_first, _parts(cell.strip()))))


def _parts(cell: str) -> Iterator[str]:
    listed = _listed(cell)
    if listed is not None:
        yield from listed
    elif re.search(r"[;|\n]", cell):
        yield from re.split(r"[;|\n]", cell)
    elif " and " in cell:
        yield from one_line(cell).split(" and ")
    else:
        names = [name.strip() for name in cell.rstrip(". ").split(",")]
        are_initials = len(names) > 1 and all(map(_INITIALS.fullmatch, names))
        yield from names if are_initials or len(names) > 2 else [cell]


def _listed(cell: str) -> list[str] | None:
    """The names of a JSON list, of texts or of objects with a name; None where it is none."""
    if not cell.startswith("["):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    named = [each.get("name") if isinstance(each, dict) else each for each in value]
    return [each for each in named if isinstance(each, str)]
