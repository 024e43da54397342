"""What pydantic finds wrong, in the words of who sends a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qa_extractive.service.schemas import FORM_TAGS

# By pydantic's own names; others keep its words.
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is no field that is known here",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "list_type": "must be a list",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
    "string_type": "must be text",
    "string_unicode": "must be text without lone surrogates",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must not be blank",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
}


def words_of(error: Mapping[str, Any]) -> str:
    """What is wrong with a field, in plain words; of one of ``ValidationError.errors()``."""
    words = _WORDS.get(error["type"])
    return str(error["msg"]) if words is None else words.format(**error.get("ctx", {}))


def path_of(loc: Sequence[str | int]) -> str:
    """``("questions", 3, "context")`` -> ``questions[3].context``; empty for the whole."""
    path = ""
    for part in loc:
        if part not in FORM_TAGS:
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")
