"""What kind of question it is, by its words alone."""

from __future__ import annotations

import re

_AUXILIARY = (
    "am are can could did do does had has have is may might must shall should was were will would"
).replace(" ", "|")
_IS_YES_NO = re.compile(rf"^(?:{_AUXILIARY})\b")
_LATE_YES_NO = re.compile(rf"[,;:] (?:{_AUXILIARY})\b")
# Of several in one question the one that starts first; "who", "when" and "where" only where they ask.
_WH_TYPES = {
    "how many / how much": re.compile(r"\bhow (?:many|much)\b"),
    "how": re.compile(r"\bhow\b"),
    "why": re.compile(r"\bwhy\b"),
    "who": re.compile(rf"^(?:\w+ )?who(?:m|se)?\b|[,;:] who(?:m|se)? (?:{_AUXILIARY})\b|\bwhom?\W*$"),
    "when": re.compile(
        rf"^(?:\w+ )?when\b|\bwhen (?:{_AUXILIARY})\b|\bwhen\W*$"
        r"|\b(?:\w+ )?(?:what|which) (?:year|date|century)\b"
    ),
    "where": re.compile(rf"^(?:\w+ )?where\b|\bwhere (?:{_AUXILIARY})\b|\bwhere\W*$"),
    "what / which": re.compile(r"\b(?:what|which)\b"),
}
YES_NO = "does / is / can ..."
QUESTION_TYPES = (*_WH_TYPES, YES_NO, "other")
"""All kinds, in the order of reports."""


def question_type(question: str) -> str:
    """The kind of a question by its words, one of ``QUESTION_TYPES``."""
    text = " ".join(question.lower().split())
    if _IS_YES_NO.search(text):
        return YES_NO
    found = [(match.start(), name) for name, p in _WH_TYPES.items() if (match := p.search(text))]
    if found:
        return min(found, key=lambda place: place[0])[1]  # of equals, the first of the table
    return YES_NO if _LATE_YES_NO.search(text) else "other"


def is_yes_no(question: str) -> bool:
    """Whether it asks for a yes or no: "Does it ...?", "In adults, does it ...?"."""
    return question_type(question) == YES_NO
