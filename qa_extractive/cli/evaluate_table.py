"""Evaluations -> the table that ``evaluate`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from qa_extractive.report.cells import decimal, megabytes, number, percent, points, signed

if TYPE_CHECKING:
    from qa_extractive.evaluation.compare import Comparison
    from qa_extractive.evaluation.figures import BestThreshold, Evaluation, Footprint, Latency, SpanScores
    from qa_extractive.evaluation.verdicts import VerdictFloor
    from qa_extractive.metrics.bootstrap import Interval


def table_text(title: str, evaluations: Sequence[Evaluation], *, width: int) -> str:
    """The figures, a line each, the systems side by side, in as many blocks as the width needs.

    Args:
        title: What was evaluated on.
        evaluations: One of each system, all of the same rows; at least one.
        width: Columns of the terminal.

    Returns:
        Lines that start with an empty one and end without a line break.
    """
    cells = [(label, [figure(e) for e in evaluations]) for label, figure in _FIGURES]
    rows = [("", [e.system for e in evaluations])]
    rows += [(label, [cell or "-" for cell in row]) for label, row in cells if any(row)]
    margin = max(len(label) for label, _ in rows)
    widths = [max(map(len, column)) for column in zip(*(row for _, row in rows), strict=True)]
    lines = ["", f"{title}; {_counts(evaluations[0])}"]
    for block in _blocks(widths, width - margin):
        lines.append("")
        for label, row in rows:
            lines.append(
                "  ".join([f"{label:<{margin}}", *(f"{row[i]:<{widths[i]}}" for i in block)]).rstrip()
            )
    return "\n".join(lines)


def _counts(evaluation: Evaluation) -> str:
    squad = evaluation.shipped.squad
    unknown = f", {evaluation.n - squad.n:,} of unknown answer" if squad.n < evaluation.n else ""
    documents = f"{evaluation.n_documents:,} document{'s' * (evaluation.n_documents != 1)}"
    return f"{squad.n_has_ans:,} answerable, {squad.n_no_ans:,} not{unknown}; {documents}"


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Runs of columns that fit side by side; one that does not fit by itself stands alone."""
    block: list[int] = []
    used = 0
    for i, width in enumerate(widths):
        if block and used + width + 2 > room:
            yield block
            block, used = [], 0
        block.append(i)
        used += width + 2
    yield block


def comparison_text(comparisons: Sequence[Comparison]) -> str:
    """The systems against the first, a line each; empty where nothing can be compared."""
    lines = []
    for comparison in comparisons:
        if comparison.difference is None:
            continue
        name = {"f1": "F1", "em": "EM", "auroc": "AUROC", "aurc": "AURC"}[comparison.figure]
        written = points if comparison.figure in ("f1", "em") else signed
        share = comparison.better_share
        sure = "" if share is None else f", better in {percent(share)} % of resamples"
        change = written(comparison.difference, comparison.interval)
        lines.append(f"{comparison.system} against {comparison.against}: {name} {change}{sure}")
    return "\n".join(["", *lines]) if lines else ""


def floor_text(floor: VerdictFloor | None) -> str:
    """What verdicts are worth without reading, a line; empty where no right verdict is known."""
    if floor is None:
        return ""
    always = percent(floor.by_majority.accuracy, floor.by_majority.accuracy_interval)
    line = f'{floor.n:,} verdicts are known: always "{floor.majority}" has an accuracy of {always}'
    if floor.by_words is None:
        return f"\n{line}"
    return (
        f"\n{line}, question words alone {percent(floor.by_words.accuracy, floor.by_words.accuracy_interval)}"
    )


def _percent(value: float | None, interval: Interval | None = None) -> str | None:
    return None if value is None else percent(value, interval)


def _plain(value: float | None, interval: Interval | None = None) -> str | None:
    return None if value is None else decimal(value, interval)


def _number(value: float | None) -> str | None:
    return None if value is None else number(value)


def _both(f1: float | None, em: float | None) -> str | None:
    return None if f1 is None or em is None else f"{percent(f1)} / {percent(em)}"


def _numbers(scores: SpanScores) -> str | None:
    return _percent(scores.numbers_exact, scores.numbers_exact_interval)


def _at_threshold(best: BestThreshold) -> str | None:
    place = "abstaining always" if best.threshold is None else f"at {best.threshold:.3f}"
    return None if best.score is None else f"{percent(best.score)} {place}"


def _verbatim(share: float | None) -> str | None:
    return _percent(share) if share in (None, 1.0) else f"ONLY {100 * share:.4f}"


def _seconds(latency: Latency) -> str | None:
    values = (latency.p50_s, latency.p95_s, latency.p99_s)
    return None if latency.p50_s is None else " / ".join(f"{value or 0.0:.3f}" for value in values)


