"""The two sides of an alignment, prepared once: a context to search and a reference to find."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.alignment.content_overlap import ContentWeights, stem
from qa_extractive.alignment.text_forms import Tokens, close_brackets, tokenize
from qa_extractive.types import Span

_HEDGE = r"(?:largely|mostly|mainly|partly|partially|probably|generally|essentially|apparently|overall)"
_VERDICT = re.compile(
    rf"\W*(?:{_HEDGE}[\s,]+)?(?:yes|no|maybe|true|false)(?:[\s,]+{_HEDGE})?"
    r"(?:[,;:!]+\s+|\.+\s+(?!\d)|\s+[-–—]+\s+|\s*—\s*)",
    re.IGNORECASE,
)
_BARE_VERDICTS = frozenset({"yes", "no", "maybe", "true", "false"})
_ARTICLES = frozenset({"a", "an", "the"})
_JOINTS = frozenset(["", *"-‐‑‒–"])
_INNER_STOP = re.compile(r"[.!?…]\s+\S")
_PHRASE_TOKENS = 3


@dataclass(frozen=True)
class ReferenceForms:
    """A reference answer as the tiers look for it.

    Attributes:
        text: The reference without surrounding white space.
        body: The text without a leading verdict ("Yes, ..."), or the text itself.
    """

    text: str
    body: str

    @classmethod
    def of(cls, reference: str) -> ReferenceForms:
        """The forms of a reference as given."""
        text = reference.strip()
        verdict = _VERDICT.match(text)
        return cls(text, text[verdict.end() :] if verdict and verdict.end() < len(text) else text)

    @cached_property
    def body_words(self) -> tuple[str, ...]:
        """The folded tokens of the body."""
        return tokenize(self.body).words

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The folded tokens of the body, without leading articles."""
        words = self.body_words
        n_articles = next((i for i, word in enumerate(words) if word not in _ARTICLES), 0)
        return words[n_articles:]

    @cached_property
    def n_words(self) -> int:
        """The number of folded tokens of the text, articles and verdict included."""
        return len(tokenize(self.text))

    @cached_property
    def stems(self) -> frozenset[str]:
        """The distinct content stems of the body."""
        return frozenset(stem(word) for word in self.words) - {""}

    @cached_property
    def n_sentences(self) -> int:
        """The number of sentences of the body, at least 1; lower-case text shows it by its stops alone."""
        return max(1, len(split_sentences(self.body)), 1 + len(_INNER_STOP.findall(self.body)))

    @property
    def is_acronym(self) -> bool:
        """Whether it is one word in capitals, which lower-case letters must not match (WHO, who)."""
        return len(self.body) > 1 and self.body.isalnum() and self.body.isupper() and not self.body.isdigit()

    @property
    def can_align(self) -> bool:
        """Whether it says anything to look for: a content word, an acronym or a phrase, not just "yes"."""
        if self.n_words < _PHRASE_TOKENS and _BARE_VERDICTS.issuperset(self.words):
            return False
        return bool(self.stems) or self.is_acronym or self.n_words >= _PHRASE_TOKENS


@dataclass(frozen=True)
class ContextForms:
    """A context prepared for any number of references.

    Attributes:
        text: The context as given.
        tokens: Its folded tokens with their places.
    """

    text: str
    tokens: Tokens

    @classmethod
    def of(cls, context: str) -> ContextForms:
        """The forms of a context as given."""
        return cls(context, tokenize(context))

    @cached_property
    def sentences(self) -> list[Span]:
        """The sentences of the context, in order."""
        return split_sentences(self.text)

    @cached_property
    def bounds(self) -> list[int]:
        """Sentence ``i`` holds the tokens ``[bounds[i], bounds[i + 1])``; n_sentences + 1 of them."""
        starts = self.tokens.starts
        return [bisect_left(starts, s.start) for s in self.sentences] + [len(starts)]

    @cached_property
    def sentence_of(self) -> list[int]:
        """For each token the index of its sentence."""
        return [i for i in range(len(self.sentences)) for _ in range(self.bounds[i], self.bounds[i + 1])]

    @cached_property
    def stems(self) -> list[str]:
        """For each token its content stem; "" for a stop word."""
        return [stem(word) for word in self.tokens.words]

    @cached_property
    def weights(self) -> ContentWeights:
        """What each stem is worth in this context."""
        return ContentWeights.of(
            [self.stems[a:b] for a, b in zip(self.bounds, self.bounds[1:], strict=False)]
        )

    def words_of(self, first: int, end: int) -> Sequence[str]:
        """The folded tokens ``[first, end)``."""
        return self.tokens.words[first:end]

    def cut(self, first: int, end: int, score: float) -> Span:
        """The span of the tokens ``[first, end)``, with a bracket closed that it opens."""
        start, stop = self.tokens.starts[first], self.tokens.ends[end - 1]
        return Span.cut(self.text, start, close_brackets(self.text, start, stop), score)

    def n_sentences_in(self, first: int, end: int) -> int:
        """How many sentences the tokens ``[first, end)`` touch."""
        return self.sentence_of[end - 1] - self.sentence_of[first] + 1

    def is_compound(self, token: int) -> bool:
        """Whether a token is joined to the one before it, as in "pre-trained" or "5%"."""
        return self.text[self.tokens.ends[token - 1] : self.tokens.starts[token]] in _JOINTS

    def sentence_index(self, place: int) -> int:
        """The index of the last sentence that starts at or before a character; 0 if none does."""
        return max(0, bisect_right(self._sentence_starts, place) - 1)

    def is_token_edge(self, place: int) -> bool:
        """Whether a character index lies outside every token or at the border of one."""
        before = bisect_left(self.tokens.starts, place) - 1
        return before < 0 or self.tokens.ends[before] <= place

    def widen(self, start: int, end: int) -> tuple[int, int]:
        """A range of characters widened to the borders of the tokens it cuts."""
        starts, ends = self.tokens.starts, self.tokens.ends
        if not self.is_token_edge(start):
            start = starts[bisect_left(starts, start) - 1]
        if not self.is_token_edge(end):
            end = ends[bisect_left(starts, end) - 1]
        return start, end

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [s.start for s in self.sentences]
