"""What the parsers of values share, and the items of a list."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_extractive.metrics.numbers import PLAIN_UNIT
from qa_extractive.types import Span

NAME = re.compile(
    r"(?<!\w)(?:(?=[^\W_]*[A-Z])(?!X\d)[^\W\d_]+\d[^\W_]*"  # HbA1c, B12
    rf"|(?!(?i:{PLAIN_UNIT})[-‐‑–])[A-Z]{{2,}}[^\W\d_]*(?:[-‐‑–][^\W\d_]+)?[-‐‑–]\d+)(?!\w)"  # IL-6
)
"""What has digits and is no number."""
_CLOSER_OF = {"(": ")", "[": "]"}
_SEMICOLON = re.compile(r"\s*;\s*(?:(?:and|or)\s+)?")
_COMMA = re.compile(r"\s*,\s+(?:(?:and|or)\s+)?|\s+(?:and|or|&)\s+")


class NoValueError(Exception):
    """A quote states no value of the type that is asked for; the message says why, on one line."""


def quoted(text: str) -> str:
    """A part of a quote as a reason shows it, on one line."""
    return f"{text!r:.60}"


def the_only(found: list[str], what: str) -> None:
    """Raise NoValueError unless there is exactly one; the message lists what there is."""
    if not found:
        raise NoValueError(f"the quote holds no {what}")
    if len(found) > 1:
        listed = ", ".join(quoted(each) for each in found[:4])
        raise NoValueError(f"the quote holds more than one {what}: {listed}")


def items_in(context: str, quote: Span) -> tuple[Span, ...]:
    """The items of an enumeration, each as it stands; the quote itself where it enumerates nothing.

    Items are parted by semicolons, or else by commas, "and" and "or", outside of brackets.
    """
    text = quote.text
    for pattern in (_SEMICOLON, _COMMA):
        cuts = [match.span() for match in pattern.finditer(text) if not _depth(text[: match.start()])]
        if cuts:
            return tuple(_between(context, quote, cuts))
    return (quote,)


def _depth(text: str) -> int:
    return sum(text.count(opener) - text.count(closer) for opener, closer in _CLOSER_OF.items())


def _between(context: str, quote: Span, cuts: list[tuple[int, int]]) -> Iterator[Span]:
    starts = [0, *(end for _, end in cuts)]
    ends = [*(start for start, _ in cuts), len(quote.text)]
    for start, end in zip(starts, ends, strict=True):
        if quote.text[start:end].strip():
            yield Span.cut(context, quote.start + start, quote.start + end, quote.score)
