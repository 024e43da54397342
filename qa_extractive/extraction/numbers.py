"""The number that a quote states; never a guess between several, and no bound or range as a number."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec

from qa_extractive.evidence.values import main_quantities
from qa_extractive.extraction.values import NoValueError, quoted, the_only
from qa_extractive.metrics.numbers import Quantity, spelled_unit, with_signs

PER_CENT = "%"
_SPREAD = ("±", "+/-")
_FRACTION = re.compile(r"\b(?:half|halves|thirds?|quarters?|\w+th|\w+ths)\b", re.IGNORECASE)
_MAX_WORDS = 12  # of a quote without digits that may hold a number in words


def quantities_in(quote: str) -> list[Quantity]:
    """The numbers of a quote with their units, without p values, intervals and what follows a "±"."""
    found: list[Quantity] = []
    for each in main_quantities(with_signs(quote)):
        if found and each.text.lstrip().startswith(_SPREAD):
            found[-1] = replace(found[-1], unit=found[-1].unit or each.unit)
        else:
            found.append(each)
    return found


def number_in(quote: str) -> int | float:
    """The one number of a quote beside percentages, or its one percentage; words as "twelve" count too.

    Raises:
        NoValueError: There is none, more than one, or one with a bound, a currency or a power, or a range.
    """
    found = quantities_in(quote) or quantities_in(_in_digits(quote))
    return plain_value([each for each in found if not is_per_cent(each)] or found, "number")


def integer_in(quote: str) -> int:
    """The same, if it is whole; NoValueError otherwise."""
    value = number_in(quote)
    if value != int(value):
        raise NoValueError(f"{value:g} is no whole number")
    return int(value)


def percentage_in(quote: str) -> int | float:
    """The one percentage of a quote: 45 of "45 %"; NoValueError otherwise."""
    return plain_value([each for each in quantities_in(quote) if is_per_cent(each)], "percentage")


def is_per_cent(quantity: Quantity) -> bool:
    """Whether it is a number of per cent."""
    return quantity.unit is not None and spelled_unit(quantity.unit) == PER_CENT


def plain_value(found: list[Quantity], what: str) -> int | float:
    """The value of the only one; NoValueError where it is not the only one, or not plain."""
    the_only([each.text for each in found], what)
    value = found[0].value
    if value is None:
        told = quoted(found[0].text)
        raise NoValueError(f"{told} is no plain number: a range, or with a bound, a currency or a power")
    return int(value) if value.is_integer() and "." not in found[0].text else value


def _in_digits(quote: str) -> str:
    """A quote without digits, its numbers in words as digits; as it is where that is not sure."""
    if any(map(str.isdigit, quote)) or len(quote.split()) > _MAX_WORDS or _FRACTION.search(quote):
        return quote
    if find_spec("text_to_num") is None:
        raise NoValueError("numbers in words need text2num: pip install 'qa-extractive[extract]'")
    from text_to_num import alpha2digit

    return str(alpha2digit(quote, "en"))
