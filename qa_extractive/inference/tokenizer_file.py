"""``tokenizer.json`` of a model, read with its bounds: a model's folder may come from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenizers import Tokenizer

from qa_extractive.config import read_bounded
from qa_extractive.errors import ModelError, reason_of

TOKENIZER_FILE = "tokenizer.json"
MAX_TOKENIZER_BYTES = 64 << 20
_MAX_TOKENIZER_COMMAS = 3_000_000  # a vocabulary of 250,000 pieces has 500,000; each takes up to 100 bytes
_MAX_GROWTH = 100  # NFKC makes 18 characters of one
_MAX_SPECIAL_TOKENS = 8  # of a window, as ``WindowConfig`` reckons


def read_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer from a file; ModelError if it is missing, too large, not understood or of no use here."""
    content = read_bounded(path, MAX_TOKENIZER_BYTES)
    if content.count(b",") > _MAX_TOKENIZER_COMMAS:
        raise ModelError(f"{path} cannot be read: it has more parts than a tokenizer has")
    with tokenizer_errors(path):
        tokenizer = Tokenizer.from_buffer(content)
        n_special = tokenizer.num_special_tokens_to_add(is_pair=True)
    if n_special > _MAX_SPECIAL_TOKENS:
        raise ModelError(
            f"{path} puts {n_special} special tokens into a window, more than {_MAX_SPECIAL_TOKENS}"
        )
    if (growth := _growth(tokenizer)) > _MAX_GROWTH:
        raise ModelError(f"{path} makes texts {growth:,} times as long: no tokenizer of a model does")
    return tokenizer


@contextmanager
def tokenizer_errors(path: Path) -> Iterator[None]:
    """Whatever tokenizers raises as a ModelError: bare Exceptions, and panics, which are not even that."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise ModelError(f"{path} cannot be read: {reason_of(error)}") from None


def _growth(tokenizer: Tokenizer) -> int:
    """How many times as long texts become, at most, by what a tokenizer replaces in them."""
    growth = 1
    for steps in (tokenizer.normalizer, tokenizer.pre_tokenizer):
        pending = [] if steps is None else [json.loads(steps.__getstate__())]
        while pending:
            step = pending.pop()
            pending += step.get("normalizers") or step.get("pretokenizers") or ()
            if step.get("type") == "Replace":
                replaced = step["pattern"].get("String") or " "
                growth *= max(1, len(step["content"]) // len(replaced))
            elif step.get("type") == "Prepend":
                growth += len(step["prepend"])
    return growth


def whole_texts(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer that cuts texts into the same tokens, whole, and shares the vocabulary of the other."""
    plain = Tokenizer(tokenizer.model)
    if tokenizer.normalizer is not None:
        plain.normalizer = tokenizer.normalizer
    if tokenizer.pre_tokenizer is not None:
        plain.pre_tokenizer = tokenizer.pre_tokenizer
    added = [token for _, token in sorted(tokenizer.get_added_tokens_decoder().items())]
    plain.add_special_tokens([token for token in added if token.special])
    plain.add_tokens([token for token in added if not token.special])
    return plain
