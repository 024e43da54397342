"""Questions by rule from what papers carry: a title, a trial's prompt, a claim."""

from __future__ import annotations

import random
import re

_REGISTRATION = re.compile(
    r"\s*[\[(](?:ISRCTN|NCT|ACTRN|Clinical|Current|IRCT|ChiCTR|EudraCT|PACTR|CTRI)[^\])]*[\])]\.?"
)
_DESIGN = re.compile(
    r"\s*(?::|–|—| - |\. )\s*[^:]*\b(?:trial|study|protocol|RCT|analysis|review|survey|cohort|experiment|"
    r"evaluation|investigation|comparison|report)\b[^:]*$",
    re.IGNORECASE,
)
_NOUN = re.compile(
    r"^(?:the |an? )?(effect|effects|impact|influence|efficacy|effectiveness|safety|role|association|"
    r"relationship|relation|prevalence|incidence|cost-effectiveness|feasibility|benefit|benefits|risk|use|"
    r"value)\b (.+)$",
    re.IGNORECASE,
)
_VERBS = (
    "improve increase reduce inhibit regulate promote induce mediate protect enhance predict control "
    "require suppress prevent activate affect modulate drive cause contribute confer determine impair "
    "attenuate decrease block limit influence alter support underlie lead link lower raise delay "
    "accelerate reveal restrict shape"
).split()
_THIRD_PERSON = {v + ("es" if v.endswith(("s", "h", "x")) else "s"): v for v in _VERBS}
_COPULA = re.compile(r"^(.{3,120}?) (is|are|was|were|can|may) (.+)$")

AS_WRITTEN = "as_written"
"""Key of ``Example.fields``: the question before ``even_look``."""


def even_look(question: str) -> str:
    """The question lower-cased, evenly spaced and with a question mark.

    SQuAD's crowd-written unanswerable questions come so from their source: where the answerable ones do
    not look the same, a model learns the look instead of the meaning.
    """
    return re.sub(r"\s+([?.,])", r"\1", " ".join(question.lower().split())).rstrip("?. ") + "?"


def vary_mark(question: str, rng: random.Random) -> str:
    """The question with or without its question mark, so that the mark tells nothing."""
    bare = question.rstrip("? ")
    return bare if rng.random() < 0.15 else bare + "?"


def from_title(title: str, rng: random.Random) -> str:
    """A question that the paper of this title answers; a bare query where no rule fits."""
    text = _strip_title(title)
    if text.endswith("?"):
        return re.split(r"(?<=[.:!])\s+", text)[-1]
    noun = _NOUN.match(text)
    if noun:
        verb = (
            "are"
            if noun.group(1).lower().endswith("s") and noun.group(1).lower() != "effectiveness"
            else "is"
        )
        return f"What {verb} the {noun.group(1).lower()} {noun.group(2)}?"
    return _from_statement(text) or rng.choice(_OPEN).format(_lower_first(text))


_OPEN = (
    "What was found about {}?",
    "What do the results say about {}?",
    "What does the study of {} conclude?",
    "What is known about {}?",
    "{}",
)


def _strip_title(title: str) -> str:
    without = _REGISTRATION.sub("", title).strip() or title.strip(" []")  # in brackets: a translated title
    text = without.rstrip(".]").strip()
    shorter = _DESIGN.sub("", text)
    return shorter if len(shorter.split()) >= 4 else text


def _from_statement(text: str) -> str | None:
    """From "X improves Y" to "Does X improve Y?"; None if the text is no such statement."""
    words = text.split()
    for i, word in enumerate(map(str.lower, words[1:-1]), start=1):
        if word in _THIRD_PERSON:
            return (
                f"Does {_lower_first(' '.join(words[:i]))} {_THIRD_PERSON[word]} {' '.join(words[i + 1 :])}?"
            )
        if word in _VERBS and words[i - 1].endswith("s"):
            return f"Do {_lower_first(' '.join(words[:i]))} {word} {' '.join(words[i + 1 :])}?"
    copula = _COPULA.match(text)
    if copula:
        return f"{copula.group(2).capitalize()} {_lower_first(copula.group(1))} {copula.group(3)}?"
    return None


