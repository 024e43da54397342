"""What a run of ``model.onnx`` reads: a whole window, a paper alone, or a question beside a cached paper.

Serving code: numpy and onnxruntime, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from qa_extractive.errors import ModelError
from qa_extractive.inference.windows import IntArray, Window

SENTENCE_IDS, KEEP_ABOVE = "sentence_ids", "keep_above"
"""Inputs of a graph that can leave sentences out; see ``export/passes/sentence_pruning.py``."""
OUTSIDE = -1
"""The sentence id of what is never left out."""
POSITION_IDS, PAPER_STATES, PAPER_KEYS_VALUES = "position_ids", "paper_states", "paper_keys_values"
"""Inputs of a graph with a context cache; see ``export/passes/context_cache.py``."""
KEPT_STATES, KEPT_KEYS_VALUES = "kept_states", "kept_keys_values"
"""Its outputs."""
N_POSITIONS = "n_positions"
"""The key, in the file's metadata, of the number of positions that such a graph knows."""
START_STEP = 4
"""A paper read apart begins at a multiple of so many positions, unless it would not fit."""

Feed = dict[str, npt.NDArray[Any]]

_INTEGERS: dict[str, type[np.signedinteger[Any]]] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_SKIM = {SENTENCE_IDS: "tensor(int64)", KEEP_ABOVE: "tensor(float)"}
_CACHE = {
    POSITION_IDS: "tensor(int64)",
    PAPER_STATES: "tensor(float)",
    PAPER_KEYS_VALUES: "tensor(float)",
}


@dataclass(frozen=True, slots=True, eq=False)
class PaperStates:
    """What the lowest layer makes of a paper.

    Attributes:
        states: Shape (1, n_tokens, hidden).
        keys_values: Shape (2, 1, n_heads, n_tokens, head size).
    """

    states: npt.NDArray[np.float32]
    keys_values: npt.NDArray[np.float32]

    @property
    def n_bytes(self) -> int:
        """Memory."""
        return self.states.nbytes + self.keys_values.nbytes


