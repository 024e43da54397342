"""Third-party data sets -> Examples. One reader a kind; ``recipes/DATA.md`` says where each comes from.

Every reader takes a path and a seeded random generator (for question templates and section order)
and gives labelled Examples whose ``document`` is what a split must keep together.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from qa_extractive.data.loading import load_examples
from qa_extractive.training import labelled_rows, questions
from qa_extractive.training.findings import stated_findings
from qa_extractive.training.labelled_rows import asked_documents, json_lines
from qa_extractive.types import Example, Question, Span

Reader = Callable[[Path, random.Random], list[Example]]

_CONCLUSION_LABEL = re.compile(r"conclusion|interpretation|^summary", re.IGNORECASE)
_ADMINISTRATIVE_LABEL = re.compile(
    r"registration|funding|supplementary|registry|^clinicaltrials", re.IGNORECASE
)
_CONCLUSION_CUE = re.compile(
    r"^(?:(?:in )?conclusions?\b|in summary|in sum\b|taken together|together,|collectively|overall,|thus,|"
    r"therefore|hence,|altogether|"
    r"(?:these|our|the present|the|this) (?:\w+ ){0,2}?(?:findings?|results|data|study|observations)\b"
    r".{0,20}\b(?:suggest|indicate|show|demonstrate|reveal|support|establish|provide|identif|highlight|"
    r"imply|confirm)|we conclude|this study (?:shows|suggests|demonstrates)|interpretation\b)",
    re.IGNORECASE,
)
_MAX_CONCLUSION_WORDS = 110
_CLAIM_VERDICTS = {"SUPPORT": "yes", "CONTRADICT": "no"}


def squad(path: Path, rng: random.Random) -> list[Example]:
    """SQuAD JSON, questions as of ``even_look``."""
    return [_even_look(example) for example in load_examples([path], strict=False).examples]


def _even_look(example: Example) -> Example:
    asked = questions.even_look(example.question.question)
    question = Question(asked, example.question.context, example.question.title)
    return Example(
        id=example.id,
        question=question,
        references=example.references,
        spans=example.spans,
        answerable=example.answerable,
        document=example.document,
        source="squad",
        fields={questions.AS_WRITTEN: example.question.question},
    )


def trial_conclusions(path: Path, rng: random.Random) -> list[Example]:
    """Trial abstracts with labelled sections: a question from the title, the conclusion as answer.

    Half the abstracts have their sections shuffled, half lose the labels and a fifth lose a section
    that is not the conclusion, so that the place of the conclusion tells nothing. Articles of the
    validation prompts (``prompts_with_spans.jsonl.gz``, read from the same folder) are left out, and so,
    here as for all papers, are those of the development and test parts of ``asked``.
    """
    prompts = json_lines(path.parent / "prompts_with_spans.jsonl.gz")
    kept_apart = {f"pmc-{record['pmcid']}" for record in prompts if record["split"] == "validation"}
    kept_apart |= asked_documents(path.parent.parent)
    records = json_lines(path)
    examples = [_trial(record, rng) for record in records if f"pmc-{record['pmcid']}" not in kept_apart]
    return [example for example in examples if example is not None]


def _trial(record: dict[str, Any], rng: random.Random) -> Example | None:
    sections = [
        (label.strip().rstrip(":"), text.strip())
        for label, text in record["sections"]
        if text.strip() and not _ADMINISTRATIVE_LABEL.search(label)
    ]
    concluding = [s for s in sections if _CONCLUSION_LABEL.search(s[0])]
    if len(concluding) != 1 or len(sections) < 3 or not record["title"].strip():
        return None
    conclusion = concluding[0]
    if re.search(r"protocol|will be", record["title"] + conclusion[1]):  # a plan concludes nothing
        return None
    if rng.random() < 0.2:
        sections.remove(rng.choice([s for s in sections if s != conclusion]))
    if rng.random() < 0.5:
        rng.shuffle(sections)
    labelled = rng.random() < 0.5
    pieces = [f"{label}: {text}" if labelled and label else text for label, text in sections]
    context = rng.choice((" ", "\n")).join(pieces)
    span = _first_words(context, context.index(conclusion[1]), conclusion[1])
    question = Question(questions.from_title(record["title"], rng), context)
    return _example(f"rct-{record['pmcid']}", question, [span], f"pmc-{record['pmcid']}", "trials")


def _first_words(context: str, start: int, text: str) -> Span:
    """The text's span, cut after whole sentences where it is very long."""
    if len(text.split()) > _MAX_CONCLUSION_WORDS:
        stop = [
            m.end()
            for m in re.finditer(r"\.(?=\s)", text)
            if len(text[: m.end()].split()) <= _MAX_CONCLUSION_WORDS
        ]
        text = text[: stop[-1]] if stop else text
    return Span.cut(context, start, start + len(text))


