"""Where a quote stands in a text, word for word or but for white space and characters that look alike.

Only what does not change the meaning is taken for equal. Case, punctuation and numbers must agree,
superscripts are not digits, and white space between two words or two numbers must be there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from qa_extractive.errors import DataError

Match = Literal["exact", "white_space", "look_alikes"]
"""What had to be taken for equal."""

EXACT: Final = "exact"
WHITE_SPACE: Final = "white_space"
LOOK_ALIKES: Final = "look_alikes"

_CLUSTER = re.compile(
    r"(?P<space>\s+)|(?P<hidden>[\u00ad\u200b-\u200d\u2060\ufeff]+)|(?P<char>[\s\S][\u0300-\u036f]*)"
)
_HIDDEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_AROUND = 24  # characters looked at on each side of a quote's ends
_DASHES = "-‐‑‒–—―−﹣－"
_LOOK_ALIKES = str.maketrans(
    {
        **dict.fromkeys(_DASHES, "-"),
        **dict.fromkeys("“”„‟″", '"'),
        **dict.fromkeys("‘’‚‛′ʼ`´", "'"),
        **dict(zip("×∗∼∕⁄∶∆˚º⋅•∙", "x*~//:Δ°°···", strict=True)),
        **dict.fromkeys("≦⩽", "≤"),
        **dict.fromkeys("≧⩾", "≥"),
        # Cyrillic and Greek letters as some PDFs hold them in Latin words.
        **dict(zip("аеорсухіјѕԁһ", "aeopcyxijsdh", strict=True)),
        **dict(zip("АВЕКМНОРСТУХІЈЅ", "ABEKMHOPCTYXIJS", strict=True)),
        **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True)),
    }
)
# A number with all that belongs to it, in a folded text. "2019 300" is two, and so is "10 / 12".
_NUMBER = re.compile(
    r"""
    (?: (?<![\w%°‰)\]}]) -+ (?=[.·]?\d)       # a sign, not the dash of a range
      | (?: (?<=[=<>≤≥≈~(\[{]) | (?<=[=<>≤≥≈~(\[{]\ )
          | (?<=\b(?:by|is|of|to)\ ) | (?<=\bwas\ ) | (?<=\b(?:from|than|were)\ )
        ) -\ (?=[.·]?\d)                       # a sign set apart; elsewhere that may be a list's dash
    )?
    (?: (?<![\d.,·'/]) (?<!\d\ ) [1-9]\d{0,2} (?:\ \d{3})+ (?!\d)   # 10 000
      | (?<![\w.)\]}%"']) [.·]\d+             # .05
      | \d+
    )
    (?: [.,·'/_]\d+ )*                        # 1.5; 1,000; 5'000; 1/2
    (?: [eE][-+]?\d+ )?
    (?: \ ?[¼-¾⅐-⅞] )?
    (?: \ ?[x*·]\ ?10(?=[\^⁺⁻⁰¹²³⁴-⁹]) )?     # 3 × 10⁶
    (?: \^[({]?[-+]?\d+ | [⁺⁻]?[⁰¹²³⁴-⁹]+ )?
  | (?: [^\W\d_] | \) ) (?: \^[({]?[-+]?\d+ | [⁺⁻][⁰¹²³⁴-⁹]+ )   # m^2; min⁻¹
    """,
    re.VERBOSE,
)
_RANGE = re.compile(r"[\w%°‰)\]}]-[.·]?\d")
_OTHER_MEANING = ("<super>", "<sub>", "<fraction>", "<circle>")  # cm² is not cm2, 10² not 102
_TIGHT = frozenset("%‰°=<>≤≥≈~±/()[]{}\"'")  # white space beside these says nothing
_MAX_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class QuotePlace:
    """Where a quote stands.

    Attributes:
        start: Index of its first character in the text.
        end: Index after its last one.
        match: What had to be taken for equal; ``LOOK_ALIKES`` if both were.
        is_whole: Whether no word and no number is cut: "5 mg" is not whole in "1.5 mg", nor "10" in "10 000".
        differences: Characters that look alike, each of the quote with that of the text; without repeats, at
            most 20.
    """

    start: int
    end: int
    match: Match
    is_whole: bool
    differences: tuple[tuple[str, str], ...] = ()


def find_quote(quote: str, text: str, most: int = 100) -> list[QuotePlace]:
    """Where a quote stands in a text, none overlapping, in order; the exact places only if there are any.

    Args:
        quote: White space around it does not count.
        text: Where it is looked for.
        most: Places at most, at least 1.

    Raises:
        DataError: The quote holds no character that can be seen.
    """
    needle = _Folded(quote)
    if not needle.chars:
        raise DataError("quote is empty: give the words to look for")
    plain = quote.strip()
    exact = [(at, at + len(plain)) for at in _found(plain, text, most)]
    if exact:
        return [QuotePlace(start, end, EXACT, _is_whole(text, start, end)) for start, end in exact]
    within = _Folded(text)
    return [_tolerant(needle, within, at) for at in _found(needle.chars, within.chars, most)]


class _Folded:
    """A text in which what looks alike is the same.

    Attributes:
        text: As given.
        chars: What it is folded to.
        starts: For each character of ``chars``, where what it came from starts in ``text``.
        ends: And where that ends.
    """

    def __init__(self, text: str) -> None:
        """Fold a text, in a time that grows with its length."""
        self.text = text
        pieces: list[tuple[str, int, int]] = []
        for match in _CLUSTER.finditer(text):
            if match.lastgroup == "space":
                if not pieces or pieces[-1][0] != " ":
                    pieces.append((" ", match.start(), match.end()))
            elif match.lastgroup == "char":
                pieces += ((char, match.start(), match.end()) for char in _fold(match.group()))
        kept = [piece for i, piece in enumerate(pieces) if piece[0] != " " or _parts(pieces, i)]
        self.chars = "".join(char for char, _, _ in kept)
        self.starts = [start for _, start, _ in kept]
        self.ends = [end for _, _, end in kept]

    def cuts(self, first: int, end: int) -> bool:
        """Whether ``chars[first:end]`` cuts a character of the text that stands for several."""
        starts, n = self.starts, len(self.starts)
        return (first > 0 and starts[first] == starts[first - 1]) or (
            end < n and starts[end] == starts[end - 1]
        )

    def seen(self, first: int, end: int) -> Iterator[tuple[str, str]]:
        """What each character of a part, white space left out, came from, and what stands before it there."""
        last = self.starts[first]
        for i in range(first, end):
            if self.chars[i] != " ":
                yield self.text[self.starts[i] : self.ends[i]], self.text[last : self.starts[i]]
                last = self.ends[i]


def _found(needle: str, hay: str, most: int) -> Iterator[int]:
    at = hay.find(needle)
    while at >= 0 and most > 0:
        yield at
        most -= 1
        at = hay.find(needle, at + len(needle))


def _tolerant(needle: _Folded, within: _Folded, at: int) -> QuotePlace:
    end = at + len(needle.chars)
    pairs = zip(needle.seen(0, len(needle.chars)), within.seen(at, end), strict=True)
    others: dict[tuple[str, str], None] = {}
    for (quoted, _), (standing, _) in pairs:
        if quoted != standing and len(others) < _MAX_DIFFERENCES:
            others[quoted, standing] = None
    match: Match = LOOK_ALIKES if others else WHITE_SPACE
    start, stop = within.starts[at], within.ends[end - 1]
    is_whole = _is_whole(within.text, start, stop) and not within.cuts(at, end)
    return QuotePlace(start, stop, match, is_whole, tuple(others))


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether a part of a text cuts no word and no number, nor makes one negative: "-5" of "10-5"."""
    if _cuts(text, start) or _cuts(text, end):
        return False
    before, after = _sides(text, start)
    return not _RANGE.match(_folded(before[-1:] + after))


def _cuts(text: str, at: int) -> bool:
    """Whether a word or a number goes on across a place in a text."""
    before, after = _sides(text, at)
    if (before[-1:].isalnum() and after[:1].isalnum()) or (after and unicodedata.combining(after[0])):
        return True
    left = _folded(before)
    return any(found.start() < len(left) < found.end() for found in _NUMBER.finditer(left + _folded(after)))


def _sides(text: str, at: int) -> tuple[str, str]:
    sides = text[max(0, at - _AROUND) : at], text[at : at + _AROUND]
    return _HIDDEN.sub("", sides[0]), _HIDDEN.sub("", sides[1])


def _folded(side: str) -> str:
    """Look-alikes folded; every space that is no line's end or tab is a plain one."""
    return "".join(
        _fold(char) if not char.isspace() else " " if unicodedata.category(char) == "Zs" else char
        for char in side
    )


def _parts(pieces: list[tuple[str, int, int]], at: int) -> bool:
    """Whether white space parts what stands at its sides."""
    if at == 0 or at == len(pieces) - 1:
        return False
    before, after = pieces[at - 1][0], pieces[at + 1][0]
    if before in _TIGHT or after in _TIGHT:
        return False
    return not ((before.isdigit() and after.isalpha()) or (before.isalpha() and after.isdigit()))


@lru_cache(maxsize=4096)
def _fold(cluster: str) -> str:
    if unicodedata.decomposition(cluster[0]).startswith(_OTHER_MEANING) and cluster != "º":
        return unicodedata.normalize("NFC", cluster)
    return (
        unicodedata.normalize("NFKC", cluster.translate(_LOOK_ALIKES))
        .translate(_LOOK_ALIKES)
        .replace(" ", "")
    )
