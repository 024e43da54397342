"""``infer``: the answers to a table of questions, or to one question."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive._utils.files import is_file
from qa_extractive.cli.model_options import add_model_arguments, chosen_settings
from qa_extractive.cli.terminal import ignore_broken_pipe, note, one_line
from qa_extractive.errors import DataError
from qa_extractive.settings import LONG_CONTEXT_CHARACTERS
from qa_extractive.types import ANSWERED, NOT_REPORTED, UNSURE, Answer, Question, Span

if TYPE_CHECKING:
    from qa_extractive.predictor import Predictor

NO_ANSWER = "This paper does not say."
NOT_SURE = "Not sure. Closest:"

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
_SINGLE_ONLY = ("context", "context_file", "title", "json")

# What a name of a file looks like: no text of a paper is one word with such an end or such a beginning.
_FILE_NAME = re.compile(
    r"\S+\.(txt|text|md|pdf|docx?|odt|rtf|html?|xml|nxml|json|jsonl|csv|tsv|xlsx?|tex|parquet|gz|zst|zip)"
    r"|(/|\.{1,2}/|~/|[A-Za-z]:[\\/])\S*",
    re.IGNORECASE,
)
_MAX_NAME_CHARACTERS = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``infer``."""
    parser.add_argument(
        "--batch", type=Path, metavar="F", help="CSV, TSV, JSONL (each also .gz or .zst) or Parquet file"
    )
    parser.add_argument(
        "--question",
        action="append",
        metavar="Q",
        help="asked of one text (--context, --context-file) or of every row of --batch; may be repeated",
    )
    model = add_model_arguments(parser)
    model.add_argument("--top-k", type=int, metavar="K", help="also give the K best candidates")
    model.add_argument(
        "--max-context-characters", type=int, metavar="N", help="refuse longer texts (default: no limit)"
    )
    batch = parser.add_argument_group("with --batch")
    batch.add_argument("--output", type=Path, metavar="F", help="default: <stem>.answers.<suffix>")
    existing = batch.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    existing.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    batch.add_argument("--errors", type=Path, metavar="F", help="also write the failed rows to F")
    batch.add_argument("--max-errors", type=_count, metavar="N", help="stop if more rows than this fail")
    batch.add_argument(
        "--budget-s", type=_seconds, metavar="S", help="exit with 3 if a batch takes more than S seconds"
    )
    for part in ("question", "context", "title"):
        batch.add_argument(f"--{part}-column", metavar="NAME", help=f"column that holds the {part}")
    batch.add_argument("--engine", choices=("local", "ray"), help="ray: a cluster, Parquet in and out")
    batch.add_argument(
        "--address", metavar="A", help="address of the Ray cluster (default: Ray on this machine)"
    )
    batch.add_argument("--actors", type=_count, metavar="N", help="predictors on Ray, of --threads CPUs each")
    log = batch.add_mutually_exclusive_group()
    log.add_argument("--quiet", action="store_true", help="print nothing but errors")
    log.add_argument("--log-json", action="store_true", help="print JSON lines on stderr, nothing else")
    single = parser.add_argument_group("with --question, without --batch")
    text = single.add_mutually_exclusive_group()
    text.add_argument("--context", metavar="C", help="the text to answer from; - for standard input")
    text.add_argument("--context-file", metavar="F", help="a file with the text, UTF-8; - for standard input")
    single.add_argument("--title", metavar="T", help="title of the paper")
    single.add_argument("--json", action="store_true", help="print the answer as JSON")


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of rows")
    return value


def run(options: argparse.Namespace) -> int:
    """Answer; 0 on success, 1 if rows failed, 3 if a budget was given and missed, 128 + signal if stopped."""
    if isinstance(sys.stdout, TextIOWrapper):  # a character that the terminal cannot show stops nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    if options.batch is None:
        _refuse(options, _BATCH_ONLY, "goes with --batch")
        return _answer_text(options)
    _refuse(options, _SINGLE_ONLY, "goes with --question alone, not with --batch")
    from qa_extractive.cli.infer_table import answer_batch

    return answer_batch(options)


def _refuse(options: argparse.Namespace, names: tuple[str, ...], why: str) -> None:
    given = [name for name in names if getattr(options, name) not in (None, False)]
    if given:
        raise DataError(f"--{given[0].replace('_', '-')} {why}: leave it out")


def predictor_of(options: argparse.Namespace) -> Predictor:
    """The model that the options name, with their settings."""
    from qa_extractive.cli.models import named_predictor

    return named_predictor(options.model, **chosen_settings(options, "top_k", "max_context_characters"))


# ---------------------------------------------------------------- one text


