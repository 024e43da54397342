"""The text of marked-up passages, on one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_extractive.papers.records import one_line
from qa_extractive.papers.safe_xml import Element

# What is no running text, or repeats as TeX what stands beside it.
_LEFT_OUT = frozenset(
    (
        "tex-math",
        "table",
        "table-wrap",
        "fig",
        "fig-group",
        "graphic",
        "media",
        "supplementary-material",
        "fn",
    )
)
_BLOCKS = frozenset(
    ("p", "title", "list", "list-item", "sec", "disp-formula", "disp-quote", "break", "label")
)
_EXPONENT = re.compile(r"[-+\u2212]?\d+")


def text_of(element: Element | None) -> str:
    """All text of an element but figures, tables and footnotes; exponents after ``^``; empty for None."""
    return "" if element is None else one_line("".join(_pieces(element)))


def _pieces(element: Element) -> Iterator[str]:
    last = ""
    for part in element.content:
        if isinstance(part, str):
            text = part
        elif part.tag in _LEFT_OUT:
            continue
        else:
            text = "".join(_pieces(part))
            if part.tag == "sup":
                text = _raised(part, text, last)
            elif part.tag in _BLOCKS:
                text = f" {text} "
        if text:
            last = text[-1]
            yield text


def _raised(element: Element, text: str, before: str) -> str:
    """A superscript: nothing where it cites, ``^9`` where it is an exponent."""
    if element.children("xref") and not any(
        c.strip(" ,;\u2013-") for c in element.content if isinstance(c, str)
    ):
        return ""
    return f"^{text}" if before.isalnum() and _EXPONENT.fullmatch(text) else text
