"""Weak span labels measured: shares and confidence by tier, the oracle ceiling, and precision.

    python benchmarks/alignment.py --data-root DATA --output benchmarks/results/alignment.json

DATA is laid out as recipes/DATA.md says. A Markdown table is written beside the JSON. ``--sample 50
--sample-output FILE`` draws labels to judge by hand; ``benchmarks/results/alignment_handcheck.csv``
holds the judged ones, and their precision is counted into the results.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import platform
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from qa_extractive.alignment import DEFAULT_THRESHOLD, TIERS, AlignedExamples, align, align_examples
from qa_extractive.data.loading import load_examples
from qa_extractive.types import Example, Question

ROOT = Path(__file__).resolve().parents[1]
HANDCHECK = ROOT / "benchmarks/results/alignment_handcheck.csv"
COMMAND = "python benchmarks/alignment.py --data-root DATA --output benchmarks/results/alignment.json"
SURROUNDINGS = 160


def main() -> None:
    """Align every set and write the tables."""
    options = _parser().parse_args()
    sets = {name: list(examples) for name, examples in data_sets(options.data_root)}
    measured, aligned = {}, {}
    for name, examples in sets.items():
        started = time.process_time()
        aligned[name] = align_examples(examples)
        measured[name] = {**aligned[name].report.to_dict(), "cpu_s": round(time.process_time() - started, 2)}
        print(name, json.dumps(measured[name]))
    if options.sample:
        drawn = sample(aligned, options.sample, options.seed, judged_ids(HANDCHECK))
        options.sample_output.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in drawn))
        return
    result = {
        "command": COMMAND,
        "machine": f"{platform.machine()}, Python {platform.python_version()}, one process",
        "threshold": DEFAULT_THRESHOLD,
        "sets": measured,
        "scifact_claims": claim_precision(options.data_root / "scifact"),
        "handcheck": handcheck_precision(HANDCHECK),
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.output.with_suffix(".md").write_text(markdown(result), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/alignment.json")
    parser.add_argument(
        "--sample", type=int, default=0, help="draw so many labels to judge, write no results"
    )
    parser.add_argument("--sample-output", type=Path, default=Path("alignment_sample.jsonl"))
    parser.add_argument("--seed", type=int, default=0)
    return parser


# ---- the data


def data_sets(data_root: Path) -> Iterator[tuple[str, Iterable[Example]]]:
    """The name and the examples of every set."""
    pubmedqa = data_root / "pubmedqa/pqal-train-500.json.gz"
    hotpotqa = [data_root / "distil_hotpotqa" / name for name in ("train.csv", "test.csv")]
    yield "pubmedqa_without_conclusion", pubmedqa_examples(pubmedqa, with_conclusion=False)
    yield "pubmedqa_with_conclusion", pubmedqa_examples(pubmedqa, with_conclusion=True)
    yield "distil_hotpotqa", load_examples(hotpotqa).examples
    yield "scitldr_train", scitldr_examples(data_root / "scitldr/train.jsonl.gz")
    yield "training_data", load_examples([ROOT / "data/training_data.csv"]).examples


def pubmedqa_examples(path: Path, *, with_conclusion: bool) -> Iterator[Example]:
    """PubMedQA with the authors' conclusion as the reference; its context may or may not hold it."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        records = json.load(file)
    for key, record in records.items():
        sections = record["CONTEXTS"] + [record["LONG_ANSWER"]] * with_conclusion
        question = Question(record["QUESTION"], " ".join(sections))
        yield Example(key, question, (record["LONG_ANSWER"],), answerable=True)


def scitldr_examples(path: Path) -> Iterator[Example]:
    """SciTLDR with its one-sentence summaries as references; the title stands in for a question."""
    for record in json_lines(path):
        question = Question(record["title"], " ".join(record["source"]))
        yield Example(record["paper_id"], question, tuple(record["target"]), answerable=True)


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a gzipped JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


# ---- precision where the truth is known


def claim_precision(folder: Path) -> dict[str, Any]:
    """SciFact's claims against their cited abstracts: is the best span in a rationale sentence?

    A claim with no rationale in the abstract counts as wrong wherever it gets a label.
    """
    corpus = {str(record["doc_id"]): record["abstract"] for record in json_lines(folder / "corpus.jsonl.gz")}
    outcomes = []
    for record in json_lines(folder / "claims_train.jsonl.gz"):
        for document in map(str, record["cited_doc_ids"]):
            rationales = {i for e in record["evidence"].get(document, []) for i in e["sentences"]}
            outcomes.append(_claim_outcome(record["claim"], corpus[document], rationales))
    return {str(t): _claim_row(outcomes, t) for t in (0.3, 0.4, 0.5, 0.6, 0.7)}


def _claim_outcome(claim: str, sentences: list[str], rationales: set[int]) -> tuple[float, bool, bool]:
    """The confidence of the label, whether it touches a rationale, and whether there is one."""
    text, bounds = "", []
    for sentence in sentences:
        text += " " * bool(text)
        bounds.append((len(text), len(text) + len(sentence)))
        text += sentence
    found = align(claim, text, threshold=0.0)
    touched = {i for s in found.spans[:1] for i, (a, b) in enumerate(bounds) if s.start < b and a < s.end}
    return found.confidence, bool(touched & rationales), bool(rationales)


