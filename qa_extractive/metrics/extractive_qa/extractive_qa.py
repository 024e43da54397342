"""``evaluate.load(qa_extractive.metrics.evaluate_module_path())``: this package's metrics, the same numbers.

``evaluate`` copies this file, and this file alone, into its cache of modules and runs the copy; the numbers
come from the installed package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from qa_extractive.errors import DataError
from qa_extractive.metrics.columns import Bools, prob_column, require_same_length
from qa_extractive.metrics.risk_coverage import risk_coverage
from qa_extractive.metrics.scores import (
    answerability_auroc,
    answerability_average_precision,
    brier_score,
    calibration_error,
    squad_rows,
    squad_scores,
)
from qa_extractive.metrics.text import RIGHT_F1, SquadVersion, best_rouge_l

_VERSIONS: dict[str, SquadVersion] = {"default": "2.0", "2.0": "2.0", "1.1": "1.1"}
_PRECISIONS = (80, 90, 95)
_SQUAD_KEYS = {"id", "prediction_text", "no_answer_probability"}
_ANSWER_KEYS = set("id text start end score answerable abstained sentence candidates".split())

_DESCRIPTION = """
Exact match, token F1 and ROUGE-L of extractive answers, answerability, calibration and selective risk, as
qa_extractive computes them: shares in [0, 1], None where a figure is not defined.
"""

_INPUTS = """
Configurations: "2.0" (the default) and "1.1", the rules of the two official SQuAD scripts.

Args:
    predictions: For each row one of
        - a text, empty for an abstention;
        - SQuAD's {"id", "prediction_text", "no_answer_probability"}, of which only the text must be there;
        - qa_extractive's Answer.to_dict(), of which only "text" must be there.
    references: For each row one of
        - a text, empty where the row has no answer;
        - a list of texts of which any is right, empty where the row has no answer;
        - SQuAD's {"id", "answers": {"text": [...]}}.
    no_answer_threshold: Count rows whose no-answer probability is above it as abstentions; None to take
        them as they are answered.

Returns:
    em, f1, n_rows, has_ans_em, has_ans_f1, n_has_ans, no_ans_em, no_ans_f1, n_no_ans, rouge_l (of the rows
    with references). With probabilities of an answer, version 2.0: best_em, best_f1 and their
    *_no_answer_threshold, before any abstention; auroc, average_precision, answerable_brier,
    answerable_calibration_error. With "score": score_brier, score_calibration_error of the best span
    being right (token F1 of at least 0.5). With either, by "score" if it is given: aurc, augrc,
    coverage_at_80, coverage_at_90, coverage_at_95.

Example:
    >>> metric.compute(predictions=["The cat", ""], references=[["cat"], []])["f1"]
    1.0
