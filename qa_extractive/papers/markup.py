"""The text of marked-up passages (JATS, PubMed, HTML), on one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from qa_extractive.papers import mathml
from qa_extractive.papers.inline import SIGNS, Line
from qa_extractive.papers.safe_xml import Element
from qa_extractive.papers.tags import element_of, unescaped
from qa_extractive.papers.tex import text_of_tex, without_documents
from qa_extractive.papers.types import one_line

# What is no running text.
LEFT_OUT = frozenset(
    "table table-wrap table-wrap-group table-wrap-foot fig fig-group graphic inline-graphic media "
    "supplementary-material inline-supplementary-material fn fn-group ref-list alt-text long-desc object-id "
    "index-term private-char script style".split()
)
# What stands apart from the text around it.
BLOCKS = frozenset(
    "p title subtitle list list-item def-list def-item def term sec disp-formula disp-formula-group "
    "disp-quote boxed-text statement verse-group verse-line speech speaker attrib break label preformat "
    "code caption div blockquote ul ol li dl dt dd br hr pre td th tr h1 h2 h3 h4 h5 h6 DispFormula".split()
)
_FORMULAS = frozenset(("inline-formula", "disp-formula", "alternatives", "DispFormula"))
_FORMS = ("math", "textual-form", "tex-math")  # of one formula, the best first
_SUPERSCRIPTS, _SUBSCRIPTS = frozenset(("sup", "superscript")), frozenset(("sub", "inf", "subscript"))
_CITING = frozenset(("bibr", "fn", "table-fn", "aff", "corresp", "author-notes", ""))
_SEPARATORS = " \t\n\u00a0\u2009,;\u2013\u2212-"
_NUMBERS = re.compile(r"\d{1,3}(?:[\s,;\u2013-]+\d{1,3})*")
_MAX_SPLIT = 4  # superscripts that one exponent may be split into
_NOTHING: frozenset[str] = frozenset()


def text_of(element: Element | None) -> str:
    """All text of an element but figures, tables, footnotes and citations in superscript.

    Each formula stands there once; exponents stand after ``^``. Empty for None.
    """
    if element is None:
        return ""
    line = Line()
    write_content(line, element.content)
    return finished(line)


def finished(line: Line) -> str:
    """The text of a line that is whole."""
    return one_line(without_documents(str(line)))


def write_content(line: Line, content: Sequence[str | Element], hidden: frozenset[str] = _NOTHING) -> None:
    """Write texts and elements.

    Args:
        line: What to write to.
        content: Texts and elements, in order.
        hidden: Elements that are left out, since what they say stands beside them in another form.
    """
    n_done = 0
    for i, part in enumerate(content):
        if i < n_done:
            continue
        n_done = i + 1
        if isinstance(part, str):
            if not _parts_citations(line, content, i):
                _write_text(line, part)
        elif part.tag in _SUPERSCRIPTS:
            n_done = _write_superscript(line, content, i, hidden)
        elif part.tag in LEFT_OUT:
            line.leave_out()
        elif part.tag not in hidden:
            write_element(line, part, hidden)


def _write_text(line: Line, text: str) -> None:
    """Write text, in which tags and entities may stand as text: ``m&lt;sup&gt;2&lt;/sup&gt;``."""
    if "<" not in text and "&" not in text:
        line.add(text)
    elif element := element_of(text):
        write_content(line, element.content)
    else:
        line.add(unescaped(text))


def write_element(line: Line, element: Element, hidden: frozenset[str] = _NOTHING) -> None:
    """Write an element that is no superscript."""
    if element.tag == mathml.TAG:
        _write_math(line, element)
    elif element.tag == "tex-math":
        line.word(text_of_tex("".join(_strings(element))))
    elif element.tag in _SUBSCRIPTS:
        line.lowered(_inner(element.content, hidden))
    elif element.tag == "xref" and _is_citation(line, element):
        line.cite()
    elif element.tag in BLOCKS:
        line.add(" ")
        _write_inside(line, element, hidden)
        line.add(" ")
    else:
        _write_inside(line, element, hidden)


def _write_inside(line: Line, element: Element, hidden: frozenset[str]) -> None:
    if element.tag in _FORMULAS and not hidden:
        hidden = _other_forms(element)
    write_content(line, element.content, hidden)


def _write_math(line: Line, element: Element) -> None:
    inner = Line()
    mathml.write_formula(inner, element)
    text = str(inner)
    if not text.strip():
        text = text_of_tex(element.attributes.get("alttext", ""))
    line.word(text)


def _other_forms(element: Element) -> frozenset[str]:
    """All forms of a formula but the best one that says anything."""
    for form in _FORMS:
        if any(one_line("".join(_strings(each))) for each in _descendants(element, form)):
            return frozenset(_FORMS) - {form}
    return frozenset()


def _descendants(element: Element, tag: str) -> Iterator[Element]:
    for part in element.children():
        if part.tag == tag:
            yield part
        else:
            yield from _descendants(part, tag)


def _strings(element: Element) -> Iterator[str]:
    for part in element.content:
        if isinstance(part, str):
            yield part
        else:
            yield from _strings(part)


def _inner(content: Sequence[str | Element], hidden: frozenset[str] = _NOTHING) -> str:
    inner = Line()
    write_content(inner, content, hidden)
    return str(inner)


def _write_superscript(
    line: Line, content: Sequence[str | Element], start: int, hidden: frozenset[str]
) -> int:
    """Write the superscript that starts at an index; the index after it and what belongs to it."""
    if fraction := _fraction(content[start : start + 3]):
        line.fraction(*fraction)
        return start + 3
    text, end = "", start
    for part in content[start : start + _MAX_SPLIT]:
        if not isinstance(part, Element) or part.tag not in _SUPERSCRIPTS or not _goes_on(text):
            break
        if _cites(part) or (line.follows_citation and not "".join(_strings(part)).strip(_SEPARATORS)):
            if not text:
                line.cite()
                return end + 1
            break
        end += 1
        text += _raised_text(part, hidden)
    line.raised(text, _first_character(content[end : end + 1]))
    return end


def _raised_text(element: Element, hidden: frozenset[str]) -> str:
    """The text of a superscript without the citations that stand in it beside an exponent."""
    kept = [part for part in element.content if isinstance(part, str) or not _names_source(part)]
    text = _inner(kept, hidden)
    return text if len(kept) == len(element.content) else text.rstrip(" \t\n\u00a0\u2009,;")


def _names_source(element: Element) -> bool:
    return element.tag == "xref" and element.attributes.get("ref-type") == "bibr"


def _goes_on(text: str) -> bool:
    """Whether a superscript may go on in the next one: ``<sup>-</sup><sup>5</sup>``."""
    return not text.strip() or text.strip()[-1] in f"{SIGNS}.,"


def _fraction(content: Sequence[str | Element]) -> tuple[str, str] | None:
    """Above and below of ``<sup>1</sup>/<sub>2</sub>``."""
    if len(content) < 3 or content[1] not in ("/", "\u2044"):
        return None
    above, below = content[0], content[2]
    if not isinstance(above, Element) or not isinstance(below, Element) or below.tag not in _SUBSCRIPTS:
        return None
    texts = _inner(above.content).strip(), _inner(below.content).strip()
    return texts if all(map(str.isdigit, texts)) else None


def _cites(element: Element) -> bool:
    """Whether all that a superscript holds are references: to a source, a footnote, an address."""
    beside = "".join(c for c in element.content if isinstance(c, str))
    inside = element.children()
    if not inside or beside.strip(_SEPARATORS + "[]()"):
        return False
    return all(part.tag == "xref" or (part.tag not in _SUPERSCRIPTS and _cites(part)) for part in inside)


def _is_citation(line: Line, element: Element) -> bool:
    """Whether a reference is a number that is set high, by a superscript in it or by the journal's style."""
    kind = element.attributes.get("ref-type", "")
    if kind not in _CITING:
        return False
    outside = "".join(c for c in element.content if isinstance(c, str))
    inside = element.children()
    if inside and not outside.strip(_SEPARATORS):
        return all(part.tag in _SUPERSCRIPTS for part in inside)
    is_glued = line.follows_citation or (bool(line.tail.strip()) and line.tail not in "([{/-\u2013")
    return kind == "bibr" and is_glued and not inside and bool(_NUMBERS.fullmatch(outside.strip()))


def _parts_citations(line: Line, content: Sequence[str | Element], i: int) -> bool:
    """Whether a text only stands between two citations that are left out."""
    text = content[i]
    following = content[i + 1] if i + 1 < len(content) else None
    if not line.follows_citation or not isinstance(text, str) or text.strip(_SEPARATORS):
        return False
    if not isinstance(following, Element) or not text.strip():
        return False
    return (
        _cites(following)
        if following.tag in _SUPERSCRIPTS
        else (following.tag == "xref" and _is_citation(line, following))
    )


def _first_character(content: Sequence[str | Element]) -> str:
    while content and isinstance(content[0], Element):
        content = content[0].content[:1]
    return content[0][:1] if content and isinstance(content[0], str) else ""
