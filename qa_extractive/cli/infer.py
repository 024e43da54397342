"""``infer``: the answers to a table of questions, or to one question."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.errors import DataError
from qa_extractive.records import Answer, Question, Span

if TYPE_CHECKING:
    from qa_extractive.batch import Batch, RowResult, Summary
    from qa_extractive.predictor import Predictor

BUDGET_S = 3.0  # for a batch of 20, on a CPU
EXIT_ROWS_FAILED = 1
EXIT_OVER_BUDGET = 3
NO_ANSWER = "(the paper does not say)"

_BATCH_ONLY = ("output", "budget_s", "quiet", "question_column", "context_column", "title_column")
_SINGLE_ONLY = ("context", "title", "json")
_N_EXAMPLES = 5
_PROGRESS_SECONDS = 0.2
# Control characters and what turns the direction of a line: a paper must not steer a terminal.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``infer``."""
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument(
        "--batch", type=Path, metavar="F", help="CSV, TSV, JSONL (each also .gz) or Parquet file"
    )
    mode.add_argument("--question", metavar="Q", help="one question; needs --context")
    model = parser.add_argument_group("model")
    model.add_argument("--model", default="default", metavar="M", help="exported folder or hf:ID")
    model.add_argument("--threshold", type=float, metavar="P", help="abstain below this probability")
    model.add_argument("--max-risk", type=float, metavar="R", help="highest share of wrong answers, instead")
    model.add_argument("--top-k", type=int, metavar="K", help="also give the K best candidates")
    model.add_argument("--threads", type=int, metavar="N", help="windows run at once (all CPUs)")
    batch = parser.add_argument_group("with --batch")
    batch.add_argument("--output", type=Path, metavar="F", help="default: <stem>.answers.<suffix>")
    batch.add_argument("--budget-s", type=_seconds, metavar="S", help="exit with 3 if a batch takes longer")
    for part in ("question", "context", "title"):
        batch.add_argument(f"--{part}-column", metavar="NAME", help=f"column that holds the {part}")
    batch.add_argument("--quiet", action="store_true", help="print nothing but errors")
    single = parser.add_argument_group("with --question")
    single.add_argument("--context", metavar="C", help="the text to answer from; - for standard input")
    single.add_argument("--title", metavar="T", help="title of the paper")
    single.add_argument("--json", action="store_true", help="print the answer as JSON")


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is no positive number of seconds")
    return value


def run(options: argparse.Namespace) -> int:
    """Answer; 0 on success, 1 if rows failed, 3 if a budget was given and missed."""
    if isinstance(sys.stdout, TextIOWrapper):  # a character that the terminal cannot show stops nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    if options.batch is None:
        _refuse(options, _BATCH_ONLY, "--batch")
        return _answer_one(options)
    _refuse(options, _SINGLE_ONLY, "--question")
    return _answer_batch(options)


def _refuse(options: argparse.Namespace, names: tuple[str, ...], mode: str) -> None:
    given = [name for name in names if getattr(options, name) not in (None, False)]
    if given:
        raise DataError(f"--{given[0].replace('_', '-')} goes with {mode}: leave it out")


def _predictor(options: argparse.Namespace) -> Predictor:
    from qa_extractive.cli.models import named_predictor

    settings = {"threshold": options.threshold, "max_risk": options.max_risk, "n_threads": options.threads}
    if options.top_k is not None:
        settings["top_k"] = options.top_k
    return named_predictor(options.model, **settings)


# ---------------------------------------------------------------- one question


def _answer_one(options: argparse.Namespace) -> int:
    if options.context is None:
        raise DataError("--question needs --context: give the paper's text, or - for standard input")
    context = _standard_input() if options.context == "-" else options.context
    if not context.strip():
        raise DataError("the context is empty: give the paper's text")
    question = Question(options.question, context, options.title)
    predictor = _predictor(options)
    predictor.check(question)
    answer = predictor.answer_batch([question])[0]
    with _closed_pipe_is_fine():
        if options.json:
            print(json.dumps(answer.to_dict()))
        else:
            _print_answer(answer, predictor.threshold, with_candidates=options.top_k is not None)
    return 0


def _standard_input() -> str:
    if sys.stdin.isatty():
        print("type or paste the context, then Ctrl-D on a line of its own", file=sys.stderr)
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input, byte {error.start}: not UTF-8: convert it with iconv") from None


def _print_answer(answer: Answer, threshold: float, *, with_candidates: bool) -> None:
    if answer.abstained:
        print(f"answer      {NO_ANSWER}")
        print(f"answerable  {answer.answerable:.3f}, below the threshold of {threshold:.3f}")
        for span in answer.candidates[:1]:
            print(f"closest     {_candidate(span)}")
    else:
        print(f"answer      {_one_line(answer.text)}")
        print(f"sentence    {_one_line(answer.sentence.text if answer.sentence else '')}")
        print(f"offsets     [{answer.start}:{answer.end}]")
        print(f"score       {answer.score:.3f}  probability that this span is right")
        print(f"answerable  {answer.answerable:.3f}  probability that the text answers the question")
    for span in answer.candidates[1:] if with_candidates else ():
        print(f"or          {_candidate(span)}")


