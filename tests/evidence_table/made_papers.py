"""A folder of made-up papers, some of them hostile."""

from __future__ import annotations

import json
from pathlib import Path

QUESTIONS = ("How many nurses took part?", "Did the lamp improve sleep?", "Who paid for the trial?")

LAMP = (
    "We gave a bright lamp to 84 nurses on night shifts. Sleep lasted 42 minutes longer with the lamp "
    "(95% CI 18 to 66). The lamp improved sleep."
)
TEA = "Tea was given to 31 nurses. The lamp did not improve sleep in any of them."
STARS = "We mapped 120 stars in a cluster. Their colours follow from their ages."


def folder_of_papers(place: Path, n: int = 4) -> Path:
    """``n`` papers: one to three of them say something of lamps, some begin like formulas."""
    place.mkdir()
    texts = (LAMP, TEA, STARS, f'=HYPERLINK("http://x","y") {LAMP} \U0001f600 é')
    for i in range(n):
        title = ("Lamps", "Tea & lamps", "Stars", "=1+1 & 2<3")[i % 4] + (f" {i}" if i > 3 else "")
        abstract = texts[i % 4] + (f" Site {i}." if i > 3 else "")
        if i % 4 == 3:
            (place / f"p{i:03}.txt").write_text(f"{title}\n\n{abstract}\n", encoding="utf-8")
            continue
        paper = {"title": title, "abstract": abstract, "year": 2020 + i % 5, "doi": f"10.1/{i}<\"'>"}
        (place / f"p{i:03}.json").write_text(json.dumps(paper | {"authors": ["Ann Green", "Bo Li"]}))
    (place / "scan.docx").write_bytes(b"PK")
    return place
