"""What the answers cost: time, memory, money."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from qa_extractive.evaluation.figures import Evaluation
from qa_extractive.evaluation.measure import Measured, Settings
from qa_extractive.report import plots, prose
from qa_extractive.report.blocks import Block, Paragraph, Plot, Section, Table, plain
from qa_extractive.report.cells import UNDEFINED, count, megabytes, number, percent
from qa_extractive.report.tables import short, systems_table


def speed_sections(measured: Measured, settings: Settings, with_plots: bool) -> list[Section]:
    """Speed and cost, and the use of endpoints where there was any."""
    timed = [e for e in measured.evaluations if e.latency.p50_s is not None]
    if not timed:
        return [Section("Speed and cost", (Paragraph("No batch was timed."),)), *_usage(measured)]
    blocks: list[Block] = [
        Paragraph(prose.SPEED),
        _speed_table(measured, settings),
        *_footprints(measured),
        _latency_plot(timed, with_plots),
        *_cost_plot(timed, with_plots),
    ]
    return [Section("Speed and cost", tuple(blocks)), *_usage(measured)]


def _speed_table(measured: Measured, settings: Settings) -> Table:
    columns: dict[str, Callable[[Evaluation], str]] = {
        "rows a batch": lambda e: count(e.latency.batch_rows),
        "p50, s": lambda e: number(e.latency.p50_s),
        "p95, s": lambda e: number(e.latency.p95_s),
        "p99, s": lambda e: number(e.latency.p99_s),
        "rows/s": lambda e: number(e.latency.rows_per_s),
        "tokens/s per core": lambda e: number(e.latency.tokens_per_s_per_core),
        "cores": lambda e: count(e.latency.n_cores),
    }
    if settings.price_per_hour is not None:
        columns["cost of a million questions"] = lambda e: number(e.cost_per_million)
    return systems_table("Time of a batch, and throughput", measured.evaluations, columns)


def _footprints(measured: Measured) -> Iterator[Block]:
    held = [(e, e.footprint) for e in measured.evaluations if e.footprint is not None]
    if held:
        yield Table(
            "What a model needs: from the start of a process, and to answer a batch",
            ("system", "start to first answer, s", "peak memory, MB", "size on disk, MB"),
            tuple(
                (
                    short(e.system),
                    number(own.cold_start_s),
                    megabytes(own.peak_memory_bytes),
                    megabytes(own.size_bytes),
                )
                for e, own in held
            ),
        )


def _latency_plot(timed: Sequence[Evaluation], with_plots: bool) -> Plot:
    alt = "; ".join(
        f"{short(e.system)}: median {number(e.latency.p50_s)} s, 99 % within {number(e.latency.p99_s)} s"
        for e in timed
    )
    return Plot(prose.LATENCY_PLOT, alt, plots.latency(timed) if with_plots else None)


def _cost_plot(timed: Sequence[Evaluation], with_plots: bool) -> Iterator[Plot]:
    both = [e for e in timed if e.shipped.squad.f1 is not None and e.latency.s_per_1000 is not None]
    if both:
        alt = "; ".join(
            f"{short(e.system)}: F1 {percent(e.shipped.squad.f1)} %, {number(e.latency.s_per_1000)} s"
            for e in both
        )
        yield Plot(prose.COST_PLOT, alt, plots.f1_by_cost(both) if with_plots else None)


def _usage(measured: Measured) -> Iterator[Section]:
    used = [(e, e.usage) for e in measured.evaluations if e.usage is not None]
    if not used:
        return
    names = dict.fromkeys(name for _, usage in used for name in usage)
    rows = tuple(
        (plain(name.replace("_", " ")), *(_used(name, usage.get(name)) for _, usage in used))
        for name in names
    )
    header = ("counted", *(short(e.system) for e, _ in used))
    table = Table("Use of the endpoint", header, rows)
    yield Section("Behind an endpoint", (Paragraph(prose.USAGE), table))


def _used(name: str, value: object) -> str:
    if isinstance(value, list | tuple):
        return plain(", ".join(map(str, value))) or UNDEFINED
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNDEFINED if value is None else plain(value)
    if name.endswith("_share"):
        return f"{percent(value)} %"
    return count(value) if isinstance(value, int) else f"{value:,.4g}"
