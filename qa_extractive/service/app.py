"""The application: routes, errors and what lies around them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from qa_extractive import __version__
from qa_extractive.errors import DataError, QAError
from qa_extractive.predictor import Predictor
from qa_extractive.records import Answer, Question
from qa_extractive.service import v2
from qa_extractive.service.engine import (
    Answered,
    AnswerOptions,
    DeadlineError,
    Engine,
    QuestionError,
    QueueFullError,
)
from qa_extractive.service.exchange import Refusal, exchange_of
from qa_extractive.service.metrics import CONTENT_TYPE, Metrics
from qa_extractive.service.middleware import Abandonable, Authorized, Bounded, Observed
from qa_extractive.service.page import PageFile, page_files
from qa_extractive.service.schemas import (
    FORM_TAGS,
    OFFSET_UNIT,
    AnswerBody,
    AnswerRequest,
    AnswersBody,
    AnswersRequest,
    CalibrationBody,
    ErrorBody,
    ManyPapers,
    ManyQuestions,
    StatusBody,
)
from qa_extractive.service.settings import ServiceSettings


class Json(JSONResponse):
    """ASCII only: half a surrogate pair that a caller escaped goes back as it came."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


_ABOUT = (
    "Verbatim answers from scientific papers, with offsets and calibrated probabilities. Offsets are half "
    "open and count Unicode code points of the context as sent."
)
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body is not JSON."},
    401: {"model": ErrorBody, "description": "The API key is missing or wrong, where one is required."},
    408: {"model": ErrorBody, "description": "The body arrived too slowly."},
    413: {"model": ErrorBody, "description": "The body is too large."},
    422: {"model": ErrorBody, "description": "A field is wrong; `fields` says which."},
    500: {"model": ErrorBody, "description": "The model failed."},
    503: {
        "model": ErrorBody,
        "description": "Too much waits already.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    },
    504: {"model": ErrorBody, "description": "No answer within the deadline."},
}
_V2_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {
        **each,
        "model": v2.V2Error,
        "description": "A tensor is wrong." if status == 400 else each["description"],
    }
    for status, each in _ERRORS.items()
    if status != 422
} | {404: {"model": v2.V2Error, "description": "There is no model of this name."}}


def create_app(predictor: Predictor, settings: ServiceSettings) -> ASGIApp:
    """The service around a loaded predictor; its model is warmed when the application starts."""
    metrics = Metrics()
    engine = Engine(predictor, settings, metrics)
    metrics.watch("qa_queue_requests", "Requests admitted and not yet answered.", lambda: engine.n_requests)
    metrics.watch("qa_queue_tokens", "Tokens that wait for the model.", lambda: engine.n_waiting_tokens)
    app = _application(engine)
    name = model_name(predictor)
    _add_page(app)
    _add_v1(app, engine)
    _add_v2(app, engine, name)
    _add_operations(app, engine, metrics)
    _add_failures(app)
    if settings.api_key is not None:
        _declare_key(app)
    return _wrapped(app, settings, metrics, _paths(app, name))


def _paths(app: FastAPI, name: str) -> list[str]:
    patterns: list[str] = [getattr(route, "path", "") for route in app.routes]
    return [pattern.replace("{name}", name) for pattern in patterns]


def model_name(predictor: Predictor) -> str:
    """The predictor's model name, fit for a path."""
    return predictor.model_name.replace("/", "--")


def _application(engine: Engine) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.warm()
        await engine.start()
        yield
        await engine.close()

    return FastAPI(
        title="qa-extractive",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
    )


def _wrapped(app: ASGIApp, settings: ServiceSettings, metrics: Metrics, routes: Sequence[str]) -> ASGIApp:
    app = Abandonable(v2.BinaryInputs(app))
    app = Authorized(Bounded(app, settings), settings.api_key)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    return Observed(app, metrics, routes)


# ---------------------------------------------------------------- /v1


def _add_v1(app: FastAPI, engine: Engine) -> None:
    @app.post("/v1/answer", tags=["answers"], responses={200: {"model": AnswerBody}, **_ERRORS})
    async def answer(request: Request, body: AnswerRequest) -> Json:
        """The answer to one question."""
        asked = [Question(body.question, body.context, body.title)]
        with _blaming("{part}"):
            answered = await _answered(engine, request, asked, AnswerOptions(body.top_k, body.threshold))
        return Json(answered.answers[0].to_dict() | _envelope(engine, request, answered))

    @app.post("/v1/answers", tags=["answers"], responses={200: {"model": AnswersBody}, **_ERRORS})
    async def answers(request: Request, body: Annotated[AnswersRequest, Body()]) -> Json:
        """The answers to many questions, or of many papers to one question, best first."""
        _check_number(body, engine.settings.max_questions)
        options = AnswerOptions(body.top_k, body.threshold)
        with _blaming(
            "papers[{index}].{part}" if isinstance(body, ManyPapers) else "questions[{index}].{part}"
        ):
            answered = await _answered(engine, request, _questions(body), options)
        order = _ranks(answered.answers) if isinstance(body, ManyPapers) else range(len(answered.answers))
        items = [answered.answers[i].to_dict() | {"index": i} for i in order]
        return Json({"answers": items} | _envelope(engine, request, answered))


