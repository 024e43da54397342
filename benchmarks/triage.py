"""Sorting papers: the embedded model before and after a few hundred rows, beside counted words.

    python benchmarks/triage.py --data-root DATA [--only NAME ...] [--train-encoder]

DATA is laid out as recipes/DATA.md says. Rows of yes or no are made of it (``triage_parts/sources.py``),
whole documents by a hash go to training or to the test, and each source is run as ``train.py triage`` does.
Writes ``results/triage.json`` after every source, keeping those that are not measured again, and prints a
Markdown table. Needs the [train] extra.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from triage_parts.sources import SOURCES

from qa_extractive import __version__
from qa_extractive.data.documents import document_of, place_of
from qa_extractive.finetune.triage.report import score_lines, triage_values
from qa_extractive.finetune.triage.rows import TriageRows, split_rows
from qa_extractive.finetune.triage.run import TriageSettings, run_triage
from qa_extractive.report.cells import decimal, percent
from qa_extractive.types import Example

ROOT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the sources asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, required=True, metavar="DATA")
    parser.add_argument("--only", nargs="+", choices=list(SOURCES), metavar="NAME", help=", ".join(SOURCES))
    parser.add_argument("--base", default="default", metavar="M")
    parser.add_argument("--train", type=int, default=300, metavar="N", help="training rows of each source")
    parser.add_argument("--test", type=int, default=300, metavar="N", help="test rows at most")
    parser.add_argument("--train-encoder", action="store_true")
    parser.add_argument("--seed", type=int, default=17, metavar="N")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/triage.json", metavar="F")
    options = parser.parse_args(argv)
    for name in options.only or SOURCES:
        rows = split(name, SOURCES[name](options.data_root), options.train, options.test, options.seed)
        settings = TriageSettings(options.base, options.train_encoder, seed=options.seed)
        with tempfile.TemporaryDirectory() as work:
            outcome = run_triage(rows, settings, Path(work) / "model")
        key = f"{name}, encoder too" if options.train_encoder else name
        save(options.output, key, triage_values(outcome))
        print("\n".join([key, *score_lines(outcome), ""]), flush=True)
    print(table(json.loads(options.output.read_text(encoding="utf-8"))))


def split(name: str, examples: Sequence[Example], n_train: int, n_test: int, seed: int) -> TriageRows:
    """At least so many rows to train on, and at most so many others, whole documents by a hash."""
    order = sorted({document_of(e) for e in examples}, key=lambda document: place_of(document, seed))
    place = {document: i for i, document in enumerate(order)}
    ranked = sorted(examples, key=lambda e: (place[document_of(e)], e.id))
    last = place[document_of(ranked[min(n_train, len(ranked)) - 1])]
    train = [e for e in ranked if place[document_of(e)] <= last]
    return split_rows(name, train, ranked[len(train) : len(train) + n_test])


def save(path: Path, key: str, values: dict[str, Any]) -> None:
    """Add one source to the file."""
    found = json.loads(path.read_text(encoding="utf-8"))["sources"] if path.is_file() else {}
    result = {
        "command": "python benchmarks/triage.py --data-root DATA",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "version": __version__,
        "sources": {**found, key: values},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def table(result: dict[str, Any]) -> str:
    """All sources as a Markdown table."""
    lines = ["| rows | system | accuracy | AUROC | calibration error |", "|---|---|---|---|---|"]
    for key, values in result["sources"].items():
        share = percent(values["n_test_yes"] / values["n_test"])
        about = f"{key}: {values['n_train']} to train, {values['n_test']} to test, {share} % yes"
        for name, own in values["systems"].items():
            accuracy = percent(own["accuracy"], own["accuracy_interval"])
            auroc = decimal(own["auroc"], own["auroc_interval"])
            lines.append(f"| {about} | {name} | {accuracy} | {auroc} | {decimal(own['calibration_error'])} |")
            about = ""
    return "\n".join(lines)


if __name__ == "__main__":
    main()
