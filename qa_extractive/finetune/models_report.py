"""Several models side by side -> ``comparison.md``, ``comparison.json`` and the table of the terminal."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from qa_extractive.finetune.models_run import Comparisons, Outcome
from qa_extractive.report.blocks import Block, Bullets, Paragraph, Section, Table, plain
from qa_extractive.report.cells import UNDEFINED, decimal, megabytes, number, percent, points, signed
from qa_extractive.report.markdown import markdown
from qa_extractive.tables.writing import replace_surrogates

MARKDOWN_FILE, JSON_FILE = "comparison.md", "comparison.json"
_HEADER = (
    "model",
    "F1 as answered",
    "never abstaining",
    "EM",
    "AUROC",
    "calibration error",
    "MB",
    "ms a question",
    "minutes",
    "F1 against the first",
    "AUROC against it",
)


def write_comparison(folder: Path, compared: Comparisons) -> list[Path]:
    """Write both files; the paths of them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / MARKDOWN_FILE, folder / JSON_FILE]
    values = json.dumps(replace_surrogates(comparison_values(compared)), indent=1, ensure_ascii=False)
    texts = (markdown(comparison_section(compared)), values + "\n")
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8", errors="replace")
    return paths


def comparison_lines(compared: Comparisons) -> list[str]:
    """The table as lines of a Markdown table, then the failures."""
    rows = [_HEADER, *(_row(outcome, compared) for outcome in compared.outcomes)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    lines = [f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:], *_failures(compared)]


def comparison_section(compared: Comparisons) -> Section:
    """The whole file."""
    blocks: list[Block] = [
        Paragraph(
            f"{compared.n_train:,} rows to learn from, {compared.n_test:,} test rows. Scores in percent; in "
            "brackets 95 % bootstrap intervals over whole documents, of the differences paired ones. "
            f"Against the first: against {_first(compared)}."
        ),
        Table("Models", _HEADER, tuple(_row(outcome, compared) for outcome in compared.outcomes)),
        _settings_table(compared),
    ]
    failed = _failures(compared)
    return Section("Comparison", (*blocks, *((Bullets(tuple(failed)),) if failed else ())))


def comparison_values(compared: Comparisons) -> dict[str, Any]:
    """The same as plain values that ``json`` can write."""
    return {
        "n_train": compared.n_train,
        "n_test": compared.n_test,
        "models": {outcome.run.name: _values(outcome) for outcome in compared.outcomes},
        "comparisons": [comparison.to_dict() for comparison in compared.comparisons],
    }


def _values(outcome: Outcome) -> dict[str, Any]:
    report, evaluation = outcome.report, outcome.evaluation
    return {
        "failure": outcome.failure,
        "quantize": outcome.run.quantize,
        "settings": dataclasses.asdict(outcome.run.config),
        "training": None if report is None else dataclasses.asdict(report),
        "size_bytes": outcome.size_bytes,
        "figures": None if evaluation is None else evaluation.to_dict(),
    }


def _row(outcome: Outcome, compared: Comparisons) -> tuple[str, ...]:
    evaluation, report = outcome.evaluation, outcome.report
    if evaluation is None:
        return (outcome.run.name, "failed", *([UNDEFINED] * (len(_HEADER) - 2)))
    shipped, forced = evaluation.shipped, evaluation.forced
    per_1000 = evaluation.latency.s_per_1000
    return (
        outcome.run.name,
        percent(shipped.squad.f1, shipped.f1_interval),
        percent(forced.squad.f1, forced.f1_interval),
        percent(shipped.squad.em, shipped.em_interval),
        decimal(evaluation.auroc, evaluation.auroc_interval),
        decimal(evaluation.answerable_calibration_error),
        megabytes(outcome.size_bytes),
        number(per_1000),
        number(None if report is None else report.minutes),
        *_differences(outcome.run.name, compared),
    )


def _differences(name: str, compared: Comparisons) -> tuple[str, str]:
    own = {c.figure: c for c in compared.comparisons if c.system == name}
    if not own:
        return UNDEFINED, UNDEFINED
    f1, auroc = own["f1"], own["auroc"]
    return points(f1.difference, f1.interval), signed(auroc.difference, auroc.interval)


def _first(compared: Comparisons) -> str:
    measured = [outcome.run.name for outcome in compared.outcomes if outcome.evaluation is not None]
    return measured[0] if measured else "none: all failed"


def _settings_table(compared: Comparisons) -> Table:
    """What the file says of each model, a column for each setting that it names."""
    names = list(dict.fromkeys(name for outcome in compared.outcomes for name in outcome.run.given))
    rows = tuple(
        (outcome.run.name, *(plain(outcome.run.given.get(name, UNDEFINED), 60) for name in names))
        for outcome in compared.outcomes
    )
    return Table("Settings as given; the others are the defaults", ("model", *names), rows, is_text=True)


def _failures(compared: Comparisons) -> list[str]:
    return [
        plain(f"{outcome.run.name} failed: {outcome.failure}", 600)
        for outcome in compared.outcomes
        if outcome.failure is not None
    ]
