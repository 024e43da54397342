"""Whether the probabilities come true as often as they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.score import N_CALIBRATION_BINS
from qa_extractive.metrics.bootstrap import Interval
from qa_extractive.metrics.columns import Bools, Floats
from qa_extractive.metrics.scores import calibration_bins, calibration_error
from qa_extractive.types import VERDICTS
from quality_parts.common import Bench, Figure, Goal, Part, bools, floats, is_right, pessimistic

SQUAD_SOURCE, ASKED_SOURCE = "squad", "asked"
_N_CHANCE_DRAWS = 200


def calibration(bench: Bench) -> Part:
    """Calibration errors on the fresh examples, of all and by group."""
    rows = bench.fresh_results().rows
    parts = [calibration_of(bench, own, f"{group}: ", Goal("at most", 0.05)) for group, own in groups(rows)]
    asked = [row for row in rows if row.example.source == ASKED_SOURCE and row.example.verdict in VERDICTS]
    return Part(
        [
            *(figure for part in parts for figure in part.figures),
            *verdict_calibration(bench, asked, "asked: "),
        ],
        rows,
        {
            "reliability": {
                name: table for part in parts for name, table in part.details["reliability"].items()
            }
        },
        notes=(
            f"Error over {N_CALIBRATION_BINS} bins of equal mass. Chance within bins only adds to it: 'if "
            "perfectly calibrated' is the mean error of outcomes drawn from the very probabilities, and "
            "resampling adds chance once more, so that an interval may lie above its value.",
        ),
    )


def calibration_of(bench: Bench, rows: Sequence[ScoredRow], label: str, goal: Goal | None = None) -> Part:
    """Calibration errors of ``answerable`` and ``score`` on some rows, with their reliability tables.

    Args:
        bench: Gives the resamples.
        rows: The rows.
        label: What leads the names of the figures.
        goal: Of both errors.
    """
    figures: list[Figure] = []
    tables: dict[str, Any] = {}
    for name, kept, probs, outcomes in _forecasts(rows):
        error = calibration_error(probs, outcomes, n_bins=N_CALIBRATION_BINS)
        interval = _error_interval(bench, kept, probs, outcomes)
        figures += [
            Figure(f"{label}calibration error of `{name}`", error, len(kept), interval, goal),
            Figure(
                f"{label}the same of `{name}` if perfectly calibrated",
                chance_error(probs, bench.seed),
                len(kept),
            ),
        ]
        tables[f"{label}{name}"] = _reliability(probs, outcomes)
    return Part(figures, rows, {"reliability": tables})


def verdict_calibration(bench: Bench, rows: Sequence[ScoredRow], label: str = "") -> list[Figure]:
    """The calibration error of ``verdict_score`` on yes/no questions, each given a verdict.

    Args:
        bench: Reads them without a threshold.
        rows: Of answerable yes/no questions whose verdict is known; none of them, no figure.
        label: What leads the names of the figures.
    """
    if not rows:
        return []
    said = bench.unabstained(rows)
    scores = floats(answer.verdict_score or 0.0 for answer in said)
    right = bools(answer.verdict == row.example.verdict for answer, row in zip(said, rows, strict=True))
    error = calibration_error(scores, right, n_bins=N_CALIBRATION_BINS)
    name, goal = f"{label}calibration error of `verdict_score`", Goal("at most", 0.05, 0.02)
    perfect = f"{label}the same of `verdict_score` if perfectly calibrated"
    return [
        Figure(name, error, len(rows), goal=goal),
        Figure(perfect, chance_error(scores, bench.seed), len(rows)),
    ]


def groups(rows: Sequence[ScoredRow]) -> Iterator[tuple[str, list[ScoredRow]]]:
    """All rows, those of SQuAD and the others, which are science; no empty group."""
    parted = {
        "all": list(rows),
        "squad": [row for row in rows if row.example.source == SQUAD_SOURCE],
        "science": [row for row in rows if row.example.source != SQUAD_SOURCE],
    }
    return ((name, own) for name, own in parted.items() if own)


def _forecasts(rows: Sequence[ScoredRow]) -> Iterator[tuple[str, list[ScoredRow], Floats, Bools]]:
    known = [row for row in rows if row.answerable is not None]
    came = bools(bool(row.answerable) for row in known)
    yield "answerable", known, pessimistic([row.answerable_prob for row in known], came, known), came
    scored = [row for row in rows if row.is_scored]
    right = bools(is_right(row) for row in scored)
    scores = [0.0 if row.answer is None else row.answer.score for row in scored]
    yield "score", scored, pessimistic(scores, right, scored), right


def _error_interval(bench: Bench, rows: Sequence[ScoredRow], probs: Floats, came: Bools) -> Interval | None:
    return bench.interval(
        rows, lambda drawn: calibration_error(probs[drawn], came[drawn], n_bins=N_CALIBRATION_BINS)
    )


def chance_error(probs: Floats, seed: int) -> float | None:
    """The mean error where every outcome is as probable as said."""
    if not probs.size:
        return None
    rng = np.random.default_rng(seed)
    drawn = (rng.random(probs.size) < probs for _ in range(_N_CHANCE_DRAWS))
    return float(np.mean([calibration_error(probs, came, n_bins=N_CALIBRATION_BINS) for came in drawn]))


def _reliability(probs: Floats, outcomes: Bools) -> list[dict[str, float]]:
    bins = calibration_bins(probs, outcomes, n_bins=N_CALIBRATION_BINS)
    lines = zip(bins.mean_probs.tolist(), bins.rates.tolist(), bins.n_rows.tolist(), strict=True)
    return [{"mean_probability": p, "observed_share": share, "n": n} for p, share, n in lines]