class _FieldsError(Exception):
    """Fields that are wrong, as ``(path, message)``."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        super().__init__(fields)
        self.fields = fields


@contextmanager
def _blaming(path: str) -> Iterator[None]:
    """Name the field of a question that cannot be answered."""
    try:
        yield
    except QuestionError as error:
        where = path.format(index=error.index, part=error.part)
        if where.startswith("papers") and error.part == "question":
            where = "question"  # they share it
        raise _FieldsError((where, str(error))) from None


def _check_number(body: ManyQuestions | ManyPapers, limit: int) -> None:
    name, items = ("papers", body.papers) if isinstance(body, ManyPapers) else ("questions", body.questions)
    if len(items) > limit:
        raise _FieldsError(
            (name, f"{len(items):,} are more than the {limit:,} of one call: send several calls")
        )


def _questions(body: ManyQuestions | ManyPapers) -> list[Question]:
    if isinstance(body, ManyPapers):
        return [Question(body.question, paper.context, paper.title) for paper in body.papers]
    return [Question(item.question, item.context, item.title) for item in body.questions]


def _ranks(answers: Sequence[Answer]) -> list[int]:
    """Positions, best first; ties in the order given."""
    return sorted(range(len(answers)), key=lambda i: (answers[i].abstained, -answers[i].score))


async def _answered(
    engine: Engine, request: Request, questions: Sequence[Question], options: AnswerOptions
) -> Answered:
    exchange = exchange_of(request.scope)
    exchange.notes["n_questions"] = len(questions)
    if engine.settings.log_texts:
        exchange.notes["questions"] = [
            {"question": q.question, "context": q.context, "title": q.title} for q in questions
        ]
    answered = await engine.answer(questions, options)
    exchange.notes |= {"n_tokens": answered.n_tokens} | _timing(answered)
    exchange.notes["n_abstained"] = sum(answer.abstained for answer in answered.answers)
    if engine.settings.log_texts:
        exchange.notes["answers"] = [answer.text for answer in answered.answers]
    return answered


def _timing(answered: Answered) -> dict[str, float]:
    timing = answered.timing
    return {
        "tokenize_ms": timing.tokenize_ms,
        "queue_ms": timing.queue_ms,
        "model_ms": timing.model_ms,
        "total_ms": timing.total_ms,
    }


def _envelope(engine: Engine, request: Request, answered: Answered) -> dict[str, Any]:
    return {
        "threshold": answered.threshold,
        "model": engine.predictor.model_name,
        "calibration": CalibrationBody.of(engine.predictor.calibration).model_dump(),
        "offset_unit": OFFSET_UNIT,
        "request_id": exchange_of(request.scope).request_id,
        "timing": _timing(answered),
    }


# ---------------------------------------------------------------- /v2


def _add_v2(app: FastAPI, engine: Engine, name: str) -> None:
    not_found: dict[int | str, dict[str, Any]] = {404: _V2_ERRORS[404]}

    @app.get("/v2", tags=["v2"], responses={200: {"model": v2.ServerMetadata}})
    async def server() -> Json:
        """The server."""
        return Json({"name": "qa-extractive", "version": __version__, "extensions": ["binary_tensor_data"]})

    @app.get("/v2/health/live", tags=["v2"], responses={200: {"model": v2.Live}})
    async def live() -> Json:
        """Whether the server runs."""
        return Json({"live": True})

    @app.get("/v2/health/ready", tags=["v2"], responses={200: {"model": v2.Ready}, 503: {"model": v2.Ready}})
    async def ready() -> Json:
        """Whether the server takes questions."""
        return Json({"ready": engine.is_ready}, 200 if engine.is_ready else 503)

    @app.get("/v2/models/{name}", tags=["v2"], responses={200: {"model": v2.ModelMetadata}, **not_found})
    async def model(name: str) -> Json:
        """The model's tensors."""
        check(name)
        return Json(v2.model_metadata(name))

    @app.get(
        "/v2/models/{name}/ready",
        tags=["v2"],
        responses={200: {"model": v2.Ready}, 503: {"model": v2.Ready}, **not_found},
    )
    async def model_ready(name: str) -> Json:
        """Whether the model answers."""
        check(name)
        return Json({"ready": engine.is_ready}, 200 if engine.is_ready else 503)

    @app.post(
        "/v2/models/{name}/infer", tags=["v2"], responses={200: {"model": v2.InferResponse}, **_V2_ERRORS}
    )
    async def infer(request: Request, name: str, body: v2.InferRequest) -> Json:
        """The answers to the questions in the tensors."""
        check(name)
        questions = body.questions()
        if len(questions) > engine.settings.max_questions:
            raise DataError(f"{len(questions):,} questions are more than {engine.settings.max_questions:,}")
        answered = await _answered(engine, request, questions, body.options())
        return Json(v2.infer_response(name, body, answered.answers))

    def check(asked: str) -> None:
        if asked != name:
            raise HTTPException(404, f"there is no model of this name: ask for {name!r}")


