"""Abstracts: PubMedQA's conclusions, questions beside the wrong paper, and one abstract asked twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.evaluation.baselines import open_baseline
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import Results, run_system
from qa_extractive.metrics.text import normalize_answer
from qa_extractive.tables.text_files import read_json
from qa_extractive.training.corpora import _joined
from qa_extractive.training.labelled_rows import json_lines
from qa_extractive.training.recipe import Source
from qa_extractive.training.splits import _neighbours
from qa_extractive.types import Example, Question
from quality_parts.common import Bench, Figure, Goal, Part, floats

PUBMEDQA = "pubmedqa/pqal-train-500.json.gz"
SCITLDR = "scitldr/test.jsonl.gz"
SCITLDR_TRAIN = "scitldr/train.jsonl.gz"
PROMPTS = "evidence_inference/prompts_with_spans.jsonl.gz"
BASELINES = ("first", "last", "tfidf")
_LONG_SENTENCE = 60


# ---- PubMedQA


def pubmedqa(bench: Bench) -> Part:
    """Token F1 and evidence in the conclusion, never abstaining, in the order given and shuffled."""
    ordered = bench.run("pubmedqa", lambda: bench.load(bench.data_root / PUBMEDQA))
    shuffled = shuffled_results(bench)
    examples = [row.example for row in shuffled.rows]
    n_last = sum(e.spans[0].end == len(e.question.context) for e in examples)
    return Part(
        [
            *_orders(bench, shuffled, "shuffled", Goal("at least", 0.45), Goal("at least", 0.45)),
            *_orders(bench, ordered, "in order", Goal("at least", 0.65), None),
        ],
        ordered.rows,
        {"n_conclusion_last_when_shuffled": n_last},
        notes=(
            f"Shuffled, the conclusion happens to be last in {n_last} of {len(examples)} abstracts.",
            "Evidence: the answer's sentence shares more than half of itself, or of the conclusion where "
            "that is shorter, with the conclusion.",
        ),
    )


def shuffled_results(bench: Bench) -> Results:
    """What the model makes of PubMedQA with its sections and the conclusion in random order."""
    return bench.run("pubmedqa shuffled", lambda: shuffled(bench, bench.load(bench.data_root / PUBMEDQA)))


def shuffled(bench: Bench, examples: Iterable[Example]) -> list[Example]:
    """PubMedQA's examples with their blocks in an order drawn anew for each, every order as likely."""
    records = read_json(bench.data_root / PUBMEDQA)
    return [
        shuffled_example(e, records[e.id]["CONTEXTS"], random.Random(f"{bench.seed}:{e.id}"))
        for e in examples
        if e.spans
    ]


def shuffled_example(example: Example, sections: Sequence[str], rng: random.Random) -> Example:
    """The example with its sections and its conclusion, each as one block, in random order."""
    blocks = [*(s.strip() for s in sections if s.strip()), example.spans[0].text.strip()]
    order = rng.sample(range(len(blocks)), len(blocks))
    context, spans = _joined([blocks[i] for i in order], [order.index(len(blocks) - 1)])
    return replace(example, question=Question(example.question.question, context), spans=tuple(spans))


def _orders(bench: Bench, results: Results, order: str, f1: Goal, hit: Goal | None) -> list[Figure]:
    """The figures of the model and of the baselines in one order."""
    figures = _spans_and_hits(bench, results, order, "", f1, hit)
    examples = [row.example for row in results.rows]
    for kind in BASELINES:
        baseline = open_baseline(kind, examples)
        figures += _spans_and_hits(bench, run_system(baseline, examples), order, f", {baseline.name}")
    return figures


def _spans_and_hits(
    bench: Bench, results: Results, order: str, who: str, f1: Goal | None = None, hit: Goal | None = None
) -> list[Figure]:
    rows, forced = results.rows, bench.score(results).forced
    hits = floats(row.is_hit for row in rows)
    return [
        Figure(f"{order}: token F1{who}", forced.squad.f1, forced.squad.n, forced.f1_interval, f1),
        bench.mean(f"{order}: evidence in the conclusion{who}", hits, rows, hit),
    ]


# ---- mismatched pairs


def mismatched(bench: Bench) -> Part:
    """How ``answerable`` tells the right abstract from another, random or the most alike."""
    papers = bench.run("scitldr", lambda: bench.sample(takeaways(bench)))
    parts = [
        _beside_others(bench, "PubMedQA, shuffled", shuffled_results(bench), Goal("at least", 0.97)),
        _beside_others(bench, "SciTLDR test", papers, None),
    ]
    return Part(
        [figure for part in parts for figure in part.figures],
        [row for part in parts for row in part.rows],
        notes=(
            "Shares answered are at the shipped threshold. Most alike: TF-IDF of the abstracts. SciTLDR is "
            "without papers that share a long sentence with its training file.",
        ),
    )


def _beside_others(bench: Bench, name: str, right: Results, goal: Goal | None) -> Part:
    """One set; the goal is that of random pairs."""
    own = list(right.rows)
    examples = [row.example for row in own]
    random_pairs = bench.run(f"{name}, random", lambda: random_others(examples, bench.seed)).rows
    alike_pairs = bench.run(f"{name}, most alike", lambda: nearest_others(examples)).rows
    figures = [
        bench.auroc(f"{name}: AUROC against a random other abstract", [*own, *random_pairs], goal),
        bench.auroc(f"{name}: AUROC against the most alike other abstract", [*own, *alike_pairs]),
        _answered(bench, f"{name}: answered, own abstract", own),
        _answered(bench, f"{name}: answered, random other abstract", random_pairs),
        _answered(bench, f"{name}: answered, most alike other abstract", alike_pairs),
    ]
    return Part(figures, [*own, *random_pairs, *alike_pairs])


