"""Which sentences the efforts "fast" and "cached" leave out: a limit for each, chosen on held-out examples.

What counts is the F1 of the best spans where nothing is left out, whether they would be given as answers or
not, so that neither who abstains nor who never does loses more: not the recall of right sentences, since what
is not found then needs no reading. All heads share one limit: a limit for each, chosen on one half of some
2,000 examples, lost up to twice as much on the other. Needs the [train] extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from qa_extractive.export.passes.sentence_pruning import SKIM_OUTPUT, pruning_output
from qa_extractive.inference.decoding import RawPrediction, decode
from qa_extractive.inference.onnx_backend import MODEL_FILE, OnnxBackend, open_session
from qa_extractive.inference.onnx_inputs import GraphInputs
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.predictor import Predictor
from qa_extractive.types import Example, Question, Span

MOST_LOST = 0.0125
"""Of the mean F1 of the best spans: what the limit may leave out. Half to nine tenths of it is lost in fact:
another sentence often answers too."""

_LEAST_SPANS = 50  # right ones, of which a limit can be told
_N_TRIED = 400  # limits, as many scores between any two
_ALL_READ = -1e30
_ROOM = 1  # bytes of memory for papers: each is read for one question here

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def choose_limit(
    predictor: Predictor, examples: Sequence[Example], *, papers_apart: bool = False
) -> float | None:
    """The highest limit with which at most ``MOST_LOST`` is lost; None where too few spans are right.

    Args:
        predictor: Of a graph that ``add_sentence_pruning`` cut, at full effort.
        examples: Not trained on, none too long to be read.
        papers_apart: Whether papers are read apart, and so only the heads above the cut asked.
    """
    scored = _scored(predictor, examples, papers_apart) if examples else None
    if scored is None or int((scored.gains > 0).sum()) < _LEAST_SPANS:
        return None
    limits = np.quantile(scored.scores, np.arange(_N_TRIED) / _N_TRIED)
    within = [limit for limit in limits if scored.lost(limit) <= MOST_LOST]
    return round(float(within[-1]), 4) if within else None


@dataclass(frozen=True, slots=True)
class _Scored:
    """Sentences of all windows, one after the other, and which of them the best spans lie in.

    Attributes:
        scores: By each head, shape (n_heads, n_sentences).
        begins: First sentence of each window, shape (n_windows,).
        spans: First sentence of each best span and that after its last, shape (n_spans, 2).
        gains: F1 of each of these spans, shape (n_spans,).
        n_answerable: Examples with a reference.
    """

    scores: Floats
    begins: Ints
    spans: Ints
    gains: Floats
    n_answerable: int

    def lost(self, limit: float) -> float:
        """The mean F1, over answerable examples, of spans that are not whole in what that limit leaves."""
        left = np.ones(len(self.scores[0]), dtype=bool)
        n_sentences = np.diff(np.append(self.begins, self.scores.shape[1]))
        for own in self.scores:
            scores = np.where(left, own, -np.inf)
            best = np.repeat(np.maximum.reduceat(scores, self.begins), n_sentences)
            left &= scores >= np.minimum(best, limit)
        n_left = np.concatenate([[0], np.cumsum(left)])
        whole = n_left[self.spans[:, 1]] - n_left[self.spans[:, 0]] == np.diff(self.spans)[:, 0]
        return float(self.gains[~whole].sum()) / self.n_answerable


def _scored(predictor: Predictor, examples: Sequence[Example], papers_apart: bool) -> _Scored | None:
    """What the heads give where nothing is left out: the upper ones will be asked about less."""
    path = predictor.folder / MODEL_FILE
    session = open_session(path, predictor.n_threads)
    inputs = GraphInputs(session, path, _ALL_READ)
    questions = [example.question for example in examples]
    grid = max(1, inputs.noted_grid) if papers_apart else 1
    windower = Windower.load(predictor.folder, predictor.config.window, with_sentences=True, grid=grid)
    cut = windower.windows(questions)
    windows = [_scored_window(session, inputs, window, papers_apart) for window in cut]
    if not windows or not windows[0].scores.size:
        return None  # no head above the cut
    begins = np.cumsum([0, *(each.scores.shape[1] for each in windows)])[:-1]
    backend = OnnxBackend(predictor.folder, predictor.n_threads, None, _ROOM if papers_apart else None)
    predictions = decode(questions, cut, backend.run(cut), predictor.config.decode)
    spans = [_best_span(*pair) for pair in zip(questions, predictions, strict=True)]
    places: dict[int, tuple[int, int]] = {}
    for each, begin in zip(windows, begins, strict=True):
        index = each.window.question_index
        place = each.place_of(spans[index]) if index not in places else None
        if place is not None:
            places[index] = (begin + place[0], begin + place[1] + 1)
    gains = [_gain(examples[index], spans[index]) for index in places]
    return _Scored(
        scores=np.concatenate([each.scores for each in windows], axis=1),
        begins=begins,
        spans=np.array(list(places.values()), dtype=np.int64).reshape(-1, 2),
        gains=np.array(gains),
        n_answerable=sum(bool(example.references) for example in examples),
    )


def _best_span(question: Question, prediction: RawPrediction) -> Span | None:
    if not prediction.candidates:
        return None
    best = prediction.candidates[0]
    return Span.cut(question.context, best.start, best.end)


def _gain(example: Example, span: Span | None) -> float:
    return best_token_f1(span.text, example.references) if span and example.references else 0.0


@dataclass(frozen=True, slots=True)
class _ScoredWindow:
    """One window: the sentence of each context token, and their scores by each head."""

    window: Window
    sentences: Ints
    scores: Floats

    def place_of(self, span: Span | None) -> tuple[int, int] | None:
        """First and last sentence of a span; None where there is none, or not all in this window."""
        place = None if span is None else self.window.locate(span)
        if place is None:
            return None
        first, last = (int(self.sentences[token - self.window.first]) for token in place)
        return first, last


def _scored_window(
    session: ort.InferenceSession, inputs: GraphInputs, window: Window, papers_apart: bool
) -> _ScoredWindow:
    if window.sentences is None:
        raise ValueError("a window without sentences")
    sentences = window.sentences - window.sentences[0]
    n_heads = sum(output.name.startswith(SKIM_OUTPUT) for output in session.get_outputs())
    outputs = [pruning_output(number) for number in range(n_heads)]
    if papers_apart:
        paper = inputs.kept(session.run(inputs.kept_outputs, inputs.of_paper(window)))
        feed = inputs.of_question(window, paper)
    else:
        feed = inputs.of_window(window)
    asked = [logits for logits in session.run(outputs, feed) if logits.size]
    logits = np.concatenate(asked) if asked else np.zeros((0, window.n_tokens), dtype=np.float32)
    own = logits[:, window.first : window.first + window.n_context_tokens].astype(np.float64)
    scores = [
        own[:, sentences == number].max(axis=1, initial=-np.inf) for number in range(int(sentences[-1]) + 1)
    ]
    return _ScoredWindow(window, sentences, np.stack(scores, axis=1))