def _lower_first(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text if any(c.isupper() or c.isdigit() for c in first[1:]) else text[:1].lower() + text[1:]


_PROMPTS = (
    "What is the effect of {intervention} on {outcome} compared with {comparator}?",
    "Does {intervention} affect {outcome} compared with {comparator}?",
    "How did {outcome} differ between {intervention} and {comparator}?",
    "Does {intervention} change {outcome}?",
    "What was the result for {outcome} with {intervention}?",
)


def from_prompt(outcome: str, intervention: str, comparator: str, rng: random.Random) -> str:
    """A question from an Evidence Inference prompt."""
    parts = {"outcome": outcome, "intervention": intervention, "comparator": comparator}
    return rng.choice(_PROMPTS).format(**{k: _lower_first(v.strip().rstrip(".")) for k, v in parts.items()})


_DIRECTIONS = (
    ("Does {intervention} increase {outcome} compared with {comparator}?", "increased"),
    ("Does {intervention} reduce {outcome} compared with {comparator}?", "decreased"),
    ("Was {outcome} higher with {intervention} than with {comparator}?", "increased"),
    ("Was {outcome} lower with {intervention} than with {comparator}?", "decreased"),
    ("Is there a difference in {outcome} between {intervention} and {comparator}?", "increased decreased"),
    ("Did {intervention} and {comparator} give the same {outcome}?", "no significant difference"),
)


def from_prompt_direction(
    outcome: str, intervention: str, comparator: str, label: str, rng: random.Random
) -> tuple[str, str] | None:
    """A yes/no question from an Evidence Inference prompt, and its verdict by the prompt's label.

    Args:
        outcome: As in the prompt, as are the next two.
        intervention: What was given.
        comparator: What it was compared with.
        label: "significantly increased", "significantly decreased" or "no significant difference"; None
            comes back for any other.
        rng: Draws the wording.
    """
    found = label.strip().lower().removeprefix("significantly ")
    if found not in ("increased", "decreased", "no significant difference"):
        return None
    wording, right = rng.choice(_DIRECTIONS)
    parts = {"outcome": outcome, "intervention": intervention, "comparator": comparator}
    asked = wording.format(**{k: _lower_first(v.strip().rstrip(".")) for k, v in parts.items()})
    return asked, "yes" if found in right else "no"


_OPPOSITES = (
    "increase reduce|increases reduces|increased reduced|improve worsen|improves worsens|improved worsened|"
    "better worse|more less|longer shorter|faster slower|larger smaller|stronger weaker|safer riskier|"
    "cheaper costlier|easier harder"
)
_OPPOSITE = {a: b for pair in _OPPOSITES.split("|") for a, b in (pair.split(), pair.split()[::-1])}
_OPPOSITE |= {"decrease": "increase", "decreases": "increases", "decreased": "increased"}
_OPPOSITE |= {"raise": "lower", "raises": "lowers", "raised": "lowered", "higher": "lower", "fewer": "more"}
_OPPOSITE |= {"greater": "smaller", "bigger": "smaller"}
_OPPOSITE_WORD = re.compile(rf"\b({'|'.join(sorted(_OPPOSITE, key=len, reverse=True))})\b")


def opposite(question: str) -> str | None:
    """The question with its one word of direction turned round ("more" to "less"); None if it has not one."""
    return _OPPOSITE_WORD.sub(_turned, question) if len(_OPPOSITE_WORD.findall(question)) == 1 else None


def _turned(word: re.Match[str]) -> str:
    return _OPPOSITE[word.group()]


_CLAIMS = (
    "Is it true that {}?",
    "{}",
    "{}?",
    "What is the evidence that {}?",
    "Does the paper show that {}?",
)


def from_claim(claim: str, rng: random.Random) -> str:
    """A question that asks for the evidence on a claim."""
    text = claim.strip().rstrip(".")
    return _from_statement(text) or rng.choice(_CLAIMS).format(_lower_first(text))


_TAKEAWAYS = (
    "What is the main contribution of the paper {}?",
    "What do the authors of {} propose or show?",
    "What is the main finding about {}?",
    "What is the takeaway of {}?",
)


def takeaway(title: str, rng: random.Random) -> str:
    """A question for the main point of a titled paper."""
    return rng.choice(_TAKEAWAYS).format(_strip_title(title))
