"""Replies to lines on stdin that are no messages, which the SDK drops while the client waits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import anyio
from anyio.abc import ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp import types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from qa_extractive.tables.surrogates import has_surrogates

_Received: TypeAlias = SessionMessage | Exception
_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError)


@asynccontextmanager
async def answering_bad_lines(
    received: Any, sent: Any
) -> AsyncIterator[MemoryObjectReceiveStream[_Received]]:
    """The messages of ``received``; to each of its errors a reply goes to ``sent``."""
    passing, passed = anyio.create_memory_object_stream[_Received]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_pass_on, received, passing, sent)
        yield passed
        tasks.cancel_scope.cancel()


async def _pass_on(received: Any, passing: ObjectSendStream[_Received], sent: Any) -> None:
    async with received, passing:
        with suppress(*_GONE):
            async for item in received:
                if not isinstance(item, ValidationError):
                    await passing.send(item)
                elif (reply := _reply(item)) is not None:
                    await sent.send(SessionMessage(reply))


def _reply(error: ValidationError) -> types.JSONRPCError | None:
    """What is wrong with a line, under the id of its request where that can be read; None to a blank line."""
    found = error.errors(include_url=False)
    if found[0]["type"] != "json_invalid":
        said = types.ErrorData(code=types.INVALID_REQUEST, message="not a message of JSON-RPC 2.0")
        wholes = (each["input"] for each in found if each["type"] == "missing")
        return _error(next(wholes, None), said)
    line = str(found[0]["input"])
    if not line.strip():
        return None
    said = types.ErrorData(code=types.PARSE_ERROR, message=f"cannot be parsed: {found[0]['ctx']['error']}")
    try:
        return _error(json.loads(line, strict=False), said)  # takes lone surrogates and control characters
    except (ValueError, RecursionError):
        return _error(None, said)


def _error(message: Any, said: types.ErrorData) -> types.JSONRPCError:
    asked = message.get("id") if isinstance(message, dict) and "method" in message else None
    is_id = type(asked) is int or (isinstance(asked, str) and not has_surrogates(asked))
    return types.JSONRPCError(jsonrpc="2.0", id=asked if is_id else None, error=said)
