"""Reference answers as data sets and annotation tools spell them, and the spans they name, checked."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qa_extractive.data.offsets import cut, place_of
from qa_extractive.errors import DataError
from qa_extractive.types import Span

# SQuAD's names, Label Studio's, doccano's, those of UIMA, AWS and others.
_STARTS = ("answer_start", "start", "start_offset", "begin", "startOffset", "start_char", "from", "offset")
_ENDS = ("answer_end", "end", "end_offset", "endOffset", "end_char", "to")
# What programs write where there is no value; "None" and "Na" are answers.
_NO_VALUE = re.compile(r"(?i:nan|<na>|null|#?n/a)|NA")
_EMPTY = ("", "none", "nan", "na", "null")  # of a number
_WHOLE_NUMBER = re.compile(r"\s*([-+]?\d{1,15})(?:\.0*)?\s*")


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """A reference answer.

    Attributes:
        text: As given; not blank.
        start: Where it starts in the context, as given and not yet checked; None if not given.
        end: Where it ends, in the same way.
    """

    text: str
    start: int | None = None
    end: int | None = None


def given_answers(value: object, context: str = "") -> tuple[GivenAnswer, ...]:
    """The answers of a cell or of a JSON value, in order, those without a text or with a blank one left out.

    Taken are: nothing (also "nan", "null" or "N/A" where the context has no such word); a text; a number; a
    list of texts; SQuAD's dict of lists ``{"text": [...], "answer_start": [...]}`` or list of dicts
    ``[{"text": ..., "answer_start": ...}]``, where Label Studio says ``start`` and ``end`` and doccano
    ``start_offset`` and ``end_offset``, or ``[start, end, label]``; and a text that spells such a list or
    dict in JSON or Python. Any other text is one answer, exactly as it stands.

    Args:
        value: The answers.
        context: What offsets without a text are cut from.

    Raises:
        DataError: The value is none of these.
    """
    if value is None or value != value:  # NaN
        return ()
    if isinstance(value, str):
        return _from_text(value, context)
    if isinstance(value, int | float):
        return (GivenAnswer(json.dumps(value)),)
    if isinstance(value, Mapping):
        return _from_columns(value, context)
    if isinstance(value, list | tuple):
        return tuple(answer for item in value for answer in _from_item(item, context))
    raise DataError(f"answers cannot be a {type(value).__name__}: give a text or a list of texts")


def with_places(
    answers: tuple[GivenAnswer, ...], context: str, starts: object, ends: object = None
) -> tuple[GivenAnswer, ...]:
    """The answers with starts that stand in a column of their own.

    Where no answer has a text, a start and an end give one.

    Args:
        answers: Those of the row; the starts that they bring themselves count.
        context: What a span without a text is cut from.
        starts: A whole number, or one for each answer; empty if not known.
        ends: The same.

    Raises:
        DataError: They are no whole numbers, or not as many as the answers.
    """
    start_list, end_list = _numbers(starts, "answer_start"), _numbers(ends, "answer_end")
    if any(answer.start is not None for answer in answers) or not start_list:
        return answers
    if not answers:
        texts = [cut(context, i, j) if 0 <= i < j else "" for i, j in zip(start_list, end_list, strict=False)]
        return tuple(GivenAnswer(t, i) for t, i in zip(texts, start_list, strict=False) if t.strip())
    if len(start_list) != len(answers):
        raise DataError(f"{len(answers)} answer texts but {len(start_list)} answer_start: give one for each")
    return tuple(replace(answer, start=start) for answer, start in zip(answers, start_list, strict=True))


def holds_spans(value: object) -> bool:
    """Whether a cell lists pieces of a text by their offsets."""
    if isinstance(value, str):
        value = _spelled(value.strip()) if value.lstrip()[:2] in ("[{", "[[") else None
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_span, value))


def spans_of(context: str, answers: Iterable[GivenAnswer]) -> tuple[Span, ...]:
    """The distinct spans of the answers that give a start, in order.

    A start that counts UTF-16 units, bytes or line breaks otherwise is one that leads to the answer.

    Raises:
        DataError: The context does not read as the answer where it is said to start, in no unit.
    """
    return tuple(
        dict.fromkeys(place_of(context, a.text, a.start, a.end) for a in answers if a.start is not None)
    )


def _from_text(text: str, context: str) -> tuple[GivenAnswer, ...]:
    stripped = text.strip()
    if not stripped or _is_stand_in(stripped, context):
        return ()
    value = _spelled(stripped) if stripped[0] in "[{" else None
    if value is not None:
        return given_answers(value, context)
    if stripped.startswith(('{"text"', "{'text'")):
        raise DataError(f"answers {_short(stripped)} look like SQuAD's but are not whole: write them as JSON")
    return (GivenAnswer(text),)


def _is_stand_in(text: str, context: str) -> bool:
    """Whether a text only says that there is none, and is no word of the context."""
    is_one = _NO_VALUE.fullmatch(text) is not None
    return is_one and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", context) is None


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
    return isinstance(item, str) or (isinstance(item, dict) and "text" in item) or _is_span(item)


def _is_span(item: object) -> bool:
    """Whether it gives a start and an end: by name, or as [start, end, label]."""
    if isinstance(item, Mapping):
        return all(_is_whole(_named(item, names)) for names in (_STARTS, _ENDS))
    return isinstance(item, list | tuple) and len(item) == 3 and all(map(_is_whole, item[:2]))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _from_item(item: object, context: str) -> tuple[GivenAnswer, ...]:
    if isinstance(item, str):
        return (GivenAnswer(item),) if item.strip() else ()
    if isinstance(item, Mapping):
        return _from_columns(item, context)
    if isinstance(item, list | tuple) and _is_span(item):
        return _from_columns({"start": item[0], "end": item[1]}, context)
    raise DataError(f"an answer cannot be a {type(item).__name__}: give a text")


def _from_columns(value: Mapping[Any, Any], context: str) -> tuple[GivenAnswer, ...]:
    if isinstance(value.get("globalOffsets"), Mapping):  # Label Studio's, in a text with mark-up
        value = {**value, **value["globalOffsets"]}
    starts, ends = _as_list(_named(value, _STARTS)), _as_list(_named(value, _ENDS))
    if "text" not in value and not (starts and ends):
        if not value:
            return ()
        raise DataError(f"an answer has no 'text' but {_short(', '.join(map(str, value)))}: give its text")
    texts = _as_list(value["text"]) if "text" in value else _cut(context, starts, ends)
    if not texts and value.get("text") is None:
        texts = [None] * len(starts)
    starts, ends = starts or [None] * len(texts), ends or [None] * len(texts)
    if len(starts) != len(texts):
        raise DataError(f"{len(texts)} answer texts but {len(starts)} answer_start: give one for each")
    ends = ends if len(ends) == len(texts) else [None] * len(texts)
    return tuple(
        _placed(text, start, end)
        for text, start, end in zip(texts, starts, ends, strict=True)
        if text is not None and not (isinstance(text, str) and not text.strip())
    )


def _named(value: Mapping[Any, Any], names: Sequence[str]) -> Any:
    return next((value[name] for name in names if value.get(name) is not None), None)


def _cut(context: str, starts: Sequence[Any], ends: Sequence[Any]) -> list[str]:
    pairs = zip(starts, ends, strict=False)
    return [cut(context, _whole(i, "start"), _whole(j, "end")) for i, j in pairs]


def _as_list(value: object) -> Sequence[Any]:
    if value is None:
        return []
    return value if isinstance(value, list | tuple) else [value]


def _placed(text: object, start: object, end: object) -> GivenAnswer:
    if not isinstance(text, str):
        raise DataError(f"answer text {text!r} is not text: give a text in 'text'")
    return GivenAnswer(
        text,
        None if start is None else _whole(start, "answer_start"),
        None if end is None else _whole(end, "answer_end"),
    )


def _numbers(cell: object, name: str) -> list[int]:
    """The whole numbers of a cell, perhaps a list or the JSON of one; none if it is empty."""
    if isinstance(cell, str) and cell.strip()[:1] == "[":
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            raise DataError(
                f"{name} {cell!r:.40} is no list of numbers: give the character, from 0"
            ) from None
    items = [cell] if not isinstance(cell, list | tuple) else cell
    return [_whole(item, name) for item in items if str(item).strip().casefold() not in _EMPTY]


def _whole(value: object, name: str) -> int:
    """A whole number, perhaps written as a text or with a point ("55", 55.0)."""
    if not isinstance(value, bool):
        match = _WHOLE_NUMBER.fullmatch(value if isinstance(value, str) else repr(value))
        if match is not None:
            return int(match[1])
    raise DataError(f"{name} {value!r} is not a whole number: give the character, from 0")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