class GraphInputs:
    """Makes the feeds of a graph written by ``export_onnx.py``, for a limit on the scores of sentences."""

    def __init__(self, session: ort.InferenceSession, path: Path, keep_above: float | None) -> None:
        """Look at the graph's inputs.

        Args:
            session: The graph.
            path: Its file, for messages.
            keep_above: As of ``OnnxBackend``.

        Raises:
            ModelError: It wants what no export has, or has no pruning heads to leave sentences out by.
        """
        self._keep_above = keep_above
        self._has_skim = _has(session, _SKIM, path, "pruning heads")
        self._nothing = _nothing(session, path)
        if keep_above is not None and not self._has_skim:
            raise ModelError(f"{path} cannot leave sentences out: it has no pruning heads")
        tokens = [each for each in session.get_inputs() if each.name not in _SKIM | _CACHE]
        self._tokens = {each.name: _integer_type(each, path) for each in tokens}
        self._n_positions = _n_positions(session) if self._nothing else 0

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that tell the tokens; not every encoder reads segments."""
        return tuple(self._tokens)

    @property
    def can_read_apart(self) -> bool:
        """Whether the graph has a context cache: it can read papers without their questions."""
        return bool(self._nothing)

    def of_window(self, window: Window) -> Feed:
        """A window whole."""
        feed = self._of_tokens(window, slice(None)) | self._of_sentences(window)
        if self.can_read_apart:
            feed |= {POSITION_IDS: np.arange(window.n_tokens)[None], **self._nothing}
        return feed

    def of_paper(self, window: Window) -> Feed:
        """What follows the question, with nothing above the lowest layer: one token is read there."""
        n_tokens = window.n_tokens - window.first
        start = self._start(window)
        return {
            **self._of_tokens(window, slice(window.first, None)),
            **self._nothing,
            SENTENCE_IDS: np.full((1, 1), OUTSIDE, dtype=np.int64),
            KEEP_ABOVE: np.array([-np.inf], dtype=np.float32),
            POSITION_IDS: np.arange(start, start + n_tokens)[None],
        }

    def of_question(self, window: Window, paper: PaperStates) -> Feed:
        """The question, the paper having been read."""
        return {
            **self._of_tokens(window, slice(window.first)),
            **self._of_sentences(window),
            POSITION_IDS: self._moved_up(window)[None],
            PAPER_STATES: paper.states,
            PAPER_KEYS_VALUES: paper.keys_values,
        }

    def key_of_paper(self, window: Window) -> bytes:
        """What tells the feeds of papers apart."""
        start = np.array([self._start(window)], dtype=np.int64)
        parts = (start, window.token_ids[window.first :], window.type_ids[window.first :])
        return np.concatenate(parts).tobytes()

    def _start(self, window: Window) -> int:
        """The position of the first token after the question."""
        rounded = -(-window.first // START_STEP) * START_STEP
        fits = rounded + window.n_tokens - window.first <= self._n_positions
        return rounded if fits else window.first

    def _moved_up(self, window: Window) -> IntArray:
        """Positions of the question: its first token at 0, the others right before the paper."""
        start = self._start(window)
        positions = np.arange(start - window.first, start, dtype=np.int64)
        positions[:1] = 0
        return positions

    def _of_tokens(self, window: Window, part: slice) -> Feed:
        token_ids = window.token_ids[part]
        values = {
            "input_ids": token_ids,
            "attention_mask": np.ones(len(token_ids), dtype=np.int64),
            "token_type_ids": window.type_ids[part],
        }
        return {name: values[name][None].astype(dtype, copy=False) for name, dtype in self._tokens.items()}

    def _of_sentences(self, window: Window) -> Feed:
        """What pruning heads read beside the tokens."""
        if not self._has_skim:
            return {}
        ids = np.full((1, window.n_tokens), OUTSIDE, dtype=np.int64)
        if self._keep_above is not None and window.sentences is not None and window.n_context_tokens:
            own = window.sentences - window.sentences[0]
            ids[0, window.first : window.first + window.n_context_tokens] = own
        limit = -np.inf if self._keep_above is None else self._keep_above
        return {SENTENCE_IDS: ids, KEEP_ABOVE: np.array([limit], dtype=np.float32)}


def _has(session: ort.InferenceSession, wanted: dict[str, str], path: Path, what: str) -> bool:
    """Whether the graph has all of some inputs; ModelError where they are not what they should be."""
    found = {each.name: each.type for each in session.get_inputs() if each.name in wanted}
    if found not in ({}, wanted):
        raise ModelError(f"{path} has {what} not made by export_onnx.py")
    return bool(found)


def _nothing(session: ort.InferenceSession, path: Path) -> Feed:
    """A paper of no tokens, as such a graph wants it; empty for other graphs."""
    what = "inputs for kept papers"
    if not _has(session, _CACHE, path, what):
        return {}
    outputs = {each.name for each in session.get_outputs()}
    shapes = {each.name: each.shape for each in session.get_inputs()}
    sizes = [*shapes[PAPER_STATES], *shapes[PAPER_KEYS_VALUES]]
    if not {KEPT_STATES, KEPT_KEYS_VALUES} <= outputs or sum(not isinstance(n, int) for n in sizes) != 2:
        raise ModelError(f"{path} has {what} not made by export_onnx.py")
    return {name: _empty(shapes[name]) for name in (PAPER_STATES, PAPER_KEYS_VALUES)}


def _empty(shape: Sequence[int | str]) -> npt.NDArray[np.float32]:
    return np.zeros([n if isinstance(n, int) else 0 for n in shape], dtype=np.float32)


def _n_positions(session: ort.InferenceSession) -> int:
    noted = session.get_modelmeta().custom_metadata_map.get(N_POSITIONS, "")
    return int(noted) if re.fullmatch("[0-9]{1,9}", noted) else 0


def _integer_type(node: ort.NodeArg, path: Path) -> type[np.signedinteger[Any]]:
    if node.name not in ("input_ids", "attention_mask", "token_type_ids") or node.type not in _INTEGERS:
        raise ModelError(f"{path} wants an input {node.name} of {node.type}: not made by export_onnx.py")
    return _INTEGERS[node.type]
