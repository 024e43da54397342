"""An LRU cache that is bounded by the total size of its values. Serving code: no dependency."""

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
        """The cached value, or a new one; threads that miss it at once each make it, so it must not vary."""
        found = self.find(key)
        if found is None:
            found = make()
            self.keep(key, found)
        return found

    def find(self, key: KeyT) -> ValueT | None:
        """The cached value, if any."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def keep(self, key: KeyT, value: ValueT) -> None:
        """Cache a value, unless it is larger than the whole cache."""
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
        """The total size of the cached values."""
        return self._total
