"""What a table was made of, so that a run goes on only with the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_extractive.errors import DataError

_TOLD = {
    "papers": "papers (files were added, removed or changed)",
    "model": "weights of the model",
    "output": "format of the output",
    "highlight": "--highlight",
}


def read_state(path: Path) -> dict[str, Any]:
    """What a run left of itself; empty where that cannot be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def first_other(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The name of what differs first; None where nothing does."""
    return next((name for name, value in now.items() if before.get(name) != value), None)


def require_same(output: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise DataError where a table was begun with something else."""
    name = first_other(before, now)
    if name is not None:
        raise DataError(
            f"{output} was begun with other {_TOLD.get(name, name)}: start again with --overwrite"
        )
