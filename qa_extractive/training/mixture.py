"""Examples -> training, development and calibration parts with negatives. Needs the [train] extra."""

from __future__ import annotations

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np

from qa_extractive.config import TrainConfig
from qa_extractive.records import Example, Question
from qa_extractive.sentences import split_sentences

_MAX_HELD_OUT_SHARE = 0.15
_N_NEIGHBOURS = 10
_MIN_WORDS_LEFT = 15


@dataclass(frozen=True, slots=True)
class Mixture:
    """The parts of a training run; no document is in two of them."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    calibration: tuple[Example, ...]


def mix(examples: Sequence[Example], config: TrainConfig) -> Mixture:
    """Split by document and add negatives to every part.

    Args:
        examples: Labelled examples; those without any label are left out.
        config: Sizes, negative shares and the seed.
    """
    labelled = [e for e in examples if e.is_labelled or e.answerable is not None]
    parts = _split(labelled, config)
    rng = random.Random(config.seed)
    train = with_negatives(sorted(parts[0], key=attrgetter("source")), config, rng)
    dev = _balanced(with_negatives(parts[1], config, rng), config.n_dev, rng)
    calibration = _balanced(with_negatives(parts[2], config, rng), config.n_calibration, rng)
    return Mixture(tuple(train), tuple(dev), tuple(calibration))


def _split(
    examples: Sequence[Example], config: TrainConfig
) -> tuple[list[Example], list[Example], list[Example]]:
    """By a hash of the document, so that a document lies on the same side in every run and file."""
    n = max(1, len(examples))
    # Twice as many as asked for are held out where there is plenty, so that they span many documents.
    dev_share = min(_MAX_HELD_OUT_SHARE, 2 * config.n_dev / n)
    calibration_share = min(_MAX_HELD_OUT_SHARE, 2 * config.n_calibration / n)
    parts: tuple[list[Example], list[Example], list[Example]] = ([], [], [])
    for example in examples:
        place = _place(example.document, config.seed)
        part = 1 if place < dev_share else 2 if place < dev_share + calibration_share else 0
        parts[part].append(example)
    return parts


def _place(document: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{document}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _balanced(examples: Sequence[Example], n: int, rng: random.Random) -> list[Example]:
    """At most n examples, half of them answerable as far as there are enough."""
    yes = [e for e in examples if e.answerable is not False]
    no = [e for e in examples if e.answerable is False]
    rng.shuffle(yes)
    rng.shuffle(no)
    n_no = min(len(no), n - min(len(yes), n // 2))
    chosen = yes[: n - n_no] + no[:n_no]
    rng.shuffle(chosen)
    return chosen


def with_negatives(examples: Sequence[Example], config: TrainConfig, rng: random.Random) -> list[Example]:
    """The examples and, beside them, pairs that are not answerable.

    A share ``mismatch_share`` of the answerable ones is asked again of another context: half of
    these of one on the same topic (TF-IDF), half of any; a share ``removal_share`` is asked of its
    own context without the sentences that hold the answer.
    """
    by_source: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_source[example.source].append(example)
    negatives: list[Example] = []
    for _, own in sorted(by_source.items()):
        yes = [e for e in own if e.spans]
        n_mismatch, n_removed = (
            round(config.mismatch_share * len(yes)),
            round(config.removal_share * len(yes)),
        )
        negatives += _mismatched(rng.sample(yes, min(n_mismatch, len(yes))), own, rng)
        removed = [_without_answer(e) for e in rng.sample(yes, min(n_removed, len(yes)))]
        negatives += [e for e in removed if e is not None]
    return [*examples, *negatives]


def _mismatched(chosen: list[Example], pool: list[Example], rng: random.Random) -> list[Example]:
    contexts = {e.question.context: e for e in pool}
    others = list(contexts.values())
    if len(others) < 2 or not chosen:
        return []
    near = _neighbours([e.question.context for e in chosen[::2]], list(contexts))
    negatives = []
    for i, example in enumerate(chosen):
        picks = [others[j] for j in near[i // 2]] if i % 2 == 0 else rng.sample(others, min(5, len(others)))
        rng.shuffle(picks)
        other = next((o for o in picks if _is_other(example, o)), None)
        if other is not None:
            question = Question(example.question.question, other.question.context, other.question.title)
            negatives.append(_negative(example, question, "mismatched", other.document))
    return negatives


def _is_other(example: Example, other: Example) -> bool:
    if example.question.context == other.question.context:
        return False
    return not any(_holds(other.question.context, reference) for reference in example.references)


def _holds(context: str, reference: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(reference.lower())}(?!\w)", context.lower()) is not None


def _neighbours(queries: list[str], contexts: list[str]) -> list[list[int]]:
    """For each query the positions of the contexts most like it in TF-IDF, itself left out."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        sublinear_tf=True, stop_words="english", dtype=np.float32, token_pattern=r"\w\w+"
    )
    try:
        matrix = vectorizer.fit_transform(contexts)
    except ValueError:  # no word in any context
        return [list(range(min(_N_NEIGHBOURS, len(contexts)))) for _ in queries]
    found: list[list[int]] = []
    for begin in range(0, len(queries), 256):
        scores = (vectorizer.transform(queries[begin : begin + 256]) @ matrix.T).toarray()
        n = min(_N_NEIGHBOURS + 1, scores.shape[1])
        best = np.argpartition(-scores, n - 1, axis=1)[:, :n]
        found += [
            [int(j) for j in row[np.argsort(-line[row])][1:]] for row, line in zip(best, scores, strict=True)
        ]
    return found


def _without_answer(example: Example) -> Example | None:
    """The example with the sentences of its answer cut out; None if the rest still holds it."""
    context = example.question.context
    kept = [
        s
        for s in split_sentences(context)
        if not any(s.start < span.end and span.start < s.end for span in example.spans)
    ]
    rest = " ".join(s.text for s in kept)
    if len(rest.split()) < _MIN_WORDS_LEFT or any(
        _holds(rest, reference) for reference in example.references
    ):
        return None
    question = Question(example.question.question, rest, example.question.title)
    return _negative(example, question, "removed", example.document)


def _negative(example: Example, question: Question, kind: str, document: str) -> Example:
    return replace(
        example,
        id=f"{example.id}+{kind}",
        question=question,
        references=(),
        spans=(),
        answerable=False,
        document=document,
        fields={**example.fields, "negative": kind},
    )
