"""The process that reads PDFs, seen from outside: started when it is needed, and again when it has died."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, ClassVar

from qa_extractive.papers.pdf.types import Limits
from qa_extractive.papers.types import NoPaperError

_ROOT = Path(__file__).resolve().parents[3]
_END_S = 2.0
_REPLY_BYTES = 400_000_000


class Worker:
    """One process that reads PDFs one after the other; threads may share it.

    A file that ends it, or takes too long, is refused; the next one meets a new process.
    """

    module: ClassVar = "qa_extractive.papers.pdf.process"
    what: ClassVar = "a PDF"
    in_own_session: ClassVar = False
    """Whether what the process starts is to end with it."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Take the limits of each request; nothing is started yet."""
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> Any:
        """What a request comes to; NoPaperError where the file is refused or ends the process."""
        self._require()
        with self._lock:
            reply = self._reply(json.dumps(request).encode() + b"\n")
        if "done" not in reply:
            raise NoPaperError(str(reply.get("kind")), str(reply.get("reason")))
        return reply["done"]

    def close(self) -> None:
        """End the process; the next request starts another."""
        with self._lock:
            self._end()

    def end_now(self) -> None:
        """End the process, whatever it does; who asked is refused."""
        process = self._process
        if process is not None and self._owner == os.getpid():
            self._kill(process)

    def _require(self) -> None:
        """Raise NoPaperError where a library is missing."""
        require_pdfium()

    def _reply(self, line: bytes) -> dict[str, Any]:
        process = self._running()
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            self._kill(process)

        timer = threading.Timer(self.limits.seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            _stream(process.stdin).write(line)
            _stream(process.stdin).flush()
            answer = _stream(process.stdout).readline(_REPLY_BYTES)
            return _parsed(answer)
        except (OSError, ValueError):
            self._end()
            raise self._died(is_late.is_set()) from None
        except BaseException:  # an interrupt: the reply would come to the next request
            self._end()
            raise
        finally:
            timer.cancel()

    def _died(self, is_late: bool) -> NoPaperError:
        if is_late:
            return NoPaperError(
                "too slow", f"{self.what} that takes more than {self.limits.seconds:g} s to read"
            )
        return NoPaperError(
            "unreadable", f"{self.what} that ends the process that reads it: it is broken or too large"
        )

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # after a fork the process is the parent's
            self._process, self._owner = None, os.getpid()
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            self._process = _started(self.module, self.limits, self.in_own_session)
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        with suppress(OSError):
            _stream(process.stdin).close()
        self._kill(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
        _stream(process.stdout).close()

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        if self.in_own_session and process.returncode is None and hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()


def require_pdfium() -> None:
    """Raise NoPaperError with the pip command where pypdfium2 is missing."""
    if find_spec("pypdfium2") is None:
        raise NoPaperError("another format", "a PDF needs pypdfium2: pip install 'qa-extractive[papers]'")


def _started(module: str, limits: Limits, in_own_session: bool) -> subprocess.Popen[bytes]:
    # -P: nothing is imported from the folder that the user is in, which may hold anything.
    command = [sys.executable, "-P", "-m", module, json.dumps(asdict(limits))]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        start_new_session=in_own_session,
    )


def _environment() -> dict[str, str]:
    """That of this process, in which the package is found also where it is not installed."""
    environment = dict(os.environ)
    if _ROOT.name not in ("site-packages", "dist-packages"):
        paths = [str(_ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def _parsed(answer: bytes) -> dict[str, Any]:
    """A reply; ValueError where it is none, or cut short."""
    reply = json.loads(answer)
    if not isinstance(reply, dict):
        raise ValueError("a reply that is none")
    return reply


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("a process without pipes")
    return stream


_SHARED = Worker()
atexit.register(_SHARED.close)


def shared_worker() -> Worker:
    """The worker of this process, with the usual limits."""
    return _SHARED