def _answer_text(options: argparse.Namespace) -> int:
    if not options.question:
        raise DataError("no question is given: use --batch F, or --question Q with --context C; see --help")
    context = _context(options)
    questions = [Question(question, context, options.title) for question in options.question]
    if not context.strip():
        note("note: the context is empty, so it holds no answer")
    predictor = predictor_of(options)
    for question in questions:
        predictor.check(question)
    if len(context) > LONG_CONTEXT_CHARACTERS:
        note(f"note: a context of {len(context):,} characters takes minutes")
    answers = predictor.answer_batch(questions)
    if sys.stdout is None:
        raise DataError("standard output is closed: give the answer somewhere to go")
    with ignore_broken_pipe():
        for number, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            if options.json:
                print(json.dumps(answer.to_dict()))
                continue
            if len(questions) > 1:
                print(f"{chr(10) if number else ''}question    {one_line(question.question)}")
            _print_answer(answer, predictor.threshold, with_candidates=options.top_k is not None)
    return 0


def _context(options: argparse.Namespace) -> str:
    if options.context_file is not None:
        return standard_input() if options.context_file == "-" else file_text(Path(options.context_file))
    if options.context is None:
        raise DataError(
            "--question needs --context: give the paper's text, - for standard input, or --context-file F"
        )
    if options.context == "-":
        return standard_input()
    _refuse_file_name(options.context)
    return str(options.context)


def _refuse_file_name(context: str) -> None:
    """Raise DataError where a context is no text but the name of a file, which is a likely slip."""
    name = context.strip()
    if not name or len(name) > _MAX_NAME_CHARACTERS or "\n" in name:
        return
    if is_file(name):
        raise DataError(f"--context takes a text, and {name} is a file: give --context-file {name}")
    if _FILE_NAME.fullmatch(name):
        raise DataError(
            f"--context takes a text, and {name} looks like the name of a file, which does not exist: give "
            "the text, or --context-file with a file that does"
        )


def file_text(path: Path) -> str:
    """The text of a file, line ends as they are."""
    from qa_extractive.tables.text_files import open_text
    from qa_extractive.tables.writing import naming

    with naming(path):
        is_empty = path.is_file() and not path.stat().st_size
    if is_empty:
        return ""
    with open_text(path, newline="") as stream:
        text = stream.read()
    if text.startswith("%PDF-"):
        raise DataError(
            f"{path} is a PDF, not text: ask it with 'qa-extractive table', or run 'prepare' on it"
        )
    return text


def standard_input() -> str:
    """What stands there, as text; DataError if it is closed or no UTF-8."""
    if sys.stdin is None:
        raise DataError("standard input is closed: give the text itself, or --context-file F")
    if sys.stdin.isatty():
        note("type or paste the context, then Ctrl-D on a line of its own")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input, byte {error.start}: not UTF-8: convert it with iconv") from None


def _print_answer(answer: Answer, threshold: float, *, with_candidates: bool) -> None:
    if answer.status == ANSWERED:
        print(f"answer      {_verdict(answer)}{one_line(answer.text)}")
        print(f"sentence    {one_line(answer.sentence.text if answer.sentence else '')}")
        print(f"offsets     [{answer.start}:{answer.end}]")
        print(f"score       {answer.score:.3f}  probability that this span is right")
        print(f"answerable  {answer.answerable:.3f}  probability that the text answers the question")
    else:
        print(f"answer      {unanswered_text(answer)}")
        if answer.status == UNSURE and answer.best is not None:
            print(f"offsets     [{answer.best.start}:{answer.best.end}]")
            print(f"score       {answer.best.score:.3f}  probability that this span is right")
        print(f"answerable  {answer.answerable:.3f}, below the threshold of {threshold:.3f}")
    n_shown = 0 if answer.status == NOT_REPORTED else 1
    for span in answer.candidates[n_shown:] if with_candidates else ():
        print(f"or          {_candidate(span)}")


def _verdict(answer: Answer) -> str:
    """What leads the quote that answers a yes/no question: "Yes (82 %): "."""
    if answer.verdict is None or answer.verdict_score is None:
        return ""
    sure = "over 99" if 0.99 < answer.verdict_score < 1.0 else f"{100 * answer.verdict_score:.0f}"
    return f"{answer.verdict.capitalize()} ({sure} %): "


def unanswered_text(answer: Answer) -> str:
    """What an abstention says: the closest span where it is worth a look."""
    if answer.status == UNSURE and answer.best is not None:
        return f"{NOT_SURE} {one_line(answer.best.text)}"
    return NO_ANSWER


def _candidate(span: Span) -> str:
    return f"{one_line(span.text)}  [{span.start}:{span.end}], score {span.score:.3f}"
