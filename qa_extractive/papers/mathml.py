"""Formulas in MathML -> one line in which numbers keep their value: ``3/4``, ``10^7``, ``x1^2``."""

from __future__ import annotations

import re
from collections.abc import Callable

from qa_extractive.papers.inline import Line, bracketed
from qa_extractive.papers.safe_xml import Element

TAG = "math"
_NOTHING = frozenset(
    ("annotation", "annotation-xml", "mphantom", "none", "mprescripts", "maligngroup", "malignmark")
)
_INVISIBLE = {"\u2061": " ", "\u2062": "", "\u2063": "", "\u2064": " ", "\u200b": "", "\ufeff": ""}
_TIMES = "\u2062"
_MINUSES = ("-", "\u2212", "\u2013")
_TIMES_TEN = re.compile(r"\d\s?[\u00d7\u00b7\u22c5*x]\s?10$")
# Accents over one letter -> characters that combine with it.
_ACCENTS = {
    "\u00af": "\u0304", "\u02c9": "\u0304", "\u203e": "\u0304", "\u0305": "\u0304", "_": "\u0304",
    "^": "\u0302", "\u02c6": "\u0302", "~": "\u0303", "\u02dc": "\u0303", "\u223c": "\u0303",
    "\u02d9": "\u0307", ".": "\u0307", "\u00a8": "\u0308", "\u2192": "\u20d7", "\u20d7": "\u20d7",
}  # fmt: skip


def write_formula(line: Line, element: Element) -> None:
    """Write a ``math`` element, or any part of one."""
    if element.tag not in _NOTHING:
        _WRITERS.get(element.tag, _write_all)(line, element)


def formula_text(element: Element) -> str:
    """A part of a formula on its own."""
    line = Line()
    write_formula(line, element)
    return str(line).strip()


def _write_all(line: Line, element: Element) -> None:
    for part in element.content:
        if isinstance(part, Element):
            write_formula(line, part)
        elif part.strip():
            line.add(part)


def _write_symbol(line: Line, element: Element) -> None:
    """Write a number, a name or an operator."""
    text = " ".join(_characters(element).split())
    if text == _TIMES and line.tail.isdigit():
        line.add("\u00b7")
        return
    for character, meaning in _INVISIBLE.items():
        text = text.replace(character, meaning)
    line.word(text)


def _characters(element: Element) -> str:
    return "".join(part if isinstance(part, str) else _characters(part) for part in element.content)


def _write_text(line: Line, element: Element) -> None:
    """Write words, whose own spaces count."""
    text = _characters(element)
    if text[:1].isspace():
        line.add(" ")
    line.word(text.strip())
    if text.strip() and text[-1].isspace():
        line.add(" ")


def _write_space(line: Line, element: Element) -> None:
    if not element.attributes.get("width", "1").strip().startswith(("0", "-")):
        line.add(" ")


def _arguments(element: Element, n: int) -> list[str]:
    """The first ``n`` parts of a construct, empty where there are fewer."""
    texts = [formula_text(part) for part in element.children()[:n]]
    return texts + [""] * (n - len(texts))


def _write_fraction(line: Line, element: Element) -> None:
    above, below = _arguments(element, 2)
    if element.attributes.get("linethickness", "").strip() in ("0", "0pt", "0em", "0px"):
        line.word(f"C({above}, {below})")  # a binomial coefficient is written as a fraction without its line
    else:
        line.fraction(above, below)


def _write_power(line: Line, element: Element) -> None:
    base, above = _arguments(element, 2)
    if line.tail.isalpha() and base.isalpha() and above.startswith(_MINUSES):
        line.add(" ")  # m s^-1, a product of units
    _write_base(line, base)
    line.power(above)


def _write_index(line: Line, element: Element) -> None:
    base, below = _arguments(element, 2)
    _write_base(line, base)
    line.index(below)


def _write_both(line: Line, element: Element) -> None:
    base, below, above = _arguments(element, 3)
    _write_base(line, base)
    line.index(below)
    line.power(above)


def _write_over(line: Line, element: Element) -> None:
    base, above = _arguments(element, 2)
    if above in _ACCENTS:
        line.word(base + (_ACCENTS[above] if len(base) == 1 else ""))
    else:
        _write_power(line, element)


def _write_under(line: Line, element: Element) -> None:
    base, below = _arguments(element, 2)
    if below in _ACCENTS:
        line.word(base)
    else:
        _write_index(line, element)


def _write_base(line: Line, base: str) -> None:
    """Write what an index or a power stands on; of ``3.2×10`` the 10 alone is raised."""
    if base:
        line.word(base if _TIMES_TEN.search(base) else bracketed(base))


def _write_scripts(line: Line, element: Element) -> None:
    """Write ``mmultiscripts``: after its base, and before it, index and power in turn."""
    base, *rest = element.children() or [Element("none", {})]
    tags = [part.tag for part in rest]
    n_after = tags.index("mprescripts") if "mprescripts" in tags else len(rest)
    before = rest[n_after + 1 :]
    if before and line.tail.isalnum():
        line.add(" ")
    _write_pairs(line, before)
    line.join()  # ^14C
    line.add(formula_text(base))
    _write_pairs(line, rest[:n_after])


def _write_pairs(line: Line, scripts: list[Element]) -> None:
    texts = [formula_text(script) for script in scripts]
    for below, above in zip(texts[::2], [*texts[1::2], ""], strict=False):
        line.index(below)
        line.power(above)


def _write_root(line: Line, element: Element) -> None:
    line.word("\u221a" + bracketed(str(_inner(element))))
    line.keep_apart()


def _write_degree_root(line: Line, element: Element) -> None:
    base, degree = _arguments(element, 2)
    _write_base(line, base)
    line.power(f"1/{bracketed(degree)}")


def _inner(element: Element) -> Line:
    inner = Line()
    _write_all(inner, element)
    return inner


def _write_fenced(line: Line, element: Element) -> None:
    separators = element.attributes.get("separators", ",").strip()
    line.add(element.attributes.get("open", "("))
    for i, part in enumerate(element.children()):
        if i and separators:
            line.add(separators[min(i, len(separators)) - 1] + " ")
        write_formula(line, part)
    line.add(element.attributes.get("close", ")"))


def _write_enclosed(line: Line, element: Element) -> None:
    is_root = "radical" in element.attributes.get("notation", "")
    (_write_root if is_root else _write_all)(line, element)


def _write_first(line: Line, element: Element) -> None:
    """Write one of several forms of the same."""
    for part in element.children()[:1]:
        write_formula(line, part)


def _write_table(line: Line, element: Element) -> None:
    rows = [", ".join(filter(None, map(formula_text, row.children()))) for row in element.children()]
    line.word("; ".join(filter(None, rows)))


_WRITERS: dict[str, Callable[[Line, Element], None]] = {
    **dict.fromkeys(("mn", "mi", "mo", "ms"), _write_symbol),
    "mtext": _write_text,
    "mspace": _write_space,
    "mfrac": _write_fraction,
    "msup": _write_power,
    "msub": _write_index,
    "msubsup": _write_both,
    "munderover": _write_both,
    "mover": _write_over,
    "munder": _write_under,
    "mmultiscripts": _write_scripts,
    "msqrt": _write_root,
    "mroot": _write_degree_root,
    "mfenced": _write_fenced,
    "menclose": _write_enclosed,
    "semantics": _write_first,
    "maction": _write_first,
    "mtable": _write_table,
}
