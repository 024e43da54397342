"""The application behind a socket."""

from __future__ import annotations

import uvicorn

from qa_extractive.predictor import Predictor
from qa_extractive.service.app import create_app
from qa_extractive.service.connections import ConnectionLimits, guarded, open_files_limit
from qa_extractive.service.settings import ServiceSettings


def make_server(predictor: Predictor, settings: ServiceSettings) -> uvicorn.Server:
    """A server that drains on SIGTERM: it takes nothing new and ends what it has begun.

    Raises:
        DataError: The process may open too few files.
    """
    limits = ConnectionLimits.of(open_files_limit())
    config = uvicorn.Config(
        create_app(predictor, settings),
        http=guarded(limits, settings.read_timeout_s),
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=limits.waiting,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
    )
    return uvicorn.Server(config)
