"""``evaluate``: systems and labelled files in, a table and ``metrics.json`` out."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_extractive import __version__
from qa_extractive.cli.evaluate_table import table_text
from qa_extractive.errors import DataError
from qa_extractive.records import Example

if TYPE_CHECKING:
    from qa_extractive.dataset.labels import Labels
    from qa_extractive.evaluation.figures import Evaluation
    from qa_extractive.evaluation.running import Results
    from qa_extractive.evaluation.systems import System

METRICS_FILE = "metrics.json"
SCHEMA_VERSION = 1
_N_PROBLEMS_SHOWN = 5
_COLUMNS = ("question", "context", "title", "answer", "answerable", "id")
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
        help="a table of id, answerable, reference for data without answers, joined on the id; ' || ' parts "
        "references of which any is right",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        action="extend",
        metavar="M",
        help="systems: 'default', the folder of an exported model, "
        "baseline:first|last|tfidf|majority|abstain (default: default)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="D", help=f"folder of {METRICS_FILE}")
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help="at most N rows of each file: a sample drawn with the seed, kept in the order of the file",
    )
    parser.add_argument(
        "--seed", type=int, default=17, metavar="N", help="of --limit and intervals (%(default)s)"
    )
    parser.add_argument(
        "--bootstrap",
        type=_not_negative,
        default=1000,
        metavar="N",
        help="resamples of whole documents for the 95%% intervals; 0 for no intervals (%(default)s)",
    )
    for option in _COLUMNS:
        parser.add_argument(f"--{option}-column", metavar="NAME", help=f"name of the {option} column")


def run(options: argparse.Namespace) -> int:
    """Evaluate; 0 on success, 1 if a row could not be read or answered, or an answer is not verbatim."""
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal cannot show stops nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    import sklearn  # noqa: F401 - that it is missing must show before the work, not after it

    _make_folder(options.output)
    data = _load(options)
    models = options.model or ["default"]
    systems = [_open_systems(models, each.examples) for each in data]  # all, before the first one starts
    runs = [[_run(system, each) for system in own] for own, each in zip(systems, data, strict=True)]
    evaluated = [[_score(results, options) for results in own] for own in runs]
    together = evaluated[0] if len(data) == 1 else _together(runs, options)
    width = shutil.get_terminal_size(_TERMINAL).columns
    for each, evaluations in zip(data, evaluated, strict=True):
        print(table_text(each.title, evaluations, width=width))
    if len(data) > 1:
        print(table_text(f"all {len(data)} files together", together, width=width))
    _write(options.output / METRICS_FILE, _metrics(options, data, evaluated, together))
    print(f"\n{_legend(options)}\n{options.output / METRICS_FILE}")
    return _report_problems(data, evaluated)


def _report_problems(data: Sequence[_Data], evaluated: Sequence[Sequence[Evaluation]]) -> int:
    for each, evaluations in zip(data, evaluated, strict=True):
        for evaluation in evaluations:
            for problem in evaluation.problems:
                print(f"error: {evaluation.system} on {each.name}: {problem}", file=sys.stderr)
    is_sound = not any(e.problems for evaluations in evaluated for e in evaluations)
    return 0 if is_sound and not any(each.n_skipped for each in data) else 1


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


def _positive(text: str) -> int:
    value = _not_negative(text)
    if not value:
        raise argparse.ArgumentTypeError("give at least 1")
    return value


@dataclass(frozen=True, slots=True)
class _Data:
    """A data set: the rows of a file that are evaluated.

    Attributes:
        name: The name of the file, with as many of its folders as tell it from the others.
        examples: Its rows.
        n_skipped: Rows of the file that could not be read.
    """

    name: str
    examples: tuple[Example, ...]
    n_skipped: int

    @property
    def title(self) -> str:
        skipped = f" ({self.n_skipped:,} more could not be read)" if self.n_skipped else ""
        return f"{self.name}: {len(self.examples):,} rows{skipped}"


def _load(options: argparse.Namespace) -> list[_Data]:
    from qa_extractive.dataset.labels import Labels

    labels = None if options.labels is None else Labels(options.labels, options.id_column, warn=_warn)
    paths = list({path.resolve(): path for path in options.data}.values())
    data = [
        _load_file(path, name, labels, options) for path, name in zip(paths, _short_names(paths), strict=True)
    ]
    if labels is not None:
        labels.check_use()
    return data


def _load_file(path: Path, name: str, labels: Labels | None, options: argparse.Namespace) -> _Data:
    from qa_extractive.dataset.loading import ColumnNames, load_examples

    columns = ColumnNames(**{part: getattr(options, f"{part}_column") for part in _COLUMNS})
    loaded = load_examples(path, names=columns)
    for problem in loaded.problems[:_N_PROBLEMS_SHOWN]:
        _warn(f"skipped {problem}")
    if len(loaded.problems) > _N_PROBLEMS_SHOWN:
        _warn(f"skipped {len(loaded.problems) - _N_PROBLEMS_SHOWN:,} more rows of {path}")
    if not loaded.examples:
        raise DataError(f"{path} holds no row that can be used: give a file with questions and contexts")
    examples = loaded.examples if labels is None else labels.join(loaded.examples, path)
    if all(e.answerable is None and not e.references and not e.spans for e in examples):
        _warn(f"{path} holds no answers, so little can be measured: give a file of them with --labels")
    return _Data(name, _sample(examples, options.limit, options.seed), len(loaded.problems))


def _sample(examples: tuple[Example, ...], limit: int | None, seed: int) -> tuple[Example, ...]:
    if limit is None or limit >= len(examples):
        return examples
    return tuple(examples[i] for i in sorted(random.Random(seed).sample(range(len(examples)), limit)))


def _short_names(paths: Sequence[Path], taken: Sequence[str] = ()) -> list[str]:
    """The last parts of each of these distinct paths, as few as tell all of them apart and from others."""
    parts = [path.resolve().parts for path in paths]
    for n in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(own[-n:]) for own in parts]
        if len({*names, *taken}) == len(names) + len(taken):
            return names
    return [str(path) for path in paths]


def _open_systems(models: Sequence[str], examples: Sequence[Example]) -> list[System]:
    """The systems in order, each once; a folder is named by its last part, or as many as it needs."""
    from qa_extractive.evaluation.systems import is_folder, open_system

    folders = {Path(model).resolve(): model for model in models if is_folder(model)}
    others = [model for model in dict.fromkeys(models) if not is_folder(model)]
    names = dict(zip(folders.values(), _short_names(list(folders), others), strict=True))
    kept = [model for model in dict.fromkeys(models) if model in names or model in others]
    return [open_system(model, examples, name=names.get(model)) for model in kept]


def _run(system: System, data: _Data) -> Results:
    from qa_extractive.evaluation.running import run_system

    with _progress(f"{system.name} on {data.name}") as progress:
        return run_system(system, data.examples, progress=progress)


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


def _score(results: Results, options: argparse.Namespace) -> Evaluation:
    from qa_extractive.evaluation.evaluating import score

    return score(results, n_bootstrap=options.bootstrap, seed=options.seed)


def _together(runs: Sequence[Sequence[Results]], options: argparse.Namespace) -> list[Evaluation]:
    """The figures of each system over the rows of all files."""
    from qa_extractive.evaluation.running import join_results

    return [_score(join_results(of_system), options) for of_system in zip(*runs, strict=True)]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--output {folder} cannot be made a folder: {error.strerror}") from None


def _metrics(
    options: argparse.Namespace,
    data: Sequence[_Data],
    evaluated: Sequence[Sequence[Evaluation]],
    together: Sequence[Evaluation],
) -> dict[str, Any]:
    """What ``metrics.json`` holds: the systems over all files, then over each; no path of this machine."""
    return {
        "schema_version": SCHEMA_VERSION,
        "package_version": __version__,
        "seed": options.seed,
        "n_bootstrap": options.bootstrap,
        "limit": options.limit,
        "labels": None if options.labels is None else options.labels.name,
        "n_rows": sum(len(each.examples) for each in data),
        "systems": {e.system: e.to_dict() for e in together},
        "data": [
            {
                "name": each.name,
                "n_rows": len(each.examples),
                "n_skipped": each.n_skipped,
                "systems": {e.system: e.to_dict() for e in evaluations},
            }
            for each, evaluations in zip(data, evaluated, strict=True)
        ],
    }


def _write(path: Path, values: dict[str, Any]) -> None:
    """Write JSON whole or not at all."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        new.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise DataError(f"{path} cannot be written: {error.strerror}") from None


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
