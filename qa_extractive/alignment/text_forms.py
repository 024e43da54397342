"""What makes two spellings of one text equal: folded tokens that remember where they came from.

Text is cut into pieces (runs of letters, numbers, single symbols) by one regular expression over
the *original* string and each piece is folded on its own, so a token always knows its place and
no map of single characters is needed. White space, hyphens, quotes, brackets and other
punctuation produce no token; minus signs, comparison and unit symbols do. Hence ``"15 %"`` equals
``"15%"``, ``"5mg"`` equals ``"5 mg"``, and ``"TNF-α"`` equals ``"TNF–alpha"``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_DASHES = "-‐‑‒–—―−﹣－"
_SCRIPT_WITHOUT_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_MARKS = "\u0300-\u036f\u00ad\u200b-\u200d\u2060"
_LETTER = f"[^\\W\\d_{_SCRIPT_WITHOUT_SPACES}]"
_PIECE = re.compile(
    rf"(?P<word>{_LETTER}(?:{_LETTER}|[{_MARKS}]|['’ʼ](?={_LETTER}))*)"
    r"|(?P<number>\d+(?:[.,·]\d+)*|(?<![\w.])[.·]\d+)"
    rf"|(?P<minus>(?<![\w%)\]])[{_DASHES}](?=[.·]?\d))"
    r"|(?P<sign><=|>=|\+/[-−–])"
    r"|(?P<other>[^\s_])"
)
_SIGNS = frozenset("%‰<>=≤≥≠≈~±+×/°$€£¥&")
_FOLDS = str.maketrans({"μ": "u", "⁄": "/", "∕": "/", "﹪": "%", "⩽": "≤", "⩾": "≥", "∼": "~", "⋅": "·"})
_SAME = {"<=": "≤", ">=": "≥", "percent": "%", "&": "and"}
_GREEK = {chr(code): unicodedata.name(chr(code)).rsplit(" ", 1)[-1].lower() for code in range(0x3B1, 0x3CA)}
_GREEK |= {"ς": "sigma", "μ": "u", "λ": "lambda"}
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DIACRITIC_CLASSES = range(200, 241)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060'’ʼ]")
_OPENING = {"(": ")", "[": "]", "{": "}", "“": "”", "‘": "’", "«": "»"}


@dataclass(frozen=True, slots=True)
class Tokens:
    """The folded tokens of a text, in order.

    Attributes:
        words: The folded tokens; none is empty or holds white space.
        starts: For each token, the index of its first character in the original text.
        ends: For each token, the index after its last character. Tokens that came from one piece
            (``"cm²"`` gives ``cm`` and ``2``) share start and end.
    """

    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def __len__(self) -> int:
        """The number of tokens."""
        return len(self.words)

    def find_all(self, needle: Sequence[str]) -> list[int]:
        """The index of the first token of every non-overlapping occurrence of the needle, linear."""
        if not needle:
            return []
        hay, pattern = "\0" + "\0".join(self.words) + "\0", "\0" + "\0".join(needle) + "\0"
        found: list[int] = []
        n_before, scanned = 0, 0
        at = hay.find(pattern)
        while at >= 0:
            n_before += hay.count("\0", scanned, at)
            scanned = at
            found.append(n_before)
            at = hay.find(pattern, at + len(pattern) - 1)
        return found


def tokenize(text: str) -> Tokens:
    """The folded tokens of a text with their places in it; never raises, linear in its length."""
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for match in _PIECE.finditer(text):
        for word in _fold_piece(match.group(), match.lastgroup or "other"):
            words.append(word)
            starts.append(match.start())
            ends.append(match.end())
    return Tokens(tuple(words), tuple(starts), tuple(ends))


def fold(text: str) -> str:
    """A text in NFKC, case folded, without diacritics, Greek letters inside Latin words spelled out."""
    folded = unicodedata.normalize("NFKD", text).translate(_FOLDS).casefold()
    folded = "".join(c for c in folded if unicodedata.combining(c) not in _DIACRITIC_CLASSES)
    return unicodedata.normalize("NFKC", folded)


def close_brackets(text: str, start: int, end: int) -> int:
    """The end of a span, moved by one where that closes a bracket or quote opened inside it."""
    following = text[end : end + 1]
    for opening, closing in _OPENING.items():
        if following == closing and text.count(opening, start, end) > text.count(closing, start, end):
            return end + 1
    return end


@lru_cache(maxsize=65536)
def _fold_piece(piece: str, kind: str) -> tuple[str, ...]:
    if kind == "minus":
        return ("-",)
    if kind == "number":
        return (_fold_number(unicodedata.normalize("NFKC", piece)),)
    if kind == "sign":
        return (_SAME.get(piece, "±"),)
    if piece == "⁻":
        return ("-",)
    return tuple(_split_folded(_spell_greek(fold(_INVISIBLE.sub("", piece)))))


def _fold_number(number: str) -> str:
    number = number.replace("·", ".")
    if _THOUSANDS.fullmatch(number):
        number = number.replace(",", "")
    return "0" + number if number.startswith(".") else number


def _spell_greek(folded: str) -> str:
    letters = [c for c in folded if c.isalpha()]
    if not any(c in _GREEK for c in letters) or (len(letters) > 1 and all(c in _GREEK for c in letters)):
        return folded
    return "".join(f" {_GREEK[c]} " if c in _GREEK else c for c in folded)


def _split_folded(folded: str) -> Iterator[str]:
    for match in _PIECE.finditer(folded):
        piece = match.group()
        if match.lastgroup in ("word", "number") or piece in _SIGNS or piece.isalnum() or _is_mark(piece):
            yield _SAME.get(piece, piece)


def _is_mark(piece: str) -> bool:
    """Whether it is a mark, such as the vowel signs of Indic scripts, which no run of letters holds."""
    return unicodedata.category(piece) in ("Mn", "Mc")
