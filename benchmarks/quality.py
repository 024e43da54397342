"""An exported model measured on whole sets, each figure beside its floor.

    python benchmarks/quality.py --data-root DATA [--model FOLDER] [--fresh FILE] [--only NAME ...]
        [--limit N]

DATA is laid out as recipes/DATA.md says; FILE is ``fresh_examples.jsonl.gz`` of the training run, held-out
examples that the model was neither trained, chosen nor calibrated on. Writes ``results/quality.json`` and
a Markdown table beside it, after every part; parts of the same model and settings that are there already
and are not measured again are kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quality_parts.asked import asked
from quality_parts.common import Bench, Part
from quality_parts.reliability import calibration
from quality_parts.risk import risk
from quality_parts.science import evidence_inference, mismatched, pubmedqa
from quality_parts.squad import squad1, squad2
from quality_parts.table import markdown

from qa_extractive import Predictor, __version__
from qa_extractive.evaluation.systems import ModelSystem
from qa_extractive.inference.calibration import CALIBRATION_FILES
from qa_extractive.settings import EFFORTS, FULL

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "python benchmarks/quality.py --data-root DATA --model FOLDER --fresh FILE"
MODEL_FILES = ("model.onnx", "calibration.json", "reader.json", "tokenizer.json")
PACKAGES = ("numpy", "onnxruntime", "tokenizers", "scikit-learn", "scipy")


@dataclass(frozen=True, slots=True)
class Measure:
    """A part.

    Attributes:
        title: In words.
        run: Measures it.
        needs_fresh: Whether it needs the fresh examples.
    """

    title: str
    run: Callable[[Bench], Part]
    needs_fresh: bool = False


MEASURES = {
    "asked": Measure("questions as people ask them of abstracts (asked, test part)", asked),
    "squad1": Measure("SQuAD 1.1 dev", squad1),
    "squad2": Measure("SQuAD 2.0 dev at the shipped threshold", squad2),
    "pubmedqa": Measure("PubMedQA, sections with their conclusion, never abstaining", pubmedqa),
    "mismatched": Measure("questions beside the wrong abstract", mismatched),
    "evidence_inference": Measure("one abstract, several questions", evidence_inference),
    "calibration": Measure("the probabilities on fresh examples", calibration, needs_fresh=True),
    "risk": Measure("the promise of max_risk", risk, needs_fresh=True),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the parts asked for and write the tables."""
    parser = _parser()
    options = parser.parse_args(argv)
    wanted = _wanted(parser, options)
    predictor = Predictor(options.model, n_threads=options.threads, effort=options.effort)
    result = header(predictor, options)
    result["parts"] = kept_parts(options.output, result, parser)
    bench = Bench(
        ModelSystem(predictor.model_name, predictor),
        predictor.calibration,
        options.data_root,
        fresh=options.fresh,
        limit=options.limit,
        seed=options.seed,
        n_bootstrap=options.bootstrap,
    )
    for part in wanted:
        result["parts"][part] = measured(bench, part)
        save(options.output, result)
        print(
            json.dumps({part: {f["name"]: f["value"] for f in result["parts"][part]["figures"]}}), flush=True
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="folder of an exported model (default: the embedded one)")
    parser.add_argument("--effort", choices=EFFORTS, default=FULL)
    parser.add_argument("--fresh", type=Path, help="examples the model has not seen in any role")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--limit", type=int, help="at most so many rows of each set: a trial run")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/quality.json")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--threads", type=int, help="windows run at once (default: all CPUs)")
    return parser


def _wanted(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    """The parts to measure, in the order of ``MEASURES``; without fresh examples, those that need none."""
    if options.fresh is not None:
        return [name for name in MEASURES if name in (options.only or MEASURES)]
    lacking = [name for name in options.only or () if MEASURES[name].needs_fresh]
    if lacking:
        parser.error(f"{', '.join(lacking)}: give --fresh")
    wanted = [n for n, m in MEASURES.items() if n in (options.only or MEASURES) and not m.needs_fresh]
    if not options.only:
        print("without --fresh: " + ", ".join(n for n in MEASURES if n not in wanted) + " not measured")
    return wanted


def header(predictor: Predictor, options: argparse.Namespace) -> dict[str, Any]:
    """What was measured with what; ``settings`` are those that every kept part must share."""
    files = sorted({*MODEL_FILES, CALIBRATION_FILES[options.effort]})
    effort = {} if options.effort == FULL else {"effort": options.effort}
    return {
        "command": COMMAND,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "model": {
            "name": predictor.folder.resolve().name,
            "threshold": predictor.threshold,
            "fitted_on": predictor.calibration.fitted_on,
        },
        "settings": {
            "model_files": {name: sha256(predictor.folder / name) for name in files},
            "seed": options.seed,
            "n_bootstrap": options.bootstrap,
            "limit": options.limit,
            "versions": {"qa-extractive": __version__} | {name: version(name) for name in PACKAGES},
            **effort,
        },
    }


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kept_parts(path: Path, result: dict[str, Any], parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The parts of an existing file that are of the same model and settings."""
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["settings"] == result["settings"]:
        return dict(found["parts"])
    if result["settings"]["limit"] is not None and found["settings"]["limit"] is None:
        parser.error(f"{path.name} holds results of whole sets: give a trial run another --output")
    differing = [key for key, value in result["settings"].items() if found["settings"].get(key) != value]
    print(f"{path.name}: parts of other {', '.join(differing)} are dropped")
    return {}


def measured(bench: Bench, name: str) -> dict[str, Any]:
    """A part as it stands in the file."""
    measure = MEASURES[name]
    began = time.monotonic()
    part = measure.run(bench).to_dict()
    fresh = {"fresh_sha256": sha256(bench.fresh)} if measure.needs_fresh and bench.fresh is not None else {}
    return {"title": measure.title, "seconds": round(time.monotonic() - began, 1), **fresh, **part}


def save(path: Path, result: dict[str, Any]) -> None:
    """Write both files, each whole or not at all, the parts in their order."""
    result["parts"] = {name: result["parts"][name] for name in MEASURES if name in result["parts"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {
        path: json.dumps(result, indent=1, allow_nan=False) + "\n",
        path.with_suffix(".md"): markdown(result),
    }
    for target, text in texts.items():
        new = target.with_name(f".{target.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(target)


if __name__ == "__main__":
    main()
