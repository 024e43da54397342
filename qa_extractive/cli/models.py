"""The model that ``--model`` names, for the commands that answer."""

from __future__ import annotations

from typing import Any

from qa_extractive.predictor import Predictor


def named_predictor(name: str, **settings: Any) -> Predictor:
    """``default``, ``hf:ID`` or a folder, with keyword arguments of ``Predictor``."""
    if name.startswith("hf:"):
        return Predictor.from_pretrained(name[3:], **settings)
    return Predictor(None if name == "default" else name, **settings)
