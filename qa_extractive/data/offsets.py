"""Where an answer stands in its context, by an offset in whatever unit its tool counts.

Python, and this package, count code points. Browsers, and the annotation tools in them, count UTF-16 units,
in which most emoji are two; others count bytes of UTF-8, or line breaks of two characters as one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from qa_extractive.errors import DataError
from qa_extractive.types import Span

_WHITE_SPACE = re.compile(r"\s+|\\[nrt]")


def place_of(context: str, text: str, start: int, end: int | None = None) -> Span:
    """The span of an answer.

    Args:
        context: The context.
        text: The answer.
        start: Where it is said to start, in any unit.
        end: Where it is said to end; what lies before it may differ from the answer in white space.

    Raises:
        DataError: The context reads otherwise there, in every unit; the message says what it could be.
    """
    for found in _places(context, start):
        if context[found : found + len(text)] == text:
            return Span.cut(context, found, found + len(text))
    if end is not None:
        for unit in _UNITS:
            first, last = unit(context, start), unit(context, end)
            if first is not None and last is not None and _same(context[first:last], text):
                return Span.cut(context, first, last)
    reads = context[start : start + len(text)] if start >= 0 else ""
    raise DataError(
        f"the context at character {start} reads {_short(reads)}, not the answer {_short(text)}: "
        f"correct answer_start, which counts characters from 0{_hint(context, text)}"
    )


def cut(context: str, start: int, end: int) -> str:
    """The text between two offsets, if possible in a unit in which they cut no word and touch no white space.

    Raises:
        DataError: Both ends are wrong in every unit: one cuts a word, the other too or lies beside one.
    """
    start, end = max(0, start), max(0, end)
    if n_loose := _n_loose(context, start, end):
        for unit in _UNITS[1:]:
            first, last = unit(context, start), unit(context, end)
            if first is not None and last is not None and not _n_loose(context, first, last):
                return context[first:last]
        if n_loose > 1 and _n_cut(context, start, end):
            reads = _short(context[start:end])
            raise DataError(
                f"the context from character {start} to {end} reads {reads}, which cuts a word: "
                "correct the offsets, which count characters from 0"
            )
    return context[start:end]


def _n_cut(context: str, start: int, end: int) -> int:
    """How many of two offsets stand between two letters or two digits."""
    n_cut = 0
    for index in (start, end):
        beside = context[index - 1 : index + 1] if index else ""
        n_cut += len(beside) == 2 and (beside.isalpha() or beside.isdigit()) and beside.isascii()
    return n_cut


def _n_loose(context: str, start: int, end: int) -> int:
    """How many of two offsets cut a word, or have white space inside."""
    inside = context[start:end]
    return _n_cut(context, start, end) + inside[:1].isspace() + inside[-1:].isspace() + (not inside)


def _places(context: str, start: int) -> Iterator[int]:
    """The start as an index, in every unit in which it is one; the next unit is tried only when asked for."""
    for unit in _UNITS:
        found = unit(context, start)
        if found is not None:
            yield found


def _as_it_is(context: str, offset: int) -> int | None:
    return offset if 0 <= offset <= len(context) else None


def _encoded(encoding: str, width: int) -> Callable[[str, int], int | None]:
    """Offsets in units of an encoding."""

    def index(context: str, offset: int) -> int | None:
        if offset < 0 or context.isascii():
            return None
        head = context[: offset + 1].encode(encoding, "surrogatepass")[: offset * width]
        try:
            return len(head.decode(encoding, "surrogatepass"))
        except UnicodeDecodeError:  # inside a character
            return None

    return index


def _breaks_as_one(context: str, offset: int) -> int | None:
    """Offsets in the context with single line breaks, where it has double ones."""
    if offset < 0 or "\r\n" not in context:
        return None
    index = 0
    for line in context.split("\r\n"):
        if offset <= len(line):
            return index + offset
        index, offset = index + len(line) + 2, offset - len(line) - 1
    return None


def _breaks_as_two(context: str, offset: int) -> int | None:
    """Offsets in the context with double line breaks, where it has single ones."""
    if offset < 0 or "\n" not in context or "\r\n" in context:
        return None
    index = 0
    for line in context.split("\n"):
        if offset <= len(line):
            return index + offset
        index, offset = index + len(line) + 1, offset - len(line) - 2
        if offset < 0:
            return None
    return None


_UNITS = (_as_it_is, _encoded("utf-16-le", 2), _encoded("utf-8", 1), _breaks_as_one, _breaks_as_two)


def _same(piece: str, text: str) -> bool:
    """Whether two texts differ in white space alone; some tools write a line break as backslash and n."""
    return piece.strip() != "" and _WHITE_SPACE.sub(" ", piece).strip() == _WHITE_SPACE.sub(" ", text).strip()


def _hint(context: str, text: str) -> str:
    first = context.find(text)
    if first < 0:
        return " (it stands nowhere in the context)"
    if context.find(text, first + 1) >= 0:
        return " (it stands there in several places)"
    return f" (it stands at {first} alone)"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
