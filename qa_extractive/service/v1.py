"""The routes of ``/v1``: one answer, or many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request

from qa_extractive.service.asking import answered, timing
from qa_extractive.service.engine import Answered, AnswerOptions, Engine, QuestionError
from qa_extractive.service.exchange import context_of
from qa_extractive.service.failures import FieldsError
from qa_extractive.service.responses import ERRORS, Json
from qa_extractive.service.schemas import (
    OFFSET_UNIT,
    AnswerBody,
    AnswerRequest,
    AnswersBody,
    AnswersRequest,
    CalibrationBody,
    ManyPapers,
    ManyQuestions,
    QuestionsOfPapers,
    TableBody,
)
from qa_extractive.types import Answer, Question

PathOf = Callable[[int, str], str]  # (position of a question, part) -> the field of the request


def add_v1(app: FastAPI, engine: Engine) -> None:
    """Add them."""

    @app.post("/v1/answer", tags=["answers"], responses={200: {"model": AnswerBody}, **ERRORS})
    async def answer(request: Request, body: AnswerRequest) -> Json:
        """The answer to one question."""
        asked = [Question(body.question, body.context, body.title)]
        found = await ask(request, body, asked, lambda _, part: part)
        return Json(found.answers[0].to_dict() | envelope(engine, request, found))

    @app.post("/v1/answers", tags=["answers"], responses={200: {"model": AnswersBody | TableBody}, **ERRORS})
    async def answers(request: Request, body: Annotated[AnswersRequest, Body()]) -> Json:
        """The answers to many questions, of many papers to one, or of each paper to the same questions."""
        if isinstance(body, QuestionsOfPapers):
            return await table(request, body)
        found = await ask(request, body, _questions(body), _path(body))
        order = _ranks(found.answers) if isinstance(body, ManyPapers) else range(len(found.answers))
        items = [found.answers[i].to_dict() | {"index": i} for i in order]
        return Json({"answers": items} | envelope(engine, request, found))

    async def table(request: Request, body: QuestionsOfPapers) -> Json:
        papers = [(paper.context, paper.title) for paper in body.papers]
        check_size(body.questions, papers, engine.settings.max_queue_characters)
        found = await ask(request, body, _every_question_of_every_paper(body), _table_path(body))
        return Json({"papers": _by_paper(body, found.answers)} | envelope(engine, request, found))

    async def ask(
        request: Request,
        body: AnswerRequest | ManyPapers | ManyQuestions | QuestionsOfPapers,
        questions: Sequence[Question],
        path: PathOf,
    ) -> Answered:
        with blaming(path):
            return await answered(engine, request, questions, AnswerOptions(body.top_k, body.threshold))


@contextmanager
def blaming(path: PathOf) -> Iterator[None]:
    """Name the field of a question that cannot be answered."""
    try:
        yield
    except QuestionError as error:
        raise FieldsError((path(error.index, error.part), str(error))) from None


def _path(body: ManyQuestions | ManyPapers) -> PathOf:
    if isinstance(body, ManyQuestions):
        return lambda index, part: f"questions[{index}].{part}"
    return lambda index, part: part if part == "question" else f"papers[{index}].{part}"


def _table_path(body: QuestionsOfPapers) -> PathOf:
    n = len(body.questions)
    return lambda i, part: f"questions[{i % n}]" if part == "question" else f"papers[{i // n}].{part}"


def _questions(body: ManyQuestions | ManyPapers) -> list[Question]:
    if isinstance(body, ManyPapers):
        return [Question(body.question, paper.context, paper.title) for paper in body.papers]
    return [Question(item.question, item.context, item.title) for item in body.questions]


def _every_question_of_every_paper(body: QuestionsOfPapers) -> list[Question]:
    """Paper by paper, so that what is kept of one serves all its questions."""
    return [
        Question(question, paper.context, paper.title) for paper in body.papers for question in body.questions
    ]


def check_size(
    questions: Sequence[str],
    papers: Sequence[tuple[str, str | None]],
    most: int,
    instead: str = "send several calls",
    at: str = "papers",
) -> None:
    """Each question makes a copy of each paper: few characters sent can be many to read and to send back."""
    n_papers = sum(len(text) + len(title or "") for text, title in papers)
    n_questions = sum(map(len, questions))
    n_read = n_papers * len(questions) + n_questions * len(papers)
    if n_read > most:
        message = f"with every question, {n_read:,} characters are more than {most:,}: {instead}"
        raise FieldsError((at, message))


def _by_paper(body: QuestionsOfPapers, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    n = len(body.questions)
    return [
        {
            "index": i,
            "title": paper.title,
            "answers": [answers[n * i + j].to_dict() | {"index": j} for j in range(n)],
        }
        for i, paper in enumerate(body.papers)
    ]


def _ranks(answers: Sequence[Answer]) -> list[int]:
    """Positions, best first; ties in the order given."""
    return sorted(range(len(answers)), key=lambda i: (answers[i].abstained, -answers[i].score))


def envelope(engine: Engine, request: Request, found: Answered) -> dict[str, Any]:
    """What stands beside the answers of every call."""
    return {
        "threshold": found.threshold,
        "model": engine.predictor.model_name,
        "calibration": CalibrationBody.of(engine.predictor.calibration).model_dump(),
        "offset_unit": OFFSET_UNIT,
        "request_id": context_of(request.scope).request_id,
        "timing": timing(found),
    }
