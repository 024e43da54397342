"""Labelled windows as flat arrays: small on disk, and a batch of them is a few gathers on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_extractive.model.losses import IGNORE
from qa_extractive.training.window_labels import LabelledWindow
from qa_extractive.types import VERDICT_CLASSES

MAX_SPANS = 8
_LABELS = ("n_context", "positions", "span_weight", "answerable", "verdict")

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedWindows:
    """Windows whose texts are stored once, however many windows read them.

    Attributes:
        tokens: All heads (question and title) and papers (a stretch of the context), one after another.
        places: First token and number of tokens of each of these, shape (n_texts, 2).
        heads: Number of each window's head, shape (n_windows,), as are the others but ``positions``.
        papers: Number of its paper.
        n_context: Tokens of the paper that may hold a span: all but the separator.
        positions: (first, last) of the right spans, filled up with -1; (n_windows, ``MAX_SPANS``, 2).
        span_weight: As of ``LabelledWindow``.
        answerable: 1, 0, or -1 where not known.
        verdict: Position in ``VERDICT_CLASSES``, or -1 where not known.
        source: Number of the source.
        variant: Which reading of the sources the window is of.
        source_names: The sources.
    """

    tokens: Array
    places: Array
    heads: Array
    papers: Array
    n_context: Array
    positions: Array
    span_weight: Array
    answerable: Array
    verdict: Array
    source: Array
    variant: Array
    source_names: Array

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.heads)

    @property
    def lengths(self) -> Array:
        """Tokens of each window."""
        lengths: Array = self.places[self.heads, 1] + self.places[self.papers, 1]
        return lengths

    def save(self, path: Path) -> None:
        """Write a compressed ``.npz``."""
        np.savez_compressed(path, **{each.name: getattr(self, each.name) for each in fields(self)})

    @classmethod
    def load(cls, path: Path) -> EncodedWindows:
        """Read what ``save`` wrote."""
        with np.load(path) as arrays:
            return cls(**{each.name: arrays[each.name] for each in fields(cls)})


def encode(labelled: Sequence[tuple[LabelledWindow, str, int]]) -> EncodedWindows:
    """The arrays of windows, each with the source of its example and its variant."""
    texts: dict[bytes, int] = {}
    kept: list[npt.NDArray[np.uint16]] = []
    names = sorted({source for _, source, _ in labelled})

    def number_of(tokens: npt.NDArray[np.int64]) -> int:
        own = tokens.astype(np.uint16)
        number = texts.setdefault(own.tobytes(), len(kept))
        if number == len(kept):
            kept.append(own)
        return number

    n = len(labelled)
    heads, papers = np.zeros(n, np.int32), np.zeros(n, np.int32)
    positions = np.full((n, MAX_SPANS, 2), IGNORE, np.int16)
    for i, (each, _, _) in enumerate(labelled):
        window = each.window
        heads[i] = number_of(window.token_ids[: window.first])
        papers[i] = number_of(window.token_ids[window.first :])
        right = each.positions[:MAX_SPANS] or ((0, 0),)
        positions[i, : len(right)] = right
    windows = [each for each, _, _ in labelled]
    return EncodedWindows(
        **_flat(kept),
        heads=heads,
        papers=papers,
        n_context=np.array([each.window.n_context_tokens for each in windows], np.int16),
        positions=positions,
        span_weight=np.array([each.span_weight for each in windows], np.float16),
        answerable=np.array(
            [IGNORE if each.answerable is None else each.answerable for each in windows], np.int8
        ),
        verdict=np.array(
            [IGNORE if w.verdict is None else VERDICT_CLASSES.index(w.verdict) for w in windows], np.int8
        ),
        source=np.array([names.index(source) for _, source, _ in labelled], np.uint8),
        variant=np.array([variant for _, _, variant in labelled], np.uint8),
        source_names=np.array(names),
    )


def joined(parts: Sequence[EncodedWindows]) -> EncodedWindows:
    """The windows of several readings as one, each reading a variant of its own, from 0."""
    texts: dict[bytes, int] = {}
    kept: list[npt.NDArray[np.uint16]] = []
    names = sorted({str(name) for part in parts for name in part.source_names})
    arrays: dict[str, list[Array]] = {}
    for variant, part in enumerate(parts):
        own = [np.asarray(part.tokens[start : start + n], np.uint16) for start, n in part.places]
        numbers = np.zeros(len(own), np.int32)
        for i, text in enumerate(own):
            numbers[i] = texts.setdefault(text.tobytes(), len(kept))
            if numbers[i] == len(kept):
                kept.append(text)
        values: dict[str, Array] = {name: getattr(part, name) for name in _LABELS}
        values |= {"heads": numbers[part.heads], "papers": numbers[part.papers]}
        renamed = np.array([names.index(str(name)) for name in part.source_names], np.uint8)
        values |= {"source": renamed[part.source], "variant": np.full(len(part), variant, np.uint8)}
        for name, value in values.items():
            arrays.setdefault(name, []).append(value)
    return EncodedWindows(
        **_flat(kept),
        **{name: np.concatenate(values) for name, values in arrays.items()},
        source_names=np.array(names),
    )


def _flat(texts: Sequence[npt.NDArray[np.uint16]]) -> dict[str, Array]:
    """``tokens`` and ``places`` of some texts."""
    lengths = np.array([len(text) for text in texts], np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int32)
    return {"tokens": np.concatenate(texts), "places": np.stack([starts, lengths], axis=1)}
