"""A picture of matplotlib's -> an ``<svg>`` that stands within a page and takes the page's colours.

Inline, so that the colours of text, grid and background are those of the page, light or dark, on a screen and
on paper; that is why ids, which a page must not have twice, get the name of the picture before them.
"""

from __future__ import annotations

import re
from html import escape

from qa_extractive.report.plots import COLOURS, GRID, QUIET

_PLAIN = "currentColor"
_BLACK = "#000000"
_PAGE_COLOURS = {GRID.lower(): "var(--rule)", QUIET.lower(): _PLAIN, _BLACK: _PLAIN} | {
    colour.lower(): f"var(--plot-{i}, {colour})" for i, colour in enumerate(COLOURS) if colour != _BLACK
}
_DROPPED = re.compile(
    r"<\?xml.*?\?>|<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>|\s+xmlns:\w+=\"[^\"]*\"",
    re.DOTALL,
)
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#)([^")]+)')
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_ROOT = re.compile(r"<svg\b[^>]*>")
_BOX = re.compile(r'\bviewBox="([^"]*)"')


def inline_svg(svg: bytes, name: str, alt: str) -> str:
    """The picture as markup for a page.

    Args:
        svg: As ``plots`` draws it; its texts are drawn as paths, so none of the data is in it as text.
        name: Of the picture; no two of a page alike.
        alt: What is to be seen in it, in words.
    """
    text = _DROPPED.sub("", svg.decode("utf-8"))
    text = _ID.sub(lambda found: f"{found[1]}{name}-{found[2]}", text).replace("xlink:href", "href")
    text = _COLOUR.sub(lambda found: _PAGE_COLOURS.get(found[0].lower(), found[0]), text)
    box = _BOX.search(text)
    view = box[1] if box else "0 0 1 1"
    root = f'<svg role="img" fill="currentColor" aria-label="{escape(alt)}" viewBox="{view}">'
    return _ROOT.sub(lambda _: root, text, count=1).strip()
