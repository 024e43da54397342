"""Exceptions of the routes -> responses that say what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from qa_extractive.errors import DataError, QAError
from qa_extractive.service.engine import DeadlineError, QuestionError, QueueFullError
from qa_extractive.service.exchange import ErrorResponse, context_of
from qa_extractive.service.responses import Json
from qa_extractive.service.schemas import MAX_ERRORS
from qa_extractive.service.wording import path_of, words_of

_MOST_CHARACTERS = 200  # of a path or a message that may hold what the caller sent


class FieldsError(Exception):
    """Fields that are wrong, as ``(path, message)``."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        super().__init__(fields)
        self.fields = fields


def refusal_of(error: Exception) -> ErrorResponse:
    """What an exception of the application's routes is answered with."""
    return next(refusal for kind, refusal in _REFUSALS if isinstance(error, kind))(error)


def add_failures(app: FastAPI) -> None:
    """Answer every exception of the application's routes."""

    async def handle(request: Request, error: Exception) -> Response:
        given = refusal_of(error)
        if given.status == 422 and request.url.path.startswith("/v2"):
            given = replace(given, status=400)  # as its specification has it
        body = given.body(request.url.path, context_of(request.scope).request_id)
        return Json(body, given.status, headers=dict(given.headers))

    for kind, _ in _REFUSALS:
        app.add_exception_handler(kind, handle)


def _of_fields(*fields: tuple[str, str]) -> ErrorResponse:
    listed = tuple((_clipped(path), _clipped(message)) for path, message in fields[:MAX_ERRORS])
    path, message = listed[0]
    more = f" (the first {MAX_ERRORS} faults are listed)" if len(fields) > MAX_ERRORS else ""
    return ErrorResponse(422, "invalid_request", f"{path}: {message}{more}", listed)


def _clipped(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _of_full_queue(error: QueueFullError) -> ErrorResponse:
    return ErrorResponse(503, "queue_full", str(error), (), {"Retry-After": str(error.retry_after_s)})


def _of_http(error: HTTPException) -> ErrorResponse:
    codes = {400: "not_json", 404: "not_found", 405: "method_not_allowed"}
    message = "the body is not JSON" if error.status_code == 400 else str(error.detail)
    return ErrorResponse(
        error.status_code, codes.get(error.status_code, "http"), message, (), error.headers or {}
    )


def _of_validation(error: RequestValidationError) -> ErrorResponse:
    return _of_fields(*((path_of(each["loc"][1:]) or "body", _words(each)) for each in error.errors()))


def _words(error: Mapping[str, Any]) -> str:
    return words_of(error) + (": see /docs" if error["type"] == "extra_forbidden" else "")


# Of an exception that is of several kinds, the first counts.
_REFUSALS: tuple[tuple[type[Exception], Callable[[Any], ErrorResponse]], ...] = (
    (RequestValidationError, _of_validation),
    (FieldsError, lambda error: _of_fields(*error.fields)),
    (
        QuestionError,
        lambda error: ErrorResponse(400, "bad_data", f"inputs: {error.part} {error.index}: {error}"),
    ),
    (DataError, lambda error: ErrorResponse(400, "bad_data", str(error))),
    (QueueFullError, _of_full_queue),
    (DeadlineError, lambda error: ErrorResponse(504, "deadline", str(error))),
    (QAError, lambda _: ErrorResponse(500, "model_failed", "the model failed: see the service's log")),
    (HTTPException, _of_http),
    (Exception, lambda _: ErrorResponse(500, "internal", "a bug: report it with the request's id")),
)
