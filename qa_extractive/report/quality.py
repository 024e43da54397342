"""How good the answers are, and how sure one can be of them."""

from __future__ import annotations

from collections.abc import Iterator

from qa_extractive.evaluation.compare import Comparison
from qa_extractive.evaluation.figures import BestThreshold
from qa_extractive.evaluation.measure import Measured
from qa_extractive.evaluation.statuses import StatusCount
from qa_extractive.evaluation.verdicts import ClassScores, Verdicts
from qa_extractive.report import plots, prose
from qa_extractive.report.blocks import Block, Paragraph, Plot, Section, Table
from qa_extractive.report.cells import UNDEFINED, count, decimal, percent, points, signed
from qa_extractive.report.tables import short, systems_table
from qa_extractive.types import ANSWERED, NOT_REPORTED, STATUSES, UNSURE

_FIGURE_NAMES = {"f1": "F1", "em": "EM", "auroc": "answerability AUROC", "aurc": "AURC"}

_NOT_THEIRS = (percent(1.0), UNDEFINED, UNDEFINED)  # what the floors of verdicts have no figure of
_STATUS_NAMES = {
    ANSWERED: "the answer",
    UNSURE: "not sure, closest: ...",
    NOT_REPORTED: "the paper does not say",
}


def quality_sections(measured: Measured, with_plots: bool) -> list[Section]:
    """Answers, comparison, answerability, probabilities, selective answering: those that are defined."""
    if not measured.evaluations[0].shipped.squad.n:
        sections = (_unscored(measured), _answering(measured), *_verdicts(measured))
        return [*sections, *_reliability(measured, with_plots)]
    return [
        _answers(measured),
        *_comparison(measured),
        _answering(measured),
        *_verdicts(measured),
        _statuses(measured),
        _selective(measured, with_plots),
        *_reliability(measured, with_plots),
    ]


def _unscored(measured: Measured) -> Section:
    table = systems_table(
        "What can be told without right answers",
        measured.evaluations,
        {
            "abstained, %": lambda e: percent(e.abstained_share),
            "verbatim, %": lambda e: percent(e.verbatim_share),
            "failed rows": lambda e: count(e.n_failed),
        },
    )
    return Section("Answers", (Paragraph(prose.NO_ANSWERS), table))


def _answers(measured: Measured) -> Section:
    shipped = systems_table(
        "Answers as given, abstentions included (percent)",
        measured.evaluations,
        {
            "F1": lambda e: percent(e.shipped.squad.f1, e.shipped.f1_interval),
            "EM": lambda e: percent(e.shipped.squad.em, e.shipped.em_interval),
            "F1, answerable rows": lambda e: percent(e.shipped.squad.has_ans_f1),
            "F1, unanswerable rows": lambda e: percent(e.shipped.squad.no_ans_f1),
            "numbers exact": lambda e: percent(e.shipped.numbers_exact, e.shipped.numbers_exact_interval),
            "abstained": lambda e: percent(e.abstained_share),
            "verbatim": lambda e: percent(e.verbatim_share),
            "failed rows": lambda e: count(e.n_failed),
        },
    )
    forced = systems_table(
        "The best span of every row, never abstaining (percent)",
        measured.evaluations,
        {
            "F1": lambda e: percent(e.forced.squad.f1, e.forced.f1_interval),
            "EM": lambda e: percent(e.forced.squad.em, e.forced.em_interval),
            "F1, answerable rows": lambda e: percent(e.forced.squad.has_ans_f1),
            "ROUGE-L, answerable rows": lambda e: percent(e.forced.rouge_l),
            "evidence sentence": lambda e: percent(e.forced.evidence_hit_rate),
            "numbers exact": lambda e: percent(e.forced.numbers_exact, e.forced.numbers_exact_interval),
            "best F1 of any threshold": lambda e: percent(e.best_f1.score),
            "that threshold": lambda e: _threshold(e.best_f1),
        },
    )
    blocks = (Paragraph(prose.SHIPPED), shipped, Paragraph(prose.FORCED), forced, *_ceiling(measured))
    return Section("Answers", blocks)


def _threshold(best: BestThreshold) -> str:
    return decimal(best.threshold) if best.score is None or best.threshold is not None else "abstain always"


def _ceiling(measured: Measured) -> Iterator[Block]:
    ceiling = measured.ceiling
    if ceiling.n:
        yield Paragraph(
            f"The ceiling of the data: with the best span of each of the {ceiling.n:,} rows with an answer, "
            f"a system that can only quote would reach there F1 {percent(ceiling.f1)} and ROUGE-L "
            f"{percent(ceiling.rouge_l)}. In {percent(ceiling.verbatim_share)} % of them a reference stands "
            "in the text word for word."
        )


def _comparison(measured: Measured) -> Iterator[Section]:
    defined = [c for c in measured.comparisons if c.difference is not None]
    if not defined:
        return
    against = short(defined[0].against)
    rows = tuple(
        (short(c.system), _FIGURE_NAMES[c.figure], _difference(c), percent(c.better_share), _verdict(c))
        for c in defined
    )
    header = ("system", "figure", f"difference from {against}", "better in resamples, %", "verdict")
    table = Table(f"Difference of each system from {against}", header, rows)
    yield Section(f"Compared with {against}", (Paragraph(prose.COMPARISON), table))


def _difference(comparison: Comparison) -> str:
    written = points if comparison.figure in ("f1", "em") else signed
    return written(comparison.difference, comparison.interval)


def _verdict(comparison: Comparison) -> str:
    if comparison.is_better is None:
        return UNDEFINED if comparison.interval is None else "not clear"
    return "better" if comparison.is_better else "worse"