def _claim_row(outcomes: list[tuple[float, bool, bool]], threshold: float) -> dict[str, Any]:
    labelled = [o for o in outcomes if o[0] >= threshold]
    answered = [o for o in labelled if o[2]]
    return {
        "n_pairs": len(outcomes),
        "n_labelled": len(labelled),
        "precision": sum(o[1] for o in labelled) / len(labelled),
        "precision_where_a_rationale_exists": sum(o[1] for o in answered) / len(answered),
        "share_of_pairs_with_rationale_labelled": len(answered) / sum(o[2] for o in outcomes),
    }


def handcheck_precision(path: Path) -> dict[str, dict[str, dict[str, int]]]:
    """The verdicts of every round of the hand check, by tier: right, partly, wrong."""
    rounds: dict[str, dict[str, dict[str, int]]] = {}
    for row in judged_rows(path):
        counts = rounds.setdefault(row["round"], {})
        counts.setdefault(row["tier"], dict.fromkeys(("right", "partly", "wrong"), 0))[row["verdict"]] += 1
    return rounds


def judged_rows(path: Path) -> list[dict[str, str]]:
    """The judged labels; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def judged_ids(path: Path) -> set[tuple[str, str]]:
    """The (set, id) of every label judged already."""
    return {(row["set"], row["id"]) for row in judged_rows(path)}


# ---- the hand check's sample


def sample(
    aligned: dict[str, AlignedExamples], n: int, seed: int, seen: set[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Labels not judged yet, drawn in turn from every (tier, data set) stratum until there are ``n``."""
    strata: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for name, result in aligned.items():
        for example, found in zip(result.examples, result.alignments, strict=True):
            if found.spans and name != "pubmedqa_with_conclusion" and (name, example.id) not in seen:
                strata[found.tier, name].append({"set": name, "tier": found.tier, **_to_judge(example)})
    rng = random.Random(seed)
    by_tier = [[rng.sample(rows, len(rows)) for key, rows in strata.items() if key[0] == t] for t in TIERS]
    queues = [_in_turn(rows) for rows in by_tier if rows]
    return list(_in_turn(queues))[:n]


def _in_turn(queues: list[list[Any]]) -> list[Any]:
    longest = max(map(len, queues))
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]


def _to_judge(example: Example) -> dict[str, Any]:
    span, text = example.spans[0], example.question.context
    return {
        "id": example.id,
        "confidence": round(span.score, 3),
        "start": span.start,
        "end": span.end,
        "n_candidates": len(example.spans),
        "question": example.question.question,
        "references": example.references,
        "before": text[max(0, span.start - SURROUNDINGS) : span.start],
        "span": span.text,
        "after": text[span.end : span.end + SURROUNDINGS],
    }


# ---- the tables


def markdown(result: dict[str, Any]) -> str:
    """The results as Markdown tables."""
    head = f"# Weak span labels\n\n`{COMMAND}`\n\n{result['machine']}; threshold {result['threshold']}.\n"
    tables = [_tier_table(result["sets"]), _claim_table(result["scifact_claims"])]
    return "\n".join([head, *tables, _handcheck_table(result["handcheck"])]) + "\n"


def _tier_table(sets: dict[str, Any]) -> str:
    tiers = [tier for tier in TIERS if tier != "given"]
    titles = ["data set", "n", *tiers, "oracle F1", "oracle sentence F1", "CPU s"]
    rows = [_row(titles), _row(["---"] * len(titles))]
    for name, report in sets.items():
        cells = [_tier_cell(report["tiers"][tier]) for tier in tiers]
        oracles = [f"{report['oracle_f1']:.3f}", f"{report['oracle_sentence_f1']:.3f}"]
        rows.append(_row([name, str(report["n"]), *cells, *oracles, f"{report['cpu_s']:.1f}"]))
    return "Share of the examples (mean confidence), by tier:\n\n" + "\n".join(rows) + "\n"


def _tier_cell(tier: dict[str, Any]) -> str:
    share = f"{tier['share']:.1%}"
    return f"{share} ({tier['mean_confidence']:.2f})" if tier["mean_confidence"] else share


def _claim_table(claims: dict[str, Any]) -> str:
    titles = ["confidence at least", "labelled", "precision", "where a rationale exists", "coverage of these"]
    rows = [_row(titles), _row(["---"] * len(titles))]
    for threshold, row in claims.items():
        cells = [f"{row[key]:.3f}" for key in list(row)[2:]]
        rows.append(_row([threshold, f"{row['n_labelled']} of {row['n_pairs']}", *cells]))
    return "SciFact claims against their cited abstracts, best span in a rationale sentence:\n\n" + "\n".join(
        rows
    )


def _handcheck_table(rounds: dict[str, dict[str, dict[str, int]]]) -> str:
    titles = ["round", "tier", "judged", "right", "partly", "wrong"]
    rows = [_row(titles), _row(["---"] * len(titles))]
    for name, tiers in rounds.items():
        for tier, verdicts in tiers.items():
            rows.append(_row([name, tier, *map(str, (sum(verdicts.values()), *verdicts.values()))]))
    return "\nLabels judged by hand (NOTES-alignment.md):\n\n" + "\n".join(rows)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
