"""The routes of ``/v2``."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from qa_extractive import __version__
from qa_extractive.service import v2
from qa_extractive.service.asking import answered
from qa_extractive.service.engine import Engine
from qa_extractive.service.responses import ERRORS, Json

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {
        **each,
        "model": v2.V2Error,
        "description": "A tensor is wrong." if status == 400 else each["description"],
    }
    for status, each in ERRORS.items()
    if status != 422
} | {404: {"model": v2.V2Error, "description": "There is no model of this name."}}


def add_v2(app: FastAPI, engine: Engine, name: str) -> None:
    """Add them, for a model of this name."""
    not_found: dict[int | str, dict[str, Any]] = {404: _ERRORS[404]}

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

    @app.post("/v2/models/{name}/infer", tags=["v2"], responses={200: {"model": v2.InferResponse}, **_ERRORS})
    async def infer(request: Request, name: str, body: v2.InferRequest) -> Json:
        """The answers to the questions in the tensors."""
        check(name)
        found = await answered(engine, request, body.questions(), body.options())
        return Json(v2.infer_response(name, body, found.answers))

    def check(asked: str) -> None:
        if asked != name:
            raise HTTPException(404, f"there is no model of this name: ask for {name!r}")
