"""What happens to every request before and after the application, as plain ASGI.

From the outside in: ``Observed`` (ids, log, metrics, security headers), ``Authorized`` (the API key),
``Bounded`` (the body, within its limits), ``Abandonable`` (stops the work when the caller leaves).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import Collection
from typing import Any, NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa_extractive.service.exchange import Refusal, begin, exchange_of, header, send_refusal
from qa_extractive.service.logs import FIELDS
from qa_extractive.service.metrics import Metrics
from qa_extractive.service.settings import ServiceSettings

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
_LINGER_S = 10.0
_LINGER_BYTES = 100_000_000


class Observed:
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
        exchange = exchange_of(scope)
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


class Authorized:
    """Lets nobody ask without the API key, where there is one."""

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        """Take the key; None lets everybody in."""
        self._app = app
        self._key = None if api_key is None else api_key.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or self._key is None or not _needs_key(scope) or self._has_key(scope):
            return await self._app(scope, receive, send)
        refusal = Refusal(
            401,
            "unauthorized",
            "send the API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
            headers={"WWW-Authenticate": "Bearer", "Connection": "close"},
        )
        return await _refuse_unread(scope, receive, send, refusal)

    def _has_key(self, scope: Scope) -> bool:
        bearer = header(scope, b"authorization") or b""
        scheme, _, token = bearer.partition(b" ")
        sent = token.strip() if scheme.lower() == b"bearer" else header(scope, b"x-api-key") or b""
        return hmac.compare_digest(sent, self._key or b"")


def _needs_key(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/v1/") or (path.startswith("/v2/models/") and path.endswith("/infer"))


class _BodyError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Bounded:
    """Reads the whole body, within limits of size and time, before anything looks at it."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        """Take the limits."""
        self._app, self._settings = app, settings
        self._n_held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        held: list[bytes] = []
        try:
            self._check_declared(scope)
            timeout_s = self._settings.read_timeout_s
            is_whole = await asyncio.wait_for(self._read(receive, held), timeout_s)
        except _BodyError as error:
            return await _refuse_unread(scope, receive, send, error.refusal)
        except asyncio.TimeoutError:
            return await send_refusal(scope, send, _too_slow(self._settings))
        finally:
            self._n_held -= sum(map(len, held))
        return await self._app(scope, _replay(b"".join(held), receive), send) if is_whole else None

    def _check_declared(self, scope: Scope) -> None:
        declared = header(scope, b"content-length") or b""
        if declared.isdigit() and int(declared) > self._settings.max_body_bytes:
            self._refuse_size()

    async def _read(self, receive: Receive, held: list[bytes]) -> bool:
        """Put the body into ``held``; False if the caller left."""
        n_bytes = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            held.append(message.get("body", b""))
            n_bytes += len(held[-1])
            self._n_held += len(held[-1])
            self._check_read(n_bytes)
            if not message.get("more_body", False):
                return True

    def _check_read(self, n_bytes: int) -> None:
        if n_bytes > self._settings.max_body_bytes:
            self._refuse_size()
        if self._n_held > max(self._settings.max_queue_characters, self._settings.max_body_bytes):
            headers = {"Retry-After": "1", "Connection": "close"}
            raise _BodyError(
                Refusal(503, "queue_full", "too many bodies are being read: try again in 1 s", (), headers)
            )

    def _refuse_size(self) -> NoReturn:
        limit = self._settings.max_body_mb
        message = f"the body is larger than {limit:g} MB: send fewer or shorter texts at once"
        raise _BodyError(Refusal(413, "body_too_large", message, (), {"Connection": "close"}))


def _too_slow(settings: ServiceSettings) -> Refusal:
    message = f"the body did not arrive within {settings.read_timeout_s:g} s: send it faster"
    return Refusal(408, "body_too_slow", message, (), {"Connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already, then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


class Abandonable:
    """Cancels the application's work when the caller disconnects."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the application, whose body must have been read (``Bounded``)."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = await receive()
        work = asyncio.ensure_future(self._app(scope, _replay(body["body"], _never), send))
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


async def _refuse_unread(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    """Refuse a request whose body was not read.

    Closing at once would reset a connection that the caller still writes to, and the refusal would be
    lost. So what follows is thrown away for a moment, after the refusal was sent.
    """
    await send_refusal(scope, send, refusal, is_last=False)
    if header(scope, b"expect") is None:  # else the caller waits for a word before it sends
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_thrown_away(receive), _LINGER_S)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _thrown_away(receive: Receive) -> None:
    n_bytes = 0
    while n_bytes < _LINGER_BYTES:
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            return
