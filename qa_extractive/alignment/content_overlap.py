"""How much of what a reference *says* a piece of text says too: overlap of weighted content stems.

Stop words count nothing, a stem that few sentences of the context hold counts more than one that
all of them hold, and a number counts double. Numbers and negations that disagree lower the score,
because "5 mg" for "15 mg" and "improved" for "did not improve" share most of their words.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

STOP_WORDS = frozenset(
    "a an the this that these those it its they them their he she his her him we our us i you your who "
    "whom which what whose when where how why there here is are was were be been being am do does did "
    "done doing has have had having can could may might must shall should will would of in on at by for "
    "from to with without into onto over under between among during after before since until than then "
    "as if while whereas although though because and or but nor so not no yes also both either neither "
    "such each other another some any all more most much many few less very only own same too just "
    "about up down out off again further however therefore thus moreover not cannot one ones et al eg "
    "ie vs per via upon within across against s t ll re".split()
)
NEGATIONS = frozenset(
    "no not nor neither never none nothing without cannot lack lacked lacking fail failed fails unable "
    "unlikely didnt doesnt dont isnt wasnt werent wont couldnt cant hasnt havent hadnt".split()
)
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate("zero _ two three four five six seven eight nine ten eleven twelve".split())
}
_IRREGULAR = dict(
    pair.split(":")
    for pair in (
        "better:good best:good higher:high lower:low fewer:few rose:rise fell:fall found:find shown:show "
        "led:lead mice:mouse"
    ).split()
)
_SUFFIX = re.compile(
    r"(?:ions|ion|ings|ing|edly|ed|ments|ment|ances|ance|ants|ant|ences|ence|ents|ent|ically|ical|ics|ic|ities|"
    r"ity|ies|ness|ively|ive|ables|able|ably|ers|er|ly|is|es|s|e|y)$"
)
_BRITISH = re.compile(r"(?<=\w{4})is(?=(?:e|ed|es|er|ing|ation|ations)$)")
_SPELLINGS = (("ae", "e"), ("oe", "e"), ("our", "or"), ("yz", "ys"))
_MIN_STEM = 4
_NUMBER_WEIGHT = 2.0


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A crude stem of a folded token, so that inflected and derived forms meet; "" for a stop word.

    British spellings meet American ones; number words up to twelve become digits; one character
    that is no digit is a stop word.
    """
    if word in STOP_WORDS or (len(word) < 2 and not word.isdigit() and word.isascii()):
        return ""
    if not word.isalpha():
        return word
    word = _NUMBER_WORDS.get(word, _IRREGULAR.get(word, word))
    word = _BRITISH.sub("iz", word)
    for british, american in _SPELLINGS:
        word = word.replace(british, american)
    for _ in range(3):
        cut = _SUFFIX.sub("", word)
        word = cut if len(cut) >= _MIN_STEM else word
    return word[:-1] if word.endswith("uct") else word


def is_number(word: str) -> bool:
    """Whether a folded token or a stem is a number."""
    return word[:1].isdigit()


def is_negated(words: Iterable[str]) -> bool:
    """Whether any of the folded tokens negates."""
    return any(word in NEGATIONS for word in words)


@dataclass(frozen=True, slots=True)
class ContentWeights:
    """What each stem of one context is worth.

    Attributes:
        weights: For each stem of the context ``log(1 + n / df)``, n sentences of which df hold it;
            numbers count double.
        unseen: The weight of a stem that the context lacks.
    """

    weights: Mapping[str, float]
    unseen: float

    @classmethod
    def of(cls, sentences: Sequence[Sequence[str]]) -> ContentWeights:
        """The weights of a context given as the stems of each of its sentences."""
        n = len(sentences)
        df = Counter(s for sentence in sentences for s in set(sentence) if s)
        weights = {s: _factor(s) * math.log(1 + n / count) for s, count in df.items()}
        return cls(weights, math.log(2 + n))

    def total(self, stems: Iterable[str]) -> float:
        """The summed weight of the distinct stems given; "" weighs nothing."""
        return sum(self.weights.get(s, self.unseen * _factor(s)) for s in set(stems) if s)


def _factor(stem_: str) -> float:
    return _NUMBER_WEIGHT if is_number(stem_) else 1.0


@dataclass(frozen=True, slots=True)
class Overlap:
    """How a piece of text meets a reference; all shares are of weight and in [0, 1].

    Attributes:
        recall: Share of the reference's content that the piece holds.
        precision: Share of the piece's content that is in the reference.
        n_shared: Distinct content stems in both.
        number_recall: Share of the reference's numbers that the piece holds; 1 if it has none.
        negation_agrees: Whether both negate or neither does.
    """

    recall: float
    precision: float
    n_shared: int
    number_recall: float
    negation_agrees: bool


def overlap(reference: Sequence[str], piece: Sequence[str], weights: ContentWeights) -> Overlap:
    """The overlap of two texts given as folded tokens."""
    wanted, given = {stem(w) for w in reference} - {""}, {stem(w) for w in piece} - {""}
    shared = wanted & given
    numbers = {s for s in wanted if is_number(s)}
    shared_weight = weights.total(shared)
    return Overlap(
        recall=shared_weight / (weights.total(wanted) or 1.0),
        precision=shared_weight / (weights.total(given) or 1.0),
        n_shared=len(shared),
        number_recall=len(numbers & given) / len(numbers) if numbers else 1.0,
        negation_agrees=is_negated(reference) == is_negated(piece),
    )
