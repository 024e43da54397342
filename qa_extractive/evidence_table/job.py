"""A folder of papers and some questions -> an evidence table, in three steps that a stopped run goes on from.

The papers are read into one table, it is answered as any other (``batch``), and the answers are
written as the evidence table. What the first two make lies in ``<output>.work`` until the last is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from qa_extractive import __version__
from qa_extractive._utils.files import write_whole
from qa_extractive.batch.destination import Existing
from qa_extractive.batch.local import BatchJob, answer_table
from qa_extractive.batch.ray import Cluster, answer_table_on_ray
from qa_extractive.batch.summary import Counts, Summary
from qa_extractive.data.columns import ColumnNames
from qa_extractive.errors import DataError
from qa_extractive.evidence_table.about import About
from qa_extractive.evidence_table.flat import flat_writer
from qa_extractive.evidence_table.html import html_writer
from qa_extractive.evidence_table.pdfs import MarkedPdfs, copy_path, located
from qa_extractive.evidence_table.rows import PaperRow, paper_rows
from qa_extractive.evidence_table.state import OUTPUT_BYTES, first_other, read_state, require_same
from qa_extractive.evidence_table.together import Collector, Together
from qa_extractive.evidence_table.xlsx import xlsx_writer
from qa_extractive.papers.prepare import Preparation, files_below, prepare
from qa_extractive.predictor import Predictor
from qa_extractive.rows.results import Batch
from qa_extractive.tables.formats import KNOWN_NAMES, table_format
from qa_extractive.tables.locking import lock_path, locked
from qa_extractive.tables.reading import read_rows
from qa_extractive.tables.writing import checked_target, naming, write_rows, writing
from qa_extractive.types import Question

SHEETS = (".xlsx", ".html", ".htm")
_MAX_SKIPPED_LISTED = 1000
_MARKER, _SKIPPED = "run.json", "skipped.csv"
_KEPT = frozenset({"file", "record"})
_COLUMNS = ColumnNames(context="text", title="title")


@dataclass(frozen=True, slots=True)
class TableJob:
    """What is to be read, asked and written.

    Attributes:
        papers: A folder with files of papers, or one such file.
        questions: What each paper is asked, in order; none twice.
        output: The table: .xlsx, .html, or one of the formats of ``tables``.
        existing: Of an output that is there, or of a run that was stopped: "refuse" is an error, "overwrite"
            starts afresh, "resume" goes on.
        cluster: A Ray cluster that answers; None for this process.
        highlight: A folder for copies of the PDFs with the quotes marked; None for none.
        max_risk: That the predictor was made with, to be told in the table.
        errors: Table of what was skipped: file, record, kind and reason; None for none.
    """

    papers: Path
    questions: tuple[str, ...]
    output: Path
    existing: Existing = "refuse"
    cluster: Cluster | None = None
    highlight: Path | None = None
    max_risk: float | None = None
    errors: Path | None = None

    def __post_init__(self) -> None:
        """Raise DataError unless there are questions and the output can be written."""
        if not self.questions:
            raise DataError("no question: give --questions Q [Q ...], or a file with a question a line")
        _check_name(self.output)
        _check_no_paper(self.papers, self.output, self.errors)
        if self.errors is not None:
            _check_errors(self.errors, self.output, self.existing)
        if self.highlight is not None and self.highlight.resolve() in (
            self.papers.resolve(),
            *self.papers.resolve().parents,
        ):
            raise DataError(f"{self.highlight} holds the papers themselves: give --highlight another folder")
        if self.highlight is not None and self.highlight.exists() and not self.highlight.is_dir():
            raise DataError(f"{self.highlight} is no folder: give --highlight a folder")
        with naming(self.output):
            if self.output.is_dir():
                raise DataError(f"{self.output} is a folder: give a file")
            if not self.output.resolve().parent.is_dir():
                raise DataError(f"{self.output.parent} is not a folder that exists: create it first")

    @property
    def work(self) -> Path:
        """The folder of what is made on the way."""
        return self.output.with_name(f"{self.output.name}.work")

    @property
    def state(self) -> Path:
        """The file beside a finished table that tells what it was made of."""
        return self.output.with_name(f"{self.output.name}.run.json")

    @property
    def targets(self) -> list[Path]:
        """The table, and that of what was skipped if it is wanted, links followed."""
        return [each.resolve() for each in (self.output, self.errors) if each is not None]

    @property
    def unread(self) -> tuple[Path, ...]:
        """What is no paper if it lies among them."""
        more = () if self.highlight is None else (self.highlight.resolve(),)
        locks = map(lock_path, self.targets)
        return (*self.targets, *locks, self.work.resolve(), self.state.resolve(), *more)

    @property
    def suffix(self) -> str:
        """Of the tables that are made on the way: a cluster reads and writes Parquet."""
        return ".jsonl" if self.cluster is None else ".parquet"


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
        now = _fingerprint(predictor, job)
        if _is_finished(job, now):
            return TableOutcome()
        _check_copies(job)
        with _workplace(job, now):
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
        _remove(job)
        return TableOutcome(summary, about, together, marked)


def _check_name(output: Path) -> None:
    suffix = output.suffix.lower()
    if suffix not in SHEETS:
        try:
            table_format(output)
        except DataError:
            raise DataError(
                f"{output}: an evidence table's name must end in .xlsx, .html, {KNOWN_NAMES}"
            ) from None


def _check_no_paper(papers: Path, *targets: Path | None) -> None:
    for target in targets:
        if target is not None:
            with naming(target):
                if target.is_file() and papers.is_file() and target.samefile(papers):
                    raise DataError(f"{target} holds the papers themselves: give another file")


def _check_errors(errors: Path, output: Path, existing: Existing) -> None:
    target = checked_target(errors)
    if target == output.resolve():
        raise DataError(f"{errors} is the output itself: give the errors another file")
    if target.exists() and existing == "refuse":
        raise DataError(f"{errors} exists: replace it with --overwrite, or give another file")


def _list_skipped(job: TableJob) -> None:
    if job.errors is not None:
        skipped = read_rows(job.work / _SKIPPED)
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
    skipped = job.work / _SKIPPED

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
    n_papers, skipped = sum(1 for _ in read_rows(papers)), job.work / _SKIPPED
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


def _fingerprint(predictor: Predictor, job: TableJob) -> dict[str, Any]:
    """What decides the table."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files_below(job.papers, job.unread):
        with suppress(OSError):  # it is skipped when it is read, too
            status = path.lstat()
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "replace"))
    return {
        "papers": digest.hexdigest(),
        "questions": list(job.questions),
        "output": job.output.suffix.lower(),
        "engine": "local" if job.cluster is None else "ray",
        "highlight": None if job.highlight is None else str(job.highlight.resolve()),
        "version": __version__,
        **predictor.identity(),
    }


