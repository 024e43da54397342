"""The site's pages are the repository's own, at their own paths, so that every link leads on from both.

``mkdocs.yml`` names this file. Beside the pages it takes what they link to, and the notebooks as pages.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "*.md",
    "benchmarks/results/*.md",
    "data/*.md",
    "docs/*.md",
    "examples/**/*.md",
    "qa_extractive/models/default/*.md",
    "recipes/*.md",
    "web/*.md",
)
NOTEBOOKS = "examples/**/*.ipynb"

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)")
_NOTEBOOK_LINK = re.compile(r"(\]\([^)\s]+)\.ipynb\)")
_BADGE = re.compile(r"^\[!\[.*\n", re.MULTILINE)  # a picture from another host


def on_config(config: MkDocsConfig) -> None:
    """Give headings the anchors that they have on GitHub."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The theme's files, and in place of those of ``docs_dir`` the repository's pages and what they show."""
    from mkdocs.structure.files import File, Files

    docs = Path(config.docs_dir)
    kept = [each for each in files if each.src_dir is None or not Path(each.src_dir).is_relative_to(docs)]
    pages = {path for pattern in PAGES for path in ROOT.glob(pattern)}
    linked = {target for page in pages for target in linked_files(page)} - pages
    own = [
        File(path.relative_to(ROOT).as_posix(), str(ROOT), config.site_dir, config.use_directory_urls)
        for path in sorted(pages | linked)
    ]
    notebooks = [
        File.generated(config, path.relative_to(ROOT).with_suffix(".md").as_posix(), content=as_page(path))
        for path in sorted(ROOT.glob(NOTEBOOKS))
    ]
    return Files([*kept, *own, *notebooks])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page's text for the site."""
    return for_site(markdown)


def for_site(markdown: str) -> str:
    """Without badges, and with links to notebooks leading to their pages."""
    return _NOTEBOOK_LINK.sub(r"\1.md)", _BADGE.sub("", markdown))


def slug(heading: str, separator: str = "-") -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def linked_files(page: Path) -> set[Path]:
    """The files of the repository that a page links to or shows, but for notebooks."""
    links = _LINK.findall(_FENCE.sub("", for_site(page.read_text(encoding="utf-8"))))
    targets = {(page.parent / link).resolve() for link in links if "://" not in link}
    return {target for target in targets if target.is_file() and target.is_relative_to(ROOT)}


def as_page(notebook: Path) -> str:
    """A notebook as Markdown: its texts, its code, and what the code gave where that is kept."""
    parts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_shown(output) for output in cell.get("outputs", ())]
    return "\n\n".join(parts) + "\n"


def _shown(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f"![](data:image/png;base64,{''.join(data['image/png']).strip()})"
    text = "".join(output.get("text") or data.get("text/plain", "")).rstrip()
    return f"```text\n{text}\n```"