"""

_CITATION = """
@inproceedings{rajpurkar-etal-2018-know,
    title = {Know What You Don't Know: Unanswerable Questions for {SQuAD}},
    author = {Rajpurkar, Pranav and Jia, Robin and Liang, Percy},
    booktitle = {ACL},
    year = {2018}
}
"""


class ExtractiveQA(evaluate.Metric):
    """The metrics of this package behind the interface of ``evaluate``.

    It overrides ``add`` and ``add_batch`` to take several forms of rows, and to name a bad row in one
    line; what is stored, and handed to ``_compute``, has one form.
    """

    @property
    def _version(self) -> SquadVersion:
        if self.config_name not in _VERSIONS:
            raise DataError(f"there is no configuration {self.config_name!r}: give '1.1' or '2.0'")
        return _VERSIONS[self.config_name]

    def _info(self) -> evaluate.MetricInfo:
        text, prob = datasets.Value("string"), datasets.Value("float64")
        prediction = {"text": text, "best_text": text, "answerable": prob, "no_answer": prob, "score": prob}
        return evaluate.MetricInfo(
            description=f"{_DESCRIPTION}SQuAD version {self._version}.",
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": prediction, "references": datasets.Sequence(text)}),
            license="Apache-2.0",
            reference_urls=["https://arxiv.org/abs/1606.05250", "https://arxiv.org/abs/1806.03822"],
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add rows, any of the forms below.

        Raises:
            DataError: If a row has none of these forms, or some rows have a probability and some none.
        """
        if predictions is None or references is None:
            raise DataError("a batch lacks its predictions or its references: give both")
        if isinstance(predictions, str | Mapping) or isinstance(references, str | Mapping):
            raise DataError(
                "a batch is a list of predictions and one of references: put a single row in lists"
            )
        require_same_length(predictions=len(predictions), references=len(references))
        rows = [_prediction(value, i) for i, value in enumerate(predictions)]
        texts = [_references(value, i, self._version) for i, value in enumerate(references)]
        for i, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
            _check_ids(prediction, reference, i)
        for name in ("answerable", "score"):
            _probs(rows, name)
        super().add_batch(predictions=rows, references=texts, **kwargs)

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add one row, any of the forms below.

        Raises:
            DataError: If it has none of these forms.
        """
        # ``evaluate.combine`` says "predictions" and "references" even of one row.
        prediction, reference = kwargs.pop("predictions", prediction), kwargs.pop("references", reference)
        self.add_batch(predictions=[prediction], references=[reference], **kwargs)

    def _compute(
        self,
        predictions: Sequence[Mapping[str, Any]],
        references: Sequence[Sequence[str]],
        no_answer_threshold: float | None = None,
    ) -> dict[str, Any]:
        version = self._version
        answerable, no_answer = _probs(predictions, "answerable"), _probs(predictions, "no_answer")
        score = _probs(predictions, "score")
        best = [row["best_text"] for row in predictions]
        texts = _texts(predictions, no_answer, no_answer_threshold)
        figures = _of_texts(texts, references, version)
        if version == "2.0" and answerable is not None and no_answer is not None:
            figures |= _of_answerability(best, references, answerable, no_answer)
        rows = squad_rows(best, references, version=version)
        return figures | _of_confidence(rows.answerable & (rows.f1 >= RIGHT_F1), score, answerable)


def _of_texts(
    texts: Sequence[str], references: Sequence[Sequence[str]], version: SquadVersion
) -> dict[str, Any]:
    scores = squad_scores(texts, references, version=version)
    rouge = [best_rouge_l(text, own) for text, own in zip(texts, references, strict=True)]
    defined = [value for value in rouge if value is not None]
    return {
        "em": scores.em,
        "f1": scores.f1,
        "n_rows": scores.n,
        "has_ans_em": scores.has_ans_em,
        "has_ans_f1": scores.has_ans_f1,
        "n_has_ans": scores.n_has_ans,
        "no_ans_em": scores.no_ans_em,
        "no_ans_f1": scores.no_ans_f1,
        "n_no_ans": scores.n_no_ans,
        "rouge_l": float(np.mean(defined)) if defined else None,
    }


def _of_answerability(
    best: Sequence[str], references: Sequence[Sequence[str]], answerable: list[float], no_answer: list[float]
) -> dict[str, Any]:
    scores = squad_scores(best, references, no_answer_probs=no_answer)
    labels = [len(own) > 0 for own in references]
    return {
        "best_em": scores.best_em,
        "best_em_no_answer_threshold": scores.best_em_threshold,
        "best_f1": scores.best_f1,
        "best_f1_no_answer_threshold": scores.best_f1_threshold,
        "auroc": answerability_auroc(answerable, labels),
        "average_precision": answerability_average_precision(answerable, labels),
        "answerable_brier": brier_score(answerable, labels),
        "answerable_calibration_error": calibration_error(answerable, labels),
    }


def _of_confidence(right: Bools, score: list[float] | None, answerable: list[float] | None) -> dict[str, Any]:
    confidence = answerable if score is None else score
    if confidence is None:
        return {}
    curve = risk_coverage(confidence, right)
    figures: dict[str, Any] = {"aurc": curve.aurc, "augrc": curve.augrc}
    figures |= {f"coverage_at_{p}": curve.coverage_at(p / 100) for p in _PRECISIONS}
    if score is not None:
        figures["score_brier"] = brier_score(score, right)
        figures["score_calibration_error"] = calibration_error(score, right)
    return figures


def _texts(
    predictions: Sequence[Mapping[str, Any]], no_answer: list[float] | None, threshold: float | None
) -> list[str]:
    """The answers as given, or those that are left below a no-answer threshold."""
    if threshold is None:
        return [row["text"] for row in predictions]
    if no_answer is None and predictions:
        raise DataError("no_answer_threshold needs a probability for each prediction: give them")
    probs = no_answer or []
    return [
        "" if prob > threshold else row["best_text"] for row, prob in zip(predictions, probs, strict=True)
    ]


def _prediction(value: Any, row: int) -> dict[str, Any]:
    """A prediction in the one form that is stored."""
    if isinstance(value, str):
        return _stored(value, value)
    if isinstance(value, Mapping) and "prediction_text" in value:
        _check_keys(value, _SQUAD_KEYS, row)
        text = _text(value["prediction_text"], "prediction_text", row)
        no_answer = _prob(value, "no_answer_probability", row)
        answerable = None if no_answer is None else 1.0 - no_answer
        return _stored(text, text, answerable, no_answer)
    if isinstance(value, Mapping) and "text" in value:
        _check_keys(value, _ANSWER_KEYS, row)
        text = _text(value["text"], "text", row)
        candidates = value.get("candidates") or ()
        best = _text(candidates[0]["text"], "text of the first candidate", row) if candidates else text
        answerable = _prob(value, "answerable", row)
        no_answer = None if answerable is None else 1.0 - answerable
        shipped = "" if value.get("abstained") else text
        return _stored(shipped, text or best, answerable, no_answer, _prob(value, "score", row))
    raise DataError(
        f"prediction {row} is {_shown(value)}: give a text, or a mapping with 'prediction_text' or 'text'"
    )


def _stored(
    text: str,
    best_text: str,
    answerable: float | None = None,
    no_answer: float | None = None,
    score: float | None = None,
) -> dict[str, Any]:
    return {
        "text": text,
        "best_text": best_text,
        "answerable": answerable,
        "no_answer": no_answer,
        "score": score,
    }


def _references(value: Any, row: int, version: SquadVersion) -> list[str]:
    """The texts of a reference of any form."""
    if isinstance(value, Mapping):
        answers = value.get("answers")
        if not isinstance(answers, Mapping) or "text" not in answers:
            raise DataError(f"reference {row} is {_shown(value)}: SQuAD's form has 'answers' with 'text'")
        value = answers["text"]
    if isinstance(value, str):
        value = [value] if value else []
    if not isinstance(value, Iterable):
        raise DataError(f"reference {row} is {_shown(value)}: give a text, a list of texts or SQuAD's form")
    texts = [_text(text, "text of a reference", row) for text in value]
    if version == "1.1" and not texts:
        raise DataError(f"reference {row} is empty, and SQuAD 1.1 has no such rows: load configuration '2.0'")
    return texts


def _check_ids(prediction: Any, reference: Any, row: int) -> None:
    ids = [value.get("id") for value in (prediction, reference) if isinstance(value, Mapping)]
    if len(ids) == 2 and None not in ids and ids[0] != ids[1]:
        raise DataError(f"prediction {row} is of id {ids[0]!r}, its reference of {ids[1]!r}: sort them alike")


def _check_keys(value: Mapping[str, Any], known: set[str], row: int) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise DataError(f"prediction {row} has an unknown key {unknown[0]!r}: known are {sorted(known)}")


def _text(value: Any, name: str, row: int) -> str:
    if not isinstance(value, str):
        raise DataError(f"the {name} of row {row} is {_shown(value)}: give a string")
    return str(value)


def _prob(value: Mapping[str, Any], name: str, row: int) -> float | None:
    given = value.get(name)
    if given is None:
        return None
    try:
        return float(prob_column([given])[0])
    except (DataError, TypeError, ValueError):
        raise DataError(f"{name} of row {row} is {_shown(given)}: give a number in [0, 1]") from None


def _probs(rows: Sequence[Mapping[str, Any]], name: str) -> list[float] | None:
    """A column of probabilities; None where no row has one, DataError where only some have."""
    values = [row[name] for row in rows]
    missing = [i for i, value in enumerate(values) if value is None]
    if missing and len(missing) < len(values):
        raise DataError(f"prediction {missing[0]} has no probability ({name}), but others have: give all")
    return None if missing else values


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if value is not None else "missing"
