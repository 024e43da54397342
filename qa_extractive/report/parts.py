"""Where systems are good and where not: parts of the rows, and the worst answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from qa_extractive.evaluation.failures import score_of
from qa_extractive.evaluation.measure import Measured, SystemMeasured
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.slices import INPUT_TOKENS, SliceFigures
from qa_extractive.report import plots, prose
from qa_extractive.report.blocks import Block, Paragraph, Plot, Section, Table, plain
from qa_extractive.report.cells import UNDEFINED, count, decimal, percent
from qa_extractive.report.tables import MAX_NAME, short


def part_sections(measured: Measured, with_plots: bool) -> list[Section]:
    """Slices and worst answers, as far as there are any."""
    return [*_slices(measured, with_plots), *_failures(measured)]


def _slices(measured: Measured, with_plots: bool) -> Iterator[Section]:
    sections = []
    for by, parts in groupby(measured.systems[0].slices, key=attrgetter("by")):
        blocks: list[Block] = [_slice_table(by, [part.value for part in parts], measured.systems)]
        if by == INPUT_TOKENS:
            blocks += _length_plot(measured.systems, with_plots)
        sections.append(Section(f"By {short(by)}", tuple(blocks)))
    if sections:
        yield Section("Where it is good and where not", (Paragraph(prose.SLICES), *sections))


def _slice_table(by: str, values: Sequence[str], systems: Sequence[SystemMeasured]) -> Table:
    found = [{part.value: part for part in s.slices if part.by == by} for s in systems]
    rows = tuple(
        (plain(value, MAX_NAME), count(found[0][value].n), *(_slice_cell(own[value]) for own in found))
        for value in values
    )
    header = (short(by), "rows", *(short(s.evaluation.system) for s in systems))
    return Table(f"By {short(by)}: F1; EM; abstained (percent)", header, rows)


def _slice_cell(part: SliceFigures) -> str:
    return f"{percent(part.f1, part.f1_interval)}; {percent(part.em)}; {percent(part.abstained_share)}"


def _length_plot(systems: Sequence[SystemMeasured], with_plots: bool) -> Iterator[Plot]:
    held = [(s.evaluation.system, [part for part in s.slices if part.by == INPUT_TOKENS]) for s in systems]
    if all(part.f1 is None for _, own in held for part in own):
        return
    alt = "; ".join(
        f"{short(name)}: {', '.join(f'{part.value} tokens {percent(part.f1)} %' for part in own)}"
        for name, own in held
    )
    yield Plot(prose.LENGTH_PLOT, alt, plots.f1_by_length(held) if with_plots else None)


def _failures(measured: Measured) -> Iterator[Section]:
    found = [(s.evaluation.system, _failure_tables(s)) for s in measured.systems]
    sections = [Section(short(name), tuple(tables)) for name, tables in found if tables]
    if sections:
        yield Section("Worst answers", (Paragraph(prose.FAILURES), *sections))


def _failure_tables(system: SystemMeasured) -> list[Table]:
    own = system.failures
    kinds = (
        ("Surely wrong", own.wrong, own.n_wrong, "score", score_of),
        ("Answered though there is no answer", own.answered, own.n_answered, "answerable", _answerable),
        ("Abstained though there is an answer", own.abstained, own.n_abstained, "answerable", _answerable),
    )
    return [_failure_table(*kind) for kind in kinds if kind[1]]


def _failure_table(
    title: str, rows: Sequence[ScoredRow], n: int, prob_name: str, prob: Callable[[ScoredRow], float]
) -> Table:
    cells = tuple(
        (
            plain(row.example.id, MAX_NAME),
            plain(row.example.question.question),
            plain(row.text) or UNDEFINED,
            plain(row.references[0]) if row.references else "(no answer)",
            decimal(prob(row)),
        )
        for row in rows
    )
    header = ("row", "question", "best span", "right answer", prob_name)
    shown = f"{len(rows)} of {n:,}" if n > len(rows) else f"{n}"
    return Table(f"{title} ({shown})", header, cells, is_text=True)


def _answerable(row: ScoredRow) -> float:
    return row.answerable_prob
