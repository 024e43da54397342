"""Whether an answer's numbers are those of a reference, with all that changes their value.

SQuAD's exact match takes ``.87`` for ``87`` and ``< 18`` for ``18``, and its F1 hardly minds a unit that is
missing. Here a number is its bound, sign, currency, digits, power, scale and unit.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_SPACE = r"[ \u00a0\u2009\u202f]"
_BOUND_WORDS = tuple(
    (re.compile(rf"\b(?:{words}){_SPACE}(?=[-−–+]?[.\d$€£])", re.IGNORECASE), sign)
    for words, sign in (
        ("(?:no|not) (?:more|greater|higher|larger|later) than|at most|up to", "≤"),
        ("(?:no|not) (?:less|fewer|lower|smaller|earlier) than|at least", "≥"),
        ("(?:less|fewer|lower|smaller) than|under|below", "<"),
        ("(?:more|greater|higher|larger) than|above", ">"),
    )
)
_BOUND = rf"(?:(?:[<>＜＞]=?|=[<>]|[≤≥⩽⩾≦≧≲≳≪≫~∼≈≃≅±]|\+/[-−–]){_SPACE}?)"
# No dash of a range; one that stands apart is a sign only where nothing stands before it.
_SIGN = (
    r"(?:(?<![\w.,)\]%])(?<!\d\s)[-−–+](?=[.\d$€£])|"
    rf"(?:^|(?<=[=(\[:])|(?<=[=(\[:,]\s))[-−–]{_SPACE}(?=[.\d]))"
)
_CURRENCY = (
    rf"(?:(?:(?:US|AU|CA|NZ|HK|[ACS])?[$€£¥₹]|(?:USD|EUR|GBP|CHF|JPY|CNY|AUD|CAD)(?=[\s\d])){_SPACE}?)"
)
_DIGITS = r"(?:\d{1,3}(?:[\u2009\u202f\u00a0]\d{3})+(?:\.\d+)?|\d+(?:[.,·]\d+)*|(?<![.\d])[.·]\d+)"
_EXPONENT = r"(?:\s?\^\s?\(?[-−–+]?\d{1,3}\)?|\([-−–+]?\d{1,3}\)|[⁻⁺]?[⁰¹²³⁴-⁹]+)"
_POWER = rf"(?:\s?[×✕x]\s?10(?:{_EXPONENT}|[-−–]?\d{{1,2}}(?!\d))|{_EXPONENT}|[eE][-−–+]?\d{{1,3}}(?!\w))"
_SCALE = rf"(?:(?:{_SPACE}|-)(?:hundred|thousand|million|billion|trillion)(?!\w))"

_SAME_UNITS = {
    name: unit
    for unit, names in {
        "year": "years yr yrs y",
        "month": "months mo mos monthly",
        "week": "weeks wk wks weekly",
        "day": "days d daily",
        "hour": "hours hr hrs h hourly",
        "minute": "minutes min mins",
        "second": "seconds sec secs s",
        "point": "points",
        "g": "gram grams",
        "kg": "kilogram kilograms kgs",
        "mg": "milligram milligrams",
        "µg": "microgram micrograms mcg ug μg",
        "L": "l liter liters litre litres",
        "mL": "ml milliliter milliliters millilitre millilitres",
        "dL": "dl",
        "µL": "µl μl ul",
        "m": "meter meters metre metres",
        "km": "kilometer kilometers kilometre kilometres",
        "cm": "centimeter centimeters centimetre centimetres",
        "mm": "millimeter millimeters millimetre millimetres",
        "dollar": "dollars",
        "euro": "euros",
        "fold": "times",
    }.items()
    for name in (unit, *names.split())
}
_NAMED_UNITS = "|".join(sorted(map(re.escape, _SAME_UNITS), key=len, reverse=True))
PLAIN_UNIT = (
    rf"(?:mm{_SPACE}?Hg|cm{_SPACE}?H2O|[nµμukmcdMG]?(?:mol|g|L|l|m|M|s|J|Hz|W|V|Pa|IU|U|cal|[eE]q|[oO]sm|Gy|Sv|Bq|eV|T)|[kMGT]B|[nµμm]A|"
    rf"k?Da|kat|bpm|rpm|ppm|ppb|dB|ha|°{_SPACE}?[CF]?|{_NAMED_UNITS}|"
    rf"(?:person|patient)[- ]years?|percentage points?|pounds?|miles?|feet|inch(?:es)?|"
    r"tons?|tonnes?|hectares?|acres?|degrees?|cells?|copies|[%‰€£¥])"
)
_RAISED = r"(?:[²³]|\^?[23](?!\d))"
_TO_MINUS = r"(?:⁻[¹²³]|\^?\(?[-−–][123]\)?(?!\d))"
_WORD_END = r"(?![^\W_])"
_PER = (
    rf"(?:(?:{_SPACE}?/{_SPACE}?|{_SPACE}(?:per|an?|each|every){_SPACE}){PLAIN_UNIT}{_RAISED}?{_WORD_END}|"
    rf"/[^\W\d_]{{1,20}}|{_SPACE}(?:hourly|daily|weekly|monthly)\b|[·⋅∙ ]{PLAIN_UNIT}{_TO_MINUS})"
)
_UNIT = (
    rf"(?:{_SPACE}|-)?(?:{PLAIN_UNIT}(?:{_TO_MINUS}|{_RAISED})?{_WORD_END}{_PER}{{0,3}}|[^\W\d_]{{2,20}}{_PER}{{1,3}})|"
    rf"{_PER}{{1,3}}"
)
# What follows a letter belongs to a name: "HbA1c", "IL-6".
_NUMBER = re.compile(
    rf"(?P<sign>{_BOUND}{{0,2}}{_SIGN}?{_CURRENCY}?)(?<![^\W_])(?<![^\W\d_][-‐‑–])"
    rf"(?P<value>{_DIGITS}{_POWER}?\+?{_SCALE}?)(?P<unit>{_UNIT})?"
)
_NO_SPACE = " \u00a0\u2009\u202f"
_SAME_SIGN = str.maketrans("−–‐‑∼≈≃≅⩽≦⩾≧＜＞·✕x", "----~~~~≤≤≥≥<>.××", _NO_SPACE)
_RAISED_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", f"{_NO_SPACE}^()")
_EXPONENTS = re.compile(_EXPONENT)
_TWO_SIGNS = (("<=", "≤"), ("=<", "≤"), (">=", "≥"), ("=>", "≥"), ("+/-", "±"))
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_PER_CENT = re.compile(r"\bper\s?cent\b", re.IGNORECASE)
_PER_WORD = re.compile(
    rf"{_SPACE}(?:per|an?|each|every){_SPACE}|{_SPACE}(?=(?:hourly|daily|weekly|monthly)\b)"
)
_MINUS_ONE = re.compile(r"[·⋅∙ ]?([^\W\d_]+)(?:⁻¹|\^?\(?[-−–]1\)?)")
_UNIT_WORD = re.compile(r"[^\W\d_]+")
_PLAIN_VALUE = re.compile(
    r"(?![0\s])\d{1,3}(?:[,\u2009\u202f\u00a0]\d{3})+(?:[.·]\d+)?|(?![1-9]\d{0,2}\.000$)\d+(?:[.·]\d+)?|[.·]\d+"
    # A blank may also part two numbers, but none begins with 0, and three in a row would be odd.
    r"|[1-9]\d{0,2}(?=(?:\s\d{3})*\s0|(?:\s\d{3}){2})(?:\s\d{3})+(?:[.·]\d+)?"
)
_SAME_VALUE = str.maketrans("−–·", "--.", ",\u2009\u202f\u00a0")
_GROUPS = re.compile(r"(?<![\w.,·])[1-9]\d{0,2}(?:\s\d{3})+(?![\d,·])")
_UNIT_DASH = re.compile(rf"(?<=\d)({_SPACE}?{PLAIN_UNIT}(?:/[^\W\d_]+)*)[-‐‑–](?={_SPACE}?\d)")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a text with its unit, both as they stand.

    Attributes:
        text: The number, with its bound, sign, currency, power and scale: "<5", "−0.3", "$2 million".
        value: As a number; None where that would lose or guess something: a bound, a currency, a power.
        unit: "mmHg", "mg/day", "%"; None where none is recognized.
        start: Index of its first character.
        number_end: Index after its number.
        end: Index after its unit, or its number.
    """

    text: str
    value: float | None
    unit: str | None
    start: int
    number_end: int
    end: int


