"""Request bodies, as plain ASGI: read within limits of size and time, and taken for JSON.

Only the routes that answer questions have bodies. The others answer at once, whatever is sent to them.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa_extractive.service.exchange import ErrorResponse, header, refuse_unread, replay, send_refusal
from qa_extractive.service.settings import ServiceSettings

UPLOAD_PATH = "/v1/papers"
_UPLOADS_HELD = 2  # as many of the largest ones at a time
_MOST_ROWS = 10_000  # of a table that a caller holds
_SIMPLE = (b"", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data")
_ALWAYS_READ_BYTES = 65_536  # of a body, however much others hold: the question to an abstract has less
_JSON = b"application/json"


def takes_body(scope: Scope) -> bool:
    """Whether a request asks for answers: the only ones with a body."""
    path: str = scope["path"]
    is_v2 = path.startswith("/v2/models/") and path.endswith("/infer")
    return scope["method"] == "POST" and (path.startswith("/v1/") or is_v2)


def is_upload(scope: Scope) -> bool:
    """Whether a body is a file, and no JSON."""
    path: str = scope["path"]
    return path == UPLOAD_PATH


class _BodyError(Exception):
    def __init__(self, refusal: ErrorResponse) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class _Room:
    """What bodies of one kind may take, and what those that are being read hold by now."""

    def __init__(self, max_mb: float, held_bytes: int, seconds: float, advice: str) -> None:
        self.max_bytes = int(max_mb * 1_000_000)
        self.held_bytes = max(held_bytes, self.max_bytes)
        self.seconds = seconds
        self.too_large = f"the body is larger than {max_mb:g} MB: {advice}"
        self.n_held = 0

    def check(self, n_bytes: int) -> None:
        """Raise _BodyError where a body has become too large."""
        if n_bytes > self.max_bytes:
            raise _BodyError(
                ErrorResponse(413, "body_too_large", self.too_large, (), {"Connection": "close"})
            )
        if self.n_held > self.held_bytes and n_bytes > _ALWAYS_READ_BYTES:
            headers = {"Retry-After": "1", "Connection": "close"}
            raise _BodyError(
                ErrorResponse(
                    503, "queue_full", "too many bodies are being read: try again in 1 s", (), headers
                )
            )


class BodyLimitMiddleware:
    """Reads the whole body, within limits of size and time, before anything looks at it."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        """Take the limits."""
        self._app = app
        self._questions = _Room(
            settings.max_body_mb,
            settings.max_queue_characters,
            settings.read_timeout_s,
            "send fewer or shorter texts at once",
        )
        self._uploads = _Room(
            settings.max_upload_mb,
            _UPLOADS_HELD * settings.max_upload_bytes,
            settings.upload_s,
            "split the file",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if not takes_body(scope):
            return await self._app(scope, replay(b"", _only_the_end(receive)), send)
        room = self._uploads if is_upload(scope) else self._questions
        try:
            body = await _body(scope, receive, room)
        except _BodyError as error:
            return await refuse_unread(scope, receive, send, error.refusal)
        except TimeoutError:
            return await send_refusal(scope, send, _too_slow(room.seconds))
        return None if body is None else await self._app(scope, replay(body, receive), send)


async def _body(scope: Scope, receive: Receive, room: _Room) -> bytes | None:
    """The body; None if the caller left."""
    declared = header(scope, b"content-length") or b""
    if declared.isdigit() and int(declared) > room.max_bytes:
        room.check(int(declared))
    return await asyncio.wait_for(_read(receive, room), room.seconds)


async def _read(receive: Receive, room: _Room) -> bytes | None:
    held = bytearray()
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            held += part
            room.n_held += len(part)
            room.check(len(held))
            if not message.get("more_body", False):
                return bytes(held)
    finally:
        room.n_held -= len(held)


def _too_slow(seconds: float) -> ErrorResponse:
    message = f"the body did not arrive within {seconds:g} s: send it faster"
    return ErrorResponse(408, "body_too_slow", message, (), {"Connection": "close"})


def _only_the_end(receive: Receive) -> Receive:
    """Throws away what a caller sends; says when it left."""

    async def end() -> Message:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return message

    return end


class JsonBodies:
    """Takes each body for JSON, and refuses one of too many items before anything looks at them.

    curl calls every body a form unless told otherwise, so a body need not be called JSON. A browser lets
    the pages of other origins send such bodies without asking first, but names the origin: from there,
    only what is called JSON is taken; and a file only if it is called what makes the browser ask.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        """Take the application, whose body must have been read (``BodyLimitMiddleware``)."""
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not takes_body(scope):
            return await self._app(scope, receive, send)
        if is_upload(scope):
            return await self._upload(scope, receive, send)
        if header(scope, b"origin") is not None and not _is_called_json(scope):
            message = "send the body as JSON, with the header 'Content-Type: application/json'"
            return await send_refusal(scope, send, ErrorResponse(415, "not_json", message))
        body = (await receive())["body"]
        refusal = _refusal_of(body, self._settings.max_questions) if body else None
        if refusal is not None:
            is_v2 = scope["path"].startswith("/v2")  # whose specification knows no 422
            return await send_refusal(scope, send, replace(refusal, status=400) if is_v2 else refusal)
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        named = {**scope, "headers": [*headers, (b"content-type", _JSON)]}
        return await self._app(named, replay(body, receive), send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        if header(scope, b"origin") is None or _content_type(scope) not in _SIMPLE:
            return await self._app(scope, receive, send)
        message = "send the file with the header 'Content-Type: application/octet-stream'"
        return await send_refusal(scope, send, ErrorResponse(415, "not_a_file", message))


def _content_type(scope: Scope) -> bytes:
    return (header(scope, b"content-type") or b"").split(b";")[0].strip().lower()


def _is_called_json(scope: Scope) -> bool:
    name = _content_type(scope)
    return name == _JSON or (name.startswith(b"application/") and name.endswith(b"+json"))


def _refusal_of(body: bytes, max_questions: int) -> ErrorResponse | None:
    """Why a body cannot be looked at, if it cannot."""
    try:
        sent = json.loads(body)
    except RecursionError:
        return ErrorResponse(400, "not_json", "the body is nested too deep for JSON of this service")
    except ValueError as error:  # of JSON, of UTF-8, or of a number of thousands of digits
        message = 'the body is not JSON, such as {"question": "...", "context": "..."}'
        return ErrorResponse(400, "not_json", f"{message}: {str(error)[:200]}")
    for path, counted, n_items in _lengths(sent):
        if n_items > max_questions:
            return _too_many(path, counted, max_questions)
    for path in ("rows", "votes", "skipped"):
        items = sent.get(path) if isinstance(sent, dict) else None
        if isinstance(items, list) and len(items) > _MOST_ROWS:
            return _too_many(path, f"{len(items):,}", _MOST_ROWS)
    return None


def _too_many(path: str, counted: str, most: int) -> ErrorResponse:
    message = f"{counted} are more than the {most:,} of one call: send several calls"
    return ErrorResponse(422, "invalid_request", f"{path}: {message}", ((path, message),))


def _lengths(sent: Any) -> Iterator[tuple[str, str, int]]:
    """Each field that makes questions: its path, what it makes in words, and as a number."""
    if not isinstance(sent, dict):
        return
    counts = {name: len(sent[name]) for name in ("questions", "papers") if isinstance(sent.get(name), list)}
    for name, n_items in counts.items():
        yield name, f"{n_items:,}", n_items
    if len(counts) == 2:
        n_answers = math.prod(counts.values())
        yield "papers", f"{counts['papers']:,} times {counts['questions']:,} questions", n_answers
    tensors = sent.get("inputs")
    for i, tensor in enumerate(tensors[:4] if isinstance(tensors, list) else ()):
        if isinstance(tensor, dict) and isinstance(tensor.get("data"), list):
            n_texts = sum(len(text) if isinstance(text, list) else 1 for text in tensor["data"])
            yield f"inputs[{i}].data", f"{n_texts:,} texts", n_texts
