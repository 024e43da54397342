"""A report -> ``metrics.json``, ``report.md``, ``report.html`` and the predictions of each system."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qa_extractive._utils.files import write_whole
from qa_extractive.errors import DataError, QAError
from qa_extractive.evaluation.run import Results
from qa_extractive.report.content import Report, report_blocks
from qa_extractive.report.html import html
from qa_extractive.report.markdown import markdown
from qa_extractive.report.plots import require_report_extra
from qa_extractive.report.predictions import prediction_names, write_predictions
from qa_extractive.tables.writing import replace_surrogates

METRICS_FILE = "metrics.json"
MARKDOWN_FILE = "report.md"
HTML_FILE = "report.html"
SCHEMA_VERSION = 1


def metrics(report: Report) -> dict[str, Any]:
    """What ``metrics.json`` holds: the systems over all files, then over each; no path of this machine."""
    together = report.together.to_dict()
    return {
        "schema_version": SCHEMA_VERSION,
        "package_version": report.version,
        "seed": report.settings.seed,
        "n_bootstrap": report.settings.n_bootstrap,
        "limit": report.limit,
        "labels": report.labels,
        "price_per_hour": report.settings.price_per_hour,
        "measured": None if report.made is None else report.made.to_dict(),
        "n_rows": together["n_rows"],
        "systems": together["systems"],
        "comparisons": together["comparisons"],
        "oracle": together["oracle"],
        "verdict_floor": together["verdict_floor"],
        "data": [each.to_dict() for each in report.data],
    }


def write_metrics(folder: Path, report: Report) -> Path:
    """Write ``metrics.json``; DataError if it cannot be written."""
    text = json.dumps(replace_surrogates(metrics(report)), indent=1, allow_nan=False, ensure_ascii=False)
    return _write(folder / METRICS_FILE, text + "\n")


def write_report(folder: Path, report: Report, *, warn: Callable[[str], None]) -> list[Path]:
    """Write ``report.md``, and ``report.html`` with its plots where matplotlib and jinja2 are installed.

    Args:
        folder: Where to.
        report: What it is about.
        warn: Told, in a line, that the HTML is left out.

    Returns:
        The files written.

    Raises:
        DataError: One cannot be written.
    """
    written = [_write(folder / MARKDOWN_FILE, markdown(report_blocks(report, with_plots=False)))]
    try:
        require_report_extra()
    except QAError as error:
        warn(f"{HTML_FILE} is left out: {error}")
        return written
    return [*written, _write(folder / HTML_FILE, html(report_blocks(report, with_plots=True)))]


def write_all_predictions(
    folder: Path, data: Sequence[str], runs: Sequence[Sequence[Results]], *, warn: Callable[[str], None]
) -> list[Path]:
    """Write the answers of each system: Parquet or, without pyarrow, JSONL.

    Args:
        folder: Where to.
        data: The names of the data sets.
        runs: What the systems made of each of them, in the same order of systems.
        warn: Told, in a line, that Parquet cannot be written.

    Raises:
        DataError: One cannot be written.
    """
    has_parquet = find_spec("pyarrow") is not None
    if not has_parquet:
        warn("predictions are written as JSONL: for Parquet, pip install 'qa-extractive[parquet]'")
    names = prediction_names([own.system for own in runs[0]], ".parquet" if has_parquet else ".jsonl.gz")
    paths = [folder / name for name in names]
    for path, of_system in zip(paths, zip(*runs, strict=True), strict=True):
        write_predictions(path, list(zip(data, of_system, strict=True)))
    return paths


def _write(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    try:
        write_whole(path, text)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from None
    return path
