"""Questions -> overlapping token windows with offsets, and span labels -> token positions.

A window is ``[question (| title)] [a stretch of the context]`` in the tokenizer's own pair template.
The title stands with the question, so every window of a long context sees it and no span can touch it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from qa_extractive._utils.lru import LruCache
from qa_extractive._utils.sentences import split_sentences
from qa_extractive.config import WindowConfig
from qa_extractive.errors import DataError
from qa_extractive.inference.tokenizer_file import (
    TOKENIZER_FILE,
    read_tokenizer,
    tokenizer_errors,
    whole_texts,
)
from qa_extractive.types import Question, Span

_TITLE_MARK = " | "
_RARE = "\N{CJK UNIFIED IDEOGRAPH-2A6A5}"  # hardly in a vocabulary: what is unknown must have a token too
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_PIECE_CHARACTERS = 50_000  # tokenized at once: a tokenizer takes up to 700 bytes a character for a moment
_LEAD_CHARACTERS = 64  # read again before each piece: a tokenizer may treat the start of a text differently
_LAST_BLANK = re.compile(r".*[!-~](?= [!-~])", re.DOTALL)  # between two ASCII words, which share no token
_MOST_CHARACTERS_A_TOKEN = 100  # of a question, on average

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One model input.

    Attributes:
        question_index: Position of its question in the list given.
        token_ids: Shape (n_tokens,).
        type_ids: Segment of each token, shape (n_tokens,).
        first: Position of the first context token; context tokens are contiguous.
        offsets: Start and end of each context token in the context as given, shape
            (n_context_tokens, 2).
        sentences: Number of the sentence of each context token, from 0 in its context, shape
            (n_context_tokens,); None where nobody asked.
    """

    question_index: int
    token_ids: IntArray
    type_ids: IntArray
    first: int
    offsets: IntArray
    sentences: IntArray | None = None

    @property
    def n_tokens(self) -> int:
        """Tokens of the window, special tokens included."""
        return len(self.token_ids)

    @property
    def n_context_tokens(self) -> int:
        """Tokens that may hold a span."""
        return len(self.offsets)

    @property
    def context_ids(self) -> IntArray:
        """The context tokens, shape (n_context_tokens,)."""
        return self.token_ids[self.first : self.first + self.n_context_tokens]

    def locate(self, span: Span) -> tuple[int, int] | None:
        """First and last token position (inclusive) of a span, or None if it is not all inside."""
        if not self.n_context_tokens:
            return None
        starts, ends = self.offsets[:, 0], self.offsets[:, 1]
        if span.start < starts[0] or span.end > ends[-1]:
            return None
        first = int(np.searchsorted(ends, span.start, side="right"))
        last = int(np.searchsorted(starts, span.end, side="left")) - 1
        return None if last < first else (self.first + first, self.first + last)


