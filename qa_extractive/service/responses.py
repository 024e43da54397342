"""What all routes answer with: JSON, and the errors that OpenAPI states."""

from __future__ import annotations

import json
from typing import Any

from fastapi.responses import JSONResponse

from qa_extractive.service.schemas import ErrorBody


class Json(JSONResponse):
    """ASCII only: half a surrogate pair that a caller escaped goes back as it came."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


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
