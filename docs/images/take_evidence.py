"""Takes the pictures of docs/EVIDENCE.md: the table of the made-up papers, and a PDF with its quotes marked.

    python docs/images/take_evidence.py [--output DIR]

Needs the [papers] extra, reportlab, playwright and an installed Chromium.
"""

from __future__ import annotations

import argparse
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pypdfium2
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = (
    "Did the desks reduce back pain?",
    "How many people took part?",
    "By how much did back pain fall?",
)


def main() -> None:
    """Make the example and take its pictures."""
    parser = argparse.ArgumentParser(description="Takes the pictures of the evidence table.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the pictures")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as made:
        papers, table, marked = Path(made, "papers"), Path(made, "evidence.html"), Path(made, "marked")
        runpy.run_path(str(ROOT / "examples" / "evidence" / "make_papers.py"))["write_papers"](papers)
        command = [sys.executable, "-m", "qa_extractive", "table", str(papers), "--output", str(table)]
        subprocess.run([*command, "--highlight", str(marked), "--questions", *QUESTIONS], check=True)
        take_table(table, output / "evidence.png")
        take_page(marked / "06-farrow.pdf", output / "evidence_pdf.png")


def take_table(table: Path, output: Path) -> None:
    """Save the first screen of the table."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1250, "height": 800}, color_scheme="light")
        page.goto(table.as_uri())
        page.screenshot(path=output)
        browser.close()


def take_page(pdf: Path, output: Path) -> None:
    """Save the first page."""
    with pypdfium2.PdfDocument(pdf) as document:
        document[0].render(scale=1.4, may_draw_forms=False).to_pil().save(output)


if __name__ == "__main__":
    main()