def quantities_of(text: str) -> list[Quantity]:
    """The numbers of a text in order, as they stand; what follows a letter ("IL-6") is none.

    Groups of three digits that a blank parts are one number, and "mg-50" after a digit is no name.
    """
    joined = _GROUPS.sub(lambda groups: re.sub(r"\s", "\u00a0", groups[0]), text)
    return [_quantity(match, text) for match in _NUMBER.finditer(_UNIT_DASH.sub(r"\1—", joined))]


def _quantity(match: re.Match[str], text: str) -> Quantity:
    unit = (match["unit"] or "").lstrip(f"{_NO_SPACE}-") or None
    end = match.end() if unit else match.end("value")
    return Quantity(
        text[match.start() : match.end("value")],
        _plain_value(match["sign"], text[match.start("value") : match.end("value")]),
        unit,
        match.start(),
        match.end("value"),
        end,
    )


def _plain_value(sign: str, value: str) -> float | None:
    if sign.strip() not in ("", "-", "−", "–", "+") or not _PLAIN_VALUE.fullmatch(value):
        return None
    number = float(plain_digits(sign + value))
    return number if math.isfinite(number) else None


def plain_digits(number: str) -> str:
    """A plain number as Python reads it: "-1234.5" for "−1,234·5"."""
    return "".join(number.translate(_SAME_VALUE).split())


