"""The application: routes, errors and what lies around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from qa_extractive import __version__
from qa_extractive.predictor import Predictor
from qa_extractive.service.bodies import BodyLimitMiddleware, JsonBodies
from qa_extractive.service.engine import Engine
from qa_extractive.service.evidence_routes import add_evidence
from qa_extractive.service.extract_routes import add_extract
from qa_extractive.service.failures import add_failures
from qa_extractive.service.metrics import CONTENT_TYPE, Metrics
from qa_extractive.service.middleware import (
    AuthorizationMiddleware,
    CancellationMiddleware,
    ObservationMiddleware,
)
from qa_extractive.service.page import PageFile, page_files
from qa_extractive.service.paper_routes import add_papers
from qa_extractive.service.responses import Json
from qa_extractive.service.schemas import StatusBody
from qa_extractive.service.settings import ServiceSettings
from qa_extractive.service.sheet_routes import add_sheet
from qa_extractive.service.uploads import Uploads
from qa_extractive.service.v1 import add_v1
from qa_extractive.service.v2 import BinaryInputs
from qa_extractive.service.v2_routes import add_v2

_ABOUT = (
    "Verbatim answers from scientific papers, with offsets and calibrated probabilities. Offsets are half "
    "open and count Unicode code points of the context as sent. Where the operator set an API key, `/v1` and "
    "`/infer` want it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`."
)


def create_app(predictor: Predictor, settings: ServiceSettings) -> ASGIApp:
    """The service around a loaded predictor; its model is warmed when the application starts."""
    metrics = Metrics()
    engine = Engine(predictor, settings, metrics)
    metrics.watch("qa_queue_requests", "Requests admitted and not yet answered.", lambda: engine.n_requests)
    metrics.watch("qa_queue_tokens", "Tokens that wait for the model.", lambda: engine.n_waiting_tokens)
    uploads = Uploads(settings)
    app = _application(engine, uploads)
    name = model_name(predictor)
    _add_page(app)
    add_v1(app, engine)
    add_evidence(app, engine)
    add_extract(app, engine)
    add_papers(app, uploads)
    add_sheet(app, engine)
    add_v2(app, engine, name)
    _add_operations(app, engine, metrics)
    add_failures(app)
    if settings.api_key is not None:
        _declare_key(app)
    return _wrapped(app, settings, metrics, _paths(app, name))


def _paths(app: FastAPI, name: str) -> list[str]:
    patterns: list[str] = [getattr(route, "path", "") for route in app.routes]
    return [pattern.replace("{name}", name) for pattern in patterns]


def model_name(predictor: Predictor) -> str:
    """The predictor's model name, fit for a path."""
    return predictor.model_name.replace("/", "--")


def _application(engine: Engine, uploads: Uploads) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.warm()
        await engine.start()
        yield
        uploads.close()
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
    app = CancellationMiddleware(BinaryInputs(JsonBodies(app, settings), settings.max_questions))
    app = AuthorizationMiddleware(BodyLimitMiddleware(app, settings), settings.api_key)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    return ObservationMiddleware(app, metrics, routes)


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


def _declare_key(app: FastAPI) -> None:
    """State in OpenAPI that the key is needed; ``AuthorizationMiddleware`` is what asks for it."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        schema["components"]["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for path, item in schema["paths"].items():
            for operation in item.values():
                if path.startswith("/v1/") or path.endswith("/infer"):
                    operation["security"] = [{"key": []}, {"header": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
