"""The quantity that a quote states, its unit as pint names it. Needs the [extract] extra."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from qa_extractive.extraction.numbers import plain_value, quantities_in
from qa_extractive.extraction.values import NoValueError, quoted
from qa_extractive.metrics.numbers import spelled_unit

# What papers write and pint does not know; "point" is a typographer's to pint.
_DEFINED = (
    "international_unit = [international_unit] = IU",
    "cell = [cell_count] = cell = cells",
    "equivalent = [equivalent] = Eq = eq",
    "osmole = [osmole] = Osm = osm",
    "copy = [copy_count] = copy = copies",
    "beat = [beat_count]",
    "bpm = beat / minute",
    "fold = []",
)
_UNSURE = frozenset(("point", "points", "percentagepoint"))
_RAISED = re.compile(r"(?<=[^\W\d_])\^?([23])(?!\w)")


def quantity_in(quote: str) -> dict[str, Any]:
    """``number`` and ``unit`` of the one number of a quote that has a unit.

    Raises:
        NoValueError: There is none, more than one, one that is no plain number, or a unit that is not known.
    """
    found = quantities_in(quote)
    number = plain_value([each for each in found if each.unit] or found, "quantity")
    unit = next((each.unit for each in found if each.unit), None)
    if unit is None:
        raise NoValueError("the number of the quote has no unit that is known")
    return {"number": number, "unit": _named(unit)}


@lru_cache(256)
def _named(unit: str) -> str:
    """Its name in pint; NoValueError where pint knows none."""
    spelled = _RAISED.sub(r"**\1", spelled_unit(unit))
    spelled = f"1{spelled}" if spelled.startswith("/") else spelled
    try:
        if spelled in _UNSURE:
            raise ValueError(spelled)
        return str(_registry().parse_units(spelled))
    except Exception:  # pint's errors are of many kinds: of Python, of its own, of its tokenizer
        raise NoValueError(f"pint knows no unit {quoted(unit)}") from None


@lru_cache(1)
def _registry() -> Any:
    from pint import UnitRegistry

    registry: Any = UnitRegistry(on_redefinition="ignore")
    for each in _DEFINED:
        registry.define(each)
    return registry
