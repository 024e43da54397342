"""The application behind a socket."""

from __future__ import annotations

import socket

import uvicorn

from qa_extractive.errors import DataError
from qa_extractive.predictor import Predictor
from qa_extractive.service.app import create_app
from qa_extractive.service.connections import ConnectionLimits, guarded, open_files_limit
from qa_extractive.service.settings import ServiceSettings

_BACKLOG = 512


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


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Its connections send at once. asyncio sees to that only for sockets that name their protocol, which these
    do not; each further answer on a connection would wait 40 ms for the caller's acknowledgement.

    Raises:
        DataError: The address cannot be had.
    """
    if not 0 <= port <= 65_535:
        raise DataError(f"--port must lie between 0 and 65535, got {port}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise DataError(f"cannot listen on {host}:{port}: {error.strerror or error}: give another") from None
    except UnicodeError:
        raise DataError(f"cannot listen on {host[:60]!r}: this is not a host name: give another") from None
