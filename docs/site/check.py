"""Checks that a built site loads nothing from another host: ``python docs/site/check.py site``.

It reads pages and style sheets, not scripts: the theme's name hosts that they ask only for diagrams, for the
stars of a repository, or in browsers without ``ResizeObserver``.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

_FOREIGN = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_CSS = re.compile(r"(?:url\(|@import)\s*[\"']?\s*((?:https?:)?//[^\"')\s;]+)", re.IGNORECASE)
_ONLY_TELL = {"alternate", "canonical", "next", "prev"}  # links that nothing is loaded from


class _Loads(HTMLParser):
    """Collects the addresses at other hosts that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        names = ["src", "poster"]
        if tag == "object":
            names.append("data")
        if tag in ("image", "use") or (tag == "link" and not _ONLY_TELL & set(given.get("rel", "").split())):
            names += ["href", "xlink:href"]
        values = [given.get(name, "") for name in names] + given.get("srcset", "").split(",")
        self.found += [value.strip() for value in values if _FOREIGN.match(value)]
        self.found += _CSS.findall(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.found += _CSS.findall(data)


def loads(path: Path) -> list[str]:
    """The addresses at other hosts that a page or a style sheet loads."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        return _CSS.findall(text)
    parser = _Loads()
    parser.feed(text)
    return parser.found


def main(site: Path) -> str | None:
    """What is wrong, or None."""
    pages = sorted(site.rglob("*.html"))
    if not pages:
        return f"{site} holds no page: build the site first"
    paths = [*pages, *sorted(site.rglob("*.css"))]
    wrong = [f"{path.relative_to(site)} loads {address}" for path in paths for address in loads(path)]
    if wrong:
        return "\n".join(wrong)
    print(f"{len(pages)} pages load nothing from another host")
    return None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "site")))
