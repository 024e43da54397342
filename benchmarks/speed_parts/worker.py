"""A system in a process of its own, which sleeps while others are measured."""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import sys
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_CLOSING_S = 10.0


class WorkerError(Exception):
    """What a system said when it failed, in one line."""


class Worker:
    """Calls methods of an object that lives in another process."""

    def __init__(self, module: str, kind: str, *arguments: Any, timeout_s: float = 300.0) -> None:
        """Start the process; it imports and builds the object at once, while this one goes on.

        Args:
            module: That holds the class.
            kind: Name of the class.
            arguments: Of its constructor.
            timeout_s: The longest that one call may take.
        """
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._timeout_s = timeout_s
        self._process = context.Process(target=_serve, args=(other, module, kind, arguments), daemon=True)
        self._process.start()
        other.close()

    def ready(self) -> None:
        """Wait until the object is built; WorkerError if it cannot be."""
        self._reply()

    def call(self, method: str, *arguments: Any) -> tuple[float, Any]:
        """Seconds that a method took and what it returned.

        Raises:
            WorkerError: It failed, the process died, or it took too long.
        """
        try:
            self._connection.send((method, arguments))
        except OSError as error:
            raise WorkerError(f"its process is gone: {error}") from None
        return self._reply()

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self._process.join(_CLOSING_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _reply(self) -> tuple[float, Any]:
        try:
            if not self._connection.poll(self._timeout_s):
                self._process.kill()
                raise WorkerError(f"no reply within {self._timeout_s:g} s")
            seconds, value, failure = self._connection.recv()
        except EOFError:
            raise WorkerError("its process died") from None
        if failure is not None:
            raise WorkerError(failure)
        return seconds, value


def use_cpus(n_cpus: int) -> None:
    """Keep every thread of this process, those of libraries too, on the first so many of its CPUs."""
    if not hasattr(os, "sched_setaffinity"):
        return
    chosen = _ALLOWED[:n_cpus]
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            os.sched_setaffinity(int(thread.name), chosen)


_ALLOWED = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _serve(connection: Connection, module: str, kind: str, arguments: tuple[Any, ...]) -> None:
    warnings.simplefilter("ignore")
    try:
        system = getattr(importlib.import_module(module), kind)(*arguments)
        connection.send((0.0, None, None))
    except Exception as error:
        connection.send((0.0, None, _line(error)))
        return
    while (message := connection.recv()) is not None:
        method, call_arguments = message
        gc.collect()
        try:
            began = time.perf_counter()
            value = getattr(system, method)(*call_arguments)
            connection.send((time.perf_counter() - began, value, None))
        except Exception as error:
            connection.send((0.0, None, _line(error)))
    sys.stdout.flush()


def _line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip() if lines else ''}"[:200]
