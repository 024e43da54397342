"""Text -> Papers."""

from __future__ import annotations

from qa_extractive.papers.fragments import plain_text
from qa_extractive.papers.types import Paper, first_title, without_stand_in

_TITLE_CHARACTERS = 300


def paper_from_text(text: str) -> Paper:
    """A text file: its first line is the title if a blank line follows it, the rest the abstract.

    A first line of more than 300 characters is no title.
    """
    head, _, rest = text.strip().replace("\r\n", "\n").partition("\n")
    if rest.strip() and not rest.split("\n", 1)[0].strip() and len(head) <= _TITLE_CHARACTERS:
        return Paper(title=first_title([plain_text(head)]), abstract=without_stand_in(plain_text(rest)))
    return Paper(abstract=without_stand_in(plain_text(text)))
