"""Signals: the first one asks a run to stop at a good place, the second one ends it at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

EXIT_SIGNAL = 128
EXIT_INTERRUPTED = EXIT_SIGNAL + signal.SIGINT

_ASKED = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Watches for the signals inside a ``with`` block of the main thread; elsewhere it does nothing.

    The second signal ends the process without waiting for anything, the answer at hand included, with the
    exit code 128 + signal. What is on the disk is then what a kill leaves, so that ``--resume`` goes on. A
    thread of its own sees to that, since the main thread may be inside a call that takes long.

    Attributes:
        received: The first one, or None.
    """

    def __init__(
        self, note: Callable[[signal.Signals], str | None], last_words: Callable[[signal.Signals], str]
    ) -> None:
        """Take what to print on stderr.

        Args:
            note: When the first one comes, which is given; None for nothing.
            last_words: When the second one comes.
        """
        self.received: signal.Signals | None = None
        self._note = note
        self._last_words = last_words
        self._is_first = threading.Lock()  # taken once
        self._earlier: dict[signal.Signals, Any] = {}
        self._earlier_wakeup = -1
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def should_stop(self) -> bool:
        """Whether one came."""
        return self.received is not None

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._ends = read_end, write_end = socket.socketpair()
            write_end.setblocking(False)
            threading.Thread(target=self._watch, args=(read_end,), name="qa-signals", daemon=True).start()
            self._earlier_wakeup = signal.set_wakeup_fd(write_end.fileno(), warn_on_full_buffer=False)
            self._earlier = {each: signal.signal(each, self._receive) for each in _ASKED}
        return self

    def __exit__(self, *_: object) -> None:
        if self._ends is None:
            return
        for each, handler in self._earlier.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(self._earlier_wakeup)
        self._ends[1].close()  # which ends the thread

    def _watch(self, read_end: socket.socket) -> None:
        n_received = 0
        with read_end:
            while numbers := read_end.recv(1):
                if numbers[0] not in _ASKED:
                    continue
                n_received += 1
                self._receive(numbers[0], None)
                if n_received > 1:
                    end_at_once(numbers[0], self._last_words(signal.Signals(numbers[0])))

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if not self._is_first.acquire(blocking=False):
            return
        self.received = signal.Signals(number)
        note = self._note(self.received)
        if note is not None:
            _write(f"{note}\n")


class Interrupts:
    """Ctrl-C inside a ``with`` block of the main thread: a KeyboardInterrupt, and at the second one the end.

    Attributes:
        received: Whether one came. What is being imported then may turn it into another error.
    """

    def __init__(self) -> None:
        """Watch for nothing yet."""
        self.received = False
        self._earlier: Any = None

    def __enter__(self) -> Interrupts:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
            self._earlier = signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        if self._earlier is not None:
            signal.signal(signal.SIGINT, self._earlier)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.received:
            end_at_once(number, "interrupted")
        self.received = True
        raise KeyboardInterrupt


def end_at_once(number: int, last_words: str) -> None:
    """End the process without waiting for any thread."""
    _write(f"{last_words}\n")
    os._exit(EXIT_SIGNAL + number)


def _write(text: str) -> None:
    with suppress(OSError):
        os.write(2, text.encode())  # print must not be entered twice