def numbers_of(text: str) -> tuple[str, ...]:
    """The numbers of a text in order: "<18 year", "-0.3", "$1000/month", ".87", "3.2×10^7", "95%".

    Each has its bound ("<", "at least"), sign, currency, leading point, power, scale ("million") and unit,
    in one spelling: spaces inside a number, separators of thousands, kinds of minus sign, plurals and short
    forms of units do not count. What follows a letter ("HbA1c", "IL-6") is a name and no number.
    """
    return tuple(map(_spelled, _NUMBER.finditer(with_signs(text))))


def with_signs(text: str) -> str:
    """The text with "%" for "per cent", "≥" for "at least" and the like, and without HTML's entities."""
    text = _PER_CENT.sub("%", html.unescape(text))
    for words, sign in _BOUND_WORDS:
        text = words.sub(sign, text)
    return text


def best_numbers_match(prediction: str, references: Sequence[str]) -> float | None:
    """1.0 where the numbers of the answer are those of some reference, in order, else 0.0.

    None where no reference has any. References without a number are left out.
    """
    wanted = {numbers_of(reference) for reference in references} - {()}
    return float(numbers_of(prediction) in wanted) if wanted else None


def _spelled(match: re.Match[str]) -> str:
    raised = _EXPONENTS.sub(lambda power: f"^{power[0].translate(_RAISED_DIGITS)}", match["value"])
    value = (match["sign"] + raised).translate(_SAME_SIGN)
    for written, sign in _TWO_SIGNS:
        value = value.replace(written, sign)
    unit = spelled_unit(match["unit"] or "")
    return _THOUSANDS.sub("", value) + (unit if not unit or unit[0] in "/%" else f" {unit}")


def spelled_unit(unit: str) -> str:
    """A unit in one spelling: "mg per day" and "mg·d⁻¹" as "mg/day"."""
    parts = _MINUS_ONE.sub(r"/\1", _PER_WORD.sub("/", unit))
    named = _UNIT_WORD.sub(lambda word: _SAME_UNITS.get(word[0], word[0]), parts)
    return named.translate(_RAISED_DIGITS).translate(_SAME_SIGN).lstrip("-")
