"""``infer --batch``: the answers to a table of questions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_extractive.cli.infer import NO_ANSWER, predictor_of
from qa_extractive.cli.stopping import StopSignals
from qa_extractive.cli.terminal import closed_pipe_is_fine, fitted
from qa_extractive.cli.watching import Style, Watcher, log_event, warnings_shown
from qa_extractive.errors import DataError, QAError
from qa_extractive.records import Answer

if TYPE_CHECKING:
    from qa_extractive.batch import BatchJob, RowResult, Summary
    from qa_extractive.batch.destination import Existing
    from qa_extractive.predictor import Predictor

BUDGET_S = 3.0  # for a batch of 20, on a CPU
EXIT_ROWS_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_OVER_BUDGET = 3
EXIT_SIGNAL = 128

_STOPPING = "finishing the part at hand; once more to stop at once"


def answer_batch(options: argparse.Namespace) -> int:
    """Answer a table as the options say; the exit code."""
    with warnings_shown(_style(options), is_quiet=options.quiet):
        return _answer_batch_or_say(options)


def _answer_batch_or_say(options: argparse.Namespace) -> int:
    if not options.log_json:
        return _answer_batch(options)
    try:
        return _answer_batch(options)
    except QAError as error:
        log_event("error", message=str(error))
        return EXIT_BAD_INPUT


def _answer_batch(options: argparse.Namespace) -> int:
    from qa_extractive.batch.tables import BatchJob, finished_summary, open_destination
    from qa_extractive.dataset.columns import ColumnNames

    names = ColumnNames(options.question_column, options.context_column, options.title_column)
    has_candidates = options.top_k is not None
    destination = open_destination(options.batch, options.output, options.errors, _existing(options))
    state = destination.state()
    if options.resume and state is not None and state.is_finished:
        done = finished_summary(
            predictor_of(options),
            options.batch,
            destination,
            names,
            with_candidates=has_candidates,
            engine=options.engine or "local",
        )
        if done is not None:
            return _say_finished(options, done, destination.output)
    job = BatchJob.open(
        options.batch, options.output, names, existing=_existing(options), errors=options.errors
    )
    predictor = predictor_of(options)
    existed = job.output.exists()
    watcher = Watcher(job.reader.n_rows, _style(options))
    stop = StopSignals(None if options.quiet or options.log_json else _STOPPING)
    with watcher, stop:
        summary = _answer(options, predictor, job, watcher, stop)
    if not summary.is_complete and stop.received is not None:
        _say_stopped(options, summary, job.reader.n_rows, stop.received.name)
        return EXIT_SIGNAL + stop.received
    if options.log_json:
        log_event("finished", output=str(job.output), **_figures(summary))
    elif not options.quiet:
        with closed_pipe_is_fine():
            if watcher.first:
                _print_examples(watcher.first, job.columns.question)
            _print_summary(summary, options)
            print(f"answers       {job.output}{' (replaced)' if existed else ''}")
            if options.errors is not None:
                print(f"errors        {options.errors}")
    return _exit_code(summary, options.budget_s)


def _answer(
    options: argparse.Namespace, predictor: Predictor, job: BatchJob, watcher: Watcher, stop: StopSignals
) -> Summary:
    common: dict[str, Any] = {
        "with_candidates": options.top_k is not None,
        "max_errors": options.max_errors,
        "should_stop": stop.should_stop,
    }
    if options.engine == "ray":
        from qa_extractive.batch.ray_engine import Cluster, answer_table_on_ray

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


def _say_finished(options: argparse.Namespace, summary: Summary, output: Path) -> int:
    if options.log_json:
        log_event("finished", output=str(output), **_figures(summary))
    elif not options.quiet:
        with closed_pipe_is_fine():
            print(_resumed(summary))
            print(f"answers       {output} (finished before; nothing to do)")
    return 0


def _say_stopped(options: argparse.Namespace, summary: Summary, n_rows: int, signal_name: str) -> None:
    if options.log_json:
        log_event("stopped", signal=signal_name, of=n_rows, **_figures(summary))
        return
    where = f"after {summary.n_rows:,} of {n_rows:,} rows"
    how = "go on with the same command and --resume" + (" for --overwrite" if options.overwrite else "")
    print(f"stopped by {signal_name} {where}, which are kept: {how}", file=sys.stderr)


def _figures(summary: Summary) -> dict[str, object]:
    """A summary for a machine."""
    return {
        "rows": summary.n_rows,
        "resumed": summary.n_resumed,
        "answered": summary.n_answered,
        "abstained": summary.n_abstained,
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
    if result.outcome.abstained:
        return NO_ANSWER, ""
    return result.outcome.text, f" ({result.outcome.score:.2f})"


def _print_summary(summary: Summary, options: argparse.Namespace) -> None:
    if options.resume:
        print(_resumed(summary))
    print(f"rows          {summary.n_rows:,} in {summary.seconds:.1f} s, {summary.rows_per_s:,.1f} rows/s")
    print(f"answered      {summary.n_answered:,}")
    print(f"abstained     {summary.n_abstained:,} {NO_ANSWER}")
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
