"""SQuAD 1.1 and 2.0, the official development sets."""

from __future__ import annotations

from qa_extractive.evaluation.run import Results
from quality_parts.common import Bench, Figure, Goal, Part, bools, floats
from quality_parts.reliability import calibration_of

SQUAD1 = "squad/dev-v1.1.json.gz"
SQUAD2 = "squad/dev-v2.0.json.gz"


def squad1(bench: Bench) -> Part:
    """Token F1 and exact match, never abstaining."""
    results = bench.run("squad1", lambda: bench.load(bench.data_root / SQUAD1))
    forced = bench.score(results).forced
    n = forced.squad.n
    figures = [
        Figure("token F1, never abstaining", forced.squad.f1, n, forced.f1_interval, Goal("at least", 0.82)),
        Figure(
            "exact match, never abstaining", forced.squad.em, n, forced.em_interval, Goal("at least", 0.73)
        ),
    ]
    return Part(figures, results.rows)


def squad2(bench: Bench) -> Part:
    """The same at the shipped threshold, where to abstain may be right; answerability and calibration."""
    results = squad2_results(bench)
    scored = bench.score(results)
    shipped, rows = scored.shipped, results.rows
    with_answer = [row for row in rows if row.answerable]
    without = [row for row in rows if row.answerable is False]
    given = floats(row.f1 for row in with_answer) * bools(row.is_answered for row in with_answer)
    withheld = floats(not row.is_answered for row in without)
    reliability = calibration_of(bench, rows, "")
    figures = [
        Figure("token F1", shipped.squad.f1, scored.n, shipped.f1_interval, Goal("at least", 0.66)),
        Figure("exact match", shipped.squad.em, scored.n, shipped.em_interval, Goal("at least", 0.62)),
        bench.mean("token F1 of answerable rows", given, with_answer),
        bench.mean("token F1 of unanswerable rows", withheld, without),
        Figure("token F1 at the best threshold", scored.best_f1.score, scored.n),
        bench.auroc("answerability AUROC", rows, Goal("at least", 0.80)),
        *reliability.figures,
    ]
    details = {"best_f1_threshold": scored.best_f1.threshold, "abstained_share": scored.abstained_share}
    return Part(figures, rows, details | reliability.details)


def squad2_results(bench: Bench) -> Results:
    """What the model makes of SQuAD 2.0's development set."""
    return bench.run("squad2", lambda: bench.load(bench.data_root / SQUAD2))