def _candidate(span: Span) -> str:
    return f"{_one_line(span.text)}  [{span.start}:{span.end}], score {span.score:.3f}"


# ---------------------------------------------------------------- a table


def _answer_batch(options: argparse.Namespace) -> int:
    from qa_extractive.batch import BatchJob, answer_table
    from qa_extractive.dataset.columns import ColumnNames

    names = ColumnNames(options.question_column, options.context_column, options.title_column)
    job = BatchJob.open(options.batch, options.output, names)
    predictor = _predictor(options)
    watcher = _Watcher(job.reader.n_rows, shows_progress=not options.quiet and sys.stderr.isatty())
    existed = job.output.exists()
    with watcher:
        summary = answer_table(
            predictor, job, with_candidates=options.top_k is not None, on_batch=watcher.see
        )
    if not options.quiet:
        with _closed_pipe_is_fine():
            _print_examples(watcher.first, job.columns.question)
            _print_summary(summary, options.budget_s or BUDGET_S)
            print(f"answers       {job.output}{' (replaced)' if existed else ''}")
    return _exit_code(summary, options.budget_s)


def _exit_code(summary: Summary, budget_s: float | None) -> int:
    if summary.n_failed:
        return EXIT_ROWS_FAILED
    if budget_s is not None and summary.n_batches_over(budget_s):
        return EXIT_OVER_BUDGET
    return 0


class _Watcher:
    """Keeps the first results and, on a terminal, shows how far a run is, on one line of stderr."""

    def __init__(self, n_rows: int, *, shows_progress: bool) -> None:
        self.first: list[RowResult] = []
        self._n_rows = n_rows
        self._n_done = 0
        self._shows_progress = shows_progress
        self._started = self._shown = time.monotonic()

    def see(self, batch: Batch) -> None:
        self.first += batch.results[: _N_EXAMPLES - len(self.first)]
        self._n_done += len(batch.results)
        now = time.monotonic()
        if self._shows_progress and now - self._shown >= _PROGRESS_SECONDS:
            self._shown = now
            _overwrite(self._line(now - self._started))

    def _line(self, seconds: float) -> str:
        rate = self._n_done / seconds
        minutes, rest = divmod(int((self._n_rows - self._n_done) / rate), 60)
        return f"{self._n_done:,} of {self._n_rows:,} rows, {rate:.1f} rows/s, {minutes}:{rest:02} left"

    def __enter__(self) -> _Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shows_progress:
            _overwrite("")


def _overwrite(line: str) -> None:
    """Replace the last line of stderr, leaving the cursor at its start."""
    room = _width() - 1
    print(f"\r{line:<{room}.{room}}\r", end="", file=sys.stderr, flush=True)


def _print_examples(results: list[RowResult], question_column: str) -> None:
    for result in results:
        question = result.row.values.get(question_column)
        print(_fitted(f"{result.row.number:>3}  ", "" if question is None else str(question)))
        print(_fitted("     -> ", *_outcome_text(result)))
    print()


def _outcome_text(result: RowResult) -> tuple[str, str]:
    """What became of a row, and what must still be seen where that is cut short."""
    if not isinstance(result.outcome, Answer):
        return f"(failed: {result.outcome.message})", ""
    if result.outcome.abstained:
        return NO_ANSWER, ""
    return result.outcome.text, f" ({result.outcome.score:.2f})"


def _print_summary(summary: Summary, budget_s: float) -> None:
    print(f"rows          {summary.n_rows:,} in {summary.seconds:.1f} s, {summary.rows_per_s:,.1f} rows/s")
    print(f"answered      {summary.n_answered:,}")
    print(f"abstained     {summary.n_abstained:,} {NO_ANSWER}")
    print(f"failed        {summary.n_failed:,}")
    for failures in summary.failures:
        print(f"  {failures.n_rows:,} {failures.kind}")
        for number, message in failures.first:
            print(_fitted(f"    row {number}: ", message))
        if failures.n_rows > len(failures.first):
            print("    ... see the column 'error'")
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


# ---------------------------------------------------------------- terminals and pipes


def _one_line(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.split()))


def _fitted(head: str, text: str, tail: str = "") -> str:
    """Head, text and tail on one line of the terminal; only the text is cut short."""
    text, room = _one_line(text), max(20, _width() - len(head) - len(tail))
    return head + (text if len(text) <= room else text[: room - 3] + "...") + tail


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


@contextmanager
def _closed_pipe_is_fine() -> Iterator[None]:
    """Whoever reads our output may stop early (``| head``)."""
    try:
        yield
        print(end="", flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # or the flush at exit would fail again
        os.dup2(nowhere, sys.stdout.fileno())
