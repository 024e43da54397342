"""``table``: a folder of papers and some questions in, a table of quotes out."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.model_options import add_model_arguments, chosen_settings
from qa_extractive.cli.progress import EventLog, Style, Watcher, warnings_shown
from qa_extractive.cli.questions_option import questions_file, questions_of
from qa_extractive.cli.signals import EXIT_SIGNAL, StopSignals
from qa_extractive.cli.terminal import fitted, ignore_broken_pipe, note, replace_line
from qa_extractive.errors import DataError, ModelError
from qa_extractive.settings import CACHED

if TYPE_CHECKING:
    from qa_extractive.batch.ray import Cluster
    from qa_extractive.batch.summary import Counts
    from qa_extractive.evidence_table.job import TableJob
    from qa_extractive.evidence_table.making import TableOutcome, Watch
    from qa_extractive.papers.prepare import Preparation
    from qa_extractive.predictor import Predictor

_EXIT_ROWS_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``table``."""
    parser.add_argument(
        "papers", type=Path, metavar="PAPERS", help="a folder of papers, or one file; what prepare takes"
    )
    parser.add_argument(
        "--questions",
        nargs="+",
        required=True,
        metavar="Q",
        help="asked of every paper; or one file: a question a line, or a table with a column 'question'",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="F", help=".xlsx, .html, .csv, .tsv, .jsonl or .parquet"
    )
    parser.add_argument(
        "--highlight", type=Path, metavar="DIR", help="also write copies of the PDFs with the quotes marked"
    )
    parser.add_argument("--errors", type=Path, metavar="F", help="list what was skipped in F, with reasons")
    parser.add_argument(
        "--max-context-characters", type=int, metavar="N", help="refuse longer texts (default: no limit)"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    existing.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    add_model_arguments(parser)
    cluster = parser.add_argument_group("on Ray")
    cluster.add_argument("--engine", choices=("local", "ray"), help="ray: a cluster answers")
    cluster.add_argument("--address", metavar="A", help="of the Ray cluster (default: Ray on this machine)")
    cluster.add_argument("--actors", type=int, metavar="N", help="predictors on Ray, of --threads CPUs each")
    parser.set_defaults(effort=None)  # by the number of questions


def run(options: argparse.Namespace) -> int:
    """Make the table; the exit code."""
    with warnings_shown(_style(options), EventLog(), is_quiet=options.quiet):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    from qa_extractive.evidence_table.job import TableJob
    from qa_extractive.evidence_table.making import make_table

    questions = questions_of(options.questions)
    _check_targets(options)
    job = TableJob(
        options.papers,
        questions,
        options.output,
        existing="overwrite" if options.overwrite else "resume" if options.resume else "refuse",
        cluster=_cluster(options),
        highlight=options.highlight,
        max_risk=options.max_risk,
        errors=options.errors,
    )
    predictor = _predictor(options, len(job.questions))
    stopping = "finishing the part at hand; once more to stop at once"
    stop = StopSignals(
        lambda _: None if options.quiet else f"\n{stopping}", lambda each: f"stopped at once by {each.name}"
    )
    with stop:
        outcome = make_table(predictor, job, _watch(options, stop))
    if not outcome.is_complete and stop.received is not None:
        return _say_stopped(outcome, stop.received)
    if not options.quiet:
        with ignore_broken_pipe():
            _print(outcome, job)
    failed = outcome.summary is not None and outcome.summary.n_failed
    return _EXIT_ROWS_FAILED if failed else 0


def _check_targets(options: argparse.Namespace) -> None:
    """Raise DataError where the file of the questions would be replaced."""
    asked = questions_file(options.questions)
    for target in (options.output, options.errors):
        if asked is not None and target is not None and target.exists() and target.samefile(asked):
            raise DataError(f"{target} holds the questions: give another file")


def _cluster(options: argparse.Namespace) -> Cluster | None:
    from qa_extractive.batch.ray import Cluster

    if options.engine == "ray":
        return Cluster(options.address, options.actors, options.threads or 1)
    if options.address is not None or options.actors is not None:
        raise DataError("--address and --actors go with --engine ray: leave them out")
    return None


def _predictor(options: argparse.Namespace, n_questions: int) -> Predictor:
    from qa_extractive.cli.models import named_predictor

    settings = chosen_settings(options, "max_context_characters")
    if options.effort is None and (options.kept_folder, options.kept_mb) != (None, None):
        return named_predictor(options.model, effort=CACHED, **settings)
    if options.effort is None and n_questions > 1:
        with suppress(ModelError):  # it was trained without pruning heads; or what is wrong shows below
            return named_predictor(options.model, effort=CACHED, **settings)
    return named_predictor(options.model, **settings)


def _style(options: argparse.Namespace) -> Style:
    return "line" if not options.quiet and sys.stderr.isatty() else "nothing"


def _watch(options: argparse.Namespace, stop: StopSignals) -> Watch:
    from qa_extractive.evidence_table.making import Watch

    if _style(options) == "nothing":
        return Watch(should_stop=stop.should_stop)
    watchers: list[Watcher] = []

    def start(n_rows: int, counts: Counts) -> None:
        watchers.append(Watcher(n_rows, "line", EventLog()))
        watchers[0].start(counts)

    def show_files(done: Preparation) -> None:
        replace_line(f"{done.n_papers:,} papers from {done.n_files:,} files")

    return Watch(
        on_file=show_files,
        on_start=start,
        on_batch=lambda batch: watchers[0].see(batch),
        on_part=lambda counts: watchers[0].see_counts(counts),
        should_stop=stop.should_stop,
    )


def _say_stopped(outcome: TableOutcome, received: signal.Signals) -> int:
    n_rows = outcome.summary.n_rows if outcome.summary is not None else 0
    if outcome.was_reading:
        note(f"stopped by {received.name} while the papers were read: the same command starts again")
    else:
        kept = f"{n_rows:,} answers, which are kept"
        note(f"stopped by {received.name} after {kept}: the same command with --resume")
    return EXIT_SIGNAL + received


def _where_all(job: TableJob) -> str:
    from qa_extractive.evidence_table.job import SHEETS

    if job.output.suffix.lower() in SHEETS:
        return "all are listed in the table"
    return "all are listed by: qa-extractive prepare PAPERS --output F --errors F2"


def _print(outcome: TableOutcome, job: TableJob) -> None:
    if outcome.summary is None or outcome.about is None:
        print(f"table      {job.output} (finished before; nothing to do)")
        if job.errors is not None and not job.errors.exists():
            print(f"           {job.errors} was not wanted then: --overwrite makes both anew")
        return
    summary, about = outcome.summary, outcome.about
    print(f"papers     {about.n_papers:,} x {len(about.questions):,} questions; {about.n_skipped:,} skipped")
    for file, record, kind, reason in about.skipped[:3]:
        where = file if record is None else f"{file}, record {record}"
        print(fitted("             ", f"{where}: {kind}: {reason}"))
    if about.n_skipped > 3:
        print(f"             ... {_where_all(job)}")
    n_silent = summary.n_abstained - summary.n_unsure
    print(f"answered   {summary.n_answered:,} in {summary.seconds:.1f} s")
    print(f"not sure   {summary.n_unsure:,}")
    print(f"no answer  {n_silent:,} not reported, {summary.n_failed:,} failed")
    for failed in summary.failures:
        print(fitted("             ", f"{failed.n_rows:,} {failed.kind}: {failed.first[0][1]}"))
    for each in outcome.together:
        if each.summary:
            print(fitted("           ", f"{each.question} {each.summary}"))
    marked = outcome.marked
    if marked is not None:
        lost = f", {marked.n_lost:,} not found for sure" if marked.n_lost else ""
        print(f"PDFs       {marked.n_files:,} in {job.highlight}, {marked.n_marks:,} quotes marked{lost}")
    print(f"table      {job.output}")
