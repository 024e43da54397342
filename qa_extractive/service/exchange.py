"""One request and its response, as the parts of the service share it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Receive, Scope, Send

KEY = "qa_exchange"
CALLER_LEFT = 499
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LINGER_S = 10.0
_LINGER_BYTES = 100_000_000


@dataclass(slots=True)
class RequestContext:
    """What is known of a request so far.

    Attributes:
        request_id: The caller's if it was a sane one, else a new one.
        status: Of the response, once it has begun; 499 if the caller left before.
        notes: What the log line says besides.
    """

    request_id: str
    status: int = CALLER_LEFT
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A response that is no success.

    Attributes:
        status: HTTP status.
        code: For programs: "body_too_large" and its like.
        message: For people: what is wrong and what to do.
        fields: ``(path, message)`` of each wrong field.
        headers: Further response headers.
    """

    status: int
    code: str
    message: str
    fields: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, path: str, request_id: str) -> dict[str, Any]:
        """The JSON body; the v2 protocol wants a plain string."""
        if path.startswith("/v2"):
            return {"error": f"{self.message} (request {request_id})"}
        fields = [{"path": where, "message": what} for where, what in self.fields]
        return {
            "error": {"code": self.code, "message": self.message, "request_id": request_id, "fields": fields}
        }


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of a lower-case name."""
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    return next((value for key, value in headers if key == name), None)


def begin(scope: Scope) -> RequestContext:
    """Note a request in its scope."""
    sent = header(scope, b"x-request-id") or b""
    sane = _SANE_ID.fullmatch(sent)
    exchange = scope[KEY] = RequestContext(sent.decode("ascii") if sane else uuid.uuid4().hex)
    return exchange


def context_of(scope: Scope) -> RequestContext:
    """What ``begin`` noted."""
    exchange: RequestContext = scope[KEY]
    return exchange


async def send_refusal(scope: Scope, send: Send, refusal: ErrorResponse, *, is_last: bool = True) -> None:
    """Send a refusal from outside the application; ``is_last=False`` leaves the response open."""
    body = json.dumps(refusal.body(scope["path"], context_of(scope).request_id)).encode("utf-8")
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **{name.lower(): value for name, value in refusal.headers.items()},
    }
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def refuse_unread(scope: Scope, receive: Receive, send: Send, refusal: ErrorResponse) -> None:
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


def replay(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already, then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
