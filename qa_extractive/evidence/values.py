"""The numbers that papers give, side by side and as they stand: nothing is converted, each has its quote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from qa_extractive.data.question_forms import question_type
from qa_extractive.evidence.plain import flaw_of, unit_goes_on
from qa_extractive.metrics.numbers import Quantity, quantities_of
from qa_extractive.types import Answer

_ASKS_FOR_NUMBER = re.compile(
    r"\bhow (?:long|old|often|far|large|big|high|low|fast|strong|tall|heavy|deep|frequent(?:ly)?)\b"
    r"|\b(?:what|which)\b(?: \w+){0,3} (?:mean|median|average|number|rate|ratio|percentage|percent|"
    r"proportion|share|fraction|prevalence|incidence|frequency|dose|dosage|duration|age|size|cost|amount|concentration|"
    r"level|temperature|weight|sensitivity|specificity|accuracy|risk|odds|hazard|difference|score)s?\b",
    re.IGNORECASE,
)
_END = r"[-−–+]?\d+(?:[.,·]\d+)*\s?%?"
_INTERVAL = re.compile(
    r"\s?[,;]?\s?[(\[]?\s?(?:\d\d(?:\.\d)?\s?%[\s-]?)?"
    r"(?:CIs?|CrI|(?:confidence|credible|credibility) intervals?)(?:\s?[(\[](?:CI|CrI)[)\]])?(?!\w)"
    rf"[\s:,=]{{0,3}}[(\[]?\s?(?P<ends>{_END}(?:\s?[-−–—,;]\s?|\s?to\s?){_END})"
)
_P_VALUE = re.compile(r"(?<!\w)[pP]\s?(?:[<>=≤≥]|&[lg]t;)\s?[\d.]+")
_RANGE = re.compile(r"\s?[-‐‑‒–—―−﹘﹣－]\s?|\s?(?:to|through|thru)\s?")
_LONGEST_INTERVAL = 80  # characters, with what stands before its ends


@dataclass(frozen=True, slots=True)
class Value:
    """A number that a paper gives, or only its quote where no number is sure.

    Attributes:
        paper: Position of the paper.
        quote: The answer, verbatim.
        start: Index of its first character in the paper's text.
        end: Index after its last character.
        number: As it stands, with its bound, sign, currency and power, or both ends of a range; None where
            the question asks for no number, or the quote has none.
        value: The number, where it is a plain one, also by what stands beside it in the text.
        unit: As it stands; None where none is recognized as a whole.
        interval: The ends of its confidence interval as they stand: "2.1 to 4.5"; None where none follows it.
    """

    paper: int
    quote: str
    start: int
    end: int
    number: str | None = None
    value: float | None = None
    unit: str | None = None
    interval: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The value as plain values that ``json`` can write."""
        return asdict(self)


def asks_for_number(question: str) -> bool:
    """Whether it asks how much or how many, by its words alone."""
    return question_type(question) == "how many / how much" or bool(_ASKS_FOR_NUMBER.search(question))


def values_of(question: str, texts: Sequence[str], answers: Sequence[Answer]) -> tuple[Value, ...]:
    """The values of the papers that answer, in their order; several where a quote has several numbers.

    A confidence interval and a p value are no values of their own. An interval may follow the quote.

    Args:
        question: What was asked.
        texts: Of the papers.
        answers: Of the papers, in the same order.
    """
    has_numbers = asks_for_number(question)
    found: list[Value] = []
    for i, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        if not answer.abstained:
            quote = Value(i, answer.text, answer.start, answer.end)
            found += (has_numbers and _numbers(quote, text)) or [quote]
    return tuple(found)


def _numbers(quote: Value, text: str) -> list[Value]:
    """The numbers of a quote, each with the interval that follows it right away."""
    seen = text[quote.start : quote.end + _LONGEST_INTERVAL]
    return [_value(quote, each, seen, text) for each in main_quantities(quote.quote)]


def main_quantities(quote: str) -> list[Quantity]:
    """The numbers of a quote that are neither a p value nor of a confidence interval.

    Both ends of a range are one that has no ``value``.
    """
    beside = spans_beside(quote)
    found = [each for each in quantities_of(quote) if not any(a <= each.start < b for a, b in beside)]
    return _with_ranges(found, quote)


def spans_beside(quote: str) -> list[tuple[int, int]]:
    """Where the p values and confidence intervals of a quote stand."""
    return [each.span() for each in (*_INTERVAL.finditer(quote), *_P_VALUE.finditer(quote))]


def _value(quote: Value, quantity: Quantity, seen: str, text: str) -> Value:
    interval = _INTERVAL.match(seen, quantity.end)
    ends = interval["ends"].strip() if interval else None
    is_cut = unit_goes_on(text, quantity, quote.start)
    is_plain = not is_cut and flaw_of(text, quantity, quote.start) is None
    return replace(
        quote,
        number=quantity.text,
        value=quantity.value if is_plain else None,
        unit=None if is_cut else quantity.unit,
        interval=ends,
    )


def _with_ranges(quantities: Sequence[Quantity], quote: str) -> list[Quantity]:
    """The quantities, both ends of a range as one that is no plain number: "12–18" months."""
    joined: list[Quantity] = []
    for each in quantities:
        last = joined[-1] if joined else None
        if last and last.unit in (None, each.unit) and _RANGE.fullmatch(quote, last.end, each.start):
            text = quote[last.start : each.number_end]
            joined[-1] = Quantity(text, None, each.unit, last.start, each.number_end, each.end)
        else:
            joined.append(each)
    return joined