def _answering(measured: Measured) -> Section:
    title = "Does it know what the text does not answer?"
    if all(e.auroc is None for e in measured.evaluations):
        return Section(title, (Paragraph(f"This cannot be told: {_why_not(measured)}."),))
    table = systems_table(
        'Finding the answerable rows by the probability "answerable"',
        measured.evaluations,
        {
            "AUROC": lambda e: decimal(e.auroc, e.auroc_interval),
            "yes/no questions": lambda e: decimal(e.yes_no.auroc, e.yes_no.auroc_interval),
            "wh-questions": lambda e: decimal(e.wh.auroc, e.wh.auroc_interval),
            "average precision": lambda e: decimal(e.answering.average_precision),
            "F1 of answering": lambda e: decimal(e.answering.f1),
            "abstained, %": lambda e: percent(e.abstained_share),
        },
    )
    return Section(title, (Paragraph(prose.ANSWERING), table))


def _verdicts(measured: Measured) -> Iterator[Section]:
    """What is said to yes/no questions, beside what could be said without reading."""
    floor = measured.verdict_floor
    if floor is None:
        return
    rows = [(short(e.system), *_verdict_cells(e.verdicts)) for e in measured.evaluations if e.verdicts]
    rows.append((f'always "{floor.majority}"', *_class_cells(floor.by_majority), *_NOT_THEIRS))
    if floor.by_words is not None:
        rows.append(("question words alone", *_class_cells(floor.by_words), *_NOT_THEIRS))
    header = ("system", "accuracy, %", "macro F1, %", "given, %", "right if given, %", "calibration error")
    caption = f"Verdicts on the {count(floor.n)} answerable yes/no questions whose right verdict is known"
    yield Section("Yes or no?", (Paragraph(prose.VERDICTS), Table(caption, header, tuple(rows))))


def _class_cells(scores: ClassScores) -> tuple[str, str]:
    return (
        percent(scores.accuracy, scores.accuracy_interval),
        percent(scores.macro_f1, scores.macro_f1_interval),
    )


def _verdict_cells(found: Verdicts) -> tuple[str, ...]:
    error = decimal(found.calibration_error, found.calibration_interval)
    return (*_class_cells(found.scores), percent(found.coverage), percent(found.accuracy_given), error)


def _statuses(measured: Measured) -> Section:
    """What a person is told, in three states."""
    found = [{each.status: each for each in system.statuses} for system in measured.systems]
    rows = tuple(
        (_STATUS_NAMES[status], *(_status_cell(own[status]) for own in found)) for status in STATUSES
    )
    header = ("what is said", *(short(e.system) for e in measured.evaluations))
    table = Table("Rows; of those known: with an answer, and with a right best span (percent)", header, rows)
    return Section("What a person is told", (Paragraph(prose.STATUSES), table))


def _status_cell(found: StatusCount) -> str:
    if not found.n_scored:
        return f"{count(found.n)}; {UNDEFINED}; {UNDEFINED}"
    n = found.n_scored
    return f"{count(found.n)}; {percent(found.n_answerable / n)}; {percent(found.n_right / n)}"


def _why_not(measured: Measured) -> str:
    if all(e.n_failed == e.n for e in measured.evaluations):
        return "every system failed on all rows"
    squad = measured.evaluations[0].shipped.squad
    if squad.n_has_ans and not squad.n_no_ans:
        return "no row is known to be unanswerable"
    if squad.n_no_ans and not squad.n_has_ans:
        return "no row is known to be answerable"
    return "of the rows answered, those with an answer and those without are not both known"


def _selective(measured: Measured, with_plots: bool) -> Section:
    evaluations = measured.evaluations
    table = systems_table(
        "Answering only the surest questions, by score",
        evaluations,
        {
            "AURC": lambda e: decimal(e.selective.aurc, e.selective.aurc_interval),
            "AUGRC": lambda e: decimal(e.selective.augrc),
            "coverage at 80 % precision, %": lambda e: percent(e.selective.coverage_at[80]),
            "at 90 %": lambda e: percent(e.selective.coverage_at[90]),
            "at 95 %": lambda e: percent(e.selective.coverage_at[95]),
        },
    )
    alt = "; ".join(
        f"{short(e.system)}: {percent(e.selective.risks[-1])} % of the answers are wrong if all are given"
        for e in evaluations
        if e.selective.risks
    )
    plot = Plot(prose.RISK_COVERAGE_PLOT, alt, plots.risk_coverage(evaluations) if with_plots else None)
    return Section("How much can be answered safely?", (Paragraph(prose.SELECTIVE), table, plot))


def _reliability(measured: Measured, with_plots: bool) -> Iterator[Section]:
    evaluations = measured.evaluations
    if all(e.answerable_reliability.brier is None and e.score_reliability.brier is None for e in evaluations):
        return
    table = systems_table(
        "Errors of the probabilities: less is better",
        evaluations,
        {
            "Brier, answerable": lambda e: decimal(e.answerable_reliability.brier),
            "calibration error, answerable": lambda e: decimal(e.answerable_calibration_error),
            "Brier, score": lambda e: decimal(e.score_reliability.brier),
            "calibration error, score": lambda e: decimal(e.score_calibration_error),
        },
    )
    alt = "; ".join(
        f"{short(e.system)}: at the surest, {percent(promised)} % promised, {percent(rate)} % came true"
        for e in evaluations
        for promised, rate, _ in plots.merged_bins(e.score_reliability)[-1:]
    )
    alt = alt or "No right span is known, so only answerable is shown."
    plot = Plot(prose.RELIABILITY_PLOT, alt, plots.reliability(evaluations) if with_plots else None)
    yield Section("Can the probabilities be believed?", (Paragraph(prose.RELIABILITY), table, plot))
