"""Files from strangers -> the papers in them, read in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from qa_extractive.papers.pdf.types import Limits
from qa_extractive.papers.pdf.worker import Worker


@dataclass(frozen=True, slots=True)
class FileLimits(Limits):
    """What reading a file may take, those of ``Limits`` for files of all kinds; beyond, the rest is skipped.

    Attributes:
        records: Of the file, those that are no papers included.
        text_characters: Of one paper.
        all_characters: Of all papers of the file.
    """

    records: int = 1_000
    text_characters: int = 500_000
    all_characters: int = 5_000_000


class FileWorker(Worker):
    """One process that reads files of all kinds, each within ``FileLimits``."""

    module: ClassVar = "qa_extractive.papers.isolated_process"
    what: ClassVar = "a file"
    in_own_session: ClassVar = True  # the process that reads PDFs is its child

    def papers(self, path: str) -> Mapping[str, Any]:
        """The papers of a file and what in it was skipped.

        Args:
            path: The file; its name ends as one of its kind does.

        Returns:
            ``papers``, each with ``record``, ``title``, ``authors``, ``year``, ``doi``, ``pmid``, ``text``,
            ``passages`` (``heading``, ``start``, ``end``) and ``pages``; and ``skipped``, each with
            ``record``, ``kind`` and ``reason``.

        Raises:
            NoPaperError: It takes too long or too much memory, or ends the process.
        """
        found: Mapping[str, Any] = self.ask({"do": "papers", "path": path})
        return found

    def _require(self) -> None:
        """What a format needs is told when one is read."""
