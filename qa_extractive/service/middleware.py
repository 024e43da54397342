"""What happens to every request before and after the application, as plain ASGI.

From the outside in: ``ObservationMiddleware`` (ids, log, metrics, security headers),
``AuthorizationMiddleware`` (the API key), ``bodies.BodyLimitMiddleware`` (the body, within its limits),
``CancellationMiddleware`` (stops the work when the caller leaves), ``v2.BinaryInputs`` and
``bodies.JsonBodies`` (the body, as JSON of a bounded number of items).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import Collection
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa_extractive.service.exchange import ErrorResponse, begin, context_of, header, refuse_unread, replay
from qa_extractive.service.logs import FIELDS
from qa_extractive.service.metrics import Metrics

log = logging.getLogger("qa_extractive.service")

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class ObservationMiddleware:
    """Gives each request an id, a log line and its place in the metrics."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Collection[str]) -> None:
        """``routes`` are the paths that metrics tell apart; all others are "other"."""
        self._app, self._metrics, self._routes = app, metrics, frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = time.perf_counter()
        exchange = begin(scope)

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                request_id = (b"x-request-id", exchange.request_id.encode("ascii"))
                message["headers"] = [*message["headers"], request_id, *_HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception:
            exchange.status = 500
            raise
        finally:
            self._note(scope, time.perf_counter() - started)

    def _note(self, scope: Scope, seconds: float) -> None:
        exchange = context_of(scope)
        route = scope["path"] if scope["path"] in self._routes else "other"
        self._metrics.on_request(route, exchange.status, seconds)
        values = {
            "request_id": exchange.request_id,
            "method": scope["method"],
            "route": route,
            "status": exchange.status,
            "ms": round(1000.0 * seconds, 3),
            **exchange.notes,
        }
        level = logging.ERROR if exchange.status >= 500 and exchange.status != 503 else logging.INFO
        log.log(level, "request", extra={FIELDS: values})


class AuthorizationMiddleware:
    """Lets nobody ask without the API key, where there is one."""

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        """Take the key; None lets everybody in."""
        self._app = app
        self._key = None if api_key is None else api_key.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or self._key is None or not _needs_key(scope) or self._has_key(scope):
            return await self._app(scope, receive, send)
        refusal = ErrorResponse(
            401,
            "unauthorized",
            "send the API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
            headers={"WWW-Authenticate": "Bearer", "Connection": "close"},
        )
        return await refuse_unread(scope, receive, send, refusal)

    def _has_key(self, scope: Scope) -> bool:
        bearer = header(scope, b"authorization") or b""
        scheme, _, token = bearer.partition(b" ")
        sent = token.strip() if scheme.lower() == b"bearer" else header(scope, b"x-api-key") or b""
        return hmac.compare_digest(sent, self._key or b"")


def _needs_key(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/v1/") or (path.startswith("/v2/models/") and path.endswith("/infer"))


class CancellationMiddleware:
    """Cancels the application's work when the caller disconnects."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the application, whose body must have been read (``BodyLimitMiddleware``)."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = await receive()
        work = asyncio.ensure_future(self._app(scope, replay(body["body"], _never), send))
        left = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        finally:
            await _stopped(left)
            await _stopped(work)


async def _never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def _stopped(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