def trial_prompts(path: Path, rng: random.Random) -> list[Example]:
    """Evidence Inference prompts of the training split as questions, two wordings each."""
    apart = asked_documents(path.parent.parent)
    records = [r for r in json_lines(path) if r["split"] == "train" and f"pmc-{r['pmcid']}" not in apart]
    return [_prompt(record, wording, rng) for record in records for wording in range(2)]


def trial_directions(path: Path, rng: random.Random) -> list[Example]:
    """The same prompts as yes/no questions for the direction of the effect, two of each, with verdicts."""
    apart = asked_documents(path.parent.parent)
    records = [r for r in json_lines(path) if r["split"] == "train" and f"pmc-{r['pmcid']}" not in apart]
    found = [_direction(record, wording, rng) for record in records for wording in range(2)]
    return [example for example in found if example is not None]


def _direction(record: dict[str, Any], wording: int, rng: random.Random) -> Example | None:
    parts = (record["outcome"], record["intervention"], record["comparator"], record["label"])
    asked = questions.from_prompt_direction(*parts, rng)
    if asked is None or not record["answers"]:
        return None
    as_prompt = _prompt(record, wording, rng)
    question = Question(asked[0], record["context"])
    return replace(as_prompt, id=f"{as_prompt.id}-direction", question=question, verdict=asked[1])


def trial_prompts_validation(path: Path, rng: random.Random) -> list[Example]:
    """Evidence Inference prompts of the validation split as questions; for evaluation only."""
    records = [record for record in json_lines(path) if record["split"] == "validation"]
    return [_prompt(record, 0, rng) for record in records]


def _prompt(record: dict[str, Any], wording: int, rng: random.Random) -> Example:
    asked = questions.from_prompt(record["outcome"], record["intervention"], record["comparator"], rng)
    spans = [
        Span(a["text"], a["answer_start"], a["answer_start"] + len(a["text"]))  # Example compares the texts
        for a in record["answers"]
    ]
    question = Question(asked, record["context"])
    return _example(
        f"ei-{record['prompt_id']}-{wording}", question, spans, f"pmc-{record['pmcid']}", "prompts"
    )


def paper_conclusions(path: Path, rng: random.Random) -> list[Example]:
    """SciFact's abstracts: a question from the title, the sentence that states the conclusion as answer.

    Only abstracts with one sentence that says so in words ("these results show ..."); half of them
    with their sentences shuffled.
    """
    examples = [e for record in json_lines(path) if (e := _paper(record, rng)) is not None]
    return _without(examples, asked_documents(path.parent.parent))


def _paper(record: dict[str, Any], rng: random.Random) -> Example | None:
    sentences = [s.strip() for s in record["abstract"] if s.strip()]
    concluding = [s for s in sentences if _CONCLUSION_CUE.search(s)]
    titled = len(record["title"].split()) >= 3
    if not titled or len(concluding) != 1 or len(sentences) < 4 or len(concluding[0].split()) < 8:
        return None
    if rng.random() < 0.5:
        rng.shuffle(sentences)
    context, spans = _joined(sentences, [sentences.index(concluding[0])])
    question = Question(questions.from_title(record["title"], rng), context)
    return _example(f"scifact-{record['doc_id']}", question, spans, f"scifact-{record['doc_id']}", "papers")


