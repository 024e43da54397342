"""What a table was made of, so that a run goes on only with the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_extractive.errors import DataError
from qa_extractive.tables.text_files import os_reason

OUTPUT_BYTES = "output_bytes"
"""Beside what a finished table was made of: its size."""

_TOLD = {
    "papers": "other papers (files were added, removed or changed)",
    "model": "other weights of the model",
    "questions": "other questions",
    "output": "another format of the output",
}
_OPTIONS = {"effort", "precision", "max_context_characters", "highlight", "engine"}


def read_state(path: Path) -> dict[str, Any] | None:
    """What a run left of itself; None where there is no file, DataError where it is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict):
            return values
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {os_reason(error)}") from None
    except (ValueError, RecursionError):
        pass
    raise DataError(f"{path} is damaged: start again with --overwrite")


def first_other(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The name of what differs first; None where nothing does."""
    names = dict.fromkeys((*now, *before))
    names.pop(OUTPUT_BYTES, None)
    return next((name for name in names if before.get(name) != now.get(name)), None)


def require_same(output: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise DataError where a table was begun with something else."""
    name = first_other(before, now)
    if name is None:
        return
    changed = _TOLD.get(name) or f"{_shown(name, before)}, now {_shown(name, now)}"
    raise DataError(
        f"{output} was begun with {changed}: give what was given then, or start again with --overwrite"
    )


def _shown(name: str, values: Mapping[str, Any]) -> str:
    called = f"--{name.replace('_', '-')}" if name in _OPTIONS else name
    value = values.get(name)
    return f"no {called}" if value is None else f"{called} {value}"