def _is_finished(job: TableJob, now: Mapping[str, Any]) -> bool:
    """Whether the table is there and was made of the same; DataError where one is in the way."""
    if job.existing == "overwrite" or not job.output.exists():
        return False
    if job.existing == "refuse":
        raise DataError(f"{job.output} exists: replace it with --overwrite, or give another file")
    before = read_state(job.state)
    if (job.work / _MARKER).is_file():
        if before is None or first_other(before, now) is not None:
            return False  # the run that was stopped was to replace it
        _remove(job)
    size = job.output.stat().st_size
    if before is None or before.get(OUTPUT_BYTES, size) != size:
        raise DataError(
            f"{job.output} exists, but is not what a run left here: replace it with --overwrite, or give "
            "another file"
        )
    require_same(job.output, before, now)
    return True


@contextmanager
def _workplace(job: TableJob, now: Mapping[str, Any]) -> Iterator[None]:
    """The folder of what is made on the way; it stays where the run is stopped."""
    marker = job.work / _MARKER
    with writing(job.work):
        if job.work.exists() and any(job.work.iterdir()):
            if not marker.is_file():
                raise DataError(f"{job.work} is there, but no run left it: move it away")
            if job.existing == "refuse":
                raise DataError(
                    f"{job.work} is left of a run that was stopped: go on with --resume, or start again with "
                    "--overwrite"
                )
            if job.existing == "resume":
                require_same(job.output, read_state(marker) or {}, now)
            else:
                _remove(job)
        job.work.mkdir(exist_ok=True)
        write_whole(marker, json.dumps(now, indent=1) + "\n")
    yield


def _remove(job: TableJob) -> None:
    """Remove what was made on the way, last the marker, by which the next run knows it again."""
    for path in job.work.iterdir():
        if path.name != _MARKER:
            path.unlink() if not path.is_dir() else shutil.rmtree(path)
    shutil.rmtree(job.work)
