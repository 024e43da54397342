"""Whether ``max_risk`` keeps its promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy.stats import beta

from qa_extractive.errors import ModelError
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.metrics.bootstrap import Interval
from quality_parts.common import Bench, Figure, Goal, Part, floats, is_right
from quality_parts.reliability import groups
from quality_parts.science import shuffled_results
from quality_parts.squad import squad2_results

MAX_RISKS = (0.05, 0.1, 0.2, 0.3)
_CONFIDENCE = 0.95


def risk(bench: Bench) -> Part:
    """The promise of ``max_risk``, where it is given and where it is not."""
    fresh = bench.fresh_results().rows
    lines = {name: risk_lines(bench, rows, f"fresh, {name}") for name, rows in groups(fresh)}
    outside = {"SQuAD 2.0 dev": squad2_results(bench).rows, "PubMedQA shuffled": shuffled_results(bench).rows}
    for name, rows in outside.items():
        lines[name] = risk_lines(bench, rows, f"{name} (outside the assumption)")
    asked = [*fresh, *(row for rows in outside.values() for row in rows)]
    notes = (
        "Risk: share of the given answers that are wrong (token F1 below 0.5, or no answer in the context). "
        "The promise is about questions exchangeable with the calibration data: the fresh examples as a "
        "whole. Their groups and the sets outside the assumption show how far it carries.",
        "Bounds are one-sided, 95 % each (Clopper-Pearson, rows taken as independent); an excess is within "
        "chance where the lower bound is not above max_risk.",
    )
    return Part(
        risk_figures(lines["all"]), asked, table=[line for own in lines.values() for line in own], notes=notes
    )


def risk_lines(bench: Bench, rows: Sequence[ScoredRow], name: str) -> list[dict[str, Any]]:
    """What became of the promise on some rows, a line for each ``max_risk``.

    Args:
        bench: Gives the calibration that promises and the resamples.
        rows: The rows; those of which no right answer is known are left out.
        name: Of the set.
    """
    scored = [row for row in rows if row.is_scored]
    return [{"set": name, "max_risk": risk, **_kept(bench, scored, risk)} for risk in MAX_RISKS]


def risk_figures(lines: Sequence[dict[str, Any]]) -> list[Figure]:
    """The lines of a set as figures with the promise as their floor, and their coverage."""
    figures = []
    for line in lines:
        bound = line["max_risk"]
        goal, n = Goal("at most", bound), line["n_answered"]
        remark = "" if line["promise"] == "held" else line["promise"]
        figures += [
            Figure(
                f"observed risk at max_risk {bound}", line["risk"], n, line["risk_interval"], goal, remark
            ),
            Figure(f"coverage at max_risk {bound}", line["coverage"], line["n"]),
        ]
    return figures


def _kept(bench: Bench, rows: Sequence[ScoredRow], max_risk: float) -> dict[str, Any]:
    try:
        threshold = bench.calibration.threshold_for_risk(max_risk)
    except ModelError:
        return _line(None, rows, 0, 0, None, "no threshold promises it")
    given = [row for row in rows if row.has_span and row.answerable_prob >= threshold]
    wrong = floats(not is_right(row) for row in given)
    resampling = bench.resampling(given)
    interval = resampling.interval(resampling.mean(wrong, given)) if given else None
    n_wrong = int(wrong.sum())
    return _line(threshold, rows, len(given), n_wrong, interval, verdict(n_wrong, len(given), max_risk))


def _line(
    threshold: float | None,
    rows: Sequence[ScoredRow],
    n_answered: int,
    n_wrong: int,
    interval: Interval | None,
    promise: str,
) -> dict[str, Any]:
    lower, upper = one_sided_bounds(n_wrong, n_answered)
    return {
        "threshold": threshold,
        "n": len(rows),
        "n_answered": n_answered,
        "coverage": n_answered / len(rows) if rows and threshold is not None else None,
        "n_wrong": n_wrong,
        "risk": n_wrong / n_answered if n_answered else None,
        "risk_interval": interval,
        "lower_bound": lower,
        "upper_bound": upper,
        "promise": promise,
    }


def verdict(n_wrong: int, n_answered: int, max_risk: float) -> str:
    """Whether the observed risk kept under the promised one, and if not, whether chance explains it."""
    if not n_answered:
        return "nothing answered"
    if n_wrong / n_answered <= max_risk:
        return "held"
    lower, _ = one_sided_bounds(n_wrong, n_answered)
    return "exceeded within chance" if lower is not None and lower <= max_risk else "broken"


def one_sided_bounds(n_wrong: int, n_answered: int) -> tuple[float | None, float | None]:
    """The lower and the upper bound of the risk, each with 95 % confidence (Clopper and Pearson 1934)."""
    if not n_answered:
        return None, None
    n_right = n_answered - n_wrong
    lower = float(beta.ppf(1 - _CONFIDENCE, n_wrong, n_right + 1)) if n_wrong else 0.0
    upper = float(beta.ppf(_CONFIDENCE, n_wrong + 1, n_right)) if n_right else 1.0
    return lower, upper
