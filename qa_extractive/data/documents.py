"""Which rows a split must keep together, and splits that are the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

from qa_extractive._utils.digests import text_digest
from qa_extractive.types import Example


def document_of(example: Example) -> str:
    """What a split must keep together: the example's document, or its context."""
    return example.document or example.question.context


def place_of(text: str, seed: int) -> str:
    """Where a text comes in a random order that is the same on every machine."""
    return text_digest(f"{seed}:{text}")


def folds_of(examples: Sequence[Example], n_folds: int, seed: int) -> list[set[str]]:
    """The documents of each of at most ``n_folds`` folds, of about equally many documents."""
    documents = sorted(dict.fromkeys(map(document_of, examples)), key=lambda d: place_of(d, seed))
    folds = [set(documents[i::n_folds]) for i in range(n_folds)]
    return [fold for fold in folds if fold]