class Windower:
    """Cuts questions into windows. Safe to use from several threads at once."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: WindowConfig,
        *,
        is_own: bool = False,
        with_sentences: bool = False,
        kept_tokens: int = 0,
        grid: int = 1,
    ) -> None:
        """Take a tokenizer (its truncation and padding are replaced) and the window settings.

        Args:
            tokenizer: It is copied, which takes some 30 ms.
            config: Sizes.
            is_own: Whether nothing else uses the tokenizer, so that it need not be copied.
            with_sentences: Whether windows tell the sentences of their tokens.
            kept_tokens: Tokens of contexts to keep for other questions to them, some 100 bytes each.
            grid: Several windows of a text leave room for their stretches of it to begin at a multiple of
                this, so that they hold the same for questions of different lengths.
        """
        self.config = config
        self._grid = grid
        self.with_sentences = with_sentences
        self._pairs = tokenizer if is_own else Tokenizer.from_str(tokenizer.to_str())
        self._plain = whole_texts(self._pairs)
        self._pairs.no_padding()
        self._pairs.enable_truncation(
            config.max_tokens, stride=config.stride_tokens, strategy="only_second", direction="right"
        )
        for each in (self._plain, self._pairs):
            each.encode_special_tokens = True  # "[SEP]" in a text is text
        self._kept: LruCache[str, Encoding] | None = LruCache(kept_tokens, len) if kept_tokens else None

    @classmethod
    def load(
        cls,
        folder: Path,
        config: WindowConfig,
        *,
        with_sentences: bool = False,
        kept_tokens: int = 0,
        grid: int = 1,
    ) -> Windower:
        """Read ``tokenizer.json`` of a model's folder; ModelError if it is missing or cannot cut texts."""
        path = folder / TOKENIZER_FILE
        tokenizer = read_tokenizer(path)
        with tokenizer_errors(path):
            windower = cls(
                tokenizer,
                config,
                is_own=True,
                with_sentences=with_sentences,
                kept_tokens=kept_tokens,
                grid=grid,
            )
            windower._pairs.encode(_RARE, _RARE)
        return windower

    def windows(self, questions: Sequence[Question]) -> list[Window]:
        """The windows of each question, in order; a blank context has none.

        Raises:
            DataError: A question is longer than ``max_question_tokens``.
        """
        windows: list[Window] = []
        for group in _groups(questions):
            pairs = [(self._head(question), _encodable(question.context)) for _, question in group]
            if len(pairs[0][1]) > _PIECE_CHARACTERS:
                windows += self._windows_of_long(group[0][0], *pairs[0])
                continue
            for (index, _), encoding in zip(group, self._encodings(pairs), strict=True):
                windows += self._on_grid([*_windows(index, encoding)])
        return _with_sentences(windows, questions) if self.with_sentences else windows

    def _encodings(self, pairs: Sequence[tuple[str, str]]) -> list[Encoding]:
        return self._pairs.encode_batch(pairs) if self._kept is None else self._joined(pairs, self._kept)

    def _windows_of_long(self, index: int, head: str, context: str) -> list[Window]:
        """The windows that a context would have in one piece, tokenized piece by piece to save memory."""
        pieces: list[Window] = []
        for piece in _pieces(context):
            encoding = self._pairs.encode(head, context[piece.lead : piece.end])
            windows = [*_windows(index, encoding)]
            pieces.append(_own_tokens(_whole(windows, self.config.stride_tokens), piece))
        whole = _whole(pieces, 0)
        return _cut(whole, self._room(whole.first), self.config.stride_tokens)

    def _room(self, first: int) -> int:
        """Tokens of each of several windows: with what moves their stretches of the text to the grid, all."""
        return self.config.max_tokens - (-first) % self._grid

    def _on_grid(self, windows: list[Window]) -> list[Window]:
        """Several windows of a text cut so that each has that room; one stays as it is."""
        room = self._room(windows[0].first)
        if len(windows) == 1 or room == self.config.max_tokens:
            return windows
        return _cut(_whole(windows, self.config.stride_tokens), room, self.config.stride_tokens)

    def _joined(self, pairs: Sequence[tuple[str, str]], kept: LruCache[str, Encoding]) -> list[Encoding]:
        """The pairs encoded, of contexts that were encoded before only the questions."""
        contexts = {context: kept.find(context) for _, context in pairs}
        new = [context for context, found in contexts.items() if found is None]
        contexts |= zip(new, self._plain.encode_batch(new, add_special_tokens=False), strict=True)
        for context in new:
            kept.keep(context, contexts[context])
        heads = self._plain.encode_batch([head for head, _ in pairs], add_special_tokens=False)
        joined = [
            self._pairs.post_process(head, contexts[context])
            for head, (_, context) in zip(heads, pairs, strict=True)
        ]
        # the segments of what does not fit into one window would not be told apart
        return [
            self._pairs.encode(*pair) if encoding.overflowing else encoding
            for encoding, pair in zip(joined, pairs, strict=True)
        ]

    def check(self, question: Question) -> None:
        """Raise DataError if a question cannot be put into a window."""
        self._head(question)

    def accepts(self, question: Question) -> bool:
        """Whether a question fits into a window."""
        try:
            self.check(question)
        except DataError:
            return False
        return True

    def _head(self, question: Question) -> str:
        asked = _encodable(question.question.strip())
        most = _MOST_CHARACTERS_A_TOKEN * self.config.max_question_tokens
        if len(asked) > most:
            raise DataError(
                f"question of {len(asked):,} characters exceeds {most:,}: "
                "shorten it, or put the text into the context"
            )
        if not _is_short(asked, self.config.max_question_tokens):
            n_tokens = len(self._plain.encode(asked, add_special_tokens=False))
            if n_tokens > self.config.max_question_tokens:
                raise DataError(
                    f"question of {n_tokens} tokens exceeds {self.config.max_question_tokens}: "
                    "shorten it, or put the text into the context"
                )
        title = self._title(question.title)
        return asked + _TITLE_MARK + title if title else asked

    def _title(self, title: str | None) -> str:
        text = _encodable((title or "").strip())
        if _is_short(text, self.config.max_title_tokens):
            return text
        # Every token holds at least one byte, so a longer prefix would never be read.
        encoding = self._plain.encode(text[: 40 * self.config.max_title_tokens], add_special_tokens=False)
        if len(encoding) <= self.config.max_title_tokens:
            return text[: 40 * self.config.max_title_tokens]
        # Where the first token too many starts, not where the last one ends: tokens can share a character.
        return text[: encoding.offsets[self.config.max_title_tokens][0]].rstrip()


def _is_short(text: str, max_tokens: int) -> bool:
    """Whether it is sure, without counting, that a text has at most ``max_tokens`` tokens.

    Only ASCII is: a token holds at least one character of the normalised text, but NFKC makes 18 of
    one U+FDFA. SentencePiece puts a blank before the text, hence fewer and not at most.
    """
    return text.isascii() and len(text) < max_tokens


