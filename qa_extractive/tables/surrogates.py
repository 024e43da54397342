"""Lone surrogates, which Python's strings can hold and no encoding can."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def has_surrogates(text: str) -> bool:
    """Whether a text holds a lone surrogate."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def replace_surrogates(value: Any) -> Any:
    """The value with U+FFFD for each lone surrogate in its texts, at any depth.

    Keys that would become the same are told apart by ``_2``, ``_3`` ... behind them.
    """
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return _with_clean_keys({key: replace_surrogates(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return [replace_surrogates(item) for item in value]
    return value


def _with_clean_keys(values: dict[Any, Any]) -> dict[Any, Any]:
    bad = {key for key in values if isinstance(key, str) and has_surrogates(key)}
    if not bad:
        return values
    taken = values.keys() - bad
    numbers: Counter[str] = Counter()
    out: dict[Any, Any] = {}
    for key, item in values.items():
        name = stem = replace_surrogates(key) if key in bad else key
        while key in bad and name in taken:
            numbers[stem] += 1
            name = f"{stem}_{numbers[stem] + 1}"
        taken.add(name)
        out[name] = item
    return out
