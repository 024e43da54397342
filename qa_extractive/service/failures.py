"""Exceptions of the routes -> responses that say what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from qa_extractive.service.schemas import FORM_TAGS, MAX_ERRORS

_MOST_CHARACTERS = 200  # of a path or a message that may hold what the caller sent
# What pydantic finds, by its own names, in the words of who sends a request; others keep pydantic's words.
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is no field that is known here: see /docs",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "list_type": "must be a list",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
    "string_type": "must be text",
    "string_unicode": "must be text without lone surrogates",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must not be blank",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
}


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
    return _of_fields(*((_path(each["loc"]), _words(each)) for each in error.errors()))


def _words(error: Mapping[str, Any]) -> str:
    """What is wrong with a field, in plain words."""
    words = _WORDS.get(error["type"])
    return str(error["msg"]) if words is None else words.format(**error.get("ctx", {}))


def _path(loc: Sequence[str | int]) -> str:
    """``("body", "questions", 3, "context")`` -> ``questions[3].context``."""
    path = ""
    for part in loc[1:]:
        if part not in FORM_TAGS:
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "body"


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
