"""``infer --batch``: the answers to a table of questions."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_extractive._utils.cpus import available_cpus
from qa_extractive._utils.instructions import cpu_and_instructions
from qa_extractive.cli.infer import predictor_of, unanswered_text
from qa_extractive.cli.progress import EventLog, Style, Watcher, event_line, warnings_shown
from qa_extractive.cli.signals import EXIT_SIGNAL, StopSignals
from qa_extractive.cli.terminal import fitted, ignore_broken_pipe, note
from qa_extractive.errors import DataError, QAError
from qa_extractive.types import UNSURE, Answer

if TYPE_CHECKING:
    from qa_extractive.batch import BatchJob, RowResult, Summary
    from qa_extractive.batch.destination import Destination, Existing
    from qa_extractive.data.columns import ColumnNames
    from qa_extractive.predictor import Predictor

BUDGET_S = 3.0  # for a batch of 20, on a CPU
EXIT_ROWS_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_OVER_BUDGET = 3

_STOPPING = "finishing the part at hand; once more to stop at once"


def answer_batch(options: argparse.Namespace) -> int:
    """Answer a table as the options say; the exit code."""
    log = EventLog()
    with warnings_shown(_style(options), log, is_quiet=options.quiet):
        return _answer_batch_or_say(options, log)


def _answer_batch_or_say(options: argparse.Namespace, log: EventLog) -> int:
    if not options.log_json:
        return _answer_batch(options, log)
    try:
        code = _answer_batch(options, log)
    except QAError as error:
        log.write("error", message=str(error))
        return EXIT_BAD_INPUT
    return EXIT_BAD_INPUT if log.is_lost and code < EXIT_SIGNAL else code


def _answer_batch(options: argparse.Namespace, log: EventLog) -> int:
    from qa_extractive.batch.local import BatchJob, open_destination

    names = _names(options)
    destination = open_destination(options.batch, options.output, options.errors, _existing(options))
    done = _finished(options, destination)
    if done is not None:
        return _say_finished(options, done, destination.output, log)
    job = BatchJob.open(
        options.batch,
        options.output,
        names,
        existing=_existing(options),
        errors=options.errors,
        questions=options.question or (),
    )
    _note_unasked(options, job, log)
    predictor = predictor_of(options)
    existed = job.output.exists()
    watcher = Watcher(job.rows.n_rows, _style(options), log)
    with watcher, _stop_signals(options) as stop:
        summary = _answer(options, predictor, job, watcher, stop)
    if not summary.is_complete and stop.received is not None:
        _say_stopped(options, summary, job.rows.n_rows, stop.received.name, log)
        return EXIT_SIGNAL + stop.received
    if options.log_json:
        log.write("finished", output=str(job.output), **_figures(summary))
    elif not options.quiet:
        _print_report(options, summary, job, watcher, existed)
    return _exit_code(summary, options.budget_s)


def _names(options: argparse.Namespace) -> ColumnNames:
    from qa_extractive.data.columns import ColumnNames

    return ColumnNames(options.question_column, options.context_column, options.title_column)


def _finished(options: argparse.Namespace, destination: Destination) -> Summary | None:
    """The summary of a run whose output is there; None if it is not, or is not to be gone on with."""
    from qa_extractive.batch.local import finished_summary

    if destination.finished() is None:
        return None
    return finished_summary(
        predictor_of(options),
        options.batch,
        destination,
        _names(options),
        with_candidates=options.top_k is not None,
        engine=options.engine or "local",
        questions=options.question or (),
    )


def _note_unasked(options: argparse.Namespace, job: BatchJob, log: EventLog) -> None:
    """Say that a table's own questions are not asked, where it has some beside those given."""
    from qa_extractive.batch.questions import AskedRows

    rows = job.rows
    column = rows.unasked() if isinstance(rows, AskedRows) else None
    if column is None or not isinstance(rows, AskedRows):
        return
    told = (
        f"{options.batch} has questions of its own (column {column!r}), which are not asked: --question is. "
        f"They are kept as {rows.kept[column]!r}"
    )
    if options.log_json:
        log.write("note", message=told)
    elif not options.quiet:
        note(f"note: {told}")


def _stop_signals(options: argparse.Namespace) -> StopSignals:
    def first_words(received: signal.Signals) -> str | None:
        if options.log_json:
            return event_line("stopping", signal=received.name)
        return None if options.quiet else f"\n{_STOPPING}"

    def last_words(received: signal.Signals) -> str:
        name = received.name
        return event_line("interrupted", signal=name) if options.log_json else f"stopped at once by {name}"

    return StopSignals(first_words, last_words)


def _print_report(
    options: argparse.Namespace, summary: Summary, job: BatchJob, watcher: Watcher, existed: bool
) -> None:
    try:
        with ignore_broken_pipe():
            if watcher.first:
                _print_examples(watcher.first, job.columns.question)
            _print_summary(summary, options)
            print(f"answers       {job.output}{' (replaced)' if existed else ''}")
            if options.errors is not None:
                print(f"errors        {options.errors}")
    except DataError as error:
        raise DataError(f"{error}; all answers are in {job.output}") from None


