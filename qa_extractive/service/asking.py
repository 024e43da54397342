"""A request's questions to the engine, with what the log says of them."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

from qa_extractive.service.engine import Answered, AnswerOptions, Engine
from qa_extractive.service.exchange import context_of
from qa_extractive.types import Question


async def answered(
    engine: Engine, request: Request, questions: Sequence[Question], options: AnswerOptions
) -> Answered:
    """The engine's answers; texts go to the log only where the operator asked for them."""
    notes = context_of(request.scope).notes
    notes["n_questions"] = len(questions)
    if engine.settings.log_texts:
        notes["questions"] = [
            {"question": q.question, "context": q.context, "title": q.title} for q in questions
        ]
    found = await engine.answer(questions, options)
    notes |= {"n_tokens": found.n_tokens} | timing(found)
    notes["n_abstained"] = sum(answer.abstained for answer in found.answers)
    if engine.settings.log_texts:
        notes["answers"] = [answer.text for answer in found.answers]
    return found


def timing(found: Answered) -> dict[str, float]:
    """Where the time went, in milliseconds."""
    spent = found.timing
    return {
        "tokenize_ms": spent.tokenize_ms,
        "queue_ms": spent.queue_ms,
        "model_ms": spent.model_ms,
        "total_ms": spent.total_ms,
    }