def takeaways(bench: Bench) -> list[Example]:
    """SciTLDR's test abstracts as the package's reader makes questions of them.

    Without papers that share a long sentence with one of the training file: those are the same paper
    submitted again.
    """
    examples = Source("takeaways", SCITLDR).read(bench.data_root, bench.seed)
    trained_on = {s for record in json_lines(bench.data_root / SCITLDR_TRAIN) for s in record["source"]}
    seen = {text for text in map(normalize_answer, trained_on) if len(text) >= _LONG_SENTENCE}
    return [e for e in examples if not _sentences(e) & seen]


def _sentences(example: Example) -> set[str]:
    return {normalize_answer(sentence.text) for sentence in split_sentences(example.question.context)}


def random_others(examples: Sequence[Example], seed: int) -> list[Example]:
    """Every question beside the context of another example."""
    rng = random.Random(seed)
    pairs = []
    for example in examples:
        others = [e for e in examples if e.question.context != example.question.context]
        pairs += [_beside(example, rng.choice(others))] if others else []
    return pairs


def nearest_others(examples: Sequence[Example]) -> list[Example]:
    """Every question beside the context most like its own."""
    contexts = [example.question.context for example in examples]
    pairs = []
    for example, near in zip(examples, _neighbours(contexts, contexts), strict=True):
        others = [examples[i] for i in near if contexts[i] != example.question.context]
        pairs += [_beside(example, others[0])] if others else []
    return pairs


def _beside(example: Example, other: Example) -> Example:
    """The question beside another context; still of its own document, so that pairs are drawn together."""
    question = Question(example.question.question, other.question.context, other.question.title)
    return replace(
        example,
        id=f"{example.id}+{other.id}",
        question=question,
        references=(),
        spans=(),
        answerable=False,
    )


def _answered(bench: Bench, name: str, rows: Sequence[ScoredRow]) -> Figure:
    return bench.mean(name, floats(row.is_answered for row in rows), rows)


# ---- Evidence Inference


def evidence_inference(bench: Bench) -> Part:
    """Whether the answer depends on the question: the true prompt's beside another's on one abstract."""
    source = Source("trial_prompts_validation", PROMPTS)
    prompts = bench.sample([e for e in source.read(bench.data_root, bench.seed) if e.spans])
    outcomes = {
        f"ei-{record['prompt_id']}-0": normalize_answer(record["outcome"])
        for record in json_lines(bench.data_root / PROMPTS)
    }
    pairs = prompt_pairs(prompts, outcomes)
    true = bench.run("prompts", lambda: list({p.id: p for p, _ in pairs}.values())).rows
    crossed = bench.run("crossed prompts", lambda: [asked_as(p, q) for p, q in pairs]).rows
    kinds: dict[str, Callable[[Example, Example], bool]] = {
        "all pairs": lambda p, q: True,
        "pairs of different spans": lambda p, q: _places(p) != _places(q),
        "pairs of spans apart": lambda p, q: not any(a.overlaps(b) for a in p.spans for b in q.spans),
    }
    figures: list[Figure] = []
    details = {}
    for kind, is_kept in kinds.items():
        kept = [(p.id, row.f1) for (p, q), row in zip(pairs, crossed, strict=True) if is_kept(p, q)]
        names = {name for name, _ in kept}
        own = [row for row in true if row.example.id in names]
        goal = Goal("interval above", 0.0, aim=0.15) if kind == "all pairs" else None
        figures += paired_figures(bench, own, kept, kind, goal)
        n_abstracts = len({row.example.document for row in own})
        details[kind] = {"n_prompts": len(own), "n_abstracts": n_abstracts, "n_pairs": len(kept)}
    counts = "; ".join(
        f"{kind}: {n['n_prompts']} prompts of {n['n_abstracts']} abstracts" for kind, n in details.items()
    )
    return Part(figures, [*true, *crossed], {"counts": details}, notes=(f"{counts}.",))


def prompt_pairs(prompts: Sequence[Example], outcomes: dict[str, str]) -> list[tuple[Example, Example]]:
    """Every prompt with every other of the same abstract that is about another outcome."""
    return [
        (p, q)
        for p in prompts
        for q in prompts
        if p.document == q.document and outcomes[p.id] != outcomes[q.id]
    ]


def asked_as(prompt: Example, other: Example) -> Example:
    """The prompt's abstract and labels under the other's question."""
    question = replace(prompt.question, question=other.question.question)
    return replace(prompt, id=f"{prompt.id}+{other.id}", question=question)


def paired_figures(
    bench: Bench, true: Sequence[ScoredRow], others: Iterable[tuple[str, float]], kind: str, goal: Goal | None
) -> list[Figure]:
    """Mean F1 of the true question, of the others' (a mean for each prompt), and of their difference."""
    of_prompt: dict[str, list[float]] = {row.example.id: [] for row in true}
    for name, f1 in others:
        of_prompt[name].append(f1)
    own = floats(row.f1 for row in true)
    other = floats(float(np.mean(of_prompt[row.example.id])) for row in true)
    return [
        bench.mean(f"{kind}: token F1 of the true question", own, true),
        bench.mean(f"{kind}: token F1 of the others' questions", other, true),
        bench.mean(f"{kind}: difference", own - other, true, goal),
    ]


def _places(example: Example) -> set[tuple[int, int]]:
    return {(span.start, span.end) for span in example.spans}