def _encodable(text: str) -> str:
    """The text with lone surrogates replaced one for one: they exist in str but not in UTF-8."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def _groups(questions: Sequence[Question]) -> Iterator[list[tuple[int, Question]]]:
    """Questions with their positions, as many as may be tokenized at once; none of a blank context."""
    group: list[tuple[int, Question]] = []
    n_characters = 0
    for index, question in enumerate(questions):
        if not question.context.strip():
            continue
        n_characters += len(question.context)
        if group and n_characters > _PIECE_CHARACTERS:
            yield group
            group, n_characters = [], len(question.context)
        group.append((index, question))
    if group:
        yield group


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of a text.

    Attributes:
        lead: Where reading begins, so that the start of the piece is not the start of a text.
        start: Where the piece begins.
        end: Where it ends.
    """

    lead: int
    start: int
    end: int


def _pieces(text: str) -> Iterator[_Piece]:
    """Pieces of at most ``_PIECE_CHARACTERS``, cut before a blank between words, where there is one."""
    lead = start = 0
    while len(text) - start > _PIECE_CHARACTERS:
        blank = _LAST_BLANK.match(text, start, start + _PIECE_CHARACTERS)
        end = blank.end() if blank else start + _PIECE_CHARACTERS
        yield _Piece(lead, start, end)
        lead, start = max(start, end - _LEAD_CHARACTERS) if blank else end, end
    yield _Piece(lead, start, len(text))


def _own_tokens(window: Window, piece: _Piece) -> Window:
    """The window of a piece without the tokens of its lead, its offsets moved to where it stands."""
    offsets = window.offsets + piece.lead
    n_lead = int(np.count_nonzero(offsets[:, 1] <= piece.start)) if piece.lead < piece.start else 0
    ids = np.delete(window.token_ids, slice(window.first, window.first + n_lead))
    types = np.delete(window.type_ids, slice(window.first, window.first + n_lead))
    own = np.maximum(offsets[n_lead:], piece.start)
    return replace(window, token_ids=ids, type_ids=types, offsets=own)


def _whole(windows: Sequence[Window], stride: int) -> Window:
    """One window of all context tokens of several, of which each repeats ``stride`` of the one before."""
    frame = next((w for w in windows if w.n_context_tokens), windows[0])
    kept = [windows[0].context_ids, *(w.context_ids[stride:] for w in windows[1:])]
    offsets = [windows[0].offsets, *(w.offsets[stride:] for w in windows[1:])]
    return _framed(frame, np.concatenate(kept), np.concatenate(offsets))


def _framed(frame: Window, context_ids: IntArray, offsets: IntArray) -> Window:
    """A window with other context tokens between its question and its end."""
    end = frame.first + frame.n_context_tokens
    ids = np.concatenate([frame.token_ids[: frame.first], context_ids, frame.token_ids[end:]])
    context_type = frame.type_ids[min(frame.first, frame.n_tokens - 1)]
    context_types = np.full(len(context_ids), context_type, dtype=np.int64)
    types = np.concatenate([frame.type_ids[: frame.first], context_types, frame.type_ids[end:]])
    return replace(frame, token_ids=ids, type_ids=types, offsets=offsets)


def _cut(whole: Window, max_tokens: int, stride: int) -> list[Window]:
    """A window too long for the model as overlapping ones, as tokenizers cut them."""
    room = max_tokens - (whole.n_tokens - whole.n_context_tokens)
    n_steps = max(0, math.ceil((whole.n_context_tokens - room) / (room - stride)))
    return [
        _framed(whole, whole.context_ids[start : start + room], whole.offsets[start : start + room])
        for start in range(0, (n_steps + 1) * (room - stride), room - stride)
    ]


def _windows(index: int, encoding: Encoding) -> Iterator[Window]:
    for piece in [encoding, *encoding.overflowing]:
        sequence = piece.sequence_ids
        n_context = sequence.count(1)
        first = sequence.index(1) if n_context else len(sequence)
        flat = chain.from_iterable(piece.offsets[first : first + n_context])
        yield Window(
            question_index=index,
            token_ids=np.array(piece.ids, dtype=np.int64),
            type_ids=np.array(piece.type_ids, dtype=np.int64),
            first=first,
            offsets=np.fromiter(flat, np.int64, 2 * n_context).reshape(-1, 2),
        )


def _with_sentences(windows: Sequence[Window], questions: Sequence[Question]) -> list[Window]:
    starts: dict[int, IntArray] = {}
    for index in dict.fromkeys(window.question_index for window in windows):
        sentences = split_sentences(questions[index].context)
        starts[index] = np.array([sentence.start for sentence in sentences], dtype=np.int64)
    return [replace(w, sentences=_sentence_numbers(starts[w.question_index], w.offsets)) for w in windows]


def _sentence_numbers(starts: IntArray, offsets: IntArray) -> IntArray:
    """The sentence in which each token starts; what lies before the first belongs to it."""
    found: IntArray = np.maximum(np.searchsorted(starts, offsets[:, 0], side="right") - 1, 0)
    return found
