"""``serve``: the HTTP service and its page."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys

from qa_extractive.cli.model_options import add_limits, add_model_arguments, chosen_settings
from qa_extractive.errors import DataError
from qa_extractive.service.settings import DEFAULTS, ServiceSettings

API_KEY_VARIABLE = "QA_API_KEY"
_OPEN_TO_ALL = f", no API key: all who reach it may ask; set ${API_KEY_VARIABLE} to change that"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``serve``."""
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, metavar="P", help="port; 0 for a free one (8000)")
    parser.add_argument(
        "--cors-origin", action="append", default=[], metavar="URL", help="origin whose pages may call"
    )
    parser.add_argument("--log-texts", action="store_true", help="write questions and answers to the log")
    add_model_arguments(parser)
    limits = parser.add_argument_group("limits", f"The API key, if any, is read from ${API_KEY_VARIABLE}.")
    add_limits(limits, _LIMITS, DEFAULTS)


_LIMITS = (
    ("max_body_mb", float, "largest body in MB"),
    ("max_upload_mb", float, "largest file of papers in MB"),
    ("upload_s", float, "longest time for a file of papers to arrive, and again to be read"),
    ("max_questions", int, "most questions or papers of a call"),
    ("max_context_characters", int, "longest context"),
    ("max_queue", int, "most requests in progress or waiting"),
    ("max_queue_mb", float, "most text of those, in millions of characters"),
    ("deadline_s", float, "longest time to an answer"),
    ("read_timeout_s", float, "longest time for a body to arrive"),
    ("drain_s", float, "longest time that requests get after SIGTERM"),
    ("max_batch_tokens", int, "most tokens in a batch"),
    ("max_wait_ms", float, "how long a batch waits for further windows"),
)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; 0 then."""
    _open_closed_streams()
    settings = _settings(options)
    from qa_extractive.cli.models import named_predictor
    from qa_extractive.service.listening import bound_socket
    from qa_extractive.service.logs import log_json
    from qa_extractive.service.server import make_server

    with bound_socket(options.host, options.port) as listening:
        predictor = named_predictor(options.model, **chosen_settings(options))
        server = make_server(predictor, settings)
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        opened = "" if settings.api_key else _OPEN_TO_ALL
        _say(f"qa-extractive: http://{shown}:{port}/ (model {predictor.model_name}{opened})")
        log_json()
        signal.signal(
            signal.SIGTERM, signal.SIG_IGN
        )  # the server's own handler drains; then it asks this one
        server.run(sockets=[listening])
    return 0 if server.started else 1


def _open_closed_streams() -> None:
    """Put the null device where a standard stream was closed: a connection must not take its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # a full disk under the log is no reason not to serve
        print(line, file=sys.stderr, flush=True)


def _settings(options: argparse.Namespace) -> ServiceSettings:
    key = os.environ.get(API_KEY_VARIABLE)
    if key is not None and not key:
        raise DataError(f"${API_KEY_VARIABLE} is empty: set a key, or unset it to let everybody in")
    limits = {name: getattr(options, name) for name, _, _ in _LIMITS}
    return ServiceSettings(
        **limits, api_key=key, cors_origins=tuple(options.cors_origin), log_texts=options.log_texts
    )
