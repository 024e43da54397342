"""The quantity that a quote states, its unit as pint names it. Needs the [extract] extra."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from qa_extractive.extraction.numbers import plain_value, quantity_of
from qa_extractive.extraction.values import NoValueError, quoted
from qa_extractive.metrics.numbers import PLAIN_UNIT, spelled_unit

# What papers write and pint does not know.
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
_KNOWN = re.compile(
    rf"{PLAIN_UNIT}|[pf](?:g|mol|L|M)|beats?|lbs?|oz|ounces?|decades?"
)  # pint knows more, and takes "cats" and "units" for units with a prefix
# To pint a point is a typographer's; U is of insulin or of enzymes, M molar or million.
_UNSURE = re.compile("(?:percentage)?point|[nµμumkMG]?U|M")
_RAISED = re.compile(r"(?<=[^\W\d_])\^?([23])(?!\w)")


def quantity_in(quote: str, before: str = "", after: str = "") -> dict[str, Any]:
    """``number`` and ``unit`` of the one number of a quote, if it has a unit.

    Args:
        quote: That states the quantity.
        before: What precedes the quote in its text, as far as it may matter.
        after: What follows it.

    Raises:
        NoValueError: There is none, more than one, one that is no plain number, or a unit that is not known.
    """
    found = quantity_of(quote, before, after)
    if found.unit is None:
        raise NoValueError("the number of the quote has no unit that is known")
    return {"number": plain_value(found), "unit": _named(found.unit)}


@lru_cache(256)
def _named(unit: str) -> str:
    """Its name in pint; NoValueError where one of its parts is not known for sure."""
    spelled = spelled_unit(unit)
    parts = [_RAISED.sub("", part) for part in spelled.removeprefix("/").split("/")]
    in_pint = _RAISED.sub(r"**\1", f"1{spelled}" if spelled.startswith("/") else spelled)
    try:
        if "times" in unit or not all(map(_is_sure, parts)):
            raise ValueError(unit)
        return str(_registry().parse_units(in_pint))
    except Exception:  # pint's errors are of many kinds: of Python, of its own, of its tokenizer
        raise NoValueError(f"pint knows no unit {quoted(unit)} for sure") from None


def _is_sure(part: str) -> bool:
    return bool(_KNOWN.fullmatch(part) and not _UNSURE.fullmatch(part))


@lru_cache(1)
def _registry() -> Any:
    from pint import UnitRegistry

    registry: Any = UnitRegistry(on_redefinition="ignore")
    for each in _DEFINED:
        registry.define(each)
    return registry
