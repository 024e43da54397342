"""A folder of papers and some questions -> an evidence table, in three steps that a stopped run goes on from.

The papers are read into one table, it is answered as any other (``batch``), and the answers are
written as the evidence table. What the first two make lies in ``<output>.work`` until the last is done.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from qa_extractive import __version__
from qa_extractive._utils.files import write_whole
from qa_extractive.batch.local import BatchJob, answer_table
from qa_extractive.batch.ray import answer_table_on_ray
from qa_extractive.batch.summary import Counts, Summary
from qa_extractive.data.columns import ColumnNames
from qa_extractive.errors import DataError
from qa_extractive.evidence_table.about import About
from qa_extractive.evidence_table.flat import flat_writer
from qa_extractive.evidence_table.html import html_writer
from qa_extractive.evidence_table.job import SHEETS, TableJob
from qa_extractive.evidence_table.pdfs import MarkedPdfs, copy_path, located
from qa_extractive.evidence_table.rows import PaperRow, paper_rows
from qa_extractive.evidence_table.state import OUTPUT_BYTES
from qa_extractive.evidence_table.together import Collector, Together
from qa_extractive.evidence_table.workplace import fingerprint, is_finished, remove, workplace
from qa_extractive.evidence_table.xlsx import xlsx_writer
from qa_extractive.papers.prepare import Preparation, files_below, prepare
from qa_extractive.predictor import Predictor
from qa_extractive.rows.results import Batch
from qa_extractive.tables.locking import locked
from qa_extractive.tables.reading import read_rows
from qa_extractive.tables.writing import write_rows
from qa_extractive.types import Question

_MAX_SKIPPED_LISTED = 1000
_KEPT = frozenset({"file", "record"})
_COLUMNS = ColumnNames(context="text", title="title")


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how far a run is; nobody by default."""

    on_file: Callable[[Preparation], object] | None = None
    on_start: Callable[[int, Counts], object] = lambda n_rows, counts: None
    on_batch: Callable[[Batch], object] | None = None
    on_part: Callable[[Counts], object] = lambda counts: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class TableOutcome:
    """What became of a job.

    Attributes:
        summary: Of the answers; None where the table was finished before.
        about: What stands beside the table; None where the table was finished before or the run stopped.
        together: What the papers say together, of each question.
        marked: The PDFs with their quotes marked; None where that was not wanted.
        was_reading: Whether the run was stopped before all papers were read, of which nothing is kept.
    """

    summary: Summary | None = None
    about: About | None = None
    together: Sequence[Together] = ()
    marked: MarkedPdfs | None = None
    was_reading: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the table is there."""
        return not self.was_reading and (self.summary is None or self.summary.is_complete)


class _StoppedError(Exception):
    """The run is to stop while papers are read."""


def make_table(predictor: Predictor, job: TableJob, watch: Watch | None = None) -> TableOutcome:
    """Write the evidence table of a job.

    Args:
        predictor: Answers; its threshold, or that of its ``max_risk``, holds for the whole table.
        job: What is read, asked and written.
        watch: Who is told how far it is; None for nobody.

    Raises:
        DataError: A question is too long, the papers hold none that can be read, the output or a marked PDF
            is there, another run writes it, or the run that is to be gone on with was made of something else.
        ModelError: The model failed.
    """
    watch = watch or Watch()
    _check_questions(predictor, job.questions)
    with locked(job.targets):
        now = fingerprint(predictor, job)
        if is_finished(job, now):
            return TableOutcome()
        _check_copies(job)
        with workplace(job, now):
            papers, answers = job.work / f"papers{job.suffix}", job.work / f"answers{job.suffix}"
            try:
                _read_papers(job, papers, watch)
            except _StoppedError:
                return TableOutcome(was_reading=True)
            summary = _answer(predictor, job, papers, answers, watch)
            if not summary.is_complete:
                return TableOutcome(summary)
            about = _about(predictor, job, papers)
            together, marked = _write(job, about, papers, answers)
            _list_skipped(job)
            left = now | {OUTPUT_BYTES: job.output.stat().st_size}
            write_whole(job.state, json.dumps(left, indent=1) + "\n")
        remove(job)
        return TableOutcome(summary, about, together, marked)


def _list_skipped(job: TableJob) -> None:
    if job.errors is not None:
        skipped = read_rows(job.skipped)
        with write_rows(job.errors, skipped.columns) as writer:
            for row in skipped:
                writer.write(row.values)


def _check_questions(predictor: Predictor, questions: Sequence[str]) -> None:
    for number, question in enumerate(questions, start=1):
        try:
            predictor.check(Question(question, ""))
        except DataError as error:
            raise DataError(f"question {number} ({question:.30}...): {error}") from None


def _check_copies(job: TableJob) -> None:
    """Raise DataError where a run that begins would write over a PDF that is there."""
    if job.highlight is None or job.existing == "overwrite" or job.work.exists():
        return
    for path in files_below(job.papers, job.unread) if job.highlight.is_dir() else ():
        name = path.relative_to(job.papers).as_posix() if job.papers.is_dir() else path.name
        copy = copy_path(job.highlight, name)
        if os.path.lexists(copy):
            raise DataError(f"{copy} exists: replace it with --overwrite, or give --highlight another folder")


def _read_papers(job: TableJob, papers: Path, watch: Watch) -> None:
    """Read the papers, unless an earlier run has; what a stopped reading left is of no use."""
    if papers.exists():
        return
    skipped = job.skipped

    def see(done: Preparation) -> None:
        if watch.on_file is not None:
            watch.on_file(done)
        if watch.should_stop():
            raise _StoppedError

    try:
        prepare(
            *(job.papers, papers),
            errors=skipped,
            with_text=True,
            overwrite=True,
            unread=job.unread,
            on_file=see,
        )
    except (DataError, _StoppedError):
        shutil.rmtree(job.work)
        raise


def _answer(predictor: Predictor, job: TableJob, papers: Path, answers: Path, watch: Watch) -> Summary:
    batch = BatchJob.open(
        *(papers, answers, _COLUMNS),
        existing="resume",
        questions=job.questions,
        kept=_KEPT,
        with_votes=True,
    )

    def start(counts: Counts) -> None:
        watch.on_start(batch.rows.n_rows, counts)

    if job.cluster is None:
        return answer_table(
            predictor, batch, on_start=start, on_batch=watch.on_batch, should_stop=watch.should_stop
        )
    start(Counts())
    return answer_table_on_ray(
        predictor, batch, job.cluster, on_part=watch.on_part, should_stop=watch.should_stop
    )


def _write(
    job: TableJob, about: About, papers: Path, answers: Path
) -> tuple[Sequence[Together], MarkedPdfs | None]:
    """Write the table, and the PDFs with their quotes marked; what the papers say together."""
    collector = Collector(job.questions)
    marked = None if job.highlight is None else MarkedPdfs(job.papers, job.highlight, job.questions)
    is_sheet = job.output.suffix.lower() in SHEETS
    with _writer(job, about, collector.together) as add:
        for row in paper_rows(papers, answers, len(job.questions)):
            collector.add(row)
            if marked is not None:
                marked.add(row)
            add(row if is_sheet else located(job.papers, row))
    return collector.together(), marked


def _writer(
    job: TableJob, about: About, together: Callable[[], Sequence[Together]]
) -> AbstractContextManager[Callable[[PaperRow], None]]:
    target, suffix = job.output.resolve(), job.output.suffix.lower()
    if suffix == ".xlsx":
        return xlsx_writer(target, about, together)
    if suffix in SHEETS:
        return html_writer(target, about, together)
    return flat_writer(target, job.questions)


def _about(predictor: Predictor, job: TableJob, papers: Path) -> About:
    n_papers, skipped = sum(1 for _ in read_rows(papers)), job.skipped
    listed = [_skipped(row.values) for row in islice(read_rows(skipped), _MAX_SKIPPED_LISTED)]
    return About(
        source=job.papers.name or str(job.papers),
        questions=job.questions,
        n_papers=n_papers,
        skipped=tuple(listed),
        n_skipped=read_rows(skipped).n_rows,
        model=predictor.model_name,
        version=__version__,
        threshold=predictor.threshold,
        max_risk=job.max_risk,
        effort=predictor.effort,
    )


def _skipped(values: Mapping[str, Any]) -> tuple[str, int | None, str, str]:
    record = int(values["record"]) if values["record"] else None
    return values["file"], record, values["kind"], values["reason"]