def _coverage(evaluation: Evaluation) -> str | None:
    shares = evaluation.selective.coverage_at.values()
    return None if None in shares else " / ".join(map(percent, shares))


def _of_verdicts(evaluation: Evaluation, figure: str) -> str | None:
    if evaluation.verdicts is None:
        return None
    scores = evaluation.verdicts.scores
    return _percent(getattr(scores, figure), getattr(scores, f"{figure}_interval"))


def _verdict_error(evaluation: Evaluation) -> str | None:
    found = evaluation.verdicts
    return None if found is None else _plain(found.calibration_error, found.calibration_interval)


def _footprint(footprint: Footprint | None) -> str | None:
    if footprint is None:
        return None
    memory, size = megabytes(footprint.peak_memory_bytes), megabytes(footprint.size_bytes)
    return f"{number(footprint.cold_start_s)} s / {memory} MB / {size} MB"


def _paid(evaluation: Evaluation) -> str | None:
    """What a million questions cost: on this machine, or at an endpoint as the system counts it."""
    told = (evaluation.usage or {}).get("cost_per_million_questions")
    return _number(evaluation.cost_per_million if told is None else told)


# What a line shows, None where it is not defined. Columns of a block are as wide as their widest cell.
_FIGURES: tuple[tuple[str, Callable[[Evaluation], str | None]], ...] = (
    ("F1", lambda e: _percent(e.shipped.squad.f1, e.shipped.f1_interval)),
    ("EM", lambda e: _percent(e.shipped.squad.em, e.shipped.em_interval)),
    ("  answerable rows: F1 / EM", lambda e: _both(e.shipped.squad.has_ans_f1, e.shipped.squad.has_ans_em)),
    ("  unanswerable rows: F1 / EM", lambda e: _both(e.shipped.squad.no_ans_f1, e.shipped.squad.no_ans_em)),
    ("  numbers exact", lambda e: _numbers(e.shipped)),
    ("abstained", lambda e: _percent(e.abstained_share)),
    ("never abstaining: F1", lambda e: _percent(e.forced.squad.f1, e.forced.f1_interval)),
    ("never abstaining: EM", lambda e: _percent(e.forced.squad.em, e.forced.em_interval)),
    ("  answerable rows: F1 / EM", lambda e: _both(e.forced.squad.has_ans_f1, e.forced.squad.has_ans_em)),
    ("  ROUGE-L", lambda e: _percent(e.forced.rouge_l)),
    ("  evidence sentence hit", lambda e: _percent(e.forced.evidence_hit_rate)),
    ("  numbers exact", lambda e: _numbers(e.forced)),
    ("best threshold: F1", lambda e: _at_threshold(e.best_f1)),
    ("best threshold: EM", lambda e: _at_threshold(e.best_em)),
    ("answerability AUROC", lambda e: _plain(e.auroc, e.auroc_interval)),
    ("  yes/no questions", lambda e: _plain(e.yes_no.auroc, e.yes_no.auroc_interval)),
    ("  wh-questions", lambda e: _plain(e.wh.auroc, e.wh.auroc_interval)),
    ("answerability average precision", lambda e: _plain(e.answering.average_precision)),
    ("answering F1", lambda e: _plain(e.answering.f1)),
    ("calibration error: answerable", lambda e: _plain(e.answerable_calibration_error)),
    ("calibration error: score", lambda e: _plain(e.score_calibration_error)),
    ("Brier: answerable", lambda e: _plain(e.answerable_reliability.brier)),
    ("Brier: score", lambda e: _plain(e.score_reliability.brier)),
    ("verdict accuracy", lambda e: _of_verdicts(e, "accuracy")),
    ("  macro F1", lambda e: _of_verdicts(e, "macro_f1")),
    ("  given", lambda e: None if e.verdicts is None else percent(e.verdicts.coverage)),
    ("  calibration error: verdict_score", _verdict_error),
    ("AURC", lambda e: _plain(e.selective.aurc, e.selective.aurc_interval)),
    ("AUGRC", lambda e: _plain(e.selective.augrc)),
    ("coverage at 80 / 90 / 95 % precision", _coverage),
    ("verbatim", lambda e: _verbatim(e.verbatim_share)),
    ("failed rows", lambda e: f"{e.n_failed:,}"),
    ("seconds a batch: p50 / p95 / p99", lambda e: _seconds(e.latency)),
    ("rows a second", lambda e: None if e.latency.rows_per_s is None else f"{e.latency.rows_per_s:,.1f}"),
    ("tokens a second and core", lambda e: _number(e.latency.tokens_per_s_per_core)),
    ("cost of a million questions", _paid),
    ("quotes not in the text", lambda e: _percent((e.usage or {}).get("not_in_text_share"))),
    ("first answer / peak memory / size", lambda e: _footprint(e.footprint)),
)
