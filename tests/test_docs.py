"""The pages for people: links lead somewhere, the first example prints what it says, all stay short."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("docs", "benchmarks/results", "recipes", "data", "examples", "qa_extractive/models/default")
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("web/*.md"),
    *(path for name in FOLDERS for path in sorted((ROOT / name).rglob("*.md"))),
]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_DECIMAL = re.compile(r"\d+\.\d+")
MAX_WORDS = 16_800


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link or "/actions/" in link:
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_first_example_prints_what_the_readme_says() -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    (language, code), (_, said) = blocks[:2]
    assert language == "python"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "README.md", "exec"), {})
    found = printed.getvalue()
    assert _DECIMAL.sub("N", found) == _DECIMAL.sub("N", said)
    numbers = [list(map(float, _DECIMAL.findall(text))) for text in (found, said)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.02)


def test_the_pages_stay_short() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    assert sum(len(page.read_text(encoding="utf-8").split()) for page in pages) < MAX_WORDS
