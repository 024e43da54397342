"""The route of ``/v1/extract``: many fields of one text."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

from qa_extractive.errors import DataError
from qa_extractive.extraction.extract import extracted, questions_of
from qa_extractive.extraction.fields import fields_of
from qa_extractive.extraction.types import Field
from qa_extractive.service.asking import answered
from qa_extractive.service.engine import AnswerOptions, Engine
from qa_extractive.service.extract_schemas import ExtractBody, ExtractRequest
from qa_extractive.service.failures import FieldsError
from qa_extractive.service.responses import ERRORS, Json
from qa_extractive.service.v1 import blaming, check_size, envelope
from qa_extractive.types import Question


def add_extract(app: FastAPI, engine: Engine) -> None:
    """Add it."""

    @app.post("/v1/extract", tags=["answers"], responses={200: {"model": ExtractBody}, **ERRORS})
    async def extract(request: Request, body: ExtractRequest) -> Json:
        """Many fields of one text: a verbatim quote of each and what it states, or null."""
        fields = _fields(engine, body)
        asked = [field.question for field in fields]
        check_size(asked, [(body.context, body.title)], engine.settings.max_queue_characters, at="fields")
        questions = _questions(fields, body)
        names = [field.name for field in fields]
        with blaming(lambda i, part: part if part == "context" else f"fields.{names[i]}"):
            found = await answered(engine, request, questions, AnswerOptions(threshold=body.threshold))
        # parsing loads libraries the first time, which takes seconds
        said = await engine.in_time(run_in_threadpool(extracted, fields, body.context, found.answers))
        listed = {name: each.to_dict() for name, each in said.items()}
        return Json({"fields": listed} | envelope(engine, request, found))


def _fields(engine: Engine, body: ExtractRequest) -> tuple[Field, ...]:
    try:
        fields = fields_of(body.fields)
    except DataError as error:
        raise FieldsError(("fields", str(error))) from None
    most = engine.settings.max_questions
    if len(fields) > most:
        message = f"{len(fields):,} are more than the {most:,} of one call: send several calls"
        raise FieldsError(("fields", message))
    return fields


def _questions(fields: Sequence[Field], body: ExtractRequest) -> list[Question]:
    """Of each field; what is too long is the engine's to find, in its threads."""
    try:
        questions = questions_of(fields, body.context, body.title, lambda _: None)
    except DataError as error:
        raise FieldsError(("fields", str(error))) from None
    return questions
