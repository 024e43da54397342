"""``mcp``: the reader as tools for agents, over the Model Context Protocol."""

from __future__ import annotations

import argparse
import gc
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.model_options import add_limits, add_model_arguments, chosen_settings
from qa_extractive.cli.terminal import note
from qa_extractive.service.settings import DEFAULTS

if TYPE_CHECKING:
    from qa_extractive.mcp_server.asking import Asker
    from qa_extractive.predictor import Predictor

_LIMITS = (
    ("max_body_mb", float, "most text of a call, in MB"),
    ("max_upload_mb", float, "largest file of papers in MB"),
    ("upload_s", float, "longest time to read a file of papers"),
    ("max_questions", int, "most papers of a call"),
    ("max_context_characters", int, "longest text"),
    ("deadline_s", float, "longest time to an answer"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``mcp``."""
    parser.add_argument("--http", action="store_true", help="streamable HTTP at /mcp instead of stdio")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8001, metavar="P", help="port; 0 for a free one (8001)")
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME", help="further Host, as NAME:* or NAME"
    )
    parser.add_argument(
        "--allowed-origin", action="append", default=[], metavar="URL", help="further origin of pages"
    )
    parser.add_argument("--papers", type=Path, metavar="DIR", help="tools may read files below DIR (none)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="tools may write tables into DIR (none)")
    add_model_arguments(parser)
    limits = parser.add_argument_group("limits")
    add_limits(limits, _LIMITS, DEFAULTS)


def run(options: argparse.Namespace) -> int:
    """Serve until stdin ends or, over HTTP, until SIGTERM or SIGINT; 0 then."""
    settings = replace(DEFAULTS, **{name: getattr(options, name) for name, _, _ in _LIMITS})
    with _without_collections(), ThreadPoolExecutor(1) as loader:
        loading = loader.submit(_predictor, options)
        # Imported while the model loads; and first, so that its extra is the one named where it is missing.
        import_module("mcp")
        from qa_extractive.mcp_server.asking import Asker
        from qa_extractive.mcp_server.folders import Folders
        from qa_extractive.mcp_server.server import serve_stdio

        asker = Asker(loading.result(), settings, Folders(options.papers, options.output))
    import asyncio

    if options.http:
        return _serve_http(asker, options)
    asyncio.run(serve_stdio(asker))
    return 0


def _serve_http(asker: Asker, options: argparse.Namespace) -> int:
    import asyncio

    from qa_extractive.mcp_server.server import PATH, serve_http
    from qa_extractive.service.listening import bound_socket

    with bound_socket(options.host, options.port) as listening:
        asker.engine.warm()
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        note(f"qa-extractive: http://{shown}:{port}{PATH} (no key: all who reach it may ask)")
        # The server's own handler drains; then it asks this one.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        started = asyncio.run(serve_http(asker, listening, options.allowed_host, options.allowed_origin))
    return 0 if started else 1


def _predictor(options: argparse.Namespace) -> Predictor:
    from qa_extractive.cli.models import named_predictor

    return named_predictor(options.model, **chosen_settings(options))


@contextmanager
def _without_collections() -> Iterator[None]:
    """Look for no garbage while modules are imported, which make little, and for none among them later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
