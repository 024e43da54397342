"""How weights are read without running any code of a checkpoint."""

from __future__ import annotations

from typing import Any

from qa_extractive.errors import reason_of

_ALLOW_PICKLE_HINT = (
    "convert its weights to safetensors, or allow reading them from .bin files if you trust where they come "
    "from (--allow-pickle; still as weights only)"
)


def safe_loading(allow_pickle: bool = False) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` with which no code of a checkpoint is run.

    Args:
        allow_pickle: Whether weights that are not there as safetensors may be read from ``.bin`` files,
            by torch's reader of plain tensors (``weights_only``).
    """
    return {
        "trust_remote_code": False,
        "use_safetensors": None if allow_pickle else True,
        "weights_only": True,
    }


def loading_reason(error: Exception, allow_pickle: bool) -> str:
    """Why ``from_pretrained`` failed, on one line, and what to do where only pickled weights are there."""
    reason = reason_of(error)
    is_pickled = "safetensors" in reason and not allow_pickle
    return f"{reason.rstrip('.')}: {_ALLOW_PICKLE_HINT}" if is_pickled else reason
