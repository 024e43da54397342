"""``evaluate``: systems and labelled files in; a table, ``metrics.json`` and a report out."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive import __version__
from qa_extractive.cli.endpoint_options import add_endpoint_arguments, count, endpoint_settings, price
from qa_extractive.cli.evaluate_table import comparison_text, floor_text, table_text
from qa_extractive.cli.labelled_rows import add_columns, column_names, warn, warn_of_skipped
from qa_extractive.cli.model_options import add_precision
from qa_extractive.cli.safe_print import steady_stdout
from qa_extractive.errors import DataError
from qa_extractive.types import Example

if TYPE_CHECKING:
    from qa_extractive.data.labels import Labels
    from qa_extractive.evaluation.chat_endpoint import EndpointSettings
    from qa_extractive.evaluation.measure import Measured, Settings
    from qa_extractive.evaluation.run import Results
    from qa_extractive.evaluation.systems import System
    from qa_extractive.report.content import Report

_N_PROBLEMS_SHOWN = 5
_TERMINAL = (120, 24)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``evaluate``."""
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        required=True,
        metavar="F",
        help="labelled files, a data set each: CSV, TSV, JSONL, Parquet, SQuAD or PubMedQA JSON",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="F",
        help="a table of id, answerable, reference (and verdict) for data without answers, joined on the id; "
        "' || ' parts references of which any is right",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        action="extend",
        metavar="M",
        help="systems: 'default'; the folder of an exported model; either after fast: or cached:, at that "
        "effort, or after exact:, in that precision; hf:ID, hub id or folder of any question-answering "
        "checkpoint; torch:FOLDER as train.py writes it; baseline:first|last|tfidf|majority|abstain; "
        "openai:NAME (default: default)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="D",
        help="folder of metrics.json, report.md, report.html and the predictions of each system",
    )
    add_precision(parser)
    _add_figure_arguments(parser)
    add_endpoint_arguments(parser)
    add_columns(parser)


