"""What a run of ``model.onnx`` reads: a whole window, a paper alone, or a question beside a cached paper.

Serving code: numpy and onnxruntime, no torch.
"""

from __future__ import annotations

import math
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
POSITION_IDS, PAPER_STATES = "position_ids", "paper_states"
PAPER_QUERIES, PAPER_KEYS, PAPER_VALUES = "paper_queries", "paper_keys", "paper_values"
PAPER_ATTENDED, PAPER_SCORES = "paper_attended", "paper_scores"
"""Inputs of a graph with a context cache; see ``export/passes/context_cache.py``."""
N_POSITIONS, CACHED_GRID = "n_positions", "cached_grid"
"""Keys, in the file's metadata, of the number of positions that such a graph knows, and of its grid."""
OLD_GRID = 4
"""The grid of files that do not note theirs: a paper read apart begins at a multiple of so many positions."""

Feed = dict[str, npt.NDArray[Any]]

_PAPER, _KEPT = "paper_", "kept_"
_LEAST_DIMS = 3  # of what is kept

_INTEGERS: dict[str, type[np.signedinteger[Any]]] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_SKIM = {SENTENCE_IDS: "tensor(int64)", KEEP_ABOVE: "tensor(float)"}


def paper_keys_values(number: int) -> str:
    """The input for what a layer, counted from 0, keeps of a paper."""
    return f"{_PAPER}keys_values_{number + 1}" if number else f"{_PAPER}keys_values"


def kept_output(name: str) -> str:
    """The output that an input for what is kept comes from."""
    return _KEPT + name.removeprefix(_PAPER)


KEPT_STATES = kept_output(PAPER_STATES)


@dataclass(frozen=True, slots=True, eq=False)
class PaperStates:
    """What the lower layers make of a paper, by the inputs that read it."""

    feed: Feed

    @property
    def n_bytes(self) -> int:
        """Memory."""
        return sum(values.nbytes for values in self.feed.values())


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
        others = {*_SKIM, POSITION_IDS, *self._nothing}
        tokens = [each for each in session.get_inputs() if each.name not in others]
        self._tokens = {each.name: _integer_type(each, path) for each in tokens}
        self._n_positions = _noted(session, N_POSITIONS, 0) if self._nothing else 0
        self.noted_grid = _noted(session, CACHED_GRID, 0)
        self.grid = self.noted_grid or OLD_GRID
        self.kept_outputs = [kept_output(name) for name in self._nothing]

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that tell the tokens; not every encoder reads segments."""
        return tuple(self._tokens)

    @property
    def bytes_a_token(self) -> int:
        """Memory that a token of a paper takes where it is kept."""
        shapes = [values.shape for values in self._nothing.values()]
        return sum(4 * math.prod(shape[:-2]) * int(shape[-1]) for shape in shapes)

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
        """What follows the question, with nothing above the lower layers: one token is read there."""
        n_tokens = window.n_tokens - window.first
        start = self.start(window)
        return {
            **self._of_tokens(window, slice(window.first, None)),
            **self._nothing,
            SENTENCE_IDS: np.full((1, 1), OUTSIDE, dtype=np.int64),
            KEEP_ABOVE: np.array([-np.inf], dtype=np.float32),
            POSITION_IDS: np.arange(start, start + n_tokens)[None],
        }

    def kept(self, values: Sequence[npt.NDArray[Any]]) -> PaperStates:
        """What ``kept_outputs`` gave of a paper."""
        return PaperStates(dict(zip(self._nothing, values, strict=True)))

    def blank_paper(self, n_tokens: int) -> PaperStates:
        """Room for what is kept of a paper of so many tokens; what it holds is not to be used."""
        sizes = {name: (*each.shape[:-2], n_tokens, each.shape[-1]) for name, each in self._nothing.items()}
        return PaperStates({name: np.empty(size, dtype=np.float32) for name, size in sizes.items()})

    def of_question(self, window: Window, paper: PaperStates) -> Feed:
        """The question, the paper having been read."""
        return {
            **self._of_tokens(window, slice(window.first)),
            **self._of_sentences(window),
            POSITION_IDS: self._moved_up(window)[None],
            **paper.feed,
        }

    def key_of_paper(self, window: Window) -> bytes:
        """What tells the feeds of papers apart."""
        start = np.array([self.start(window)], dtype=np.int64)
        parts = (start, window.token_ids[window.first :], window.type_ids[window.first :])
        return np.concatenate(parts).tobytes()

    def start(self, window: Window) -> int:
        """The position of the first token after the question."""
        rounded = -(-window.first // self.grid) * self.grid
        fits = rounded + window.n_tokens - window.first <= self._n_positions
        return rounded if fits else window.first

    def _moved_up(self, window: Window) -> IntArray:
        """Positions of the question: its first token at 0, the others right before the paper."""
        start = self.start(window)
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
    inputs = {each.name: each for each in session.get_inputs()}
    papers = [name for name in inputs if name.startswith(_PAPER)]
    if not papers and POSITION_IDS not in inputs:
        return {}
    what = "inputs for kept papers"
    outputs = {each.name for each in session.get_outputs()}
    wanted = {POSITION_IDS: "tensor(int64)", **dict.fromkeys(papers, "tensor(float)")}
    is_ours = (
        {PAPER_STATES, paper_keys_values(0)} <= set(papers)
        and {kept_output(name) for name in papers} <= outputs
        and _has(session, wanted, path, what)
    )
    empty = {name: _empty(inputs[name].shape) for name in papers}
    if not is_ours or any(values.size or values.ndim < _LEAST_DIMS for values in empty.values()):
        raise ModelError(f"{path} has {what} not made by export_onnx.py")
    return empty


def _empty(shape: Sequence[int | str]) -> npt.NDArray[np.float32]:
    """No tokens, which lie along the last axis but one; of a shape with more unknown sizes a number."""
    unknown = [place for place, n in enumerate(shape) if not isinstance(n, int)]
    is_known = unknown == [len(shape) - 2]
    return np.zeros([n if isinstance(n, int) else 0 for n in shape] if is_known else 1, dtype=np.float32)


def _noted(session: ort.InferenceSession, key: str, default: int) -> int:
    """A positive number of the file's metadata."""
    noted = session.get_modelmeta().custom_metadata_map.get(key, "")
    return int(noted) if re.fullmatch("[1-9][0-9]{0,8}", noted) else default


def _integer_type(node: ort.NodeArg, path: Path) -> type[np.signedinteger[Any]]:
    if node.name not in ("input_ids", "attention_mask", "token_type_ids") or node.type not in _INTEGERS:
        raise ModelError(f"{path} wants an input {node.name} of {node.type}: not made by export_onnx.py")
    return _INTEGERS[node.type]
