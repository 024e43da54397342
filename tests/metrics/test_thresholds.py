"""The best cut by hand, and equal to the bit to the four formulas that stood where it is called from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from qa_extractive.evaluation.figures import BestThreshold
from qa_extractive.evaluation.score import _best_threshold as best_of_rows
from qa_extractive.inference.calibration_fit import best_threshold
from qa_extractive.metrics.scores import _best_threshold as official_best
from qa_extractive.metrics.thresholds import BestCut, answer_gains, best_cut

SEEDS = pytest.mark.parametrize("seed", range(50))


class Columns:
    """Made-up rows, many of equal confidence, with scores whose sums are rounded."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 40))
        self.probs = rng.choice(rng.random(int(rng.integers(1, 20))), n)
        self.answerable = rng.random(n) < rng.random()
        self.answered = rng.random(n) < 0.8
        self.scores = rng.choice([0.0, 1 / 3, 2 / 3, 0.1, 0.7, 1.0], n)


def test_the_best_cut_by_hand() -> None:
    gains = answer_gains(
        np.array([0.9, 0.4, 0.0]), np.array([True, True, False]), np.array([True, True, False])
    )
    assert gains.tolist() == [0.9, 0.4, 0.0]
    assert best_cut([0.7, 0.7, 0.2], [0.5, -1.0, 0.25]) == BestCut(0.0, None, 0.7)
    assert best_cut([0.7, 0.7, 0.2], [0.5, -1.0, 0.25], parts_ties=True) == BestCut(0.5, 0.7, 0.7)
    assert best_cut([0.2, 0.7], [0.25, 0.5], start=3) == BestCut(3.75, 0.2, None)
    assert best_cut([], []) == BestCut(0.0, None, None)


@SEEDS
def test_the_official_scripts_threshold(seed: int) -> None:
    """It counts a part of the rows of equal probability, which no threshold can."""
    rows = Columns(seed)
    order = np.argsort(rows.probs, kind="stable")
    gains = np.where(rows.answerable, rows.scores, -1.0 * rows.answered)[order]
    totals = np.cumsum(np.concatenate([[np.count_nonzero(~rows.answerable)], gains]))
    best = int(totals.argmax())
    expected = (
        float(totals[best]) / rows.scores.size,
        0.0 if best == 0 else float(rows.probs[order[best - 1]]),
    )
    assert official_best(rows.scores, rows.answerable, rows.answered, rows.probs) == expected


@SEEDS
def test_the_threshold_of_an_evaluation(seed: int) -> None:
    """It adds the gains of rows of equal probability up first."""
    rows = Columns(seed)
    scored: Any = [
        SimpleNamespace(text="x" if given else "", answerable=bool(answerable), answerable_prob=float(prob))
        for given, answerable, prob in zip(rows.answered, rows.answerable, rows.probs, strict=True)
    ]
    gains = np.where(~rows.answerable, np.where(rows.answered, -1.0, 0.0), rows.scores)
    thresholds, groups = np.unique(rows.probs, return_inverse=True)
    totals = np.cumsum(np.bincount(groups, weights=gains)[::-1])
    best, no_ans = int(totals.argmax()), ~rows.answerable
    expected = BestThreshold(float(no_ans.mean()), None)
    if totals[best] > 0.0:
        total = float(no_ans.sum() + totals[best])
        expected = BestThreshold(total / len(scored), float(thresholds[::-1][best]))
    assert best_of_rows(scored, rows.scores) == expected


@SEEDS
def test_the_threshold_of_a_calibration(seed: int) -> None:
    """It lies in the middle of its gap and parts no rows of equal probability."""
    rows = Columns(seed)
    order = np.argsort(-rows.probs, kind="stable")
    totals = np.concatenate([[0.0], np.cumsum(np.where(rows.answerable, rows.scores, -1.0)[order])])
    ranked = rows.probs[order]
    totals[1:-1][ranked[:-1] == ranked[1:]] = -np.inf
    n_answered = int(totals.argmax())
    above = ranked[n_answered - 1] if n_answered else 1.0
    below = ranked[n_answered] if n_answered < len(ranked) else 0.0
    assert best_threshold(rows.probs, rows.answerable, rows.scores) == float((above + below) / 2)


@SEEDS
def test_the_f1_on_the_development_examples(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the better ones of equal margin first; a row without a span is an abstention."""
    pytest.importorskip("torch")
    from qa_extractive.training import trainer

    rows = Columns(seed)
    monkeypatch.setattr(trainer, "best_token_f1", lambda text, references: references)
    predictions: Any = [
        SimpleNamespace(
            candidates=[SimpleNamespace(start=0, end=1)] * given, features=lambda prob=prob: [prob]
        )
        for given, prob in zip(rows.answered.tolist(), rows.probs, strict=True)
    ]
    examples: Any = [
        SimpleNamespace(question=SimpleNamespace(context="x"), references=score, answerable=answerable)
        for score, answerable in zip(rows.scores.tolist(), rows.answerable.tolist(), strict=True)
    ]
    total = highest = float(np.count_nonzero(~rows.answerable))
    gains = np.where(rows.answerable, rows.scores, -1.0)
    pairs = zip(rows.probs[rows.answered].tolist(), gains[rows.answered].tolist(), strict=True)
    for _, gain in sorted(pairs, reverse=True):
        total += gain
        highest = max(highest, total)
    assert trainer.development_f1(predictions, examples) == highest / len(examples)
