"""Fields and the answers to their questions -> quotes with values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from qa_extractive.errors import DataError, shortened
from qa_extractive.extraction.dates import date_in
from qa_extractive.extraction.numbers import integer_in, number_in, percentage_in
from qa_extractive.extraction.quantities import quantity_in
from qa_extractive.extraction.types import Extracted, Field
from qa_extractive.extraction.values import NoValueError, items_in
from qa_extractive.types import VERDICTS, Answer, Question, Span

YES, _, MIXED = VERDICTS
_PARSERS: dict[str, Callable[[str, str, str], object]] = {
    "number": number_in,
    "integer": integer_in,
    "quantity": quantity_in,
    "percentage": percentage_in,
    "date": date_in,
}
_BESIDE = 100  # characters on either side of a quote that may change its value


def questions_of(
    fields: Sequence[Field], context: str, title: str | None, check: Callable[[Question], None]
) -> list[Question]:
    """The question of each field; DataError, which names the field, where one cannot be asked."""
    questions = []
    for field in fields:
        try:
            questions.append(Question(field.question, context, title))
            check(questions[-1])
        except DataError as error:
            raise DataError(f"field {shortened(field.name)}: {error}") from None
    return questions


def extracted(fields: Sequence[Field], context: str, answers: Sequence[Answer]) -> dict[str, Extracted]:
    """What the text says of each field, by name; what cannot be parsed has its quote and a reason.

    Args:
        fields: What was asked for.
        context: The text.
        answers: To the question of each field, in that order.
    """
    return {f.name: _extracted(f, context, answer) for f, answer in zip(fields, answers, strict=True)}


def _extracted(field: Field, context: str, answer: Answer) -> Extracted:
    if answer.abstained or answer.best is None:
        return Extracted(field.type, None, None, None, answer.answerable, answer.status)
    found = Extracted(field.type, None, answer.best, answer.sentence, answer.answerable, answer.status)
    if field.type == "list":
        items = items_in(context, answer.best)
        return replace(found, value=[each.text for each in items], items=items)
    if field.type in ("yes_no", "boolean"):
        return _with_verdict(found, answer)
    if field.type == "text":
        return replace(found, value=answer.text)
    return _with_value(field, found, answer.best, context)


def _with_value(field: Field, found: Extracted, quote: Span, context: str) -> Extracted:
    before = context[max(quote.start - _BESIDE, 0) : quote.start]
    after = context[quote.end : quote.end + _BESIDE]
    try:
        value: Any = _PARSERS[field.type](quote.text, before, after)
    except NoValueError as error:
        return replace(found, reason=str(error))
    if field.minimum is not None and value < field.minimum:
        return replace(found, reason=f"{value} is less than the minimum {field.minimum}")
    if field.maximum is not None and value > field.maximum:
        return replace(found, reason=f"{value} is more than the maximum {field.maximum}")
    return replace(found, value=value)


def _with_verdict(found: Extracted, answer: Answer) -> Extracted:
    """The verdict where it is known that yes or no is asked for, whatever the words of the question."""
    if answer.vote_probs is None:
        return replace(found, reason="the model has no verdict head")
    said = answer.vote_probs[: len(VERDICTS)]
    probs = {name: p / sum(said) if sum(said) else 0.0 for name, p in zip(VERDICTS, said, strict=True)}
    verdict = max(VERDICTS, key=probs.__getitem__)
    if found.type == "yes_no":
        return replace(found, value=verdict, verdict_probs=probs)
    if verdict == MIXED:
        return replace(found, reason="the text says neither yes nor no: mixed", verdict_probs=probs)
    return replace(found, value=verdict == YES, verdict_probs=probs)
