"""A request's questions to the engine, with what the log says of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from fastapi import Request

from qa_extractive.service.engine import Answered, AnswerOptions, Engine, Timing
from qa_extractive.service.exchange import context_of
from qa_extractive.types import Question


async def answered(
    engine: Engine, request: Request, questions: Sequence[Question], options: AnswerOptions
) -> Answered:
    """The engine's answers; texts go to the log only where the operator asked for them."""
    _note_asked(engine, request, questions)
    found = await engine.answer(questions, options)
    _note_answered(engine, request, found)
    return found


async def answered_parts(
    engine: Engine, request: Request, parts: Sequence[Sequence[Question]], size: int, options: AnswerOptions
) -> AsyncGenerator[Answered, None]:
    """The engine's answers to each part of a request, as ``Engine.answer_parts``; the log has all of them."""
    _note_asked(engine, request, [question for part in parts for question in part])
    total: Answered | None = None
    async with aclosing(engine.answer_parts(parts, size, options)) as found_parts:
        async for found in found_parts:
            total = found if total is None else summed(total, found)
            _note_answered(engine, request, total)
            yield found


def summed(one: Answered, other: Answered) -> Answered:
    """Both as one, their times summed."""
    names = ("tokenize_ms", "queue_ms", "model_ms", "total_ms")
    times = (round(getattr(one.timing, name) + getattr(other.timing, name), 3) for name in names)
    return replace(
        one,
        answers=one.answers + other.answers,
        n_tokens=one.n_tokens + other.n_tokens,
        timing=Timing(*times),
    )


def _note_asked(engine: Engine, request: Request, questions: Sequence[Question]) -> None:
    notes = context_of(request.scope).notes
    notes["n_questions"] = len(questions)
    if engine.settings.log_texts:
        notes["questions"] = [
            {"question": q.question, "context": q.context, "title": q.title} for q in questions
        ]


def _note_answered(engine: Engine, request: Request, found: Answered) -> None:
    notes = context_of(request.scope).notes
    notes |= {"n_tokens": found.n_tokens} | timing(found)
    notes["n_abstained"] = sum(answer.abstained for answer in found.answers)
    if engine.settings.log_texts:
        notes["answers"] = [answer.text for answer in found.answers]


def timing(found: Answered) -> dict[str, float]:
    """Where the time went, in milliseconds."""
    spent = found.timing
    return {
        "tokenize_ms": spent.tokenize_ms,
        "queue_ms": spent.queue_ms,
        "model_ms": spent.model_ms,
        "total_ms": spent.total_ms,
    }
