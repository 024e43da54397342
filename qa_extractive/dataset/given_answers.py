"""Reference answers as data sets spell them, and the spans they name, checked against the context."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qa_extractive.errors import DataError
from qa_extractive.records import Span


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """A reference answer.

    Attributes:
        text: As given; not blank.
        start: Where it starts in the context, as given and not yet checked; None if not given.
    """

    text: str
    start: int | None = None


def given_answers(value: object) -> tuple[GivenAnswer, ...]:
    """The answers of a cell or of a JSON value, in order, blank ones left out.

    Taken are: nothing; a text; a number; a list of texts; SQuAD's dict of lists ``{"text": [...],
    "answer_start": [...]}`` or list of dicts ``[{"text": ..., "answer_start": ...}]``; and a text that
    spells such a list or dict in JSON or Python. Any other text is one answer, exactly as it stands.

    Raises:
        DataError: The value is none of these.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, int | float):
        return (GivenAnswer(json.dumps(value)),)
    if isinstance(value, Mapping):
        return _from_columns(value)
    if isinstance(value, list | tuple):
        return tuple(answer for item in value for answer in _from_item(item))
    raise DataError(f"answers cannot be a {type(value).__name__}: give a text or a list of texts")


def spans_of(context: str, answers: Iterable[GivenAnswer]) -> tuple[Span, ...]:
    """The distinct spans of the answers that give a start, in order.

    Raises:
        DataError: The context does not read as the answer where it is said to start.
    """
    placed = [(answer.text, answer.start) for answer in answers if answer.start is not None]
    return tuple(dict.fromkeys(_checked_span(context, text, start) for text, start in placed))


def _checked_span(context: str, text: str, start: int) -> Span:
    found = context[start : start + len(text)] if start >= 0 else ""
    if found != text:
        raise DataError(
            f"the context at character {start} reads {_short(found)}, not the answer {_short(text)}: "
            "correct answer_start, which counts characters from 0"
        )
    return Span.cut(context, start, start + len(text))


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _from_text(text: str) -> tuple[GivenAnswer, ...]:
    stripped = text.strip()
    if not stripped:
        return ()
    value = _spelled(stripped) if stripped[0] in "[{" else None
    if value is not None:
        return given_answers(value)
    if stripped.startswith(('{"text"', "{'text'")):
        raise DataError(f"answers {_short(stripped)} look like SQuAD's but are not whole: write them as JSON")
    return (GivenAnswer(text),)


def _spelled(text: str) -> list[Any] | dict[str, Any] | None:
    """The list of answers or the dict of answers that a text spells, or None."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(value, dict) and "text" in value:
            return value
        if isinstance(value, list) and all(_is_answer(item) for item in value):
            return value
    return None


def _is_answer(item: object) -> bool:
    return isinstance(item, str) or (isinstance(item, dict) and "text" in item)


def _from_item(item: object) -> tuple[GivenAnswer, ...]:
    if isinstance(item, str):
        return (GivenAnswer(item),) if item.strip() else ()
    if isinstance(item, Mapping):
        return _from_columns(item)
    raise DataError(f"an answer cannot be a {type(item).__name__}: give a text")


def _from_columns(value: Mapping[Any, Any]) -> tuple[GivenAnswer, ...]:
    texts = _as_list(value.get("text"))
    starts = _as_list(value.get("answer_start")) or [None] * len(texts)
    if len(starts) != len(texts):
        raise DataError(f"{len(texts)} answer texts but {len(starts)} answer_start: give one for each")
    return tuple(_placed(text, start) for text, start in zip(texts, starts, strict=True) if text != "")


def _as_list(value: object) -> Sequence[Any]:
    if value is None:
        return []
    return value if isinstance(value, list | tuple) else [value]


def _placed(text: object, start: object) -> GivenAnswer:
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"answer text {text!r} is not text: give a text in 'text'")
    if start is not None and (isinstance(start, bool) or not isinstance(start, int)):
        raise DataError(f"answer_start {start!r} is not a whole number: give the character, from 0")
    return GivenAnswer(text, start)
