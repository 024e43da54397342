"""Questions and texts of set lengths, unseen before, made of the repository's own sentences."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.data.loading import load_examples

DATA = Path(__file__).resolve().parents[2] / "data"

# Words of the 500 abstracts of pubmedqa/pqal-train-500.json.gz: the quantiles 2.5 %, 7.5 % ... 97.5 %.
ABSTRACT_WORDS = (
    *(131, 160, 176, 187, 195, 204, 217, 227, 234, 240),
    *(245, 249, 251, 256, 261, 270, 284, 297, 316, 362),
)
PASSAGE_WORDS = 35
PAPER_WORDS = 20_000
MIXED_WORDS = tuple(round(20 * 100 ** (i / 19)) for i in range(20))  # 20 to 2,000, evenly on a log scale


class Asked(NamedTuple):
    """A question and its context; a plain pair, so that any process can unpickle it."""

    question: str
    context: str


class Input(NamedTuple):
    """What is asked in one turn.

    Attributes:
        title: In words.
        words: Of each context.
        batch: Texts that a subset for a slow system is a multiple of; 0 where the one text is shortened.
    """

    title: str
    words: tuple[int, ...]
    batch: int


INPUTS = {
    "abstracts": Input("20 abstracts", ABSTRACT_WORDS, 20),
    "passages": Input("100 short passages", (PASSAGE_WORDS,) * 100, 20),
    "mixed": Input("20 texts of 20 to 2,000 words", MIXED_WORDS, 20),
    "paper": Input("one paper of 20,000 words", (PAPER_WORDS,), 0),
    "corpus": Input("1,000 abstracts", ABSTRACT_WORDS * 50, 20),
}


def make(name: str, seed: int, share: float = 1.0) -> list[Asked]:
    """The texts of an input, or a share of them, of the same lengths for every seed.

    Sentences and questions are drawn anew, and each context begins with a number of its own, so that
    no text of one seed is one of another.

    Args:
        name: A key of ``INPUTS``.
        seed: Of the draw.
        share: In (0, 1]: of the texts, whole batches; of a single text, its words.
    """
    kind = INPUTS[name]
    words: Sequence[int] = kind.words
    if share < 1.0 and kind.batch:
        words = words[: max(1, round(share * len(words) / kind.batch)) * kind.batch]
    elif share < 1.0:
        words = [max(1, round(share * n)) for n in words]
    draw = random.Random(f"{name} {seed}")
    questions, sentences = _pool()
    order = [*range(len(words))]
    draw.shuffle(order)  # neighbours differ in length, as in a user's file
    made = [""] * len(words)
    for i in order:
        made[i] = _context(draw, sentences, words[i], f"{seed}-{i}")
    return [Asked(draw.choice(questions), made[i]) for i in order]


def _context(draw: random.Random, sentences: Sequence[str], n_words: int, mark: str) -> str:
    words = [f"({mark})"]
    while len(words) < n_words:
        words += draw.choice(sentences).split()
    return " ".join(words[:n_words])


@cache
def _pool() -> tuple[list[str], list[str]]:
    """Every question of the repository's tables, and every sentence of their abstracts."""
    files = [DATA / "training_data.csv", DATA / "inference_data.csv"]
    asked = [example.question for example in load_examples(files).examples]
    contexts = sorted({each.context for each in asked})
    return (
        sorted({each.question for each in asked}),
        sorted({span.text for context in contexts for span in split_sentences(context)}),
    )
