"""What each signal is worth to the calibrated probabilities, cross-validated.

    python benchmarks/calibration.py --examples runs/default/calibration_examples.jsonl.gz [--model FOLDER]

Fits both probabilities with all signals and without each in turn, in ten folds of whole documents, on the
logits of the exported model, and prints and writes log loss, AUROC and calibration error (15 bins of equally
many rows), over all rows and over those of papers. It uses the examples that the calibration is fitted on,
so that what is chosen here is not chosen on any split that results are stated on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from qa_extractive import Predictor
from qa_extractive.data.loading import load_examples
from qa_extractive.evaluation.rows import references_of
from qa_extractive.metrics import calibration_error
from qa_extractive.metrics.text import RIGHT_F1, best_token_f1
from qa_extractive.types import Example

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = ("answerability logit", "margin", "gap", "length of the span")
N_FOLDS = 10


def main(argv: Sequence[str] | None = None) -> None:
    """Read the examples, cross-validate, print and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=Path, required=True, help="the calibration examples of a run")
    parser.add_argument("--model", type=Path, help="folder of an exported model (default: the embedded one)")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/calibration.json")
    options = parser.parse_args(argv)
    examples = [e for e in load_examples(options.examples).examples if e.answerable is not None]
    readings = Predictor(options.model).read_batch([e.question for e in examples])
    kept = [(e, r) for e, r in zip(examples, readings, strict=True) if r.candidates]
    features = np.stack([r.features() for _, r in kept])
    right = [is_right(e, r.candidates[0].start, r.candidates[0].end) for e, r in kept]
    lines = table([e for e, _ in kept], features, np.array(right))
    options.output.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    print(markdown(lines))


def is_right(example: Example, start: int, end: int) -> bool:
    """Whether a span has a token F1 of at least 0.5 against a reference."""
    references = references_of(example)
    return bool(references) and best_token_f1(example.question.context[start:end], references) >= RIGHT_F1


def table(
    examples: Sequence[Example], features: NDArray[np.float64], right: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """A line for each probability and set of signals; ``features`` of shape (n, 4)."""
    documents = [e.document or e.question.context for e in examples]
    is_paper = np.array([e.source != "squad" for e in examples])
    outcomes = {"answerable": np.array([bool(e.answerable) for e in examples]), "score": right}
    choices = {"all": list(range(len(SIGNALS)))} | {
        f"without {name}": [j for j in range(len(SIGNALS)) if j != i] for i, name in enumerate(SIGNALS)
    }
    lines = []
    for prob, outcome in outcomes.items():
        for signals, columns in choices.items():
            probs = cross_validated(features[:, columns], outcome, documents)
            parts = {"all": np.ones_like(is_paper), "papers": is_paper}
            figures = {
                f"{part}_{name}": v
                for part, rows in parts.items()
                for name, v in scores(probs, outcome, rows)
            }
            lines.append({"prob": prob, "signals": signals, "n": len(probs), **figures})
    return lines


def cross_validated(
    features: NDArray[np.float64], outcome: NDArray[np.bool_], documents: Sequence[str]
) -> NDArray[np.float64]:
    """Probabilities (n,) of a logistic regression fitted on the other documents."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    folds = GroupKFold(N_FOLDS)
    found = cross_val_predict(model, features, outcome, groups=documents, cv=folds, method="predict_proba")
    return np.asarray(found[:, 1])


def scores(
    probs: NDArray[np.float64], outcome: NDArray[np.bool_], rows: NDArray[np.bool_]
) -> list[tuple[str, float]]:
    """Names and values of what is measured on some of the rows."""
    own, happened = probs[rows], outcome[rows]
    error = calibration_error(own, happened)
    return [
        ("log_loss", float(log_loss(happened, own))),
        ("auroc", float(roc_auc_score(happened, own))),
        ("calibration_error", float(error if error is not None else np.nan)),
    ]


def markdown(lines: Sequence[dict[str, Any]]) -> str:
    """The lines as a table."""
    names = list(lines[0])
    rows = [[f"{v:.4f}" if isinstance(v, float) else str(v) for v in line.values()] for line in lines]
    titles = [name.replace("_", " ") for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, ["---"] * len(names), *rows])


if __name__ == "__main__":
    main()
