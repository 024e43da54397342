"""What was measured -> the report, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qa_extractive.evaluation.circumstances import Circumstances
from qa_extractive.evaluation.measure import Measured, Settings
from qa_extractive.report import prose
from qa_extractive.report.blocks import Block, Bullets, Paragraph, Section, Table, plain
from qa_extractive.report.cells import count, percent
from qa_extractive.report.parts import part_sections
from qa_extractive.report.quality import quality_sections
from qa_extractive.report.speed import speed_sections
from qa_extractive.report.tables import short

_MAX_COMMAND = 1000


@dataclass(frozen=True, slots=True)
class Report:
    """What a report is about.

    Attributes:
        data: What was measured on each data set; at least one.
        together: The same on the rows of all of them; that of the only one where there is one.
        settings: What the figures depend on besides the answers.
        version: Of the package.
        limit: Rows of each file at most; None for all.
        labels: Name of the file of labels; None without one.
        made: When, on what and by which command it was measured; None where that is not known.
    """

    data: tuple[Measured, ...]
    together: Measured
    settings: Settings
    version: str
    limit: int | None = None
    labels: str | None = None
    made: Circumstances | None = None


def report_blocks(report: Report, *, with_plots: bool) -> Section:
    """The whole report; its title is that of the root.

    Args:
        report: What it is about.
        with_plots: Whether to draw; else what the plots would show is said in words.
    """
    shown = [*report.data, *([report.together] if len(report.data) > 1 else [])]
    blocks: list[Block] = [_overview(report), _how_to_read(report)]
    blocks += [_data_section(each, report.settings, with_plots) for each in shown]
    return Section("Extractive question answering: evaluation", tuple(blocks))


def _data_section(measured: Measured, settings: Settings, with_plots: bool) -> Section:
    parts = (
        *quality_sections(measured, with_plots),
        *speed_sections(measured, settings, with_plots),
        *part_sections(measured, with_plots),
    )
    return Section(short(measured.name), parts)


def _overview(report: Report) -> Section:
    blocks: list[Block] = [Paragraph(" ".join(_facts(report))), *_made(report)]
    blocks += [_data_table(report), *_headline(report)]
    problems = [
        f"{short(e.system)} on {short(each.name)}: {plain(problem)}"
        for each in report.data
        for e in each.evaluations
        for problem in e.problems
    ]
    if problems:
        blocks += [Paragraph(prose.PROBLEMS), Bullets(tuple(problems))]
    return Section("Overview", tuple(blocks))


def _facts(report: Report) -> list[str]:
    settings = report.settings
    facts = [f"Measured with qa_extractive {report.version}, seed {settings.seed}."]
    if settings.n_bootstrap:
        facts.append(
            f"In brackets: 95 % bootstrap intervals from {settings.n_bootstrap:,} resamples of whole "
            "documents, where there are two or more."
        )
    if report.limit is not None:
        facts.append(f"At most {report.limit:,} rows of each file, drawn with the seed.")
    if report.labels is not None:
        facts.append(f"The right answers are those of {plain(report.labels)}.")
    return facts


def _made(report: Report) -> Iterator[Table]:
    made = report.made
    if made is None:
        return
    sets = ", ".join(made.instruction_sets) or "not known"
    lacks = f"; without {' and '.join(made.missing)}" if made.instruction_sets and made.missing else ""
    versions = ", ".join(f"{name} {number}" for name, number in made.versions.items())
    rows = (
        ("date", made.date.replace("T", " ").replace("Z", " UTC")),
        ("command", plain(made.command, _MAX_COMMAND)),
        ("CPU", f"{plain(made.cpu) or 'not known'}, {made.n_cpus} used"),
        ("instruction sets", f"{sets}{lacks}"),
        ("system", f"{made.system}; {versions}"),
    )
    yield Table("How this was measured", ("", "this report"), rows, is_text=True)


def _data_table(report: Report) -> Table:
    rows = []
    for each in report.data:
        first = each.evaluations[0]
        squad = first.shipped.squad
        counts = (each.n_rows, squad.n_has_ans, squad.n_no_ans, each.n_rows - squad.n, each.n_skipped)
        rows.append((short(each.name), *map(count, counts), count(first.n_documents)))
    header = (
        "data set",
        "rows",
        "answerable",
        "unanswerable",
        "answer not known",
        "not readable",
        "documents",
    )
    return Table("The data", header, tuple(rows))


def _headline(report: Report) -> Iterator[Table]:
    """The first figure to look at, where any data set has right answers."""
    scored = [each for each in report.data if each.evaluations[0].shipped.squad.n]
    if not scored:
        return
    rows = [
        (short(system[0].system), *(percent(e.shipped.squad.f1, e.shipped.f1_interval) for e in system))
        for system in zip(*(each.evaluations for each in scored), strict=True)
    ]
    names = (short(each.name) for each in scored)
    yield Table("F1 of the answers as given, abstentions included (percent)", ("system", *names), tuple(rows))


def _how_to_read(report: Report) -> Section:
    items = [prose.F1_AND_EM, prose.RIGHT, prose.INTERVALS, prose.NOT_DEFINED]
    price = report.settings.price_per_hour
    if price is not None:
        items.append(
            f"Costs are in the currency of the price of {price:g} an hour, of a machine that does nothing "
            "else and never waits."
        )
    return Section("How to read this", (Bullets(tuple(items)),))
