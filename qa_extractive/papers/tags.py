"""Tags and entities that stand in a text as text, as Crossref and PubMed have them, -> elements."""

from __future__ import annotations

import html
import re

from qa_extractive.papers.safe_xml import MAX_DEPTH, Element
from qa_extractive.papers.types import TOO_LARGE, NoPaperError

# Only these are tags: in "p <a and b> c" there is none.
_NAMES = frozenset(
    "p sec title label abstract sup sub inf i b u em strong italic bold underline sc scp small big tt code "
    "span div br h1 h2 h3 h4 h5 h6 ul ol li dl dt dd list list-item def-list def-item term def blockquote "
    "disp-quote monospace roman sans-serif strike overline break ext-link xref uri email named-content "
    "styled-content inline-formula disp-formula alternatives tex-math textual-form a font section "
    "statement fig table table-wrap graphic math mrow mn mi mo ms mtext mspace mfrac msup msub msubsup "
    "msqrt mroot mover munder munderover mfenced menclose mmultiscripts mprescripts none mtable mtr mtd "
    "mstyle mpadded mphantom semantics annotation annotation-xml".split()
)
_EMPTY = frozenset(("br", "break", "graphic", "mspace", "none", "mprescripts"))
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# What ends where another of these begins, as in HTML: a paragraph, an item.
_ENDED_BY = {"p": ("p", *_HEADINGS), "li": ("li",), "dt": ("dt", "dd"), "dd": ("dt", "dd")}
_ATTRIBUTE = r"""\s+[\w:.-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*')"""
_TAG = re.compile(
    rf"<(/?)(?:[A-Za-z]\w*:)?([A-Za-z][\w-]*)((?:{_ATTRIBUTE})*)\s*(/?)>" + "|<!--[^<]{0,500}?-->"
)
_VALUE = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});")
_COMMON = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&nbsp;": " "}
_MAX_TAGS = 400_000  # also of entities
_N_ESCAPED = 3  # how often a text may have been escaped on its way


def element_of(text: str) -> Element | None:
    """The tags in a text as elements in one named ``abstract``; None where there are none.

    Raises:
        NoPaperError: There are tags or entities without end.
    """
    text = unescaped(text)
    if text.count("<") > 2 * _MAX_TAGS:
        raise NoPaperError(TOO_LARGE, f"a text with more than {_MAX_TAGS:,} tags")
    root = Element("abstract", {})
    stack, end, n_tags = [root], 0, 0
    for tag in _TAG.finditer(text):
        closing, name, attributes, closed = tag.groups()
        name = name.lower() if name else ""
        if name and name not in _NAMES:
            continue
        stack[-1].content.append(text[end : tag.start()])
        end, n_tags = tag.end(), n_tags + 1
        if n_tags > _MAX_TAGS:
            raise NoPaperError(TOO_LARGE, f"a text with more than {_MAX_TAGS:,} tags")
        if closing:
            _close(stack, name)
        elif name:
            _open(stack, name, attributes, is_empty=bool(closed) or name in _EMPTY)
    stack[-1].content.append(text[end:])
    return root if n_tags else None


def _open(stack: list[Element], name: str, attributes: str, *, is_empty: bool) -> None:
    if name in _ENDED_BY.get(stack[-1].tag, ()):
        stack.pop()
    values = {key: double or single for key, double, single in _VALUE.findall(attributes)}
    element = Element(name, values)
    stack[-1].content.append(element)
    if not is_empty and len(stack) < MAX_DEPTH // 2:
        stack.append(element)


def _close(stack: list[Element], name: str) -> None:
    """End the element of this name, and those in it that were left open; a stray end is nothing."""
    tags = [element.tag for element in stack[1:]]
    if name in tags:
        del stack[len(tags) - tags[::-1].index(name) :]


def unescaped(text: str) -> str:
    """The text with characters for the entities in it, however often it was escaped."""
    for _ in range(_N_ESCAPED):
        if "&" not in text:
            break
        for entity, character in _COMMON.items():
            text = text.replace(entity, character)
        if text.count("&") > _MAX_TAGS:
            raise NoPaperError(TOO_LARGE, f"a text with more than {_MAX_TAGS:,} entities")
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return text
