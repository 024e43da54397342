"""A line of running text as it is written, in which raised and lowered characters keep what they mean.

``10<sup>6</sup>`` must not become ``106``. Exponents stand after ``^``, as do all raised characters that
would be read as something else without it: ``10^6``, ``m s^-1``, ``SO4^2-``. What reads right without it has
none: ``Ca2+``, ``14C``, ``5th``, ``CD4+``. Lowered characters are written as they are: ``CO2``, ``log10 5``.
"""

from __future__ import annotations

import re
from unicodedata import combining

SIGNS = "-+\u2212\u2013\u00b1"  # hyphen, plus, minus, en dash, plus or minus
_SIGN = f"[{re.escape(SIGNS)}]"
_OPERATORS = re.escape(SIGNS + "/*\u00d7\u00b7\u22c5=<>\u2264\u2265\u2192\u2190\u2208\u2260\u2248\u223c~|,;:")
_SIMPLE_POWER = re.compile(rf"{_SIGN}?[^\s()^{re.escape(SIGNS)}/*\u00d7\u00b7=<>]+{_SIGN}?|{_SIGN}")
_SIMPLE = re.compile(rf"{_SIGN}?(?:[^\s()^{_OPERATORS}]|(?<=\d)[.,](?=\d))+")
_CHARGE = re.compile(rf"(\d*)\s?({_SIGN})")
_SIGNED = re.compile(rf"{_SIGN}\s?\d\S*")
_ORDINALS = frozenset(("st", "nd", "rd", "th", "er", "\u00e8me"))
_DEGREES = frozenset(("o", "O", "\u00ba", "\u00b0", "\u2218", "\u25e6"))
_TEN_MINUS = re.compile(r"(?:(?<=[^\d.,])|^)10([-\u2212\u2013])$")
_MINUSES = frozenset("-\u2212\u2013")
_TEN = re.compile(r"(?:(?<=[^\d.,])|^)10$")
_BRACKETED_NUMBERS = re.compile(r"\[\s*\d[\d\s,;\u2013-]*\]")
_CITED = re.compile(r"\d{1,3}(?:\s?[,;\u2013-]\s?\d{1,3})*")
_AFTER_SENTENCE = re.compile(r"(?:[a-z]{4}|[)\]\u201d\"])[.!?][)\u201d\"]?$")  # not "cm."
_AFTER_WORD = re.compile(r"[a-z]{4}[)\]\u201d\"]?[,;:]?$")
_FORMULA = re.compile(r"(?:(?:^|[^A-Za-z])(?:[A-Z][A-Za-z]{0,3}|log|[A-Za-z])|[)\]\d][A-Z][a-z]?|[)\]])\s+$")
_MIXED = re.compile(r"\d+/\d")  # the fraction of 2 1/2
_N_ENDING = 8
_LONG = 1000  # characters: more are no number and no symbol


