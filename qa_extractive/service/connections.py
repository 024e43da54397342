"""How many connections the service takes, and what becomes of those beyond.

The kernel hands over several connections at once, and one that cannot be opened for want of a descriptor
would be tried, and logged, again and again. So fewer are served than there are descriptors, and each one
beyond is answered with a plain 503 on a descriptor of those left over.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from qa_extractive.errors import DataError

log = logging.getLogger("qa_extractive.service")

_MOST = 2048
_MOST_WAITING = 512
_MOST_TURNED_AWAY = 256
_OWN_FILES = 96  # the model's, the log's, the event loop's, and some to spare
_LEAST_FILES = 256
_TURN_AWAY_S = 1.0
_WARN_EVERY_S = 60.0
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 19\r\nretry-after: 1\r\nconnection: close\r\n\r\nService Unavailable"
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What the descriptors of the process allow.

    Attributes:
        served: Most connections that are served.
        waiting: Most that the kernel hands over at once, and that wait to be.
        turned_away: Most that are being told that there is no room; for more, the first ones are closed.
    """

    served: int
    waiting: int
    turned_away: int

    @classmethod
    def of(cls, n_files: int) -> ConnectionLimits:
        """The limits of a process that may open so many files.

        Raises:
            DataError: They are too few for a service.
        """
        if n_files < _LEAST_FILES:
            raise DataError(
                f"the limit of {n_files} open files is too low for a service: "
                f"raise it to {_LEAST_FILES} or more (ulimit -n)"
            )
        waiting, turned_away = min(_MOST_WAITING, n_files // 8), min(_MOST_TURNED_AWAY, n_files // 8)
        return cls(min(_MOST, n_files - waiting - turned_away - _OWN_FILES), waiting, turned_away)


def open_files_limit() -> int:
    """How many files the process may open, after asking for as many as the service can use."""
    wanted = _MOST + _MOST_WAITING + _MOST_TURNED_AWAY + _OWN_FILES
    try:
        import resource
    except ImportError:  # Windows has no such limit on sockets
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    except (OSError, ValueError):
        return soft
    return reachable


class _Door:
    """What the connections of one server know of each other."""

    def __init__(self, limits: ConnectionLimits, silent_s: float) -> None:
        self.limits, self.silent_s = limits, silent_s
        self.turned_away: dict[_Guarded, None] = {}  # in the order in which they came
        self._warned = -math.inf

    def warn(self) -> None:
        """Log that some are refused, once in a while."""
        if time.monotonic() >= self._warned + _WARN_EVERY_S:
            self._warned = time.monotonic()
            log.warning("more than %d connections at once: some are refused", self.limits.served)


class _Guarded(H11Protocol):
    door: ClassVar[_Door]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.door.limits.served:
            self._turn_away()
        else:
            self._patience = self.loop.call_later(self.door.silent_s, self._close_if_silent)

    def data_received(self, data: bytes) -> None:
        if self not in self.door.turned_away:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.turned_away.pop(self, None)
        self._patience.cancel()
        super().connection_lost(exc)

    def _turn_away(self) -> None:
        self.connections.discard(self)
        self.door.warn()
        self._patience = self.loop.call_later(_TURN_AWAY_S, self.transport.abort)
        if len(self.door.turned_away) >= self.door.limits.turned_away:
            first = next(iter(self.door.turned_away))
            del self.door.turned_away[first]
            first.transport.abort()
        self.door.turned_away[self] = None
        self.transport.write(_FULL)
        self.transport.write_eof()  # and read on: closing at once would reset what the caller still sends

    def _close_if_silent(self) -> None:
        if self.cycle is None:  # no request has come, or not all of its headers
            self.transport.close()


def guarded(limits: ConnectionLimits, silent_s: float) -> type[asyncio.Protocol]:
    """The HTTP protocol of a server within the limits; who says nothing for ``silent_s`` is cut off."""
    return type("Guarded", (_Guarded,), {"door": _Door(limits, silent_s)})
