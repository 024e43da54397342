"""A system and labelled Examples -> its scored rows (``running``) -> its figures (``score``).

What holds throughout: a figure that is not defined (no such rows, one class only) is None; a row that
the system failed on counts as an empty answer to every figure of texts and is left out of every figure
of probabilities; a row of which no right answer is known counts for speed, abstention and offsets only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from qa_extractive.calibration_fit import RIGHT_F1
from qa_extractive.evaluation.figures import BestThreshold, Evaluation, Latency, SpanScores
from qa_extractive.evaluation.resampling import Resampling
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.running import Batch, Progress, Results, run_system
from qa_extractive.evaluation.systems import System
from qa_extractive.metrics.columns import Bools, Floats, mean_or_none
from qa_extractive.metrics.scores import (
    RowScores,
    SquadScores,
    answerability_auroc,
    calibration_error,
    squad_rows,
)
from qa_extractive.metrics.text import SquadVersion, normalize_answer
from qa_extractive.records import Example

N_CALIBRATION_BINS = 15

_log = logging.getLogger(__name__)


def evaluate(
    system: System,
    examples: Sequence[Example],
    *,
    n_bootstrap: int = 1000,
    seed: int = 17,
    progress: Progress | None = None,
) -> Evaluation:
    """Run a system over the examples and score it (``run_system``, ``score``); its problems are logged."""
    evaluation = score(run_system(system, examples, progress=progress), n_bootstrap=n_bootstrap, seed=seed)
    for problem in evaluation.problems:
        _log.error("%s: %s", system.name, problem)
    return evaluation


def score(results: Results, *, n_bootstrap: int = 1000, seed: int = 17) -> Evaluation:
    """The figures of scored rows.

    Args:
        results: What a system made of the rows.
        n_bootstrap: Resamples of whole documents for the intervals; 0 for no intervals.
        seed: Of the resampling. Two systems with the same seed and examples see the same resamples.
    """
    rows = results.rows
    resampling = Resampling.of(rows, n_bootstrap, seed)
    scored = [row for row in rows if row.is_scored]
    known = [row for row in rows if row.answer is not None and row.answerable is not None]
    probs, labels = _floats(row.answerable_prob for row in known), _bools(row.answerable for row in known)
    answers = [row.answer for row in rows if row.answer is not None]
    checked = [row for row in rows if row.has_span]
    n_verbatim = sum(row.is_verbatim for row in checked)
    return Evaluation(
        system=results.system,
        n=len(rows),
        n_failed=len(rows) - len(answers),
        n_documents=resampling.n_units,
        shipped=_shipped(scored, resampling),
        forced=_forced(scored, resampling),
        best_em=_best_threshold(scored, _floats(row.em for row in scored)),
        best_f1=_best_threshold(scored, _floats(row.f1 for row in scored)),
        auroc=answerability_auroc(probs, labels),
        auroc_interval=resampling.auroc_interval(probs, labels, known),
        abstained_share=mean_or_none(_floats(answer.abstained for answer in answers)),
        answerable_calibration_error=_calibration_error(probs, labels),
        score_calibration_error=_score_calibration_error(scored),
        verbatim_share=n_verbatim / len(checked) if checked else None,
        latency=latency_of(results.batches),
        problems=tuple(_problems(rows)),
    )


def latency_of(batches: Sequence[Batch]) -> Latency:
    """The percentiles over the largest batches there are, and the rate over all."""
    batch_rows = max((batch.n_rows for batch in batches), default=0)
    seconds = _floats(batch.seconds for batch in batches if batch.n_rows == batch_rows)
    total = sum(batch.seconds for batch in batches)
    if not seconds.size or total <= 0.0:
        return Latency(batch_rows, None, None, None, None)
    p50, p95 = (float(value) for value in np.quantile(seconds, [0.5, 0.95]))
    return Latency(batch_rows, p50, p95, float(seconds.max()), sum(b.n_rows for b in batches) / total)


def _shipped(rows: Sequence[ScoredRow], resampling: Resampling) -> SpanScores:
    """Abstentions scored as empty answers, which are right where nothing else is."""
    answered = _bools(row.is_answered for row in rows)
    blank = _floats(not any(map(normalize_answer, row.references)) for row in rows)
    em, f1 = (np.where(answered, column, blank) for column in _columns(rows))
    return _span_scores(rows, em, f1, "2.0", answered, resampling)


def _forced(rows: Sequence[ScoredRow], resampling: Resampling) -> SpanScores:
    """The best spans, by the rule that the official script has for such rows."""
    everywhere = np.ones(len(rows), dtype=np.bool_)
    if not rows or not all(row.answerable for row in rows):
        return _span_scores(rows, *_columns(rows), "2.0", everywhere, resampling)
    scores = squad_rows([row.text for row in rows], [row.references for row in rows], version="1.1")
    return _span_scores(rows, scores.em, scores.f1, "1.1", everywhere, resampling)


def _span_scores(
    rows: Sequence[ScoredRow],
    em: Floats,
    f1: Floats,
    version: SquadVersion,
    answered: Bools,
    resampling: Resampling,
) -> SpanScores:
    has_ans, has_spans = _bools(row.answerable for row in rows), _bools(bool(r.example.spans) for r in rows)
    rouge, hits = _floats(row.rouge_l for row in rows) * answered, _floats(r.is_hit for r in rows) * answered
    return SpanScores(
        version=version,
        squad=_squad(RowScores(em, f1, has_ans)),
        em_interval=resampling.mean_interval(em, rows),
        f1_interval=resampling.mean_interval(f1, rows),
        rouge_l=mean_or_none(rouge[has_ans]),
        evidence_hit_rate=mean_or_none(hits[has_spans]),
    )


def _squad(rows: RowScores) -> SquadScores:
    """What ``metrics.squad_scores`` makes of texts, of rows that are scored already."""
    has_ans, no_ans = rows.answerable, ~rows.answerable
    return SquadScores(
        em=mean_or_none(rows.em),
        f1=mean_or_none(rows.f1),
        n=rows.em.size,
        has_ans_em=mean_or_none(rows.em[has_ans]),
        has_ans_f1=mean_or_none(rows.f1[has_ans]),
        n_has_ans=int(has_ans.sum()),
        no_ans_em=mean_or_none(rows.em[no_ans]),
        no_ans_f1=mean_or_none(rows.f1[no_ans]),
        n_no_ans=int(no_ans.sum()),
    )


def _best_threshold(rows: Sequence[ScoredRow], scores: Floats) -> BestThreshold:
    """Of the scores of the best spans; an abstention is right where there is no answer."""
    if not rows:
        return BestThreshold(None, None)
    no_ans = ~_bools(row.answerable for row in rows)
    gains = np.where(no_ans, _floats(-1.0 if row.text else 0.0 for row in rows), scores)
    thresholds, groups = np.unique(_floats(row.answerable_prob for row in rows), return_inverse=True)
    totals = np.cumsum(np.bincount(groups, weights=gains)[::-1])  # from the highest threshold down
    best = int(totals.argmax())
    if totals[best] <= 0.0:
        return BestThreshold(float(no_ans.mean()), None)
    return BestThreshold(float(no_ans.sum() + totals[best]) / len(rows), float(thresholds[::-1][best]))


def _score_calibration_error(rows: Sequence[ScoredRow]) -> float | None:
    kept = [(row, row.answer) for row in rows if row.answer is not None]
    right = _bools(bool(row.answerable) and row.f1 >= RIGHT_F1 for row, _ in kept)
    return _calibration_error(_floats(answer.score for _, answer in kept), right)


def _calibration_error(probs: ArrayLike, outcomes: Bools) -> float | None:
    """Over 15 bins; None where only one class is present, which a constant would forecast."""
    if outcomes.all() or not outcomes.any():
        return None
    return calibration_error(probs, outcomes, n_bins=N_CALIBRATION_BINS)


def _problems(rows: Sequence[ScoredRow]) -> Iterator[str]:
    failed = [(row.example.id, row.outcome) for row in rows if row.answer is None]
    if failed:
        first, error = failed[0]
        yield f"failed on {len(failed):,} of {len(rows):,} rows, first on {first}: {error}"
    broken = [row.example.id for row in rows if not row.is_verbatim]
    if broken:
        yield f"{len(broken):,} answers are NOT verbatim at their offsets, first that to {broken[0]}"


def _columns(rows: Sequence[ScoredRow]) -> tuple[Floats, Floats]:
    return _floats(row.em for row in rows), _floats(row.f1 for row in rows)


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def _bools(values: Iterable[bool | None]) -> Bools:
    return np.fromiter(values, dtype=np.bool_)
