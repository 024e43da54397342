"""The site: its pages are the repository's, its API page has all public names, its check finds foreign loads.

``.ci/steps/docs`` builds it.
"""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

import qa_extractive
from tests.test_docs import PAGES, anchors

ROOT = Path(__file__).resolve().parents[1]
HOOKS = runpy.run_path(str(ROOT / "docs/site/hooks.py"))
CHECK = runpy.run_path(str(ROOT / "docs/site/check.py"))


# ---------------------------------------------------------------- the pages


def test_the_site_has_every_page_and_the_navigation_leads_to_it() -> None:
    found = {path for pattern in HOOKS["PAGES"] for path in ROOT.glob(pattern)}
    assert found == set(PAGES)
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    led_to = set(re.findall(r"([\w/]+\.md)$", settings, re.MULTILINE))
    wanted = {path.relative_to(ROOT).as_posix() for path in found}
    wanted |= {path.relative_to(ROOT).with_suffix(".md").as_posix() for path in ROOT.glob(HOOKS["NOTEBOOKS"])}
    assert led_to <= wanted
    assert {name for name in wanted - led_to if not name.startswith("benchmarks/results/")} == set()


def test_anchors_are_those_of_github() -> None:
    page = ROOT / "qa_extractive/models/default/README.md"
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {HOOKS["slug"](heading) for heading in headings} == anchors(page)


def test_links_to_notebooks_lead_to_their_pages_and_badges_are_left_out() -> None:
    text = "# A\n\n[![CI](https://host/badge.svg)](x)\nSee [it](examples/a.ipynb), `b.ipynb`.\n"
    assert HOOKS["for_site"](text) == "# A\n\nSee [it](examples/a.md), `b.ipynb`.\n"


def test_what_a_page_shows_is_taken_along() -> None:
    taken = HOOKS["linked_files"](ROOT / "README.md")
    assert {ROOT / "docs/images/page.png", ROOT / "examples/evidence/make_papers.py"} <= taken
    assert not {path for path in taken if path.suffix == ".ipynb" or path.is_dir()}


def test_a_notebook_becomes_a_page(tmp_path: Path) -> None:
    printed: dict[str, Any] = {"output_type": "stream", "text": ["5", "\n"]}
    table = {"output_type": "execute_result", "data": {"text/html": "<b>6</b>", "text/plain": ["6"]}}
    plot = {"output_type": "display_data", "data": {"image/png": "iVBO\n", "text/plain": ["<Figure>"]}}
    cells = [
        {"cell_type": "markdown", "source": ["# Five\n", "and six"]},
        {"cell_type": "code", "source": ["print(5)\n", "6"], "outputs": [printed, table, plot]},
    ]
    path = tmp_path / "five.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert HOOKS["as_page"](path) == (
        "# Five\nand six\n\n```python\nprint(5)\n6\n```\n\n```text\n5\n```\n\n```text\n6\n```\n\n"
        "![](data:image/png;base64,iVBO)\n"
    )


def test_the_api_page_has_all_public_names() -> None:
    page = (ROOT / "docs/API.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: qa_extractive\.(\w+)$", page, re.MULTILINE)
    assert sorted(names) == [name for name in sorted(qa_extractive.__all__) if name != "__version__"]


# ---------------------------------------------------------------- the check


@pytest.mark.parametrize(
    "loading",
    [
        '<script src="https://host/a.js"></script>',
        '<link rel="stylesheet" href="//host/a.css">',
        '<link rel="preconnect" href="https://host" crossorigin>',
        '<img src="a.png" srcset="a.png 1x, HTTPS://host/a.png 2x">',
        '<svg><use href="http://host/a.svg#b"></use></svg>',
        '<object data="https://host/a.pdf"></object>',
        "<style>@import 'https://host/a.css';</style>",
        '<p style="background: url(https://host/a.png)">',
    ],
)
def test_what_comes_from_another_host_is_found(loading: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(f"<html>{loading}</html>", encoding="utf-8")
    said = CHECK["main"](tmp_path)
    assert said.startswith("index.html loads ")
    assert "//host" in said


def test_a_style_sheet_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html></html>", encoding="utf-8")
    (tmp_path / "a.css").write_text('a { src: url("//host/a.woff2") }', encoding="utf-8")
    assert CHECK["main"](tmp_path) == "a.css loads //host/a.woff2"


def test_links_and_own_files_are_no_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.html").write_text(
        '<link rel="canonical" href="https://host/"><a href="https://host/">host</a><img src="../a//b.png">'
        '<img src="data:image/png;base64,ab//cd"><code>url(https://host)</code><script src="a.js"></script>',
        encoding="utf-8",
    )
    (tmp_path / "a.css").write_text("a { b: url('data:image/svg+xml,http://www.w3.org/2000/svg') }", "utf-8")
    assert CHECK["main"](tmp_path) is None
    assert capsys.readouterr().out == "1 pages load nothing from another host\n"


def test_a_folder_without_pages_is_no_site(tmp_path: Path) -> None:
    assert "holds no page" in CHECK["main"](tmp_path)
