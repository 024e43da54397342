"""Running text in LaTeX, as BibTeX has it, -> plain text in which numbers keep their value.

No macro is defined or expanded: a command is a known character, a known construct, or what stands in its
braces. Many exports have no LaTeX in them: ``%``, ``&``, ``_`` and ``^`` outside formulas are themselves.
"""

from __future__ import annotations

import re
from unicodedata import normalize

from qa_extractive.papers.inline import Line
from qa_extractive.papers.tex import symbol, write_tex

_MAX_DEPTH = 100
_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "c": "\u0327", "k": "\u0328", "d": "\u0323",
    "b": "\u0331", "t": "\u0361",
}  # fmt: skip
_LETTERS = {
    "ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "aa": "å", "AA": "Å", "ae": "æ", "AE": "Æ", "oe": "œ",
    "OE": "Œ", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ",
    "ng": "ŋ", "S": "§", "P": "¶", "euro": "€", "pounds": "£", "copyright": "©", "slash": "/",
}  # fmt: skip
_TEXT_SYMBOLS = {
    "less": "<", "greater": ">", "bar": "|", "backslash": "\\", "asciitilde": "~", "asciicircum": "^",
    "endash": "–", "emdash": "—", "quoteright": "’", "quoteleft": "‘", "quotedblleft": "“",
    "quotedblright": "”", "quotesingle": "'", "quotedbl": '"', "registered": "®", "trademark": "™",
    "copyright": "©", "bullet": "•", "onehalf": "½", "onequarter": "¼", "threequarters": "¾", "ellipsis": "…",
    "dollar": "$", "sterling": "£", "euro": "€", "section": "§", "paragraph": "¶", "underscore": "_",
    "braceleft": "{", "braceright": "}", "minus": "−", "ohm": "Ω", "celsius": "°C", "asteriskcentered": "*",
    "questiondown": "¿", "exclamdown": "¡", "percent": "%", "ordfeminine": "ª", "ordmasculine": "º",
    "onesuperior": "¹", "twosuperior": "²", "threesuperior": "³", "multiply": "×",
}  # fmt: skip
_SPACES = frozenset(("quad", "qquad", "par", "newline", "linebreak", "item", "space"))
_ESCAPED_SPACES, _ESCAPED_NOTHING = frozenset("\\,;: \n\t"), frozenset("-/!@")
_SILENT = frozenset(
    "it bf em rm sc tt sl sf itshape bfseries upshape normalfont small footnotesize large noindent protect "
    "relax ensuremath".split()
)
_WITHOUT_FIRST = frozenset(("href", "textcolor", "color", "begin", "end", "label", "hspace", "vspace"))
_TOKEN = re.compile(
    r"\\(?P<accent>[`'^~=.\"]|[uvHtcdbkr](?![A-Za-z]))[ \t]*"
    r"(?:\{\s*\\?(?P<braced>[^\W\d_]?)\s*\}|\\(?P<dotless>[ij])(?![A-Za-z])\s?|(?P<letter>[^\W\d_]))"
    r"|\\\((?P<round>.{1,2000}?)\\\)|\$\$(?P<display>[^$]{1,2000}?)\$\$"
    r"|\$(?P<math>(?:[^$\\]|\\.){1,2000}?)\$"
    r"|\\(?P<word>[A-Za-z]+)\*?(?P<space>\s*)|\\(?P<escaped>.)"
    r"|(?P<mark>[{}])|(?P<dash>-{2,3})|(?P<quote>``|'')|(?P<tie>~)|(?P<plain>[^\\${}~`'-]+|.)",
    re.DOTALL,
)
_SURE_MATH = re.compile(r"\\[A-Za-z]|[\^_]")
_GROUP = re.compile(r"\\[A-Za-z]+\s*\{[^{}]*\}")
_WORDS = re.compile(r"[a-z]{2,}\s+[a-z]{2,}")
_QUOTES = {"``": "“", "''": "”"}
_BARE_PERCENT = re.compile(r"(?<!\\)%")


