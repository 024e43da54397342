"""Formulas in TeX -> one line in which numbers keep their value, as in ``mathml``.

No macro is defined or expanded: a command is a known symbol, a known construct, or its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_extractive.papers.inline import Line, bracketed

_MAX_DEPTH = 100
_TOKEN = re.compile(r"\\([A-Za-z]+)\s*|\\(.)|([{}^_&])|%[^\n]*|(\s+)|(\d[\d.,]*(?<=\d)|.)", re.DOTALL)
_DOCUMENT = re.compile(r"\\begin\s*\{document\}(.*?)(?:\\end\s*\{document\}|\Z)", re.DOTALL)
_DOCUMENT_START = "\\documentclass"
_DOCUMENT_END = re.compile(r"\\end\s{0,9}\{document\}")
_PREAMBLE = re.compile(
    r"\\(?:documentclass|usepackage|setlength)\s{0,9}(?:\[[^\]]{0,200}\])?(?:\s{0,9}\{[^{}]{0,200}\}){0,2}"
)
_FRACTIONS = frozenset(("frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"))
_BINOMIALS = frozenset(("binom", "dbinom", "tbinom"))
_WITHOUT_ARGUMENT = frozenset(("begin", "end", "label", "tag", "hspace", "vspace", "color", "phantom"))
_TEXTS = frozenset(("text", "textrm", "mbox", "hbox", "textit", "textbf", "textnormal"))
_NOTHING = frozenset(
    "big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr middle limits nolimits displaystyle textstyle "
    "scriptstyle mathrm mathbf mathit mathsf mathtt mathcal mathbb mathfrak mathop mathbin mathrel "
    "boldsymbol bm rm bf it operatorname overline underline bar vec hat widehat tilde widetilde dot ddot "
    "nonumber ensuremath mathord mathopen mathclose emph boldmath unboldmath bfseries itshape hfill "
    "noindent ! ( ) [ ] - /".split()
)
_SCRIPTS = {"textsuperscript": "^", "textsubscript": "_"}
_SPACES = frozenset(("quad", "qquad", "space", "enspace", "thinspace", "\\", ",", ";", ":", " ", "~"))
_NAMED = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "mp": "∓", "ast": "*", "star": "*", "circ": "°",
    "leq": "≤", "le": "≤", "leqslant": "≤", "geq": "≥", "ge": "≥", "geqslant": "≥", "neq": "≠", "ne": "≠",
    "ll": "≪", "gg": "≫", "lt": "<", "gt": ">", "approx": "≈", "sim": "∼", "simeq": "≃", "cong": "≅",
    "equiv": "≡", "propto": "∝", "infty": "∞", "partial": "∂", "nabla": "∇", "sum": "∑", "prod": "∏",
    "int": "∫", "to": "→", "rightarrow": "→", "leftarrow": "←", "Rightarrow": "⇒", "Leftarrow": "⇐",
    "leftrightarrow": "↔", "uparrow": "↑", "downarrow": "↓", "in": "∈", "notin": "∉", "subset": "⊂",
    "cup": "∪", "cap": "∩", "forall": "∀", "exists": "∃", "neg": "¬", "wedge": "∧", "vee": "∨",
    "degree": "°", "prime": "′", "ldots": "…", "dots": "…", "cdots": "…", "langle": "⟨", "rangle": "⟩",
    "lbrace": "{", "rbrace": "}", "vert": "|", "mid": "|", "Vert": "‖", "ell": "ℓ", "hbar": "ℏ", "AA": "Å",
    "permil": "‰", "perthousand": "‰", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ",
    "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ", "vartheta": "θ", "iota": "ι",
    "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "upsilon": "υ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ",
    "Psi": "Ψ", "Omega": "Ω", "upmu": "μ", "textmu": "μ", "umu": "μ", "upalpha": "α", "upbeta": "β",
    "upgamma": "γ", "updelta": "δ", "upchi": "χ", "textdegree": "°",
}  # fmt: skip


def text_of_tex(source: str) -> str:
    """The text of a formula, perhaps wrapped in a document; empty for a preamble alone."""
    document = _DOCUMENT.search(source)
    body = document[1] if document else _PREAMBLE.sub("", source)
    line = Line()
    _Formula(body).write(line, depth=0)
    return str(line).strip()


def write_tex(line: Line, source: str) -> None:
    """Write a formula after what a line has."""
    _Formula(source).write(line, depth=0)


def symbol(name: str) -> str | None:
    """The character that a command stands for; None where it stands for none."""
    return _NAMED.get(name)


def without_documents(text: str) -> str:
    """Running text with each TeX document in it, as some publishers send formulas, replaced by its text."""
    parts, end = list[str](), 0
    while (start := text.find(_DOCUMENT_START, end)) >= 0 and (last := _DOCUMENT_END.search(text, start)):
        parts += [text[end:start], f" {text_of_tex(text[start : last.end()])} "]
        end = last.end()
    return "".join((*parts, text[end:]))


class _Formula:
    """Reads a formula token by token; a token is a kind (command, mark, space, text) and what it is."""

    def __init__(self, source: str) -> None:
        self._tokens = _tokens(source)
        self._given_back: list[tuple[str, str]] = []
        self._spaces_count = False  # as they do in a text

    def _take(self) -> tuple[str, str] | None:
        return self._given_back.pop() if self._given_back else next(self._tokens, None)

    def _take_if(self, wanted: tuple[str, str]) -> bool:
        token = self._take()
        if token is not None and token != wanted:
            self._given_back.append(token)
        return token == wanted

    def write(self, line: Line, depth: int) -> None:
        """Write up to the end of the group."""
        while (token := self._take()) is not None and token != ("mark", "}"):
            self._write_token(line, token, depth)

    def _write_token(self, line: Line, token: tuple[str, str], depth: int) -> None:
        kind, text = token
        if kind == "command":
            self._write_command(line, text, depth)
        elif kind == "text":
            line.word(text)
        elif kind == "space":
            line.add(" " if self._spaces_count else "")
        elif text == "{" and depth < _MAX_DEPTH:
            self.write(line, depth + 1)
        elif text == "^":
            line.power(self._argument(depth))
        elif text == "_":
            line.index(self._argument(depth))
        elif text == "&":
            line.add(" ")

    def _write_command(self, line: Line, name: str, depth: int) -> None:
        if name in _FRACTIONS:
            line.fraction(self._argument(depth), self._argument(depth))
        elif name in _BINOMIALS:
            line.word(f"C({self._argument(depth)}, {self._argument(depth)})")
        elif name == "sqrt":
            self._write_root(line, depth)
        elif name in _WITHOUT_ARGUMENT:
            if self._argument(depth) in ("array", "tabular"):
                self._argument(depth)
        elif name in _TEXTS:
            self._write_words(line, depth)
        elif name in ("left", "right"):
            self._take_if(("text", "."))
        elif name not in _NOTHING:
            line.word(" " if name in _SPACES else _NAMED.get(name, name))

    def _write_root(self, line: Line, depth: int) -> None:
        degree = self._option()
        inner = bracketed(self._argument(depth))
        line.word(inner if degree else f"√{inner}")
        if degree:
            line.power(f"1/{degree}")
        line.keep_apart()

    def _write_words(self, line: Line, depth: int) -> None:
        """Write a group as running text."""
        outside, self._spaces_count = self._spaces_count, True
        text = self._argument(depth)
        self._spaces_count = outside
        if text[:1].isspace():
            line.add(" ")
        line.word(text.lstrip())

    def _argument(self, depth: int) -> str:
        """What a command or a mark is given: a group, or the next symbol."""
        inner = Line()
        while (token := self._take()) is not None and token[0] == "space":
            pass
        if token is None or depth >= _MAX_DEPTH:
            return ""
        if token == ("mark", "{"):
            self.write(inner, depth + 1)
        elif token[0] != "mark":
            self._write_token(inner, self._one_digit(token), depth + 1)
        return str(inner)

    def _one_digit(self, token: tuple[str, str]) -> tuple[str, str]:
        """Of a number, give back all but its first digit: in TeX, ``10^12`` is ``10^1`` and then 2."""
        kind, text = token
        if kind == "text" and len(text) > 1:
            self._given_back.append((kind, text[1:]))
        return (kind, text[0]) if kind == "text" else token

    def _option(self) -> str:
        """What stands in brackets after a command."""
        inner = Line()
        if self._take_if(("text", "[")):
            while (token := self._take()) is not None and token != ("text", "]"):
                inner.add(token[1] if token[0] == "text" else "")
        return str(inner).strip()


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(source):
        word, escaped, mark, space, text = found.groups()
        if word in _SCRIPTS:
            yield "mark", _SCRIPTS[word]
        elif word or escaped:
            yield "command", word or escaped
        elif mark:
            yield "mark", mark
        elif space:
            yield "space", " "
        elif text and text != "$":
            yield "text", " " if text == "~" else text
