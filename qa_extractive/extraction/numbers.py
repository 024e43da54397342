"""The number that a quote states; never a guess between several, and no bound, range or part as a number."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec

from qa_extractive.evidence.plain import FRACTION, NUMBER_WORD, flaw_of, unit_goes_on
from qa_extractive.evidence.values import main_quantities, spans_beside
from qa_extractive.extraction.values import NAME, NoValueError, quoted, the_only
from qa_extractive.metrics.numbers import Quantity, plain_digits, spelled_unit, with_signs

_PER_CENT = "%"
_SAME_SIGNS = str.maketrans("％﹪", "%%")
_DEGREES = re.compile(r"\bdegrees?\s(?:(c)elsius|(c)entigrade|(f)ahrenheit)\b", re.IGNORECASE)
_SPREAD = re.compile(r"(?:±|\+/[-−–])\s?\d+(?:\.\d+)?")
_SHARE_ASIDE = re.compile(r"[(\[]([^()\[\]]*\d\s?%\s?)[)\]]")
_COUNT_ASIDE = re.compile(
    r"[(\[](?:n\s?=\s?[\d,]+|\d[\d,]*\s?(?:/|of|out of)\s?\d[\d,]*)[)\]]", re.IGNORECASE
)
_ALSO = re.compile(r"\bat (?:the )?(?:least|most)\b|\b(?:min|max)imum\b|[±/×÷]", re.IGNORECASE)
_RATE = re.compile(
    r"\b(?:once|twice|thrice|per|each|every|[btq]id|[boq]d|[tq]ds|alternate|(?:hour|dai|night|week|month|year)ly|"
    r"an? (?:hour|day|night|week|month|year|dose))\b",
    re.IGNORECASE,
)
_MAX_WORDS = 12  # of a quote without digits that may hold a number in words
_UNSURE_WORD = re.compile(
    r"\b(?:(?:no|each|every|any|some|this|that|which|the|(?:an)?other) one|one another|"
    r"(?:hundred|thousand|million|billion|trillion)s)\b",
    re.IGNORECASE,
)
_TWO_WORDS = re.compile(
    r"\b(\w+(?:teen|ty)|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) and\b", re.IGNORECASE
)


def number_in(quote: str, before: str = "", after: str = "") -> int | float:
    """The one number of a quote beside a percentage in brackets, or its one percentage; "twelve" counts too.

    Args:
        quote: That states the number.
        before: What precedes the quote in its text, as far as it may matter.
        after: What follows it.

    Raises:
        NoValueError: There is none, more than one, or one that is no plain number.
    """
    quote = _signed(quote)
    counts = _without(_SHARE_ASIDE, quote)
    has_count = any(map(str.isdigit, counts)) or NUMBER_WORD.search(counts)
    return plain_value(plain_quantity(counts if has_count else quote, before, after, "number"))


def integer_in(quote: str, before: str = "", after: str = "") -> int:
    """The same, if it is whole; NoValueError otherwise."""
    value = number_in(quote, before, after)
    if value != int(value):
        raise NoValueError(f"{value:g} is no whole number")
    return int(value)


def percentage_in(quote: str, before: str = "", after: str = "") -> int | float:
    """The one percentage of a quote, 45 of "45 %", or the one in brackets; NoValueError otherwise."""
    quote = _signed(quote)
    if _PER_CENT not in quote:
        raise NoValueError("the quote holds no percentage")
    aside = _SHARE_ASIDE.search(quote)
    if aside and _PER_CENT not in quote[: aside.start()] + quote[aside.end() :]:
        quote, before, after = aside[1], "", ""
    found = plain_quantity(_without(_COUNT_ASIDE, quote), before, after, "percentage")
    if found.unit is None or spelled_unit(found.unit) != _PER_CENT:
        raise NoValueError("the quote holds no percentage")
    return plain_value(found)


def quantity_of(quote: str, before: str, after: str) -> Quantity:
    """The one quantity of a quote, its number plain; NoValueError otherwise."""
    return plain_quantity(_without(_COUNT_ASIDE, _signed(quote)), before, after, "quantity")


def plain_quantity(quote: str, before: str, after: str, what: str) -> Quantity:
    """The one number of a quote, if it is plain and the quote holds nothing else that changes it."""
    quote = _in_digits(quote)
    found = _quantities_in(quote)
    word = NUMBER_WORD.search(quote)
    if word and not found and not FRACTION.search(quote):
        raise NoValueError(f"{quoted(word[0])} is no plain number in the quote")
    the_only([each.text for each in found], what)
    (one,) = found
    if one.value is None:
        why = "a range, or with a bound, a currency, a power, or a separator of two meanings"
        raise NoValueError(f"{quoted(one.text)} is no plain number: {why}")
    before = _signed(before)
    text = before + quote + _signed(after)
    flaw = flaw_of(text, one, len(before))
    if flaw:
        raise NoValueError(f"{quoted(one.text)} is no plain number: there is {flaw}")
    rest = _rest(quote, one)
    also = FRACTION.search(rest) or NUMBER_WORD.search(rest) or _ALSO.search(rest)
    others = also[0] if also else "".join(filter(str.isnumeric, rest))
    if others:
        raise NoValueError(f"beside {quoted(one.text)}, the quote holds {quoted(others)}")
    if one.unit and (unit_goes_on(text, one, len(before)) or _RATE.search(rest)):
        raise NoValueError(f"{quoted(one.unit)} is not all of the unit")
    return one


def plain_value(found: Quantity) -> int | float:
    """The value of a plain number, a whole one to its last digit."""
    digits = plain_digits(found.text)
    return float(digits) if "." in digits else int(digits)


def _quantities_in(quote: str) -> list[Quantity]:
    """The numbers of a quote with their units, without p values, intervals and what follows a "±"."""
    found: list[Quantity] = []
    for each in main_quantities(quote):
        last = found[-1] if found else None
        is_spread = last and _SPREAD.fullmatch(each.text.strip()) and len({last.unit, each.unit, None}) < 3
        if last and is_spread and quote[last.end : each.start].strip() in ("", "("):
            found[-1] = replace(last, unit=last.unit or each.unit, end=each.end)
        else:
            found.append(each)
    return found


def _rest(quote: str, one: Quantity) -> str:
    """What the quote holds beside its number: no p values, intervals and names as "IL-6"."""
    for start, end in (*spans_beside(quote), (one.start, one.end)):
        quote = quote[:start] + " " * (end - start) + quote[end:]
    return NAME.sub(" ", quote)


def _without(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: " " * len(match[0]), text)


def _signed(text: str) -> str:
    """With a sign for "per cent", "at least", "degrees Celsius" and the like."""
    signed = with_signs(text.translate(_SAME_SIGNS))
    return _DEGREES.sub(lambda match: f"°{match[match.lastindex or 0].upper()}", signed)


def _in_digits(quote: str) -> str:
    """A quote without digits, its numbers in words as digits; as it is where that is not sure."""
    if any(map(str.isdigit, quote)) or FRACTION.search(quote) or not NUMBER_WORD.search(quote):
        return quote
    if len(quote.split()) > _MAX_WORDS:
        raise NoValueError(f"a number in words is not sure among more than {_MAX_WORDS} words")
    unsure = _UNSURE_WORD.search(quote)
    if unsure:
        raise NoValueError(f"{quoted(unsure[0])} is no plain number")
    if find_spec("text_to_num") is None:
        raise NoValueError("numbers in words need text2num: pip install 'qa-extractive[extract]'")
    from text_to_num import alpha2digit

    parted = _TWO_WORDS.sub(r"\1, and", quote)  # text2num takes "twenty and five" for 25
    return str(alpha2digit(parted, "en", threshold=0))
