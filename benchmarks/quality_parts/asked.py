"""Questions as people ask them of abstracts: the test part of ``asked``, beside what question words tell."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from qa_extractive.data.question_forms import is_yes_no
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.metrics.classes import macro_f1
from qa_extractive.metrics.columns import Floats
from qa_extractive.metrics.question_words import words_model
from qa_extractive.metrics.scores import answerability_auroc
from qa_extractive.metrics.text import best_exact_match
from qa_extractive.training.labelled_rows import asked_as_given
from qa_extractive.types import NO_VERDICT, VERDICTS, Example
from quality_parts.common import Bench, Figure, Goal, Part, bools, floats
from quality_parts.reliability import calibration_of, verdict_calibration

TRAIN = "asked/train.jsonl.gz"
TEST = "asked/test.jsonl.gz"
TYPES = ("fact", "claim", "other", "lay")


def asked(bench: Bench) -> Part:
    """Spans, answerability and verdicts on whole abstracts that nothing was trained, chosen or fitted on."""
    results = bench.run(
        "asked", lambda: bench.sample(asked_as_given(bench.data_root / TEST, random.Random(0)))
    )
    rows = list(results.rows)
    train = asked_as_given(bench.data_root / TRAIN, random.Random(0))
    calibration = calibration_of(bench, rows, "", Goal("at most", 0.05, 0.02))
    return Part(
        [
            *_spans(bench, rows),
            *_answerability(bench, rows, train),
            *_verdicts(bench, rows, train),
            *calibration.figures,
        ],
        rows,
        calibration.details,
        notes=(
            "Question words alone: logistic regression on the words and word pairs of the questions of "
            f"{TRAIN}. Verdicts are of the answerable yes/no questions, read with a threshold of 0, so that "
            "one is given to each; the majority is that of these rows.",
        ),
    )


def _spans(bench: Bench, rows: list[ScoredRow]) -> list[Figure]:
    has = [row for row in rows if row.answerable]
    none = [row for row in rows if not row.answerable]
    figures = [
        bench.mean("F1 without abstaining", _f1(has), has, Goal("at least", 0.72, 0.85)),
        bench.mean("EM without abstaining", floats(_em(row) for row in has), has),
        bench.mean("HasAns F1 at the threshold", _f1_given(has), has, Goal("at least", 0.64, 0.80)),
        bench.mean(
            "NoAns accuracy at the threshold",
            floats(not row.is_answered for row in none),
            none,
            Goal("at least", 0.80, 0.92),
        ),
    ]
    for kind in TYPES:
        own = [row for row in has if row.example.fields["type"] == kind]
        figures.append(bench.mean(f"F1 without abstaining, {kind}", _f1(own), own))
    numbered = [row for row in has if row.numbers_match is not None]
    values = floats(row.numbers_match for row in numbered)
    return [*figures, bench.mean("numbers exact, of answers with numbers", values, numbered)]


def _f1(rows: Sequence[ScoredRow]) -> Floats:
    return floats(row.f1 for row in rows)


def _f1_given(rows: Sequence[ScoredRow]) -> Floats:
    return floats(row.f1 if row.is_answered else 0.0 for row in rows)


def _em(row: ScoredRow) -> float:
    return best_exact_match(row.text, row.references)


def _answerability(bench: Bench, rows: list[ScoredRow], train: Sequence[Example]) -> list[Figure]:
    words = _by_words(train, [bool(e.answerable) for e in train], [row.example for row in rows])[:, 1]
    forms: dict[str, tuple[Callable[[bool], bool], Goal]] = {
        "all questions": (lambda _: True, Goal("at least", 0.89, 0.96)),
        "yes/no questions": (lambda yes_no: yes_no, Goal("at least", 0.86, 0.95)),
        "wh-questions": (lambda yes_no: not yes_no, Goal("at least", 0.90, 0.97)),
    }
    figures = []
    for name, (belongs, goal) in forms.items():
        chosen = [i for i, row in enumerate(rows) if belongs(is_yes_no(row.example.question.question))]
        own = [rows[i] for i in chosen]
        labels = bools(bool(row.answerable) for row in own)
        figures += [
            bench.auroc(f"AUROC, {name}", own, goal),
            Figure(
                f"the same of question words alone, {name}",
                answerability_auroc(words[chosen], labels),
                len(own),
            ),
        ]
    return figures


def _verdicts(bench: Bench, rows: list[ScoredRow], train: Sequence[Example]) -> list[Figure]:
    own = [row for row in rows if row.example.verdict in VERDICTS]
    if not own:
        return []
    said = bench.unabstained(own)
    true = [str(row.example.verdict) for row in own]
    given = [answer.verdict for answer in said]
    right = floats(a == b for a, b in zip(true, given, strict=True))
    taught = [e for e in train if e.verdict in VERDICTS]
    words = _by_words(taught, [VERDICTS.index(str(e.verdict)) for e in taught], [row.example for row in own])
    told = [VERDICTS[i] for i in words.argmax(1)]
    majority = max(map(true.count, VERDICTS)) / len(true)
    others = [row for row in rows if row.example.verdict == NO_VERDICT]
    mistaken = floats(answer.verdict is not None for answer in bench.unabstained(others))
    return [
        bench.mean("verdict accuracy", right, own, Goal("at least", 0.80, 0.93)),
        Figure("verdict macro F1", macro_f1(true, given), len(own)),
        Figure("verdict accuracy of the majority", majority, len(own)),
        bench.mean(
            "verdict accuracy of question words alone",
            floats(a == b for a, b in zip(true, told, strict=True)),
            own,
        ),
        *verdict_calibration(bench, own),
        bench.mean("verdicts given to questions that are not yes/no", mistaken, others),
    ]


def _by_words(train: Sequence[Example], labels: Sequence[int], asked_of: Sequence[Example]) -> Floats:
    """Probabilities of the labels by the words of the questions, shape (n_asked, n_labels)."""
    model = words_model()
    model.fit([e.question.question.lower() for e in train], labels)
    probs: Floats = model.predict_proba([e.question.question.lower() for e in asked_of])
    return probs