# ---------------------------------------------------------------- the page, health, metrics


def _add_page(app: FastAPI) -> None:
    for path, file in page_files().items():
        app.add_route(path, _sender(file), include_in_schema=False)


def _sender(file: PageFile) -> Callable[[Request], Awaitable[Response]]:
    async def send(_: Request) -> Response:
        return Response(file.content, media_type=file.media_type, headers={"Cache-Control": "no-cache"})

    return send


def _add_operations(app: FastAPI, engine: Engine, metrics: Metrics) -> None:
    @app.get("/health/live", tags=["operations"], responses={200: {"model": StatusBody}})
    async def live() -> Json:
        """Whether the service runs."""
        return Json({"status": "ok"})

    @app.get(
        "/health/ready",
        tags=["operations"],
        responses={200: {"model": StatusBody}, 503: {"model": StatusBody}},
    )
    async def ready() -> Json:
        """Whether the service takes questions."""
        if engine.is_ready:
            return Json({"status": "ok"})
        return Json({"status": "unavailable"}, 503)

    @app.get("/metrics", tags=["operations"], response_class=Response, responses={200: {"content": _TEXT}})
    async def prometheus() -> Response:
        """Metrics for Prometheus."""
        return Response(metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})


_TEXT = {"text/plain": {"schema": {"type": "string"}}}


# ---------------------------------------------------------------- failures


def _add_failures(app: FastAPI) -> None:
    def add(kind: type[Exception], refusal: Callable[[Any], Refusal]) -> None:
        async def handle(request: Request, error: Exception) -> Response:
            given = refusal(error)
            if given.status == 422 and request.url.path.startswith("/v2"):
                given = replace(given, status=400)  # as its specification has it
            body = given.body(request.url.path, exchange_of(request.scope).request_id)
            return Json(body, given.status, headers=dict(given.headers))

        app.add_exception_handler(kind, handle)

    add(RequestValidationError, _of_validation)
    add(_FieldsError, lambda error: _of_fields(*error.fields))
    add(QuestionError, lambda error: Refusal(400, "bad_data", f"inputs: {error.part} {error.index}: {error}"))
    add(DataError, lambda error: Refusal(400, "bad_data", str(error)))
    add(QueueFullError, _of_full_queue)
    add(DeadlineError, lambda error: Refusal(504, "deadline", str(error)))
    add(QAError, lambda error: Refusal(500, "model_failed", "the model failed: see the service's log"))
    add(HTTPException, _of_http)
    add(Exception, lambda error: Refusal(500, "internal", "a bug: report it with the request's id"))


def _of_fields(*fields: tuple[str, str]) -> Refusal:
    path, message = fields[0]
    return Refusal(422, "invalid_request", f"{path}: {message}", fields)


def _of_full_queue(error: QueueFullError) -> Refusal:
    return Refusal(503, "queue_full", str(error), (), {"Retry-After": str(error.retry_after_s)})


def _of_http(error: HTTPException) -> Refusal:
    codes = {400: "not_json", 404: "not_found", 405: "method_not_allowed"}
    message = "the body is not JSON" if error.status_code == 400 else str(error.detail)
    return Refusal(error.status_code, codes.get(error.status_code, "http"), message, (), error.headers or {})


def _of_validation(error: RequestValidationError) -> Refusal:
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        return Refusal(400, "not_json", f"the body is not JSON: {errors[0].get('ctx', {}).get('error', '')}")
    return _of_fields(*((_path(each["loc"]), str(each["msg"])) for each in errors))


def _path(loc: Sequence[str | int]) -> str:
    """``("body", "questions", 3, "context")`` -> ``questions[3].context``."""
    path = ""
    for part in loc[1:]:
        if part not in FORM_TAGS:
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "body"


def _declare_key(app: FastAPI) -> None:
    """State in OpenAPI that the key is needed; ``Authorized`` is what asks for it."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, item in schema["paths"].items():
            for operation in item.values():
                if path.startswith("/v1/") or path.endswith("/infer"):
                    operation["security"] = [{"key": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
