"""The first SIGINT or SIGTERM asks a run to stop at a good place; the second one interrupts it."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

_ASKED = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Watches for the signals inside a ``with`` block of the main thread; elsewhere it does nothing.

    Attributes:
        received: The first one, or None.
    """

    def __init__(self, note: str | None) -> None:
        """Take what to print on stderr when the first one comes, or None."""
        self.received: signal.Signals | None = None
        self._note = note
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
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        if self._note is not None:
            os.write(2, f"\n{self._note}\n".encode())  # print must not be entered twice
