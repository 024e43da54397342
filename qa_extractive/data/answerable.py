"""Whether a context answers its question, and yes or no, as data sets say it or leave it open."""

from __future__ import annotations

from collections.abc import Iterable

from qa_extractive.errors import DataError
from qa_extractive.types import NO_VERDICT, VERDICTS

_WORDS = {
    **dict.fromkeys(("true", "yes", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "0", "0.0"), False),
}


def truth(cell: object, name: str) -> bool | None:
    """What a cell of yes or no says; None if it is empty.

    Raises:
        DataError: It says neither; the message calls it ``name``.
    """
    text = "" if cell is None or cell != cell else str(cell).strip().lower()
    if text and text not in _WORDS:
        raise DataError(f"{name} is {cell!r}: write true or false, yes or no, 1 or 0, or nothing")
    return _WORDS.get(text)


def verdict_of(cell: object) -> str | None:
    """What a cell says of a yes/no question, of ``VERDICTS`` or ``NO_VERDICT``; None if it says neither."""
    text = "" if cell is None else str(cell).strip().lower()
    return text if text in (*VERDICTS, NO_VERDICT) else None


def unknown_verdicts(cells: Iterable[object]) -> str | None:
    """A line about cells of a column ``verdict`` that say something else; None where there are none."""
    said = dict.fromkeys("" if cell is None else str(cell).strip() for cell in cells)
    others = [repr(text) for text in said if text and verdict_of(text) is None]
    if not others:
        return None
    return f"verdicts are yes, no, mixed or none, and not counted where they are {', '.join(others[:5])}"


def answerability(
    said: bool | None, impossible: bool | None, *, has_answers: bool, if_silent: bool | None
) -> bool | None:
    """Whether the context answers the question; None if that is not known.

    Args:
        said: What a column ``answerable`` says.
        impossible: What ``is_impossible`` says. Annotation tools write false before anybody has looked, so
            false without an answer leaves it open.
        has_answers: Whether there is an answer.
        if_silent: What it means that there is none, and nothing else is said.
    """
    if said is not None:
        return said
    if impossible:
        return False
    if has_answers:
        return True
    return if_silent if impossible is None else None
