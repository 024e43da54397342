"""A classifier that reads nothing but the words of a question: the floor that a reader of texts must beat.

Needs the [train] extra.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_extractive.errors import QAError

_N_FOLDS = 5
_WORD = re.compile(r"\w")


def words_model(*, min_df: int = 2) -> Any:
    """Logistic regression on the TF-IDF of words and word pairs, to be fitted on lower-cased questions.

    Args:
        min_df: Questions that a word must stand in to count.

    Raises:
        QAError: scikit-learn is missing.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError as error:
        raise QAError(
            "what question words tell needs scikit-learn: pip install 'qa-extractive[train]'"
        ) from error
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=min_df, sublinear_tf=True, token_pattern=r"\w+")
    return make_pipeline(words, LogisticRegression(max_iter=1000))


def told_by_words(
    questions: Sequence[str], labels: Sequence[str], documents: Sequence[Hashable]
) -> list[str] | None:
    """The label of each question by its words, told by a model that saw no row of its document.

    Args:
        questions: The questions, (n_rows,).
        labels: Their labels, (n_rows,).
        documents: The document of each, (n_rows,): the folds keep its rows together.

    Returns:
        The labels told, (n_rows,); None where there are no two documents.

    Raises:
        QAError: scikit-learn is missing.
    """
    n_documents = len(set(documents))
    if n_documents < 2:
        return None
    model = words_model(min_df=1)
    from sklearn.model_selection import GroupKFold

    numbers = {document: i for i, document in enumerate(dict.fromkeys(documents))}
    groups = [numbers[document] for document in documents]
    words, known = np.array([question.lower() for question in questions]), np.array(labels)
    told = known.copy()
    for train, asked in GroupKFold(min(_N_FOLDS, n_documents)).split(words, groups=groups):
        told[asked] = _told(model, words[train], known[train], words[asked])
    return [str(label) for label in told]


def _told(
    model: Any, train: NDArray[np.str_], labels: NDArray[np.str_], asked: NDArray[np.str_]
) -> NDArray[np.str_]:
    """By a model fitted anew; the most frequent label where there is nothing to tell labels apart by."""
    values, counts = np.unique(labels, return_counts=True)
    if values.size == 1 or not any(map(_WORD.search, train)):
        return np.repeat(values[counts.argmax()], asked.size)
    predicted: NDArray[np.str_] = model.fit(train, labels).predict(asked)
    return predicted