def text_of_latex(source: str) -> str:
    """The text, its line breaks as they are; formulas, accents and commands as characters."""
    if not any(each in source for each in ("\\", "$", "{", "}", "~", "--", "``", "''")):
        return source
    line = Line()
    _Reader(source).write(line, depth=0)
    return str(line)


class _Reader:
    """Reads LaTeX from left to right."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0

    def _next(self) -> re.Match[str] | None:
        found = _TOKEN.match(self._source, self._at)
        if found and found["math"] is not None and not self._is_math(found):
            self._at += 1  # the dollars of a price
            return _DOLLAR
        self._at = found.end() if found else self._at
        return found

    def _is_math(self, found: re.Match[str]) -> bool:
        body, following = found["math"], self._source[found.end() : found.end() + 1]
        if body[0].isspace() != body[-1].isspace() or _WORDS.search(_GROUP.sub("", body)):
            return False  # $5 and $7
        is_sure = _SURE_MATH.search(body) or not any(map(str.isalnum, body))
        return bool(is_sure) or (body == body.strip() and not following.isdigit())

    def write(self, line: Line, depth: int) -> None:
        """Write up to the end of the group that was opened before."""
        n_open = 0
        while (found := self._next()) is not None:
            if found["mark"] is None:
                self._write_token(line, found, depth)
            elif found["mark"] == "{":
                n_open += 1
            elif n_open or not depth:
                n_open -= bool(n_open)
            else:
                return

    def _write_token(self, line: Line, found: re.Match[str], depth: int) -> None:
        kind = found.lastgroup or ""
        if found["accent"]:
            line.add(_accented(found["accent"], found["braced"] or found["dotless"] or found["letter"] or ""))
        elif kind in ("round", "display", "math"):
            write_tex(line, _BARE_PERCENT.sub(r"\\%", found[kind]))
        elif found["word"]:
            self._write_command(line, found["word"], found["space"], depth)
        elif kind == "escaped":
            line.add(_escaped(found[kind]))
        elif kind == "dash":
            line.add("–" if len(found[kind]) == 2 else "—")
        else:
            line.add({**_QUOTES, "~": " "}.get(found[0], found[0]))

    def _write_command(self, line: Line, name: str, space: str, depth: int) -> None:
        character = _character(name)
        if name in ("textsuperscript", "textsubscript"):
            text = self._argument(depth)
            following = self._source[self._at : self._at + 1]
            if name == "textsubscript":
                line.lowered(text)
            else:
                line.raised(text, following)
        elif character is not None:
            line.add(character)
        elif name in _WITHOUT_FIRST:
            self._argument(depth)
        elif name not in _SILENT and self._source[self._at : self._at + 1] != "{":
            line.add(f"\\{name}{space}")

    def _argument(self, depth: int) -> str:
        """What a command is given: a group, or the next character."""
        inner = Line()
        if depth < _MAX_DEPTH and (found := self._next()) is not None:
            if found["mark"] == "{":
                self.write(inner, depth + 1)
            elif found["mark"] is None:
                self._at = found.start() + 1 if found["plain"] else self._at
                inner.add(found[0][:1] if found["plain"] else "")
        return str(inner)


_DOLLAR = _TOKEN.match("$")


def _accented(accent: str, letter: str) -> str:
    """A letter with its accent; an accent over nothing by itself."""
    return normalize("NFC", letter + _ACCENTS[accent]) if letter else accent


def _escaped(character: str) -> str:
    if character in _ESCAPED_SPACES:
        return " "
    return "" if character in _ESCAPED_NOTHING else character


def _character(name: str) -> str | None:
    """The character that a command stands for in a text."""
    if name in _SPACES:
        return " "
    inner = name.removeprefix("text")
    of_text = _TEXT_SYMBOLS.get(inner) if inner != name else None
    return _LETTERS.get(name) or of_text or symbol(inner)