def claims(path: Path, rng: random.Random) -> list[Example]:
    """SciFact claims as questions; rationale sentences as answers, or none where the paper gives none.

    The corpus (``corpus.jsonl.gz``) is read from the same folder.
    """
    corpus = {str(r["doc_id"]): r for r in json_lines(path.parent / "corpus.jsonl.gz")}
    examples = [example for record in json_lines(path) for example in _claim(record, corpus, rng)]
    return _without(examples, asked_documents(path.parent.parent))


def _claim(record: dict[str, Any], corpus: dict[str, Any], rng: random.Random) -> Iterator[Example]:
    for document in record["cited_doc_ids"]:
        paper = corpus.get(str(document))
        if paper is None:
            continue
        rationales = record["evidence"].get(str(document), [])
        context, spans = _joined(
            [s.strip() for s in paper["abstract"]], [r["sentences"][0] for r in rationales]
        )
        title = paper["title"].strip() if rng.random() < 0.5 else None
        question = Question(questions.from_claim(record["claim"], rng), context, title)
        labels = {rationale["label"] for rationale in rationales}
        verdict = _CLAIM_VERDICTS.get(labels.pop()) if len(labels) == 1 else None
        yield _example(
            f"claim-{record['id']}-{document}", question, spans, f"scifact-{document}", "claims", verdict
        )


def takeaways(path: Path, rng: random.Random) -> list[Example]:
    """SciTLDR abstracts: a question for the main point, the sentence nearest the summary as answer."""
    examples = [e for record in json_lines(path) if (e := _takeaway(record, rng)) is not None]
    return _without(examples, asked_documents(path.parent.parent))


def _without(examples: list[Example], documents: frozenset[str]) -> list[Example]:
    return [example for example in examples if example.document not in documents]


def _takeaway(record: dict[str, Any], rng: random.Random) -> Example | None:
    sentences = [s.strip() for s in record["source"]]
    titled = len(record["title"].split()) >= 2
    if (
        not titled
        or sum(record["source_labels"]) != 1
        or len(sentences) < 3
        or max(record["rouge_scores"]) < 0.3
    ):
        return None
    context, spans = _joined(sentences, [record["source_labels"].index(1)])
    make = questions.takeaway if rng.random() < 0.5 else questions.from_title
    question = Question(make(record["title"], rng), context)
    return _example(f"tldr-{record['paper_id']}", question, spans, f"tldr-{record['paper_id']}", "takeaways")


def _joined(sentences: list[str], chosen: list[int]) -> tuple[str, list[Span]]:
    """The sentences joined by spaces, and the spans of the chosen ones."""
    context, starts = "", []
    for sentence in sentences:
        context += " " if context else ""
        starts.append(len(context))
        context += sentence
    unique = [i for i in dict.fromkeys(chosen) if sentences[i]]
    return context, [Span.cut(context, starts[i], starts[i] + len(sentences[i])) for i in unique]


def _example(
    name: str,
    question: Question,
    spans: list[Span],
    document: str,
    source: str,
    verdict: str | None = None,
) -> Example:
    return Example(
        id=name,
        question=question,
        references=tuple(span.text for span in spans),
        spans=tuple(spans),
        answerable=bool(spans),
        document=document,
        source=source,
        verdict=verdict,
    )


READERS: dict[str, Reader] = {
    "squad": squad,
    "trial_conclusions": trial_conclusions,
    "trial_prompts": trial_prompts,
    "trial_directions": trial_directions,
    "trial_prompts_validation": trial_prompts_validation,
    "paper_conclusions": paper_conclusions,
    "claims": claims,
    "takeaways": takeaways,
    "stated_findings": stated_findings,
    **labelled_rows.READERS,
}
