"""``evaluate``: systems and labelled files in, a table and ``metrics.json`` out."""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_extractive import __version__
from qa_extractive.errors import DataError
from qa_extractive.records import Example

if TYPE_CHECKING:
    from qa_extractive.evaluation.evaluating import BestThreshold, Evaluation, Latency, Results
    from qa_extractive.evaluation.systems import System

METRICS_FILE = "metrics.json"
SCHEMA_VERSION = 1
_ALTERNATIVES = " || "
_REFERENCE_COLUMNS = ("reference", "references", "answer", "answers")
_ANSWERABLE = {
    **dict.fromkeys(("true", "yes", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "0", "0.0"), False),
    "": None,
}
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
    for each, evaluations in zip(data, evaluated, strict=True):
        _print_table(each.title, evaluations)
    if len(data) > 1:
        _print_table(f"all {len(data)} files together", together)
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


# ---------------------------------------------------------------- data


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
    labels = None if options.labels is None else _Labels(options.labels, options.id_column)
    paths = list({path.resolve(): path for path in options.data}.values())
    data = [
        _load_file(path, name, labels, options) for path, name in zip(paths, _short_names(paths), strict=True)
    ]
    if labels is not None:
        labels.check_use()
    return data


def _load_file(path: Path, name: str, labels: _Labels | None, options: argparse.Namespace) -> _Data:
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


@dataclass(frozen=True, slots=True)
class _Label:
    """What is known of the answer of a row."""

    answerable: bool | None = None
    references: tuple[str, ...] = ()


class _Labels:
    """Answers that live apart from their questions, by id."""

    def __init__(self, path: Path, id_column: str | None) -> None:
        """Read a table; DataError where a column is missing, or a row has a bad cell or no id of its own."""
        from qa_extractive.tables.reading import read_rows

        self.path = path
        reader = read_rows(path)
        ids, answerable, reference = _label_columns(path, reader.columns, id_column)
        self._by_id: dict[str, _Label] = {}
        self._used: set[str] = set()
        for row in reader:
            where = f"{path}, row {row.number}"
            name = _cell_text(row.values.get(ids))
            if row.error is not None or not name or name in self._by_id:
                raise DataError(f"{where}: {row.error or f'id {name!r} is empty or met before: correct it'}")
            self._by_id[name] = _label(row.values, answerable, reference, where)

    def join(self, examples: Sequence[Example], path: Path) -> tuple[Example, ...]:
        """The examples with these labels instead of their own; those without one lose theirs."""
        missing = [e.id for e in examples if e.id not in self._by_id]
        if len(missing) == len(examples):
            raise DataError(f"{self.path} and {path} share no id: name the column of ids with --id-column")
        if missing:
            _warn(f"{len(missing):,} rows of {path} have no label in {self.path}, the first is {missing[0]}")
        self._used.update(e.id for e in examples)
        return tuple(self._labelled(example) for example in examples)

    def check_use(self) -> None:
        """Warn of labels that belong to no row."""
        unused = [name for name in self._by_id if name not in self._used]
        if unused:
            _warn(f"{len(unused):,} labels of {self.path} belong to no row, the first is {unused[0]}")

    def _labelled(self, example: Example) -> Example:
        label = self._by_id.get(example.id, _Label())
        return dataclasses.replace(
            example, answerable=label.answerable, references=label.references, spans=()
        )


def _label_columns(
    path: Path, columns: Sequence[str], id_column: str | None
) -> tuple[str, str | None, str | None]:
    """The columns of the id, of ``answerable`` and of the references."""
    names = {name.strip().casefold(): name for name in columns}
    wanted = [(id_column or "id").casefold(), "id"]
    ids = next((names[name] for name in wanted if name in names), None)
    reference = next((names[name] for name in _REFERENCE_COLUMNS if name in names), None)
    if ids is None or (reference is None and "answerable" not in names):
        found = ", ".join(map(repr, columns[:30]))
        raise DataError(f"{path}: labels need columns id, and answerable or reference, but have {found}")
    return ids, names.get("answerable"), reference


def _label(values: Mapping[str, Any], answerable: str | None, reference: str | None, where: str) -> _Label:
    from qa_extractive.dataset.given_answers import given_answers

    said = "" if answerable is None else _cell_text(values.get(answerable)).lower()
    if said not in _ANSWERABLE:
        raise DataError(f"{where}: answerable is {said!r}: write true or false, or nothing")
    given = () if reference is None else given_answers(values.get(reference))
    parts = [part.strip() for answer in given for part in answer.text.split(_ALTERNATIVES)]
    references = tuple(part for part in parts if part)
    known = _ANSWERABLE[said]
    if known is None and reference is not None:  # as in a data file: an empty answer says that there is none
        known = bool(references)
    return _Label(known, () if known is False else references)


def _cell_text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _short_names(paths: Sequence[Path], taken: Sequence[str] = ()) -> list[str]:
    """The last parts of each of these distinct paths, as few as tell all of them apart and from others."""
    parts = [path.resolve().parts for path in paths]
    for n in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(own[-n:]) for own in parts]
        if len({*names, *taken}) == len(names) + len(taken):
            return names
    return [str(path) for path in paths]


# ---------------------------------------------------------------- systems


