"""The route of ``/v1/evidence``: questions to each of several papers, at once or paper by paper."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from qa_extractive.errors import DataError, ModelError
from qa_extractive.evidence.gather import paper_answer, together
from qa_extractive.evidence.types import PaperAnswer, PaperText
from qa_extractive.inference.pipeline import chunks
from qa_extractive.papers.types import Passage
from qa_extractive.service.asking import answered_parts, summed
from qa_extractive.service.engine import Answered, AnswerOptions, Engine
from qa_extractive.service.evidence_schemas import EvidenceBody, EvidenceRequest, PaperTextItem
from qa_extractive.service.exchange import context_of
from qa_extractive.service.failures import FieldsError, refusal_of
from qa_extractive.service.responses import ERRORS, JSON_LINES, Json, JsonLines
from qa_extractive.service.v1 import blaming, check_size, envelope
from qa_extractive.types import Question

log = logging.getLogger("qa_extractive.service")

# A part has about 20 windows, so that a caller who leaves stops the rest.
_PART_QUESTIONS = 20
_PART_CHARACTERS = 30_000
_STREAMED_TIMES = 4  # as much text to read as of other calls
_OK: dict[str, Any] = {
    "model": EvidenceBody,
    "description": f"With `Accept: {JSON_LINES}`, a line for each of `papers` when it is done, and a last "
    "one with all else; or with an `error` that came between.",
    "content": {JSON_LINES: {"schema": {"type": "string"}}},
}


@dataclass(frozen=True, slots=True)
class _Asked:
    questions: Sequence[str]
    papers: Sequence[PaperText]
    options: AnswerOptions

    @property
    def parts(self) -> list[list[Question]]:
        """Paper by paper, so that what is kept of one serves all its questions."""
        pairs = [Question(q, paper.text, paper.title) for paper in self.papers for q in self.questions]
        return [*chunks(pairs, _PART_QUESTIONS, _PART_CHARACTERS)]

    @property
    def size(self) -> int:
        """Characters that it holds."""
        in_papers = sum(len(paper.text) + len(paper.title or "") for paper in self.papers)
        return in_papers + sum(map(len, self.questions))

    def path(self, index: int, part: str) -> str:
        """The field of the request that a question was made of."""
        paper, question = divmod(index, len(self.questions))
        return f"questions[{question}]" if part == "question" else f"papers[{paper}].text"


def add_evidence(app: FastAPI, engine: Engine) -> None:
    """Add it."""

    @app.post("/v1/evidence", tags=["answers"], responses={200: _OK, **ERRORS}, response_class=Json)
    async def evidence(request: Request, body: EvidenceRequest) -> Response:
        """What papers say together: each one's answers, then their votes counted or their values listed."""
        is_streamed = JSON_LINES in request.headers.get("accept", "")
        asked = _asked(engine, body, is_streamed)
        lines = _lines(engine, request, asked)
        if not is_streamed:
            return Json(await engine.in_time(_whole(lines)))
        # What is wrong from the start has a status of its own.
        first = await anext(lines)
        return JsonLines(_told(request, first, lines), engine.settings.deadline_s)


def _asked(engine: Engine, body: EvidenceRequest, is_streamed: bool) -> _Asked:
    most = engine.settings.max_queue_characters
    texts = [(paper.text, paper.title) for paper in body.papers]
    if is_streamed:
        check_size(body.questions, texts, _STREAMED_TIMES * most)
    else:
        check_size(body.questions, texts, most, f"send several calls, or accept {JSON_LINES}")
    papers = [_paper(i, paper) for i, paper in enumerate(body.papers)]
    return _Asked(body.questions, papers, AnswerOptions(body.top_k, _threshold(engine, body)))


def _paper(index: int, sent: PaperTextItem) -> PaperText:
    passages = tuple(Passage(each.heading or "", each.start, each.end) for each in sent.passages)
    try:
        return PaperText(sent.text, sent.title, sent.id, passages, tuple(sent.pages))
    except DataError as error:
        raise FieldsError((f"papers[{index}]", str(error))) from None


def _threshold(engine: Engine, body: EvidenceRequest) -> float | None:
    if body.max_risk is None:
        return body.threshold
    if body.threshold is not None:
        raise FieldsError(("max_risk", "must not be given with threshold"))
    try:
        return engine.predictor.calibration.threshold_for_risk(body.max_risk)
    except ModelError as error:
        raise FieldsError(("max_risk", str(error))) from None


async def _whole(lines: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any]:
    async with aclosing(lines):
        *papers, last = [line async for line in lines]
    return {"papers": papers} | last


async def _lines(engine: Engine, request: Request, asked: _Asked) -> AsyncGenerator[dict[str, Any], None]:
    """A dict for each paper, then one with what they say together."""
    said: list[list[PaperAnswer]] = []
    total: list[Answered] = []
    async with aclosing(_papers(engine, request, asked, total)) as papers:
        async for answers in papers:
            said.append(answers)
            yield _paper_dict(answers)
    found = await run_in_threadpool(_together, asked, said)
    yield {"together": found} | envelope(engine, request, total[0])


async def _papers(
    engine: Engine, request: Request, asked: _Asked, total: list[Answered]
) -> AsyncGenerator[list[PaperAnswer], None]:
    """Each paper's answers to all questions as soon as they are there; ``total`` comes to hold their sum."""
    ready: list[PaperAnswer] = []
    n_done = 0
    n_questions = len(asked.questions)
    with blaming(asked.path):
        async with aclosing(answered_parts(engine, request, asked.parts, asked.size, asked.options)) as parts:
            async for found in parts:
                total[:] = [summed(total[0], found) if total else found]
                for answer in found.answers:
                    index, question = divmod(n_done, n_questions)
                    paper = asked.papers[index]
                    ready.append(paper_answer(index, paper, asked.questions[question], answer))
                    n_done += 1
                    if question == n_questions - 1:
                        yield ready
                        ready = []


def _paper_dict(answers: Sequence[PaperAnswer]) -> dict[str, Any]:
    first = answers[0]
    listed = [each.answer.to_dict() | {"question": i} | each.place_dict() for i, each in enumerate(answers)]
    return {"index": first.index, "id": first.id, "title": first.title, "answers": listed}


def _together(asked: _Asked, said: Sequence[Sequence[PaperAnswer]]) -> list[dict[str, Any]]:
    return [
        together(question, asked.papers, [answers[i] for answers in said]).together_dict()
        for i, question in enumerate(asked.questions)
    ]


async def _told(
    request: Request, first: dict[str, Any], rest: AsyncGenerator[dict[str, Any], None]
) -> AsyncGenerator[dict[str, Any], None]:
    """The lines; after one that failed, the last one says why."""
    try:
        async with aclosing(rest):
            yield first
            async for line in rest:
                yield line
    except Exception as error:
        refusal, exchange = refusal_of(error), context_of(request.scope)
        exchange.notes["failed"] = refusal.code
        if refusal.status == 500:
            log.exception("request %s failed", exchange.request_id)
        yield refusal.body(request.url.path, exchange.request_id)
