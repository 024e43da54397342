"""``infer``: the answers to a table of questions, or to one question."""

from __future__ import annotations

import argparse
import json
import math
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.efforts import add_efforts
from qa_extractive.cli.terminal import closed_pipe_is_fine, one_line
from qa_extractive.errors import DataError
from qa_extractive.records import Answer, Question, Span

if TYPE_CHECKING:
    from qa_extractive.predictor import Predictor

NO_ANSWER = "(the paper does not say)"

_BATCH_ONLY = (
    "output",
    "overwrite",
    "resume",
    "errors",
    "max_errors",
    "budget_s",
    "quiet",
    "log_json",
    "engine",
    "address",
    "actors",
    "question_column",
    "context_column",
    "title_column",
)
_SINGLE_ONLY = ("context", "title", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``infer``."""
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument(
        "--batch", type=Path, metavar="F", help="CSV, TSV, JSONL (each also .gz or .zst) or Parquet file"
    )
    mode.add_argument("--question", metavar="Q", help="one question; needs --context")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model", default="default", metavar="M", help="exported folder, model.tar.gz or hf:ID"
    )
    model.add_argument("--threshold", type=float, metavar="P", help="abstain below this probability")
    model.add_argument("--max-risk", type=float, metavar="R", help="highest share of wrong answers, instead")
    model.add_argument("--top-k", type=int, metavar="K", help="also give the K best candidates")
    add_efforts(model)
    model.add_argument("--threads", type=int, metavar="N", help="windows run at once (all CPUs)")
    batch = parser.add_argument_group("with --batch")
    batch.add_argument("--output", type=Path, metavar="F", help="default: <stem>.answers.<suffix>")
    existing = batch.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    existing.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    batch.add_argument("--errors", type=Path, metavar="F", help="write the failed rows here once more")
    batch.add_argument("--max-errors", type=_count, metavar="N", help="stop if more rows than this fail")
    batch.add_argument("--budget-s", type=_seconds, metavar="S", help="exit with 3 if a batch takes longer")
    for part in ("question", "context", "title"):
        batch.add_argument(f"--{part}-column", metavar="NAME", help=f"column that holds the {part}")
    batch.add_argument("--engine", choices=("local", "ray"), help="ray: a cluster, Parquet in and out")
    batch.add_argument("--address", metavar="A", help="of the Ray cluster (a Ray on this machine)")
    batch.add_argument("--actors", type=_count, metavar="N", help="predictors on Ray, of --threads CPUs each")
    log = batch.add_mutually_exclusive_group()
    log.add_argument("--quiet", action="store_true", help="print nothing but errors")
    log.add_argument("--log-json", action="store_true", help="print JSON lines on stderr, nothing else")
    single = parser.add_argument_group("with --question")
    single.add_argument("--context", metavar="C", help="the text to answer from; - for standard input")
    single.add_argument("--title", metavar="T", help="title of the paper")
    single.add_argument("--json", action="store_true", help="print the answer as JSON")


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is no positive number of seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of rows")
    return value


def run(options: argparse.Namespace) -> int:
    """Answer; 0 on success, 1 if rows failed, 3 if a budget was given and missed, 128 + signal if stopped."""
    if isinstance(sys.stdout, TextIOWrapper):  # a character that the terminal cannot show stops nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    if options.batch is None:
        _refuse(options, _BATCH_ONLY, "--batch")
        return _answer_one(options)
    _refuse(options, _SINGLE_ONLY, "--question")
    from qa_extractive.cli.infer_table import answer_batch

    return answer_batch(options)


def _refuse(options: argparse.Namespace, names: tuple[str, ...], mode: str) -> None:
    given = [name for name in names if getattr(options, name) not in (None, False)]
    if given:
        raise DataError(f"--{given[0].replace('_', '-')} goes with {mode}: leave it out")


def predictor_of(options: argparse.Namespace) -> Predictor:
    """The model that the options name, with their settings."""
    from qa_extractive.cli.models import named_predictor

    settings = {
        "threshold": options.threshold,
        "max_risk": options.max_risk,
        "effort": options.effort,
        "kept_mb": options.kept_mb,
        "precision": options.precision,
        "n_threads": options.threads,
    }
    if options.top_k is not None:
        settings["top_k"] = options.top_k
    return named_predictor(options.model, **settings)


# ---------------------------------------------------------------- one question


def _answer_one(options: argparse.Namespace) -> int:
    if options.context is None:
        raise DataError("--question needs --context: give the paper's text, or - for standard input")
    context = _standard_input() if options.context == "-" else options.context
    if not context.strip():
        print("note: the context is empty, so it holds no answer", file=sys.stderr)
    question = Question(options.question, context, options.title)
    predictor = predictor_of(options)
    predictor.check(question)
    answer = predictor.answer_batch([question])[0]
    with closed_pipe_is_fine():
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
        print(f"answer      {one_line(answer.text)}")
        print(f"sentence    {one_line(answer.sentence.text if answer.sentence else '')}")
        print(f"offsets     [{answer.start}:{answer.end}]")
        print(f"score       {answer.score:.3f}  probability that this span is right")
        print(f"answerable  {answer.answerable:.3f}  probability that the text answers the question")
    for span in answer.candidates[1:] if with_candidates else ():
        print(f"or          {_candidate(span)}")


def _candidate(span: Span) -> str:
    return f"{one_line(span.text)}  [{span.start}:{span.end}], score {span.score:.3f}"
