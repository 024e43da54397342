"""Examples -> training, development and calibration parts with negatives. Needs the [train] extra."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from operator import attrgetter

import numpy as np

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.config import TrainConfig
from qa_extractive.data.documents import document_of, place_of
from qa_extractive.training.crops import with_crops
from qa_extractive.training.question_only import answerable_probs
from qa_extractive.training.swaps import names_of, swapped
from qa_extractive.types import Example, Question

CALIBRATES = "calibrates"
"""Key of ``Example.fields``: true of an example that is there to fit the calibration, not to train."""

_N_NEIGHBOURS = 10
_CALIBRATION_PART = 2  # of ``_split``
_MIN_WORDS_LEFT = 15


@dataclass(frozen=True, slots=True)
class Splits:
    """The parts of a training run; no document is in two of them.

    Attributes:
        train: What the weights learn from.
        dev: Chooses the checkpoint.
        calibration: Fits the calibration.
        fresh: Used for nothing: what a last measurement is made on.
    """

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    calibration: tuple[Example, ...]
    fresh: tuple[Example, ...]


def build_splits(examples: Sequence[Example], config: TrainConfig) -> Splits:
    """Split by document and add negatives to every part.

    Args:
        examples: Labelled examples; those without any label are left out.
        config: Sizes, negative shares and the seed.
    """
    labelled = [e for e in examples if e.is_labelled or e.answerable is not None]
    train, *held_out = _split(labelled, config)
    if not train:  # so few documents that the hash put all of them aside
        train, held_out = labelled, [[] for _ in held_out]
    rng = random.Random(config.seed)
    mixed = with_negatives(sorted(train, key=attrgetter("source")), config, rng)
    mixed = with_crops(mixed, config, random.Random(f"crops:{config.seed}"))
    shares = (None, config.calibration_answerable_share, None)
    chosen = [
        tuple(_balanced(with_negatives(part, config, rng), n, rng, share))
        for part, n, share in zip(held_out, _sizes(config), shares, strict=True)
    ]
    return Splits(tuple(mixed), *chosen)


def development_part(examples: Sequence[Example], config: TrainConfig) -> list[Example]:
    """All examples of the documents that ``build_splits`` takes its development examples from."""
    labelled = [e for e in examples if e.is_labelled or e.answerable is not None]
    return _split(labelled, config)[1]


def _sizes(config: TrainConfig) -> tuple[int, int, int]:
    return config.n_dev, config.n_calibration, config.n_fresh


def _split(examples: Sequence[Example], config: TrainConfig) -> list[list[Example]]:
    """Training and the three held-out parts.

    By a hash of the document, so that a document lies on the same side in every run and file. Of
    copies of an example only the first is held out.
    """
    shares = _held_out_shares(examples, config)
    seed = config.seed if config.split_seed is None else config.split_seed
    parts: list[list[Example]] = [[] for _ in range(1 + len(_sizes(config)))]
    for example in examples:
        document = document_of(example)
        part = _part(int(place_of(document, seed)[:16], 16) / 2**64, shares[document])
        if example.fields.get(CALIBRATES):
            part = _CALIBRATION_PART
        if part == 0 or not example.fields.get("copy"):
            parts[part].append(example)
    return parts


def _part(place: float, shares: Sequence[float]) -> int:
    """0 for training, then 1 for the first share and so on."""
    reached = 0.0
    for i, share in enumerate(shares, start=1):
        reached += share
        if place < reached:
            return i
    return 0


def _held_out_shares(examples: Sequence[Example], config: TrainConfig) -> dict[str, list[float]]:
    """For each document the shares of documents like it that the held-out parts take.

    Every source gives twice as many examples as are asked for, where it has plenty, so that they span
    many documents; a document of several sources follows the most generous.
    """
    n_of_source = Counter(example.source for example in examples)
    sizes = list(_sizes(config))
    if any(example.fields.get(CALIBRATES) for example in examples):
        sizes[_CALIBRATION_PART - 1] = 0
    shares: dict[str, list[float]] = {}
    for example in examples:
        n = n_of_source[example.source]
        own = [min(config.held_out_share, 2 * size / n) for size in sizes]
        known = shares.setdefault(document_of(example), own)
        shares[document_of(example)] = [max(pair) for pair in zip(known, own, strict=True)]
    return shares


def _balanced(
    examples: Sequence[Example], n: int, rng: random.Random, share: float | None = None
) -> list[Example]:
    """At most n examples, the sources evened out.

    Half of them are answerable as far as there are enough; or a share of them, so that there are fewer.
    """
    yes = _evened([e for e in examples if e.answerable is not False], rng)
    no = _evened([e for e in examples if e.answerable is False], rng)
    n_yes = min(len(yes), n // 2 if share is None else round(n * share))
    n_no = min(len(no), n - n_yes)
    if share is not None:
        n_no = min(n_no, round(n_yes * (1 - share) / share))
        n_yes = min(n_yes, max(1, round(n_no * share / (1 - share))))
        n = n_yes + n_no
    chosen = yes[: n - n_no] + no[:n_no]
    rng.shuffle(chosen)
    return chosen


def _evened(examples: Sequence[Example], rng: random.Random) -> list[Example]:
    """The examples in random order, one from each source in turn until it has no more."""
    by_source: dict[str, list[Example]] = defaultdict(list)
    for example in rng.sample(list(examples), len(examples)):
        by_source[example.source].append(example)
    rounds = zip_longest(*(own for _, own in sorted(by_source.items())))
    return [example for turn in rounds for example in turn if example is not None]


def with_negatives(examples: Sequence[Example], config: TrainConfig, rng: random.Random) -> list[Example]:
    """The examples and, beside them, pairs that are not answerable.

    A share ``mismatch_share`` of the answerable ones is asked again of another context of the same
    source: half of these of one on the same topic (TF-IDF; in SQuAD often of the same article), half
    of any; a share ``removal_share`` is asked of its own context without the sentences that hold the
    answer.
    """
    by_source: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_source[example.source].append(example)
    negatives: list[Example] = []
    for source, own in sorted(by_source.items()):
        yes = [e for e in own if e.spans]
        n_removed = round(config.removal_shares.get(source, config.removal_share) * len(yes))
        n_swapped = round(config.swap_shares.get(source, config.swap_share) * len(yes))
        negatives += _mismatched(_to_mismatch(source, own, yes, config, rng), own, rng)
        negatives += _swapped(yes, n_swapped, rng)
        removed = [_without_answer(e) for e in rng.sample(yes, min(n_removed, len(yes)))]
        negatives += [e for e in removed if e is not None]
    return [*examples, *negatives]


def _to_mismatch(
    source: str, own: Sequence[Example], yes: list[Example], config: TrainConfig, rng: random.Random
) -> list[Example]:
    """The answerable examples to ask of another context.

    Where a question is answerable with probability p by its words alone, p - (1 - p) of its kind lack a
    counterpart that is not: of the answerable ones a share (2p - 1) / p.
    """
    probs = answerable_probs(own) if source in config.balanced_sources else None
    if probs is not None:
        lacking = {id(e): (2 * p - 1) / p for e, p in zip(own, probs, strict=True)}
        return [e for e in yes if rng.random() < lacking[id(e)]]
    n = round(config.mismatch_shares.get(source, config.mismatch_share) * len(yes))
    return rng.sample(yes, min(n, len(yes)))


def _swapped(yes: list[Example], n: int, rng: random.Random) -> list[Example]:
    """At most n of the examples with one thing in the question exchanged."""
    if not n:
        return []
    names = names_of(yes)
    found: list[Example] = []
    for example in rng.sample(yes, len(yes)):
        asked = swapped(example, names, rng)
        if asked is not None:
            question = replace(example.question, question=asked)
            found.append(_negative(example, question, "swapped", example.document))
        if len(found) == n:
            break
    return found


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
    return not any(_holds(other.question.context, answer) for answer in _answers(example))


def _answers(example: Example) -> tuple[str, ...]:
    return example.references or tuple(span.text for span in example.spans)


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
    if len(rest.split()) < _MIN_WORDS_LEFT or any(_holds(rest, answer) for answer in _answers(example)):
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
        verdict=None,
        document=document,
        fields={**example.fields, "negative": kind},
    )
