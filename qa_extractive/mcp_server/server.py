"""The server: the tools over stdio, or over streamable HTTP."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import uvicorn
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings

from qa_extractive import __version__
from qa_extractive.mcp_server.asking import Asker
from qa_extractive.mcp_server.bad_lines import answering_bad_lines
from qa_extractive.mcp_server.tools import called, listed

PATH = "/mcp"
_INSTRUCTIONS = (
    "Answers questions from scientific texts with verbatim quotes, offsets and calibrated probabilities, or "
    "says that a text does not report it. Check quotes with verify_quote before you rely on them. Offline."
)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def make_server(asker: Asker) -> Server[dict[str, Any]]:
    """The server of the tools; ``asker`` must be running when it is asked."""

    async def list_tools(_: Any, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed())

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        return await called(asker, params.name, params.arguments or {})

    return Server(
        "qa-extractive",
        version=__version__,
        title="qa-extractive",
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(asker: Asker) -> None:
    """Serve until stdin ends. Meanwhile nothing else reaches stdout."""
    server = make_server(asker)
    async with (
        asker.running(),
        stdio_server() as (received, sent),
        answering_bad_lines(received, sent) as messages,
    ):
        await server.run(messages, sent, server.create_initialization_options())


async def serve_http(
    asker: Asker, listening: socket.socket, hosts: Sequence[str], origins: Sequence[str]
) -> bool:
    """Serve ``PATH`` until a signal; whether it had started.

    Args:
        asker: Not yet running.
        listening: The socket.
        hosts: Names by which callers may reach it beside those of this machine: ``NAME``, ``NAME:PORT`` or
            ``NAME:*``. Requests with another ``Host`` are refused.
        origins: Pages that may call beside those of this machine, such as ``https://example.org``.
    """
    app = make_server(asker).streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=asker.settings.max_body_bytes,
        transport_security=TransportSecuritySettings(
            allowed_hosts=[*(f"{name}:*" for name in _LOOPBACK), *_LOOPBACK, *hosts],
            allowed_origins=[*(f"http://{name}:*" for name in _LOOPBACK), *origins],
        ),
    )
    config = uvicorn.Config(
        app,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(asker.settings.drain_s)),
    )
    server = uvicorn.Server(config)
    async with asker.running():
        await server.serve(sockets=[listening])
    return server.started
