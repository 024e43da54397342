"""Questions that were asked before, within a bounded memory of recent ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from operator import itemgetter

from qa_extractive._utils.lru import LruCache
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
        self._asked: LruCache[bytes, tuple[Asked, int]] = LruCache(max_characters, itemgetter(1))

    def ask(self, question: Question) -> tuple[Asked, bool]:
        """The question, shared with those who asked it before, and whether anyone did."""
        key = _digest(question)
        found = self._asked.find(key)
        if found is not None:
            return found[0], True
        asked = Asked(question)
        self._asked.keep(key, (asked, len(question.context) + _ENTRY_CHARACTERS))
        return asked, False


def _digest(question: Question) -> bytes:
    title = question.title or ""
    lengths = f"{len(question.question)} {len(title)} {question.title is None} "
    text = lengths + question.question + title + question.context
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
