"""Whether a number is plain: what stands right before and after it may make it a bound, a range or a part."""

from __future__ import annotations

import re

from qa_extractive.metrics.numbers import PLAIN_UNIT, Quantity

_SEEN = 80  # characters on either side
_SCALES = "hundred|thousand|million|billion|trillion|dozen|lakh|crore"
_WORDS = (
    "zero|nil|nought|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    "(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|"
    f"(?:{_SCALES})s?"
)
_PARTS = "third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|hundredth|thousandth"
_FRACTIONS = rf"half|halves|quarters?|(?:{_PARTS})s|(?:an?|one)[\s-](?:{_PARTS})"
NUMBER_WORD = re.compile(rf"\b(?:{_WORDS})\b", re.IGNORECASE)
FRACTION = re.compile(rf"[¼-¾⅐-⅟]|\b(?:{_FRACTIONS})\b", re.IGNORECASE)

_DASH = "[-‐‑‒–—―−⁻﹘﹣－]"
_ABOUT = "[<>≤≥⩽⩾≈≃≅~∼～±＜＞]|\\+/[-−–]"
_NUMBER = rf"(?:[-−–+]?\.?\d|(?:{_WORDS})\b)"
_TO = "(?:to|or|through|thru|and/or)"
_MORE = (
    "more|less|fewer|over|under|above|below|beyond|higher|lower|greater|larger|smaller|longer|shorter|older|"
    "younger|later|earlier|upwards?|up|so|better|worse|thereabouts"
)
_BOUND = (
    r"over|under|above|below|beyond|exceed(?:s|ed|ing)?|than|at\s(?:the\s)?(?:least|most)|up\sto|"
    r"or\sequal\sto|as\s\w+\sas|within|(?:max|min)(?:imum|imal(?:ly)?)?\.?(?:\sof)?|upwards\sof|"
    r"capped\sat|limited\sto|about|around|approx\.?|approximate(?:ly)?|roughly|circa|ca\.?|nearly|almost|near|"
    r"close\sto|some|not|no\.?|nor|non"
)
_LIMIT_OF = r"(?:(?:an?|the)\s)?(?:ages?|total|threshold|cut-?off|value|limit|level|score|dose)\sof"
# What it is -> how what stands before the number ends, and how what follows the number begins.
_FLAWS = tuple(
    (kind, re.compile(rf"(?:{before})\s*$", re.IGNORECASE), re.compile(rf"\s*(?:{after})", re.IGNORECASE))
    for kind, before, after in (
        (
            "a bound",
            rf"{_ABOUT}|&#?\w+;|\b(?:{_BOUND})(?:\s{_LIMIT_OF})?",
            rf"(?:[^\W\d_]+,?\s){{0,3}}?[,(]?\s?(?:or|and)\s(?:even\s|much\s)?(?:{_MORE})\b(?!\s+(?:(?:than|an?|the)\b|[\d<>]))|"
            rf"\+|[(,]?\s?(?:at\s(?:(?:the\s)?(?:least|most)|(?:a\s)?(?:min|max)imum)|max(?:imum)?|minimum)\b|"
            rf"-?(?:plus|odd|ish|upwards?|onwards?)\b|(?:or\s)?(?:{_ABOUT})",
        ),
        ("a dash or a sign in words", rf"\b(?:minus|negative|plus)|{_DASH}", "minus\\b"),
        (
            "another number beside it",
            rf"\b(?:between|either|rang(?:e[ds]?|ing)(?:\s(?:of|from))?)|\d\s:|[/×✕*÷^…&+]|\.\.|\d|\d\sby|\bper|"
            rf"\b(?:{_WORDS})(?:\sand)?|"
            rf"\bbetween\s{_NUMBER}[^;]{{0,30}}?\sand|(?<!\w){_NUMBER}\S*(?:\s[^\W\d_]+)?\s{_TO}",
            rf"{_DASH}\s*{_NUMBER}|[/×✕*÷^…&=]|\.\.|:\s?\d|x\s?\d|(?!\d\d(?:\.\d)?\s?%[\s-]?C)\d|(?:and\s)?(?:{_WORDS})\b|"
            rf"(?:[^\W\d_]+\s)?{_TO}\s*{_NUMBER}|per\s+{_NUMBER}|by\s[\d.]+\s?[cmk]?m\b",
        ),
        (
            "more of the number",
            r"\b(?:point|decimal|few|several|many|couple(?:\sof)?|(?:ten|dozen|hundred|thousand|million)s?\sof|"
            r"twice|double|triple|half(?:\sof)?|quarter(?:\sof)?)",
            rf"-?(?:{_SCALES})s?\b|(?:k|m|mn|mio|bn|b)\b|[¼-¾⅐-⅟％﹪‰]|"
            rf"(?:and\s)?(?:(?:an?|one)[\s-])?(?:{_FRACTIONS})\b",
        ),
    )
)
_SPREAD = re.compile(rf"\s?\(?(?:±|\+/[-−–])\s?\d+(?:\.\d+)?(?:\s?{PLAIN_UNIT}(?:/[^\W\d_]+)*(?![^\W_]))?\)?")
_TOUCHES_BEFORE = re.compile(r"[^\s(\[{“‘«=;]$")
_TOUCHES_AFTER = re.compile(r"[^\s.,;:!?)\]}(\[”»‐‑‒–—―-]|[.,;:]+\d")
_UNIT_GOES_ON = re.compile(
    r"(?!['’]\s)[^\s.,;:!?)\]}(\[”»–—]|[.–—]\w|\s(?:[·⋅∙*^/]|(?:once|twice|thrice|per|each|every|an?|celsius|centigrade|"
    r"fahrenheit|pts|pp|(?:hour|dai|night|week|month|year)ly)(?!\w)|[^\W\d_]+\s?/\s?[^\W\d_])",
    re.IGNORECASE,
)
_NEXT_UNIT = re.compile(rf"\s(?:{PLAIN_UNIT}|[CF])(?![^\W_])")


def flaw_of(text: str, found: Quantity, offset: int = 0) -> str | None:
    """Why a number is not plain, by what stands right before or after it in the text; None if it is.

    Args:
        text: With the number.
        found: The number.
        offset: What its indexes lack.
    """
    start, end = offset + found.start, offset + found.end
    before, after = text[max(start - _SEEN, 0) : start], text[end : end + _SEEN]
    after = _SPREAD.sub("", after, count=1) if _SPREAD.match(after) else after
    for kind, ends, begins in _FLAWS:
        piece = ends.search(before) or begins.match(after)
        if piece:
            return f"{kind}, {piece[0].strip()!r:.50}"
    touching = _TOUCHES_BEFORE.search(before) or (not found.unit and _TOUCHES_AFTER.match(after))
    if touching:
        return f"something that touches it, {touching[0]!r}"
    if found.unit == "M" or (found.unit == "m" and found.end == found.number_end + 1):
        return f"{found.unit!r}, which may be a million"
    return None


def unit_goes_on(text: str, found: Quantity, offset: int = 0) -> bool:
    """Whether more of the unit follows than was recognized: "% points", "Pa·s", "g twice daily"."""
    after = text[offset + found.end : offset + found.end + _SEEN]
    return bool(found.unit and (_UNIT_GOES_ON.match(after) or _NEXT_UNIT.match(after)))
