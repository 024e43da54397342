"""The pages, read once from the package's own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "static"
_SCRIPTS = (
    *("page", "answers", "tables", "service"),
    *("evidence", "grid", "intake", "quote", "sheets", "together"),
)
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/table.css": ("table.css", "text/css; charset=utf-8"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in (*_SCRIPTS, "docs")},
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/samples.json": ("samples.json", "application/json"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent."""

    content: bytes
    media_type: str


def page_files() -> dict[str, PageFile]:
    """The files of the pages by path; no request chooses what is read."""
    return {path: PageFile((_FOLDER / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