def _open_systems(models: Sequence[str], examples: Sequence[Example]) -> list[System]:
    """The systems in order, each once; a folder is named by its last part, or as many as it needs."""
    from qa_extractive.evaluation.systems import is_folder, open_system

    folders = {Path(model).resolve(): model for model in models if is_folder(model)}
    others = [model for model in dict.fromkeys(models) if not is_folder(model)]
    names = dict(zip(folders.values(), _short_names(list(folders), others), strict=True))
    kept = [model for model in dict.fromkeys(models) if model in names or model in others]
    return [open_system(model, examples, name=names.get(model)) for model in kept]


def _run(system: System, data: _Data) -> Results:
    from qa_extractive.evaluation.evaluating import run_system

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
    from qa_extractive.evaluation.evaluating import join_results

    return [_score(join_results(of_system), options) for of_system in zip(*runs, strict=True)]


# ---------------------------------------------------------------- output


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


def _print_table(title: str, evaluations: Sequence[Evaluation]) -> None:
    """The figures, a line each, the systems side by side, in as many blocks as the terminal needs."""
    cells = [(label, [figure(e) for e in evaluations]) for label, figure in _FIGURES]
    lines = [("", [e.system for e in evaluations])]
    lines += [(label, [cell or "-" for cell in row]) for label, row in cells if any(row)]
    margin = max(len(label) for label, _ in lines)
    widths = [max(map(len, column)) for column in zip(*(row for _, row in lines), strict=True)]
    print(f"\n{title}; {_counts(evaluations[0])}")
    for block in _blocks(widths, shutil.get_terminal_size(_TERMINAL).columns - margin):
        print()
        for label, row in lines:
            print("  ".join([f"{label:<{margin}}", *(f"{row[i]:<{widths[i]}}" for i in block)]).rstrip())


def _counts(evaluation: Evaluation) -> str:
    squad = evaluation.shipped.squad
    unknown = f", {evaluation.n - squad.n:,} of unknown answer" if squad.n < evaluation.n else ""
    documents = f"{evaluation.n_documents:,} document{'s' * (evaluation.n_documents != 1)}"
    return f"{squad.n_has_ans:,} answerable, {squad.n_no_ans:,} not{unknown}; {documents}"


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Runs of columns that fit side by side; one that does not fit by itself stands alone."""
    block: list[int] = []
    used = 0
    for i, width in enumerate(widths):
        if block and used + width + 2 > room:
            yield block
            block, used = [], 0
        block.append(i)
        used += width + 2
    yield block


def _percent(value: float | None, interval: tuple[float, float] | None = None) -> str | None:
    if value is None:
        return None
    ends = "" if interval is None else f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
    return f"{100 * value:.1f}{ends}"


def _plain(value: float | None, interval: tuple[float, float] | None = None) -> str | None:
    if value is None:
        return None
    return f"{value:.3f}" + ("" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]")


def _both(f1: float | None, em: float | None) -> str | None:
    return None if f1 is None or em is None else f"{_percent(f1)} / {_percent(em)}"


def _at_threshold(best: BestThreshold) -> str | None:
    place = "abstaining always" if best.threshold is None else f"at {best.threshold:.3f}"
    return None if best.score is None else f"{_percent(best.score)} {place}"


def _verbatim(share: float | None) -> str | None:
    return _percent(share) if share in (None, 1.0) else f"ONLY {100 * share:.4f}"


def _seconds(latency: Latency) -> str | None:
    values = (latency.p50_s, latency.p95_s, latency.max_s)
    return None if latency.p50_s is None else " / ".join(f"{value or 0.0:.3f}" for value in values)


# What a line shows, None where it is not defined. Columns of a block are as wide as their widest cell.
_FIGURES: tuple[tuple[str, Callable[[Evaluation], str | None]], ...] = (
    ("F1", lambda e: _percent(e.shipped.squad.f1, e.shipped.f1_interval)),
    ("EM", lambda e: _percent(e.shipped.squad.em, e.shipped.em_interval)),
    ("  answerable rows: F1 / EM", lambda e: _both(e.shipped.squad.has_ans_f1, e.shipped.squad.has_ans_em)),
    ("  unanswerable rows: F1 / EM", lambda e: _both(e.shipped.squad.no_ans_f1, e.shipped.squad.no_ans_em)),
    ("abstained", lambda e: _percent(e.abstained_share)),
    ("never abstaining: F1", lambda e: _percent(e.forced.squad.f1, e.forced.f1_interval)),
    ("never abstaining: EM", lambda e: _percent(e.forced.squad.em, e.forced.em_interval)),
    ("  answerable rows: F1 / EM", lambda e: _both(e.forced.squad.has_ans_f1, e.forced.squad.has_ans_em)),
    ("  ROUGE-L", lambda e: _percent(e.forced.rouge_l)),
    ("  evidence sentence hit", lambda e: _percent(e.forced.evidence_hit_rate)),
    ("best threshold: F1", lambda e: _at_threshold(e.best_f1)),
    ("best threshold: EM", lambda e: _at_threshold(e.best_em)),
    ("answerability AUROC", lambda e: _plain(e.auroc, e.auroc_interval)),
    ("calibration error: answerable", lambda e: _plain(e.answerable_calibration_error)),
    ("calibration error: score", lambda e: _plain(e.score_calibration_error)),
    ("verbatim", lambda e: _verbatim(e.verbatim_share)),
    ("failed rows", lambda e: f"{e.n_failed:,}"),
    ("seconds a batch: p50 / p95 / max", lambda e: _seconds(e.latency)),
    ("rows a second", lambda e: None if e.latency.rows_per_s is None else f"{e.latency.rows_per_s:,.1f}"),
)
