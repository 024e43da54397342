"""The embedded model on every open data set: the table of benchmarks/results/open_data.md.

    python benchmarks/open_data.py --data-root DATA [--only NAME ...] [--limit N] [--tables-only]

DATA is laid out as recipes/DATA.md says. What is neither SQuAD nor PubMedQA becomes questions first, as in
training. Each data set is one run of ``evaluate.py``, which the table names; the figures go to
``results/open_data.json`` and from there, for whole sets, into the page.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quality_parts.science import shuffled_example

from qa_extractive.cli import main as qa_extractive
from qa_extractive.data import examples_to_jsonl, load_examples
from qa_extractive.tables.text_files import read_json
from qa_extractive.training.corpora import READERS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/open_data.json"
PAGE = ROOT / "benchmarks/results/open_data.md"
WORK = Path("runs/open")
SYSTEMS = ("default", "baseline:last", "baseline:tfidf")
SEED = 17
BEGIN, END = "<!-- made by benchmarks/open_data.py -->", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class OpenSet:
    """A row of the table.

    Attributes:
        title: In words.
        file: Relative to the data root; of a set that is made, ``None``.
        seen: Whether the embedded model was trained on rows of it.
        options: Further options of ``evaluate.py``.
        reader: Of a set that is made: a key of ``READERS``, or ``shuffled``.
        source: What the reader reads, relative to the data root.
    """

    title: str
    file: str | None = None
    seen: bool = False
    options: tuple[str, ...] = ()
    reader: str = ""
    source: str = ""


_PROMPTS = "evidence_inference/prompts_with_spans.jsonl.gz"
_TRIALS = "evidence_inference/rct_abstracts.jsonl.gz"
_PUBMEDQA = "pubmedqa/pqal-train-500.json.gz"
_SAMPLE = ("--limit", "2000")

SETS = {
    "squad1-dev": OpenSet("SQuAD 1.1 dev", "squad/dev-v1.1.json.gz"),
    "squad2-dev": OpenSet("SQuAD 2.0 dev", "squad/dev-v2.0.json.gz"),
    "squad1-train": OpenSet("SQuAD 1.1 train, 2,000 drawn", "squad/train-v1.1.json.gz", True, _SAMPLE),
    "squad2-train": OpenSet(
        "SQuAD 2.0 train, unanswerable, 2,000 drawn",
        "squad/train-v2.0-unanswerable.json.gz",
        True,
        _SAMPLE,
    ),
    "pubmedqa": OpenSet("PubMedQA, sections in order", _PUBMEDQA),
    "pubmedqa-shuffled": OpenSet("PubMedQA, sections shuffled", reader="shuffled", source=_PUBMEDQA),
    "prompts-validation": OpenSet(
        "Evidence Inference, validation prompts", reader="trial_prompts_validation", source=_PROMPTS
    ),
    "prompts-train": OpenSet(
        "Evidence Inference, training prompts", seen=True, reader="trial_prompts", source=_PROMPTS
    ),
    "trial-conclusions": OpenSet(
        "Evidence Inference, conclusions of trials", seen=True, reader="trial_conclusions", source=_TRIALS
    ),
    "scifact-claims": OpenSet(
        "SciFact, claims", seen=True, reader="claims", source="scifact/claims_train.jsonl.gz"
    ),
    "scifact-conclusions": OpenSet(
        "SciFact, conclusions of papers",
        seen=True,
        reader="paper_conclusions",
        source="scifact/corpus.jsonl.gz",
    ),
    "scitldr-train": OpenSet("SciTLDR train", seen=True, reader="takeaways", source="scitldr/train.jsonl.gz"),
    "scitldr-dev": OpenSet("SciTLDR dev", reader="takeaways", source="scitldr/dev.jsonl.gz"),
    "scitldr-test": OpenSet("SciTLDR test", reader="takeaways", source="scitldr/test.jsonl.gz"),
    "distil-train": OpenSet("distil_hotpotqa train", "distil_hotpotqa/train.csv"),
    "distil-test": OpenSet("distil_hotpotqa test", "distil_hotpotqa/test.csv"),
    "demonstration": OpenSet("Demonstration"),
}
_DEMONSTRATION = "data/inference_data.csv --labels data/inference_labels.csv".split()


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the sets asked for and write the table."""
    options = _options(argv)
    kept = json.loads(options.output.read_text(encoding="utf-8")) if options.output.is_file() else {}
    for name in [] if options.tables_only else options.only or list(SETS):
        kept[name] = measured(name, options)
        ordered = {known: kept[known] for known in SETS if known in kept}
        options.output.write_text(json.dumps(ordered, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        print(table_row(name, kept[name]), flush=True)
    if options.output == RESULTS:
        write_table(PAGE, kept)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(SETS), metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--limit", type=int, help="at most so many rows of each set: a trial run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--tables-only", action="store_true", help="measure nothing, write the table again")
    options = parser.parse_args(argv)
    if options.limit is not None and options.output == RESULTS:
        parser.error(f"{RESULTS.name} holds results of whole sets: give a trial run another --output")
    if options.data_root is None and not options.tables_only:
        parser.error("give --data-root, or --tables-only")
    return options


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one data set, as they stand in the results file."""
    output = WORK / name
    data = data_arguments(name, options.data_root)
    if options.limit is not None:
        data = [*data, "--limit", str(options.limit)]
    code = qa_extractive(
        ["evaluate", "--data", *data, "--model", *SYSTEMS, "--output", str(output), "--no-report"]
    )
    if code > 1:  # 1: some rows failed, which the table says
        sys.exit(f"{name}: evaluate.py ended with exit code {code}")
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    return figures(metrics)


def data_arguments(name: str, data_root: Path) -> list[str]:
    """What follows ``--data``; a set that has to be made is made."""
    own = SETS[name]
    if name == "demonstration":
        return list(_DEMONSTRATION)
    if own.file is not None:
        return [str(data_root / own.file), *own.options]
    path = WORK / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    if own.reader == "shuffled":
        examples_to_jsonl(path, shuffled(data_root / own.source))
    else:
        examples_to_jsonl(path, READERS[own.reader](data_root / own.source, random.Random(SEED)))
    return [str(path)]


def shuffled(path: Path) -> list[Any]:
    """PubMedQA's examples with their sections in an order drawn for each."""
    records = read_json(path)
    return [
        shuffled_example(e, records[e.id]["CONTEXTS"], random.Random(f"{SEED}:{e.id}"))
        for e in load_examples(path).examples
        if e.spans
    ]


def figures(metrics: dict[str, Any]) -> dict[str, Any]:
    """What the table shows, out of ``metrics.json``; None where a figure is not defined."""
    systems = metrics["systems"]
    model = systems["default"]
    risk = model["risk_coverage"]["risk"]
    return {
        "n_rows": model["n_rows"],
        "n_has_ans": model["n_has_ans"],
        "n_failed": model["n_failed"],
        "em": model["never_abstaining"]["has_ans_em"],
        "f1": model["never_abstaining"]["has_ans_f1"],
        "last_f1": systems["baseline:last"]["never_abstaining"]["has_ans_f1"],
        "tfidf_f1": systems["baseline:tfidf"]["never_abstaining"]["has_ans_f1"],
        "oracle_f1": metrics["oracle"]["f1"],
        "shipped_f1": model["f1"],
        "shipped_f1_interval": model["f1_interval"],
        "evidence_hit_rate": model["never_abstaining"]["evidence_hit_rate"],
        "auroc": model["auroc"],
        "auroc_interval": model["auroc_interval"],
        "score_calibration_error": model["score_calibration_error"],
        "error_rate": risk[-1] if risk else None,
        "aurc": model["aurc"],
        "aurc_interval": model["aurc_interval"],
        "coverage_at_90": model["coverage_at_90"],
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """The table as Markdown; a set without results says "not measured"."""
    titles = [title for title, _ in _COLUMNS]
    lines = [
        "| " + " | ".join(["data", "`--data`", "seen", *titles]) + " |",
        "|---" * (len(titles) + 3) + "|",
    ]
    return "\n".join([*lines, *(table_row(name, results.get(name)) for name in SETS)])


def table_row(name: str, result: dict[str, Any] | None) -> str:
    """One line of the table."""
    own = SETS[name]
    cells = [cell(result) for _, cell in _COLUMNS] if result else ["not measured"] * len(_COLUMNS)
    return (
        "| "
        + " | ".join([own.title, f"`{shown_data(name)}`", "**yes**" if own.seen else "no", *cells])
        + " |"
    )


def shown_data(name: str) -> str:
    """What follows ``--data`` in the command of a row."""
    own = SETS[name]
    if name == "demonstration":
        return " ".join(_DEMONSTRATION)
    return (
        f"{WORK.as_posix()}/{name}.jsonl"
        if own.file is None
        else " ".join([f"DATA/{own.file}", *own.options])
    )


def _percent(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda result: (
        "-" if result[key] is None else f"{100 * result[key]:.1f}" + _interval(result, key, 100, 1)
    )


def _number(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda result: "-" if result[key] is None else f"{result[key]:.3f}" + _interval(result, key, 1, 3)


def _interval(result: dict[str, Any], key: str, factor: int, digits: int) -> str:
    ends = result.get(f"{key}_interval")
    return f" [{', '.join(f'{factor * end:.{digits}f}' for end in ends)}]" if ends else ""


def _rows(result: dict[str, Any]) -> str:
    n_no = result["n_rows"] - result["n_has_ans"]
    notes = [f"{n_no:,} without an answer"] if n_no else []
    notes += [f"{result['n_failed']:,} failed"] if result["n_failed"] else []
    return f"{result['n_rows']:,}" + (f" ({', '.join(notes)})" if notes else "")


_COLUMNS: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
    ("rows", _rows),
    ("EM", _percent("em")),
    ("F1", _percent("f1")),
    ("F1 of the last sentence", _percent("last_f1")),
    ("F1 of TF-IDF", _percent("tfidf_f1")),
    ("ceiling", _percent("oracle_f1")),
    ("evidence", _percent("evidence_hit_rate")),
    ("F1 as shipped", _percent("shipped_f1")),
    ("AUROC", _number("auroc")),
    ("calibration error of `score`", _number("score_calibration_error")),
    ("error rate", _percent("error_rate")),
    ("AURC", _number("aurc")),
    ("coverage at 90 %", _percent("coverage_at_90")),
]


def write_table(page: Path, results: dict[str, dict[str, Any]]) -> None:
    """Put the table between the two marks of the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
