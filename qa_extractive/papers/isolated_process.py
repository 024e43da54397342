"""Reads files of all kinds: ``python -m qa_extractive.papers.isolated_process LIMITS``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qa_extractive.papers.isolated import FileLimits
from qa_extractive.papers.pdf.process import answer_requests
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import TOO_LARGE, NoPaperError, Paper


def main() -> int:
    """Answer requests until there are no more."""
    with suppress(OSError):  # where memory runs out, this process is to end, and not the one that asks
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    return answer_requests(FileLimits(**json.loads(sys.argv[1])), {"papers": _papers}, "a file")


def _papers(request: Mapping[str, Any], limits: FileLimits) -> dict[str, list[dict[str, Any]]]:
    path, taken = Path(request["path"]), _Taken(limits)
    if path.stat().st_size > limits.file_bytes:
        raise NoPaperError(TOO_LARGE, f"a file of more than {limits.file_bytes // 10**6:,} MB")
    for outcome in read_papers(path):
        if not taken.add(outcome):
            break
    return {"papers": taken.papers, "skipped": [asdict(each) for each in taken.skipped]}


class _Taken:
    def __init__(self, limits: FileLimits) -> None:
        self._limits = limits
        self._n_characters = 0
        self.papers: list[dict[str, Any]] = []
        self.skipped: list[Skipped] = []

    def add(self, outcome: tuple[int, Paper] | Skipped) -> bool:
        """Take what was read; False when there is no room for it."""
        if len(self.papers) + len(self.skipped) >= self._limits.records:
            return self._full(f"more than {self._limits.records:,} records")
        if isinstance(outcome, Skipped):
            self.skipped.append(outcome)
            return True
        number, paper = outcome
        text = paper.text
        if len(text) > self._limits.text_characters:
            most = self._limits.text_characters
            reason = f"a text of {len(text):,} characters, of at most {most:,} that can be asked"
            self.skipped.append(Skipped(number, TOO_LARGE, reason))
            return True
        self._n_characters += len(text)
        if self._n_characters > self._limits.all_characters:
            return self._full(f"more than {self._limits.all_characters:,} characters")
        self.papers.append(_values(number, paper, text))
        return True

    def _full(self, reason: str) -> bool:
        self.skipped.append(
            Skipped(None, TOO_LARGE, f"{reason} (what came before was taken): split the file")
        )
        return False


def _values(number: int, paper: Paper, text: str) -> dict[str, Any]:
    own = {name: getattr(paper, name) for name in ("title", "authors", "year", "doi", "pmid", "pages")}
    return own | {"record": number, "text": text, "passages": [asdict(each) for each in paper.passages]}


if __name__ == "__main__":
    with suppress(BrokenPipeError, KeyboardInterrupt):
        sys.exit(main())
