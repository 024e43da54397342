"""How long inputs are, counted in one way for every system."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.tables.writing import replace_surrogates
from qa_extractive.types import Example

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHUNK_EXAMPLES = 256


def count_tokens(examples: Sequence[Example]) -> tuple[int, ...]:
    """Tokens of the question, title and context of each example, in order.

    By the tokenizer of the embedded model whatever the system, so that slices by length hold the same
    rows for all systems; without special tokens, and each text once, however many windows it takes.
    """
    counts: list[int] = []
    for begin in range(0, len(examples), _CHUNK_EXAMPLES):
        questions = [example.question for example in examples[begin : begin + _CHUNK_EXAMPLES]]
        texts = [replace_surrogates(t) for q in questions for t in (q.question, q.title or "", q.context)]
        encodings = _tokenizer().encode_batch(texts, add_special_tokens=False)
        lengths = [len(encoding.ids) for encoding in encodings]
        counts += [sum(lengths[i : i + 3]) for i in range(0, len(lengths), 3)]
    return tuple(counts)


@cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(DEFAULT_MODEL / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
    return tokenizer
