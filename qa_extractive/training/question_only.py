"""A model that reads nothing but the question: how much of the label do its words give away?

Needs the [train] extra.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qa_extractive.metrics.question_words import words_model
from qa_extractive.types import Example

_N_FOLDS = 5
_LEAST = 50  # examples of each kind, below which nothing can be learned


def answerable_probs(examples: Sequence[Example]) -> npt.NDArray[np.float64] | None:
    """The probability of each question to be answerable by its words alone, shape (n_examples,).

    Logistic regression on the TF-IDF of words and word pairs, for each fold of questions fitted on the
    others; copies of a question and the negatives made of it lie in its fold. None where either kind has
    fewer than 50 examples.
    """
    from sklearn.model_selection import GroupKFold, cross_val_predict

    labels = np.array([bool(example.answerable) for example in examples])
    if min(labels.sum(), (~labels).sum()) < _LEAST:
        return None
    questions = [example.question.question.lower() for example in examples]
    folds = GroupKFold(_N_FOLDS)
    probs: npt.NDArray[np.float64] = cross_val_predict(
        words_model(),
        questions,
        labels,
        groups=[_origin(example) for example in examples],
        cv=folds,
        method="predict_proba",
    )[:, 1]
    return probs


def _origin(example: Example) -> str:
    """The id of the example that a copy ("~") or a negative ("+") was made of."""
    return example.id.partition("+")[0].partition("~")[0]


def question_only_auroc(examples: Sequence[Example]) -> float | None:
    """How well the words of a question alone tell answerable from not, in [0, 1]; 0.5 is chance.

    None where ``answerable_probs`` is.
    """
    from sklearn.metrics import roc_auc_score

    known = [example for example in examples if example.answerable is not None]
    probs = answerable_probs(known)
    if probs is None:
        return None
    return float(roc_auc_score([bool(example.answerable) for example in known], probs))
