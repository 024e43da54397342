"""Signals: the first one asks a run to stop at a good place, the second one ends it at once."""

from __future__ import annotations

import os
import signal
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
    exit code 128 + signal. What is on the disk is then what a kill leaves, so that ``--resume`` goes on.

    Attributes:
        received: The first one, or None.
    """

    def __init__(self, note: str | None, last_words: Callable[[signal.Signals], str]) -> None:
        """Take what to print on stderr.

        Args:
            note: When the first one comes, or None.
            last_words: When the second one comes, which is given.
        """
        self.received: signal.Signals | None = None
        self._note = note
        self._last_words = last_words
        self._earlier: dict[signal.Signals, Any] = {}

    def should_stop(self) -> bool:
        """Whether one came."""
        return self.received is not None

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._earlier = {each: signal.signal(each, self._receive) for each in _ASKED}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._earlier.items():
            signal.signal(each, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            end_at_once(number, self._last_words(signal.Signals(number)))
        self.received = signal.Signals(number)
        if self._note is not None:
            _write(f"\n{self._note}\n")


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
