"""Items made in another thread while the ones before them are being used."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")
_LOOK_SECONDS = 0.1


def prefetch(items: Iterator[T], n_items: int) -> Generator[T, None, None]:
    """The same items in the same order, at most ``n_items`` of them made before they are asked for.

    What making one raises is raised here in its place. Closing the generator waits for the item being
    made and makes no more.
    """
    maker = _Prefetcher(items, n_items)
    maker.start()
    try:
        yield from maker.items()
    finally:
        maker.stop()


class _End(Generic[T]):
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Prefetcher(Generic[T]):
    def __init__(self, items: Iterator[T], n_items: int) -> None:
        self._items = items
        self._ready: Queue[T | _End[T]] = Queue(n_items)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._make, name="qa-prefetch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def items(self) -> Iterator[T]:
        while not isinstance(item := self._ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def stop(self) -> None:
        self._stopped.set()
        while self._thread.is_alive():
            self._drop_ready()
            self._thread.join(_LOOK_SECONDS)

    def _make(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as raised:  # whatever it is, it belongs to the one who asks for the item
            error = raised
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
        self._put(_End(error))

    def _put(self, item: T | _End[T]) -> bool:
        while not self._stopped.is_set():
            try:
                self._ready.put(item, timeout=_LOOK_SECONDS)
                return True
            except Full:
                pass
        return False

    def _drop_ready(self) -> None:
        try:
            while True:
                self._ready.get_nowait()
        except Empty:
            pass