def _answer(
    options: argparse.Namespace, predictor: Predictor, job: BatchJob, watcher: Watcher, stop: StopSignals
) -> Summary:
    common: dict[str, Any] = {
        "with_candidates": options.top_k is not None,
        "max_errors": options.max_errors,
        "should_stop": stop.should_stop,
    }
    if options.engine == "ray":
        from qa_extractive.batch.ray import Cluster, answer_table_on_ray

        cluster = Cluster(options.address, options.actors, options.threads or 1)
        return answer_table_on_ray(predictor, job, cluster, on_part=watcher.see_counts, **common)
    if options.address is not None or options.actors is not None:
        raise DataError("--address and --actors go with --engine ray: leave them out")
    from qa_extractive.batch import answer_table

    return answer_table(predictor, job, on_start=watcher.start, on_batch=watcher.see, **common)


def _existing(options: argparse.Namespace) -> Existing:
    return "overwrite" if options.overwrite else "resume" if options.resume else "refuse"


def _style(options: argparse.Namespace) -> Style:
    if options.log_json:
        return "json"
    return "line" if not options.quiet and sys.stderr.isatty() else "nothing"


def _exit_code(summary: Summary, budget_s: float | None) -> int:
    if summary.n_failed:
        return EXIT_ROWS_FAILED
    if budget_s is not None and summary.n_batches_over(budget_s):
        return EXIT_OVER_BUDGET
    return 0


def _say_finished(options: argparse.Namespace, summary: Summary, output: Path, log: EventLog) -> int:
    if options.log_json:
        log.write("finished", output=str(output), **_figures(summary))
    elif not options.quiet:
        with ignore_broken_pipe():
            print(_resumed(summary))
            print(f"answers       {output} (finished before; nothing to do)")
    return 0


def _say_stopped(
    options: argparse.Namespace, summary: Summary, n_rows: int, signal_name: str, log: EventLog
) -> None:
    if options.log_json:
        log.write("stopped", signal=signal_name, of=n_rows, **_figures(summary))
        return
    where = f"after {summary.n_rows:,} of {n_rows:,} rows"
    how = "go on with the same command and --resume" + (" for --overwrite" if options.overwrite else "")
    note(f"stopped by {signal_name} {where}, which are kept: {how}")


def _figures(summary: Summary) -> dict[str, object]:
    """A summary for a machine."""
    return {
        "rows": summary.n_rows,
        "resumed": summary.n_resumed,
        "answered": summary.n_answered,
        "abstained": summary.n_abstained,
        "unsure": summary.n_unsure,
        "repeated": summary.n_repeated,
        "failed": {failures.kind: failures.n_rows for failures in summary.failures},
        "seconds": round(summary.seconds, 3),
        "rows_per_s": round(summary.rows_per_s, 2),
    }


def _resumed(summary: Summary) -> str:
    return f"resumed {summary.n_resumed} rows"


def _print_examples(results: list[RowResult], question_column: str) -> None:
    for result in results:
        question = result.row.values.get(question_column)
        print(fitted(f"{result.row.number:>3}  ", "" if question is None else str(question)))
        print(fitted("     -> ", *_outcome_text(result)))
    print()


def _outcome_text(result: RowResult) -> tuple[str, str]:
    """What became of a row, and what must still be seen where that is cut short."""
    if not isinstance(result.outcome, Answer):
        return f"(failed: {result.outcome.message})", ""
    if not result.outcome.abstained:
        return result.outcome.text, f" ({result.outcome.score:.2f})"
    best = result.outcome.best if result.outcome.status == UNSURE else None
    return unanswered_text(result.outcome), "" if best is None else f" ({best.score:.2f})"


def _print_summary(summary: Summary, options: argparse.Namespace) -> None:
    if options.resume:
        print(_resumed(summary))
    print(f"rows          {summary.n_rows:,} in {summary.seconds:.1f} s, {summary.rows_per_s:,.1f} rows/s")
    print(f"answered      {summary.n_answered:,}")
    n_silent = summary.n_abstained - summary.n_unsure
    print(
        f"abstained     {summary.n_abstained:,}: {summary.n_unsure:,} not sure, {n_silent:,} not in the paper"
    )
    if summary.n_repeated:
        print(f"repeated      {summary.n_repeated:,} of them, with the texts of an earlier row")
    print(f"failed        {summary.n_failed:,}")
    for failures in summary.failures:
        print(f"  {failures.n_rows:,} {failures.kind}")
        for number, message in failures.first:
            print(fitted(f"    row {number}: ", message))
        if failures.n_rows > len(failures.first):
            print("    ... see the column 'error'")
    if options.engine != "ray":  # it times no batches
        budget_s = options.budget_s or BUDGET_S
        print(f"batch of 20   {_batch_times(summary)}")
        print(f"budget        {budget_s:g} s a batch: {_verdict(summary, budget_s)}")
    print(fitted("CPU           ", _cpu()))


def _cpu() -> str:
    """What the times were measured on."""
    name, instructions = cpu_and_instructions()
    told = [f"{available_cpus()} CPUs", *instructions, name]  # a long name may be cut off
    return ", ".join(part for part in told if part)


def _batch_times(summary: Summary) -> str:
    n_full = len(summary.batch_ms)
    if not n_full:
        return f"none: fewer than 20 questions, which took {sum(summary.short_batch_ms):,.0f} ms"
    p50, p95, longest = (summary.batch_quantile_ms(share) or 0.0 for share in (0.5, 0.95, 1.0))
    return f"p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, max {longest:,.0f} ms, of {n_full:,}"


def _verdict(summary: Summary, budget_s: float) -> str:
    n_over = summary.n_batches_over(budget_s)
    n_batches = len(summary.batch_ms) + len(summary.short_batch_ms)
    return f"missed by {n_over:,} of {n_batches:,} batches" if n_over else "ok"
