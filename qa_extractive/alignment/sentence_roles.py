"""Whether a sentence says what was asked, what was done, or what came of it, by its cue words.

Aims, methods and gaps in knowledge repeat the words of a question without answering it, so a
paraphrased answer must not align with them. The cues are English. Weights were set on SciFact's
training claims (``benchmarks/alignment.py`` measures them).
"""

from __future__ import annotations

import re
from functools import lru_cache

_INQUIRE = (
    r"(?:analy[sz]e|ascertain|assess|characteri[sz]e|clarify|compare|define|demonstrate|describe|determine|"
    r"document|elucidate|establish|estimate|evaluate|examine|explore|find out|gain|identify|investigate|"
    r"measure|quantify|report|review|see|study|test|understand|verify)"
)
_DONE = (
    r"(?:allocated|analy[sz]ed|assessed|assigned|calculated|collected|compared|conducted|divided|enrolled|"
    r"estimated|evaluated|examined|included|interviewed|investigated|invited|measured|performed|"
    r"randomi[sz]ed|recorded|recruited|reviewed|selected|studied|surveyed|tested|used)"
)
_QUESTION = re.compile(
    r"\bwhether\b|\?$"
    rf"|^\W*(?:\w+\W+){{0,3}}?to {_INQUIRE}\b"
    r"|\b(?:aimed|aims|sought|seeks?|designed|undertaken|undertook|conducted|performed|carried out|order|"
    rf"tried|used) to {_INQUIRE}\b"
    r"|\b(?:aims?|objectives?|purpose|goals?)(?: (?:of|was|were|is)\b|:)|^(?:aims?|objectives?|purpose)\b"
    r"|\bhypothes(?:is|es|i[sz]ed?|i[sz]es)\b"
    r"|\b(?:unclear|unknown|controversial|debated|debatable|unproven|poorly understood|(?:little|less) is "
    r"known|not (?:yet )?(?:known|clear|understood))\b",
    re.IGNORECASE,
)
_METHOD = re.compile(
    rf"\b(?:was|were|has been|have been|are|is) (?:\w+ly )?{_DONE}\b|\bwe (?:\w+ly )?{_DONE}\b|\beligib\w+",
    re.IGNORECASE,
)
_FINDING = re.compile(
    r"\b(?:found|find that|show(?:s|ed|n)?|suggest(?:s|ed)?|demonstrat(?:e|es|ed)|reveal(?:s|ed)?|"
    r"indicat(?:e|es|ed)|conclu(?:de|ded|sions?)|observed|confirm(?:s|ed)?|significant(?:ly)?|supports?|thus|"
    r"therefore)\b|\b(?:p|or|rr|hr)\s*[<=>≤]|[<=>≤]\s*0?[.·]\d",
    re.IGNORECASE,
)
_SHARE = re.compile(r"\d\s?%")
_BACKGROUND = re.compile(
    r"\b(?:has|have) (?:(?:also|recently|previously|long|often) )?been (?:associated|demonstrated|found|"
    r"identified|linked|observed|proposed|reported|shown|suggested|used)\b"
    r"|\b(?:earlier|existing|few|many|most|previous|prior|recent|several|some) (?:\w+ )?"
    r"(?:approaches|evidence|methods|reports|research|studies|trials|works?)\b|\bstudies have\b",
    re.IGNORECASE,
)
_OWN_VOICE = re.compile(r"\b(?:we|our|this|these|here|the present|in conclusion)\b", re.IGNORECASE)

FINDING_GAIN, METHOD_LOSS, BACKGROUND_LOSS = 0.05, 0.2, 0.15


@lru_cache(maxsize=4096)
def is_question_like(sentence: str) -> bool:
    """Whether a sentence asks, states an aim or a hypothesis, or names what is not known."""
    return _QUESTION.search(sentence) is not None


@lru_cache(maxsize=4096)
def role_gain(sentence: str, *, is_early: bool = False) -> float:
    """What a sentence's role adds to the share of an answer that it holds.

    Args:
        sentence: The sentence.
        is_early: Whether it stands in the first third of its context, where a sentence without the
            authors' own voice is background.

    Returns:
        +0.05 for a finding, -0.15 for background, -0.2 for a method, else 0.
    """
    if _BACKGROUND.search(sentence):
        return -BACKGROUND_LOSS
    if _FINDING.search(sentence):
        return FINDING_GAIN
    if _METHOD.search(sentence):
        return -METHOD_LOSS
    if _SHARE.search(sentence):
        return FINDING_GAIN
    return -BACKGROUND_LOSS if is_early and not _OWN_VOICE.search(sentence) else 0.0
