"""What a member of an ensemble is judged on: questions as people ask them, SQuAD and the other sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qa_extractive.config import DecodeConfig
from qa_extractive.data.documents import document_of
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.decoding import RawPrediction, decode
from qa_extractive.inference.windows import Windower
from qa_extractive.metrics.text import best_exact_match, best_token_f1
from qa_extractive.model.apart import TOGETHER, Apart
from qa_extractive.model.span_reader import SpanReader
from qa_extractive.training.ensemble.encoded import encode
from qa_extractive.training.ensemble.loop import DeviceWindows, predict
from qa_extractive.training.window_labels import label_windows
from qa_extractive.types import VERDICT_CLASSES, VERDICTS, Example

Figures = dict[str, float]

_N_FOLDS = 5
_LEAST = 20  # examples of each kind, and documents, below which nothing can be learned


def evaluate(
    model: SpanReader,
    windower: Windower,
    sets: Mapping[str, Sequence[Example]],
    apart: Apart = TOGETHER,
) -> dict[str, Figures]:
    """The figures of each set of examples; see ``figures``."""
    return {
        name: figures(read(model, windower, examples, apart), examples) for name, examples in sets.items()
    }


def read(
    model: SpanReader, windower: Windower, examples: Sequence[Example], apart: Apart
) -> list[RawPrediction]:
    """The prediction of each example, on the device that the model is on."""
    labelled = label_windows(windower, examples)
    windows = DeviceWindows(encode([(each, "", 0) for each in labelled]), model.device)
    found: dict[int, WindowLogits] = {}
    for own, _, output in predict(model, windows, np.arange(len(labelled)), apart=apart):
        arrays = {name: each.float().cpu().numpy() for name, each in output.items()}
        for row, i in enumerate(own.tolist()):
            n_tokens = labelled[i].window.n_tokens
            found[i] = WindowLogits(
                arrays["start_logits"][row, :n_tokens],
                arrays["end_logits"][row, :n_tokens],
                float(arrays["answerability_logit"][row]),
                arrays["verdict_logits"][row] if "verdict_logits" in arrays else None,
            )
    questions = [example.question for example in examples]
    logits = [found[i] for i in range(len(labelled))]
    return decode(questions, [each.window for each in labelled], logits, DecodeConfig())


def figures(predictions: Sequence[RawPrediction], examples: Sequence[Example]) -> Figures:
    """How right the predictions are, each figure in [0, 1] and only where there is something to count.

    ``f1`` and ``em``: of the best spans of answerable questions, never abstaining. ``verdict``: share of
    right ones of the answerable yes/no questions. ``auroc``: of the probability that the text answers, a
    logistic regression on what the calibration reads, fitted on other documents. ``best_f1``: mean F1 of all
    questions at the best threshold of that probability.
    """
    answerable = [(p, e) for p, e in zip(predictions, examples, strict=True) if e.answerable]
    found = {
        "f1": float(np.mean([best_token_f1(_best(p, e), e.references) for p, e in answerable])),
        "em": float(np.mean([best_exact_match(_best(p, e), e.references) for p, e in answerable])),
    }
    verdicts = [_is_right_verdict(p, e) for p, e in answerable if e.verdict in VERDICTS and p.verdict_logits]
    if verdicts:
        found["verdict"] = float(np.mean(verdicts))
    found |= _answerability([(p, e) for p, e in zip(predictions, examples, strict=True) if p.candidates])
    return {name: round(value, 4) for name, value in found.items()}


def _best(prediction: RawPrediction, example: Example) -> str:
    if not prediction.candidates:
        return ""
    best = prediction.candidates[0]
    return example.question.context[best.start : best.end]


def _is_right_verdict(prediction: RawPrediction, example: Example) -> bool:
    logits = (prediction.verdict_logits or ())[: len(VERDICTS)]
    return VERDICT_CLASSES[int(np.argmax(logits))] == example.verdict


def _answerability(pairs: Sequence[tuple[RawPrediction, Example]]) -> Figures:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    labels = np.array([bool(example.answerable) for _, example in pairs])
    documents = np.array([document_of(example) for _, example in pairs])
    if min(labels.sum(), (~labels).sum(), len(set(documents.tolist()))) < _LEAST:
        return {}
    options: dict[str, Any] = {"groups": documents, "cv": GroupKFold(_N_FOLDS), "method": "predict_proba"}
    features = np.array([prediction.features() for prediction, _ in pairs])
    probs = cross_val_predict(LogisticRegression(max_iter=1000), features, labels, **options)[:, 1]
    gains = np.array([best_token_f1(_best(p, e), e.references) if e.answerable else -1.0 for p, e in pairs])
    best = np.concatenate([[0.0], np.cumsum(gains[np.argsort(-probs)])]).max()
    return {
        "auroc": float(roc_auc_score(labels, probs)),
        "best_f1": float((best + (~labels).sum()) / len(labels)),
    }
