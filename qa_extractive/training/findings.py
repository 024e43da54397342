"""Yes/no questions by rule from what abstracts state: "X reduced Y" -> "Did X reduce (increase) Y?".

Some thousand questions that people wrote teach too little of how a text says "no"; these are simple, but
tens of thousands can be made. The answer is the sentence, the verdict follows from the rule.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.training.labelled_rows import asked_document, asked_documents
from qa_extractive.training.own_questions import texts_of
from qa_extractive.training.questions import opposite, vary_mark
from qa_extractive.types import Example, Question, Span

_ADVERBS = (
    "In conclusion|In summary|Conclusions?|Overall|Thus|Therefore|Hence|However|Moreover|Furthermore|"
    "In addition|Additionally|Finally|Here|Importantly|Interestingly|Notably|Surprisingly|Together|"
    "Taken together|Collectively|Similarly|In contrast|Consistent with this|Specifically|Second|First"
)
_SAYS = "show|demonstrate|suggest|indicate|report|reveal|conclude|confirm|observe"
_LEAD = re.compile(
    r"^(?:(?-i:[A-Z][\w /&]{2,40}:|[A-Z]{5,})\s+)?"
    rf"(?:(?:{_ADVERBS})\b,?\s+)?"
    r"(?:(?:we|this study|these|our|the present|the|this)\s+(?:\w+\s+){0,3}?"
    rf"(?:(?:{_SAYS})(?:s|d|ed)?|find|found)\s+that\s+)?",
    re.IGNORECASE,
)
"""What comes before the statement itself: a label, an adverb, "we found that"."""

_SUBJECT = r"(?P<subject>(?:[^\s,;:()]+(?:\s+\([^()]{1,20}\))?\s+){1,9}?)"
_REST = r"(?P<rest>[^;:]{6,160}?)\.?$"
_HOW = r"(?:(?:significantly|also|markedly|substantially|strongly|further|greatly|clearly|independently)\s+)?"

_ACTIONS = (
    "reduce increase decrease improve worsen inhibit promote enhance induce prevent lower raise suppress "
    "impair affect alter influence change protect predict require cause regulate activate mediate attenuate "
    "accelerate delay restore block stimulate alleviate benefit eliminate abolish limit contribute correlate "
    "lead result differ outperform interact depend support"
).split()
_PAST = {v + ("d" if v.endswith("e") else "ed"): v for v in _ACTIONS} | {"led": "lead"}
_NOUNS_TOO = "limit result benefit influence change increase decrease delay block support contribute".split()
_PRESENT = {v + "s": v for v in _ACTIONS if v not in _NOUNS_TOO}
_NOT_ACTED = re.compile(
    rf"^{_SUBJECT}(?P<aux>did|do|does|could|can|may|will) not "
    rf"{_HOW}(?P<verb>{'|'.join(_ACTIONS)})\s+{_REST}"
)
_ACTED = re.compile(rf"^{_SUBJECT}{_HOW}(?P<verb>{'|'.join([*_PAST, *_PRESENT])})\s+{_REST}")
_STATES = (
    "associated with|correlated with|related to|linked to|required for|necessary for|sufficient for|"
    "essential for|effective|superior to|inferior to|safe|feasible|different|affected|altered|changed|"
    "reduced|increased|decreased|improved|higher|lower|better|worse|greater|smaller|longer|shorter|more|"
    "less|larger|faster|involved in|dependent on|independent of|influenced by|observed|detected|found"
)
_WAS = re.compile(
    rf"^{_SUBJECT}(?P<aux>was|were|is|are) (?P<not>not )?"
    rf"{_HOW}(?P<state>{_STATES})\b\s*(?P<rest>[^;:]{{0,160}}?)\.?$"
)
_WHAT_IS = (
    "differences?|associations?|effects?|changes?|correlations?|improvements?|increases?|reductions?|"
    "evidence|interactions?|benefits?|relationships?"
)
_SIGNIFICANT = r"(?:(?:statistically )?significant )?"
_THERE = re.compile(
    rf"^there (?P<aux>was|were|is|are) (?P<no>no |an |a )?{_SIGNIFICANT}"
    rf"(?P<what>(?:{_WHAT_IS})\b[^;:]{{6,160}}?)\.?$",
    re.IGNORECASE,
)
_SEEN = r"(?:found|observed|seen|detected|noted)"
_NO = re.compile(
    rf"^(?:we (?:found|observed|detected) )?(?P<no>no ){_SIGNIFICANT}"
    rf"(?P<what>(?:{_WHAT_IS})\b[^;:]{{6,120}}?)(?: (?:was|were) {_SEEN}(?P<tail>[^;:]{{0,80}}?))?\.?$",
    re.IGNORECASE,
)
_CUT = re.compile(
    r",| (?:compared (?:with|to)|in (?:patients|children|adults|mice|rats|a|the)|among|at \d|after \d|"
    r"whereas|while|but|although|which|and that|with a|by (?:the|a)|through|via)\b"
)
_NO_SUBJECT = re.compile(
    r"^(?:it|this|that|these|those|they|which|we|he|she|both|there|and|but|or|to|of|who|not|as|for|by|in|on|"
    r"at|despite|although|when|where|while|if|because|since|after|before|during|with|from|our|such|all|"
    r"here)\b|"
    r"\b(?:was|were|is|are|be|been|has|have|had|can|could|may|might|will|would|should|that|which|who|"
    r"whether|shows?|showed|shown|tested|used|using|provided?|did|does|do|we|it)\b|"
    r"\b(?:a|an|the|of|at|with|and|or|by|in|for|to|from|on|as|its|their|more|less|highly|most|two|three)$",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:no|not|neither|nor|without|only|but|however|although|whereas|while|except|rather)\b", re.IGNORECASE
)
_MOST_OF_A_PAPER = 4


def stated_findings(path: Path, rng: random.Random) -> list[Example]:
    """Yes/no questions on the abstracts of a corpus that ``own_questions`` reads, at most four each."""
    apart = asked_documents(path.parent.parent)
    examples: list[Example] = []
    for name, title, context in texts_of(path):
        document = asked_document(name)
        if document not in apart:
            examples += _of_paper(name, document, title, context, rng)
    return _balanced(examples, rng)


def _balanced(examples: list[Example], rng: random.Random) -> list[Example]:
    """As many that are answered "yes" as "no" at most."""
    yes = [e for e in examples if e.verdict == "yes"]
    n_no = len(examples) - len(yes)
    left_out = {e.id for e in rng.sample(yes, max(0, len(yes) - n_no))}
    return [e for e in examples if e.id not in left_out]


def _of_paper(name: str, document: str, title: str, context: str, rng: random.Random) -> Iterator[Example]:
    found = []
    for sentence in split_sentences(context):
        text = context[sentence.start : sentence.end].strip()
        asked = yes_no_from_sentence(text, rng)
        if asked is not None:
            start = context.index(text, sentence.start)
            found.append((Span.cut(context, start, start + len(text)), *asked))
    rng.shuffle(found)
    for number, (span, question, verdict) in enumerate(found[:_MOST_OF_A_PAPER]):
        yield Example(
            id=f"finding-{name}-{number}",
            question=Question(vary_mark(question, rng), context, title if rng.random() < 0.5 else None),
            references=(span.text,),
            spans=(span,),
            answerable=True,
            document=document,
            source="findings",
            verdict=verdict,
        )


def yes_no_from_sentence(sentence: str, rng: random.Random) -> tuple[str, str] | None:
    """A question that the sentence answers with yes or no, and which; None where no rule fits.

    What is stated is asked as it stands or turned round ("increase" for "reduce"), what is denied as if it
    were so.
    """
    text = _LEAD.sub("", sentence.strip(), count=1)
    made = _denied(text, rng) or _acted(text, rng) or _was(text, rng) or _there(text, rng)
    if made is None:
        return None
    question, is_so = made
    turned = opposite(question) if is_so and rng.random() < 0.6 else None
    question, verdict = (turned, "no") if turned is not None else (question, "yes" if is_so else "no")
    return (question[:1].upper() + question[1:] if rng.random() < 0.8 else question), verdict


def _denied(text: str, rng: random.Random) -> tuple[str, bool] | None:
    found = _NOT_ACTED.match(text)
    if found is None or not _is_subject(found["subject"]):
        return None
    return (
        f"{found['aux']} {_lower(found['subject'])} {found['verb']} {_shortened(found['rest'], rng)}?",
        False,
    )


def _acted(text: str, rng: random.Random) -> tuple[str, bool] | None:
    found = _ACTED.match(text)
    if (
        found is None
        or not _is_subject(found["subject"])
        or _NEGATED.search(found["subject"] + found["rest"])
    ):
        return None
    verb, subject = found["verb"], found["subject"].strip()
    plural = subject.endswith("s") and not subject.endswith(("is", "us", "ss"))
    aux = rng.choice(("did", "do" if plural else "does")) if verb in _PAST else "does"
    base = _PAST.get(verb) or _PRESENT[verb]
    return f"{aux} {_lower(subject)} {base} {_shortened(found['rest'], rng)}?", True


def _was(text: str, rng: random.Random) -> tuple[str, bool] | None:
    found = _WAS.match(text)
    if found is None or not _is_subject(found["subject"]):
        return None
    is_so = not found["not"]
    if is_so and _NEGATED.search(found["subject"] + found["rest"]):
        return None
    rest = _shortened(found["rest"], rng)
    return f"{found['aux']} {_lower(found['subject'])} {found['state']} {rest}".strip() + "?", is_so


def _there(text: str, rng: random.Random) -> tuple[str, bool] | None:
    found = _THERE.match(text) or _NO.match(text)
    if found is None:
        return None
    is_so = (found["no"] or "").strip().lower() != "no"
    if is_so and _NEGATED.search(found["what"]):
        return None
    tail = (found.groupdict().get("tail") or "").strip()
    what = found["what"].strip() + (f" {tail}" if tail and rng.random() < 0.5 else "")
    plural = what.split()[0].endswith("s")
    start = "are there any" if plural else "is there" if what.startswith("evidence") else "is there a"
    if start.endswith(" a") and what[0] in "aeiou":
        start += "n"
    return f"{start} {_shortened(what, rng)}?", is_so


def _is_subject(subject: str) -> bool:
    words = subject.split()
    return not _NO_SUBJECT.search(subject.strip()) and not _NEGATED.search(subject) and len(words[0]) > 1


def _shortened(rest: str, rng: random.Random) -> str:
    """The rest of the sentence, half the time without what follows its first part; no brackets."""
    rest = re.sub(r"\s*[(\[][^()\[\]]*[)\]]?", "", rest).strip(" ,.")
    cut = _CUT.search(rest)
    return rest[: cut.start()] if cut and cut.start() > 5 and rng.random() < 0.6 else rest


def _lower(text: str) -> str:
    text = re.sub(r"\s*\([^()]*\)", "", text).strip()
    first = text.split(" ", 1)[0]
    return text if any(c.isupper() or c.isdigit() for c in first[1:]) else text[:1].lower() + text[1:]
