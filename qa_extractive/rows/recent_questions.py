"""Questions that were asked before, within a bounded memory of recent ones."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from qa_extractive.types import Answer, Question

RECENT_CHARACTERS = 16_000_000

_ENTRY_CHARACTERS = 1000  # what an answer takes besides its texts, at most about


@dataclass(slots=True, eq=False)
class Asked:
    """A question on its way to an answer, shared by all rows that ask it.

    Attributes:
        question: The question; None once it is answered, so that its context is not kept.
        answer: Its answer, once there is one.
    """

    question: Question | None
    answer: Answer | None = None


class RecentQuestions:
    """The latest questions, those asked longest ago forgotten first.

    Texts are told apart by a digest of 128 bits, so that only answers are kept.
    """

    def __init__(self, max_characters: int = RECENT_CHARACTERS) -> None:
        """Take how much to remember, in characters of the contexts: no answer holds more text."""
        self._max_characters = max_characters
        self._n_characters = 0
        self._asked: OrderedDict[bytes, tuple[Asked, int]] = OrderedDict()

    def ask(self, question: Question) -> tuple[Asked, bool]:
        """The question, shared with those who asked it before, and whether anyone did."""
        key = _digest(question)
        if key in self._asked:
            self._asked.move_to_end(key)
            return self._asked[key][0], True
        asked = Asked(question)
        n_characters = len(question.context) + _ENTRY_CHARACTERS
        self._asked[key] = asked, n_characters
        self._n_characters += n_characters
        while self._n_characters > self._max_characters:
            self._n_characters -= self._asked.popitem(last=False)[1][1]
        return asked, False


def _digest(question: Question) -> bytes:
    title = question.title or ""
    lengths = f"{len(question.question)} {len(title)} {question.title is None} "
    text = lengths + question.question + title + question.context
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
