"""Whether a number is plain: what stands right before and after it may make it a bound, a range or a part."""

from __future__ import annotations

import re

from qa_extractive.metrics.numbers import PLAIN_UNIT, Quantity

_SEEN = 80  # characters on either side


def _any_of(*alternatives: str) -> str:
    return f"(?:{'|'.join(alternatives)})"


# Numbers in words
_SCALE = _any_of(*"hundred thousand million billion trillion dozen lakh crore".split())
_DIGIT = _any_of(*"one two three four five six seven eight nine".split())
_WORD = _any_of(
    *("zero", "nil", "nought", _DIGIT, "ten", "eleven", "twelve"),
    "(?:thir|four|fif|six|seven|eigh|nine)teen",
    "(?:twen|thir|for|fif|six|seven|eigh|nine)ty",
    f"{_SCALE}s?",
)
_PART = _any_of(*"third fourth fifth sixth seventh eighth ninth tenth hundredth thousandth".split())
_FRACTION = _any_of("half", "halves", "quarters?", f"{_PART}s", rf"(?:an?|one)[\s-]{_PART}")
_FRACTION_SIGN = "[¼-¾⅐-⅟]"
NUMBER_WORD = re.compile(rf"\b{_WORD}\b", re.IGNORECASE)
FRACTION = re.compile(rf"{_FRACTION_SIGN}|\b{_FRACTION}\b", re.IGNORECASE)

# Signs
_DASH = "[-‐‑‒–—―−⁻﹘﹣－]"
_ABOUT = _any_of("[<>≤≥⩽⩾≈≃≅~∼～±＜＞]", r"\+/[-−–]")
_NUMBER = _any_of(r"[-−–+]?\.?\d", rf"{_WORD}\b")
_LETTERS = r"[^\W\d_]+"
_TO = "(?:to|or|through|thru|and/or)"

# Words that make a bound of a number
_MORE = _any_of(
    *"more less fewer over under above below beyond higher lower greater larger smaller".split(),
    *"longer shorter older younger later earlier upwards? up so better worse thereabouts".split(),
)
_BOUND = _any_of(
    *("over", "under", "above", "below", "beyond", "exceed(?:s|ed|ing)?", "than", "within"),
    *(r"at\s(?:the\s)?(?:least|most)", r"up\sto", r"or\sequal\sto", r"as\s\w+\sas"),
    r"(?:max|min)(?:imum|imal(?:ly)?)?\.?(?:\sof)?",
    *(r"upwards\sof", r"capped\sat", r"limited\sto"),
    *("about", "around", r"approx\.?", "approximate(?:ly)?", "roughly", "circa", r"ca\.?"),
    *("nearly", "almost", "near", r"close\sto", "some", "not", r"no\.?", "nor", "non"),
)
_LIMIT_OF = (  # "over the age of 18"
    r"(?:(?:an?|the)\s)?(?:ages?|total|threshold|cut-?off|value|limit|level|score|dose)\sof"
)

# What it is, how what stands before the number ends, and how what follows the number begins.
_KINDS = (
    (
        "a bound",
        _any_of(_ABOUT, r"&#?\w+;", rf"\b{_BOUND}(?:\s{_LIMIT_OF})?"),
        _any_of(
            # "18 years or more", but not "18 or more than", where another number follows
            rf"(?:{_LETTERS},?\s){{0,3}}?[,(]?\s?(?:or|and)\s(?:even\s|much\s)?{_MORE}\b"
            r"(?!\s+(?:(?:than|an?|the)\b|[\d<>]))",
            r"\+",
            r"[(,]?\s?(?:at\s(?:(?:the\s)?(?:least|most)|(?:a\s)?(?:min|max)imum)|max(?:imum)?|minimum)\b",
            r"-?(?:plus|odd|ish|upwards?|onwards?)\b",
            rf"(?:or\s)?{_ABOUT}",
        ),
    ),
    ("a dash or a sign in words", _any_of(r"\b(?:minus|negative|plus)", _DASH), r"minus\b"),
    (
        "another number beside it",
        _any_of(
            r"\b(?:between|either|rang(?:e[ds]?|ing)(?:\s(?:of|from))?)",
            *(r"\d\s:", "[/×✕*÷^…&+]", r"\.\.", r"\d", r"\d\sby", r"\bper"),
            rf"\b{_WORD}(?:\sand)?",
            rf"\bbetween\s{_NUMBER}[^;]{{0,30}}?\sand",
            rf"(?<!\w){_NUMBER}\S*(?:\s{_LETTERS})?\s{_TO}",
        ),
        _any_of(
            rf"{_DASH}\s*{_NUMBER}",
            *("[/×✕*÷^…&=]", r"\.\.", r":\s?\d", r"x\s?\d"),
            r"(?!\d\d(?:\.\d)?\s?%[\s-]?C)\d",  # "20 95 %CI" is no number of two parts
            rf"(?:and\s)?{_WORD}\b",
            rf"(?:{_LETTERS}\s)?{_TO}\s*{_NUMBER}",
            rf"per\s+{_NUMBER}",
            r"by\s[\d.]+\s?[cmk]?m\b",
        ),
    ),
    (
        "more of the number",
        r"\b"
        + _any_of(
            *("point", "decimal", "few", "several", "many", r"couple(?:\sof)?"),
            r"(?:ten|dozen|hundred|thousand|million)s?\sof",
            *("twice", "double", "triple", r"half(?:\sof)?", r"quarter(?:\sof)?"),
        ),
        _any_of(
            rf"-?{_SCALE}s?\b",
            r"(?:k|m|mn|mio|bn|b)\b",
            *(_FRACTION_SIGN, "[％﹪‰]"),
            rf"(?:and\s)?(?:(?:an?|one)[\s-])?{_FRACTION}\b",
        ),
    ),
)
_FLAWS = tuple(
    (kind, re.compile(rf"{before}\s*$", re.IGNORECASE), re.compile(rf"\s*(?:{after})", re.IGNORECASE))
    for kind, before, after in _KINDS
)
_SPREAD = re.compile(
    rf"\s?\(?(?:±|\+/[-−–])\s?\d+(?:\.\d+)?(?:\s?{PLAIN_UNIT}(?:/{_LETTERS})*(?![^\W_]))?\)?"
)
_TOUCHES_BEFORE = re.compile(r"[^\s(\[{“‘«=;]$")
_TOUCHES_AFTER = re.compile(r"[^\s.,;:!?)\]}(\[”»‐‑‒–—―-]|[.,;:]+\d")
_UNIT_GOES_ON = re.compile(
    _any_of(
        r"(?!['’]\s)[^\s.,;:!?)\]}(\[”»–—]",
        r"[.–—]\w",
        r"\s(?:[·⋅∙*^/]|(?:once|twice|thrice|per|each|every|an?|celsius|centigrade|fahrenheit|pts|pp|"
        rf"(?:hour|dai|night|week|month|year)ly)(?!\w)|{_LETTERS}\s?/\s?[^\W\d_])",
    ),
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