class Line:
    """Text that is written from left to right.

    Attributes:
        follows_citation: Whether the last thing that was to be written was a citation, which was left out.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._parts: list[str] = []
        self._apart: str = ""  # "digits" or "words": what must not follow without a space
        self.follows_citation = False

    def __str__(self) -> str:
        return "".join(self._parts)

    @property
    def tail(self) -> str:
        """The last character; empty at the start."""
        return self._parts[-1][-1] if self._parts else ""

    def add(self, text: str) -> None:
        """Write text as it is, apart from digits that it would run into."""
        if not text:
            return
        first = text[0]
        if (self._apart and first.isdigit()) or (self._apart == "words" and first.isalpha()):
            self._parts.append(" ")
        self._parts.append(text)
        self._apart, self.follows_citation = "", False

    def keep_apart(self) -> None:
        """Let no letter or digit follow without a space."""
        self._apart = "words"

    def join(self) -> None:
        """Let what follows stand right after what is there."""
        self._apart = ""

    def leave_out(self) -> None:
        """Leave out what is no text; digits after it belong to no number before it."""
        self._apart = self._apart or "digits"

    def cite(self) -> None:
        """Leave out a citation."""
        self.follows_citation = True

    def word(self, text: str) -> None:
        """Write a symbol of a formula, with a space where it would run into a word."""
        last = self._last_token()
        runs_in = last and text and text[0].isalnum() and (_is_word(text) or _is_word(last))
        if runs_in or (self.tail.isdigit() and _MIXED.match(text)):
            self.add(" ")
        self.add(text)

    def power(self, text: str) -> None:
        """Write an exponent, whatever it stands on."""
        inner = text.strip()
        if inner in _DEGREES - {"o", "O"}:
            self.add("\u00b0")
        elif inner and not any(map(str.isalnum, inner)) and inner not in SIGNS and "\u221e" not in inner:
            self.add(inner)
        elif inner:
            has_base = bool(self.tail) and not self.tail.isspace()
            self.add("^" + _in_brackets(inner, _SIMPLE_POWER))
            self._apart = "words" if has_base else ""

    def index(self, text: str) -> None:
        """Write an index of a formula: ``x_i``, ``x1``."""
        inner = text.strip()
        if inner.isdigit() and self.tail.isalpha():
            self.add(inner)
            self._apart = "digits"
        elif inner:
            self.add("_" + _in_brackets(inner, _SIMPLE))
            self._apart = "words"

    def fraction(self, above: str, below: str) -> None:
        """Write a fraction, apart from a number before it: ``1 1/2``."""
        if self.tail.isalnum():
            self.add(" ")
        self.add(f"{_in_brackets(above.strip(), _SIMPLE)}/{_in_brackets(below.strip(), _SIMPLE)}")
        self._apart = "words"

    def raised(self, text: str, following: str = "") -> None:
        """Write a superscript of running text.

        Args:
            text: What is raised.
            following: The character after it; empty where there is none.
        """
        inner = text.strip()
        if charge := _CHARGE.fullmatch(inner):
            inner = "".join(charge.groups())
        if _BRACKETED_NUMBERS.fullmatch(inner) or self._is_cited(inner, following):
            self.cite()
        elif inner in _MINUSES and following.isdigit() and _TEN.search(self._ending()):
            self.add(f"^{inner}")  # 10<sup>-</sup>3
        elif inner:
            self._find_base(inner, following)
            if self._reads_right(inner, following):
                self.add("\u00b0" if inner in _DEGREES else "\u2122" if inner == "TM" else inner)
            else:
                self.power(inner)
        if text and text[-1].isspace():
            self.add(" ")

    def lowered(self, text: str) -> None:
        """Write a subscript of running text."""
        inner = text.strip()
        if inner and self.tail.isspace() and _FORMULA.search(self._ending()):
            self._remove_spaces()
        if inner and self.tail.isdigit() and (inner[0].isdigit() or _SIGNED.fullmatch(inner)):
            self.add("_")
        if inner:
            needs_brackets = any(c.isspace() or c in "+=" for c in inner[:-1])
            self.add(f"_({inner})" if needs_brackets else inner)
            self._apart = "digits"
        if text and text[-1].isspace():
            self.add(" ")

    def _last_token(self) -> str:
        last = self._parts[-1] if self._parts else ""
        return last if last and last[-1].isalnum() else ""

    def _find_base(self, inner: str, following: str) -> None:
        """Bring a superscript to what it stands on: ``10 <sup>4</sup>``, ``10-<sup>4</sup>``."""
        if inner.isdigit() and (minus := _TEN_MINUS.search(self._ending())):
            self._remove_end(1)
            self.add("^" + minus[1])
        is_exponent = _SIGNED.fullmatch(inner) or (inner.isdigit() and not following.isupper())
        if self.tail.isspace() and is_exponent:
            before = self._ending().rstrip()
            if before and (before[-1].isalnum() or before[-1] in ")]"):
                self._remove_spaces()
        elif self.tail.isspace() and _CHARGE.fullmatch(inner) and _FORMULA.search(self._ending()):
            self._remove_spaces()  # Ca <sup>2+</sup>

    def _is_cited(self, inner: str, following: str) -> bool:
        """Whether numbers are those of sources: after a sentence, or several after a word."""
        if following.isalnum() or not _CITED.fullmatch(inner):
            return False
        ending = self._ending()
        return bool(_AFTER_SENTENCE.search(ending) or (not inner.isdigit() and _AFTER_WORD.search(ending)))

    def _reads_right(self, inner: str, following: str) -> bool:
        """Whether a superscript needs no mark."""
        base = self.tail
        if not any(map(str.isalnum, inner)) or inner in _ORDINALS or inner == "TM":
            return True
        if base.isdigit() and inner in _DEGREES:
            return True
        if base.isalpha() and _CHARGE.fullmatch(inner):
            return True
        if base in ("^", "") or (base[-1] in SIGNS and self._ending()[-2:-1] == "^"):
            return True
        if base in ".,;:!?":
            return following.isupper() and not self._ending()[-2:-1].isdigit()
        return not (base.isalnum() or combining(base) or base in ")]}|%\u2032'\u2019\u201d\"")

    def _ending(self) -> str:
        text = ""
        for part in reversed(self._parts):
            text = part[-_N_ENDING:] + text
            if len(text) >= _N_ENDING:
                break
        return text[-_N_ENDING:]

    def _remove_spaces(self) -> None:
        while self.tail.isspace():
            self._remove_end(1)

    def _remove_end(self, n_characters: int) -> None:
        kept = self._parts.pop()[:-n_characters]
        if kept:
            self._parts.append(kept)
        self._apart = ""


def bracketed(text: str) -> str:
    """A part of a formula, in brackets unless it is one number or symbol."""
    return _in_brackets(text.strip(), _SIMPLE)


def _in_brackets(text: str, simple: re.Pattern[str]) -> str:
    is_one = len(text) < _LONG and (simple.fullmatch(text) or _is_closed(text))
    return text if is_one else f"({text})"


def _is_closed(text: str) -> bool:
    """Whether brackets hold all of a text: ``(a)``, not ``(a)(b)``."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return character == ")" and i == len(text) - 1
    return False


def _is_word(text: str) -> bool:
    return len(text) > 1 and text.isalpha()
