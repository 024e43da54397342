"""What was made before, kept as long as there is room for it. Serving code: no dependency."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class LruCache(Generic[KeyT, ValueT]):
    """Values by their keys; those not asked for longest make room. Safe to use from several threads."""

    def __init__(self, max_size: int, size: Callable[[ValueT], int]) -> None:
        """Keep values of at most that size together.

        Args:
            max_size: In the unit of ``size``.
            size: Of a value.
        """
        self.max_size = max_size
        self._size = size
        self._values: OrderedDict[KeyT, ValueT] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, key: KeyT, make: Callable[[], ValueT]) -> ValueT:
        """The value that is kept, or is made now: by each thread that misses it at once, so always alike."""
        found = self.find(key)
        if found is None:
            found = make()
            self.keep(key, found)
        return found

    def find(self, key: KeyT) -> ValueT | None:
        """The value that is kept, if any."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def keep(self, key: KeyT, value: ValueT) -> None:
        """Keep a value, unless it is too large for all the room there is."""
        size = self._size(value)
        with self._lock:
            if key in self._values or size > self.max_size:
                return
            self._values[key] = value
            self._total += size
            while self._total > self.max_size:
                self._total -= self._size(self._values.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._values)

    @property
    def total(self) -> int:
        """The size of all that is kept."""
        return self._total
