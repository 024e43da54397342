"""What all routes answer with: JSON, and the errors that OpenAPI states."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from qa_extractive.service.exchange import CALLER_LEFT, context_of
from qa_extractive.service.schemas import ErrorBody

JSON_LINES = "application/x-ndjson"


class Json(JSONResponse):
    """ASCII only: half a surrogate pair that a caller escaped goes back as it came."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return encoded(content)


def encoded(content: Any) -> bytes:
    """It as JSON on one line."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class JsonLines(StreamingResponse):
    """One JSON value a line, each sent when it is there; the work stops when the caller leaves."""

    media_type = JSON_LINES

    def __init__(self, values: AsyncGenerator[Any, None], patience_s: float) -> None:
        """Take the values, and how long a caller may take to let a line through."""
        super().__init__(values, headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
        self._values, self._patience_s = values, patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            async with aclosing(self._values) as values:
                start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(start)
                async for value in values:
                    line = {"type": "http.response.body", "body": encoded(value) + b"\n", "more_body": True}
                    await asyncio.wait_for(send(line), self._patience_s)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (asyncio.CancelledError, TimeoutError):
            context_of(scope).status = CALLER_LEFT
            raise


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body is not JSON."},
    401: {"model": ErrorBody, "description": "The API key is missing or wrong, where one is required."},
    408: {"model": ErrorBody, "description": "The body arrived too slowly."},
    413: {"model": ErrorBody, "description": "The body is too large."},
    415: {"model": ErrorBody, "description": "A page of a browser sent something else than JSON."},
    422: {"model": ErrorBody, "description": "A field is wrong; `fields` says which."},
    500: {"model": ErrorBody, "description": "The model failed."},
    503: {
        "model": ErrorBody,
        "description": "Too much waits already.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    },
    504: {"model": ErrorBody, "description": "No answer within the deadline."},
}
