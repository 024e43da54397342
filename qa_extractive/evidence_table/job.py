"""What an evidence table is made of, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qa_extractive.batch.destination import Existing
from qa_extractive.batch.ray import Cluster
from qa_extractive.errors import DataError
from qa_extractive.tables.formats import KNOWN_NAMES, table_format
from qa_extractive.tables.locking import lock_path
from qa_extractive.tables.writing import checked_target, naming

SHEETS = (".xlsx", ".html", ".htm")


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
    def marker(self) -> Path:
        """The file in that folder that tells what the run was begun with."""
        return self.work / "run.json"

    @property
    def skipped(self) -> Path:
        """The table in that folder of what was skipped."""
        return self.work / "skipped.csv"

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