def _add_figure_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the figures depend on besides data and systems."""
    parser.add_argument(
        "--no-report", action="store_true", help="write metrics.json only: no report, no predictions"
    )
    parser.add_argument(
        "--slice",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="columns of the data, such as year, to break the figures down by, besides lengths and kinds of "
        "questions",
    )
    parser.add_argument(
        "--price-per-hour",
        type=price,
        metavar="P",
        help="price of an hour of this machine, in any currency: gives the cost of a million questions",
    )
    parser.add_argument(
        "--limit",
        type=count,
        metavar="N",
        help="at most N rows of each file: a sample drawn with the seed, kept in the order of the file",
    )
    parser.add_argument(
        "--seed", type=int, default=17, metavar="N", help="seed of --limit and of the intervals (%(default)s)"
    )
    parser.add_argument(
        "--bootstrap",
        type=_not_negative,
        default=1000,
        metavar="N",
        help="resamples of whole documents for the 95%% intervals; 0 for no intervals (%(default)s)",
    )


@steady_stdout()
def run(options: argparse.Namespace) -> int:
    """Evaluate; 0 on success, 1 if a row could not be read or answered, or an answer is not verbatim."""
    import sklearn  # noqa: F401 - that it is missing must show before the work, not after it

    _make_folder(options.output)
    data = _load(options)
    models = options.model or ["default"]
    settings = _settings(options, data)
    endpoint = endpoint_settings(options)
    # All, before any starts.
    systems = [_open_systems(models, each.examples, endpoint, options.precision) for each in data]
    runs = [[_run(system, each) for system in own] for own, each in zip(systems, data, strict=True)]
    report = _measure(options, settings, data, systems, runs)
    _print_tables(report)
    written = _write(options, report, runs)
    print("", _legend(options), *written, sep="\n")
    return _report_problems(report)


def _settings(options: argparse.Namespace, data: Sequence[_Data]) -> Settings:
    from qa_extractive.evaluation.measure import Settings
    from qa_extractive.evaluation.slices import check_columns

    check_columns([example for each in data for example in each.examples], options.slice)
    return Settings(options.bootstrap, options.seed, options.price_per_hour, tuple(options.slice))


def _measure(
    options: argparse.Namespace,
    settings: Settings,
    data: Sequence[_Data],
    systems: Sequence[Sequence[System]],
    runs: Sequence[Sequence[Results]],
) -> Report:
    from qa_extractive.evaluation.circumstances import circumstances
    from qa_extractive.evaluation.footprint import footprint_of
    from qa_extractive.evaluation.measure import measure
    from qa_extractive.evaluation.run import join_results
    from qa_extractive.report.content import Report

    footprints = [footprint_of(system, own.rows) for system, own in zip(systems[0], runs[0], strict=True)]
    measured = [
        measure(each.name, own, each.n_tokens, settings, n_skipped=each.n_skipped, footprints=footprints)
        for each, own in zip(data, runs, strict=True)
    ]
    together = measured[0]
    if len(data) > 1:
        together = measure(
            f"all {len(data)} files together",
            [join_results(of_system) for of_system in zip(*runs, strict=True)],
            [n for each in data for n in each.n_tokens],
            settings,
            n_skipped=sum(each.n_skipped for each in data),
            footprints=footprints,
        )
    labels = None if options.labels is None else options.labels.name
    made = circumstances(["qa-extractive", *options.arguments])
    return Report(tuple(measured), together, settings, __version__, options.limit, labels, made)


def _print_tables(report: Report) -> None:
    width = shutil.get_terminal_size(_TERMINAL).columns
    for each in [*report.data, *([report.together] if len(report.data) > 1 else [])]:
        print(table_text(_title(each), each.evaluations, width=width))
        for text in filter(None, (floor_text(each.verdict_floor), comparison_text(each.comparisons))):
            print(text)


def _title(measured: Measured) -> str:
    skipped = f" ({measured.n_skipped:,} more could not be read)" if measured.n_skipped else ""
    return f"{measured.name}: {measured.n_rows:,} rows{skipped}"


def _write(options: argparse.Namespace, report: Report, runs: Sequence[Sequence[Results]]) -> list[Path]:
    """The files written, ``metrics.json`` last."""
    from qa_extractive.report.writing import write_all_predictions, write_metrics, write_report

    metrics = write_metrics(options.output, report)  # first: what fails later takes nothing with it
    if options.no_report:
        return [metrics]
    names = [each.name for each in report.data]
    predictions = write_all_predictions(options.output, names, runs, warn=warn)
    return [*predictions, *write_report(options.output, report, warn=warn), metrics]


def _report_problems(report: Report) -> int:
    for each in report.data:
        for evaluation in each.evaluations:
            for problem in evaluation.problems:
                print(f"error: {evaluation.system} on {each.name}: {problem}", file=sys.stderr)
    is_sound = not any(e.problems for each in report.data for e in each.evaluations)
    return 0 if is_sound and not any(each.n_skipped for each in report.data) else 1


def _legend(options: argparse.Namespace) -> str:
    intervals = f"; in brackets 95 % intervals from {options.bootstrap:,} resamples of whole documents"
    return (
        f"F1, EM, ROUGE-L and shares in percent{intervals if options.bootstrap else ''}.\n"
        "F1 and EM are SQuAD 2.0's, an abstention being an empty answer; never abstaining, where every row\n"
        "is answerable, SQuAD 1.1's. ROUGE-L and evidence are those of never abstaining. A batch is 20 rows."
    )


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative")
    return value


@dataclass(frozen=True, slots=True)
class _Data:
    """A data set: the rows of a file that are evaluated.

    Attributes:
        name: The name of the file, with as many of its folders as tell it from the others.
        examples: Its rows.
        n_tokens: The tokens of each.
        n_skipped: Rows of the file that could not be read.
    """

    name: str
    examples: tuple[Example, ...]
    n_tokens: tuple[int, ...]
    n_skipped: int


def _load(options: argparse.Namespace) -> list[_Data]:
    from qa_extractive.data.labels import Labels

    labels = None if options.labels is None else Labels(options.labels, options.id_column, warn=warn)
    paths = list({_real(path): path for path in options.data}.values())
    data = [
        _load_file(path, name, labels, options) for path, name in zip(paths, _short_names(paths), strict=True)
    ]
    if labels is not None:
        labels.check_use()
    return data


def _load_file(path: Path, name: str, labels: Labels | None, options: argparse.Namespace) -> _Data:
    from qa_extractive.data.loading import load_examples
    from qa_extractive.evaluation.lengths import count_tokens

    loaded = load_examples(path, names=column_names(options))
    warn_of_skipped(loaded.problems, _N_PROBLEMS_SHOWN, f" of {path}")
    if not loaded.examples:
        raise DataError(f"{path} holds no row that can be used: give a file with questions and contexts")
    _warn_of_verdicts(path, loaded.examples)
    examples = loaded.examples if labels is None else labels.join(loaded.examples, path)
    if all(e.answerable is None and not e.references and not e.spans for e in examples):
        warn(f"{path} holds no answers, so little can be measured: give a file of them with --labels")
    sample = _sample(examples, options.limit, options.seed)
    return _Data(name, sample, count_tokens(sample), len(loaded.problems))


def _warn_of_verdicts(path: Path, examples: Sequence[Example]) -> None:
    """Say so where a column ``verdict`` holds other things: they are no right verdicts."""
    from qa_extractive.data.answerable import unknown_verdicts
    from qa_extractive.tables.headers import fold

    cells = [cell for e in examples for name, cell in e.fields.items() if fold(name) == "verdict"]
    if problem := unknown_verdicts(cells):
        warn(f"{path}: {problem}")


def _sample(examples: tuple[Example, ...], limit: int | None, seed: int) -> tuple[Example, ...]:
    if limit is None or limit >= len(examples):
        return examples
    return tuple(examples[i] for i in sorted(random.Random(seed).sample(range(len(examples)), limit)))


def _short_names(paths: Sequence[Path], taken: Sequence[str] = ()) -> list[str]:
    """The last parts of each of these distinct paths, as few as tell all of them apart and from others."""
    parts = [_real(path).parts for path in paths]
    for n in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(own[-n:]) for own in parts]
        if len({*names, *taken}) == len(names) + len(taken):
            return names
    return [str(path) for path in paths]


def _real(path: Path) -> Path:
    """Where a path leads; one that leads nowhere is refused where it is read."""
    return Path(os.path.realpath(path))


def _open_systems(
    models: Sequence[str], examples: Sequence[Example], endpoint: EndpointSettings, precision: str
) -> list[System]:
    """The systems in order, each once; a folder is named by its last part, or as many as it needs."""
    from qa_extractive.evaluation.systems import folder_of, open_system, prefix_of

    folders = {model: _real(folder) for model in models if (folder := folder_of(model)) is not None}
    others = [model for model in dict.fromkeys(models) if model not in folders]
    paths = list(dict.fromkeys(folders.values()))
    short = dict(zip(paths, _short_names(paths, others), strict=True))
    names = {model: prefix_of(model) + short[path] for model, path in folders.items()}
    named: dict[str, str] = {}
    for model in models:
        named.setdefault(names.get(model, model), model)
    return [
        open_system(model, examples, name=name, endpoint=endpoint, precision=precision)
        for name, model in named.items()
    ]


def _run(system: System, data: _Data) -> Results:
    from qa_extractive.evaluation.run import run_system

    with _progress(f"{system.name} on {data.name}") as progress:
        return run_system(system, data.examples, n_tokens=data.n_tokens, progress=progress)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A line on standard error that shows the rows done; nothing unless that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    started = time.perf_counter()

    def show(n_done: int, n_rows: int) -> None:
        rate = n_done / max(time.perf_counter() - started, 1e-9)
        line = f"{what}: {n_done:,} of {n_rows:,} rows, {rate:,.0f} rows/s"
        print(
            f"\r\033[K{line[: shutil.get_terminal_size(_TERMINAL).columns - 1]}",
            end="",
            file=sys.stderr,
            flush=True,
        )

    try:
        yield show
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--output {folder} cannot be made a folder: {error.strerror}") from None
