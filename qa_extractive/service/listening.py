"""The socket that a server listens on."""

from __future__ import annotations

import socket

from qa_extractive.errors import DataError

_BACKLOG = 512


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
