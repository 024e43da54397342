"""``relevant_sentences`` beside TF-IDF and BM25 sentence selection, on the questions of ``asked``.

    python benchmarks/relevant_sentences.py --data-root DATA --part test [--questions 300]

A sentence counts as one that answers if it shares a character with a labelled answer. All questions of
whole papers, drawn at random, are asked. At a share, each selection keeps its best sentences of a text until
the next would pass that share of its characters; at the default threshold, the other two keep as many
sentences of each text as ``relevant_sentences`` does there. Writes ``results/relevant_sentences.md`` and
``.json``, a section for each part.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from qa_extractive import Predictor
from qa_extractive._utils.sentences import split_sentences
from qa_extractive.inference.relevance import RELEVANT_FROM, KeepRule
from qa_extractive.metrics.bootstrap import paired_bootstrap
from qa_extractive.metrics.scores import answerability_auroc, calibration_error
from qa_extractive.training.labelled_rows import asked_as_given
from qa_extractive.types import Example, Span

RESULTS = Path(__file__).parent / "results" / "relevant_sentences.json"
SHARES = (0.1, 0.2, 0.3, 0.5)
OURS = "relevant_sentences"
_WORD = re.compile(r"\w+")
_K1, _B = 1.5, 0.75
Floats = npt.NDArray[np.float64]
Scored = list[list[Span]]
"""Of each question, the sentences of its text in order; the scores of words are no probabilities."""


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--part", choices=("dev", "test"), default="dev")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    every = asked_as_given(options.data_root / "asked" / f"{options.part}.jsonl.gz", random.Random(0))
    examples = drawn(every, options.questions)
    predictor = Predictor(n_threads=options.threads)
    ours = predictor.relevant_sentences_batch([e.question for e in examples], threshold=0)
    sentences = [split_sentences(context) for context in dict.fromkeys(e.question.context for e in examples)]
    corpus = [sentence.text for own in sentences for sentence in own]
    systems = {
        OURS: ours,
        "BM25": by_words(examples, Bm25(corpus)),
        "TF-IDF": by_words(examples, tfidf(corpus)),
    }
    results = json.loads(options.output.read_text("utf-8")) if options.output.exists() else {}
    results[options.part] = measured(examples, systems)
    options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = "".join(section(part, found) for part, found in sorted(results.items()))
    options.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def drawn(examples: Sequence[Example], n_questions: int) -> list[Example]:
    """All examples of documents drawn at random, until there are so many or more."""
    documents = sorted({e.document for e in examples})
    random.Random(17).shuffle(documents)
    chosen: list[Example] = []
    for document in documents:
        if len(chosen) >= n_questions:
            break
        chosen += [e for e in examples if e.document == document]
    return chosen


# ---------------------------------------------------------------- selection by words

Scorer = Callable[[str, Sequence[str]], Sequence[float]]


def by_words(examples: Sequence[Example], scorer: Scorer) -> Scored:
    """The sentences of each example, scored by their words."""
    return [
        [replace(s, score=score) for s, score in zip(own, _squashed(scorer, e, own), strict=True)]
        for e in examples
        for own in [split_sentences(e.question.context)]
    ]


def _squashed(scorer: Scorer, example: Example, sentences: Sequence[Span]) -> list[float]:
    """Scores in the same order, in [0, 1): a span takes no others."""
    scores = scorer(example.question.question, [s.text for s in sentences])
    return [float(score / (1.0 + score)) for score in scores]


class Bm25:
    """Okapi BM25 of sentences, with the inverse document frequency that is never negative (Lucene's)."""

    def __init__(self, corpus: Sequence[str]) -> None:
        """Count in how many sentences each word stands."""
        words = [_words(text) for text in corpus]
        self._n = len(words)
        self._mean_length = sum(map(len, words)) / len(words)
        self._counts = Counter(word for own in words for word in set(own))

    def __call__(self, question: str, sentences: Sequence[str]) -> list[float]:
        """A score for each sentence, at least 0."""
        asked = set(_words(question))
        return [self._score(asked, _words(sentence)) for sentence in sentences]

    def _score(self, asked: set[str], words: list[str]) -> float:
        counts = Counter(words)
        length = _K1 * (1 - _B + _B * len(words) / self._mean_length)
        return float(sum(self._idf(w) * counts[w] * (_K1 + 1) / (counts[w] + length) for w in asked))

    def _idf(self, word: str) -> float:
        n = self._counts[word]
        return float(np.log1p((self._n - n + 0.5) / (n + 0.5)))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def tfidf(corpus: Sequence[str]) -> Scorer:
    """Cosines of TF-IDF vectors, scikit-learn's own settings."""
    vectorizer = TfidfVectorizer().fit(corpus)

    def cosines(question: str, sentences: Sequence[str]) -> list[float]:
        products = vectorizer.transform(sentences) @ vectorizer.transform([question]).T
        return [float(each) for each in products.toarray()[:, 0]]

    return cosines


# ---------------------------------------------------------------- figures


@dataclass(frozen=True, slots=True)
class Kept:
    """What a selection keeps of each question's text."""

    sentences: Scored

    def figures(self, examples: Sequence[Example], gold: Sequence[Sequence[bool]]) -> dict[str, float]:
        """Of answerable questions but for the last two, all in [0, 1]."""
        has = [i for i, e in enumerate(examples) if e.answerable]
        none = [i for i, e in enumerate(examples) if not e.answerable]
        n_right = sum(self._n_right(examples[i], self.sentences[i]) for i in has)
        return {
            "questions with an answering sentence kept": float(self.found(examples).mean()),
            "recall of answering sentences": n_right / sum(sum(gold[i]) for i in has),
            "precision": n_right / max(1, sum(len(self.sentences[i]) for i in has)),
            "share of text kept": self._share(examples, has),
            "share kept, unanswerable": self._share(examples, none),
            "nothing kept, unanswerable": sum(not self.sentences[i] for i in none) / len(none),
        }

    def found(self, examples: Sequence[Example]) -> Floats:
        """1 for each answerable question of which a sentence that answers was kept, else 0."""
        pairs = zip(examples, self.sentences, strict=True)
        return np.array([float(self._n_right(e, own) > 0) for e, own in pairs if e.answerable])

    def _share(self, examples: Sequence[Example], chosen: Sequence[int]) -> float:
        whole = [s for i in chosen for s in split_sentences(examples[i].question.context)]
        return sum(len(s.text) for i in chosen for s in self.sentences[i]) / sum(len(s.text) for s in whole)

    @staticmethod
    def _n_right(example: Example, sentences: Sequence[Span]) -> int:
        return sum(_answers(example, sentence) for sentence in sentences)


def _answers(example: Example, sentence: Span) -> bool:
    return any(sentence.overlaps(span) for span in example.spans)


def measured(examples: Sequence[Example], systems: dict[str, Scored]) -> dict[str, Any]:
    """All figures, as ``json`` can write them."""
    gold = [[_answers(e, s) for s in own] for e, own in zip(examples, systems[OURS], strict=True)]
    labels = [each for own in gold for each in own]
    probs = [s.score for own in systems[OURS] for s in own]
    default = [KeepRule().kept(own) for own in systems[OURS]]
    counts = [len(own) for own in default]
    rows: dict[str, dict[str, Any]] = {}
    for share in SHARES:
        kept = {name: [KeepRule(0.0, None, share).kept(own) for own in s] for name, s in systems.items()}
        rows[f"share {share:g}"] = _compared(examples, gold, kept)
    kept = {name: [_best(own, n) for own, n in zip(s, counts, strict=True)] for name, s in systems.items()}
    rows[f"threshold {RELEVANT_FROM:g}"] = _compared(examples, gold, kept | {OURS: default})
    return {
        "n_questions": len(examples),
        "n_answerable": sum(bool(e.answerable) for e in examples),
        "n_papers": len({e.document for e in examples}),
        "auroc": {
            name: answerability_auroc([s.score for own in each for s in own], labels)
            for name, each in systems.items()
        },
        "calibration_error": calibration_error(probs, labels),
        "rules": rows,
    }


def _best(sentences: Sequence[Span], n: int) -> list[Span]:
    return KeepRule(0.0, n).kept(sentences) if n else []


def _compared(
    examples: Sequence[Example], gold: Sequence[Sequence[bool]], kept: dict[str, Scored]
) -> dict[str, Any]:
    rows: dict[str, Any] = {name: Kept(own).figures(examples, gold) for name, own in kept.items()}
    units = [e.document for e in examples if e.answerable]
    ours = Kept(kept[OURS]).found(examples)
    for name, own in kept.items():
        if name != OURS:
            difference = paired_bootstrap(ours, Kept(own).found(examples), units=units, seed=17)
            rows[name]["found less than ours, 95 %"] = None if difference is None else difference.interval
    return rows


def section(part: str, found: dict[str, Any]) -> str:
    """A part as Markdown."""
    names = [*next(iter(found["rules"].values()))[OURS]]
    titles = ["keeps", "selection", *names, "difference in the first, 95 %"]
    lines = [titles, ["---"] * len(titles)]
    for rule, systems in found["rules"].items():
        for name, figures in systems.items():
            interval = figures.get("found less than ours, 95 %")
            told = "" if interval is None else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"
            lines.append([rule, name, *(f"{100 * figures[each]:.1f}" for each in names), told])
    aurocs = ", ".join(f"{name} {value:.3f}" for name, value in found["auroc"].items())
    return (
        f"## `asked`, {part} part\n\n{found['n_questions']} questions ({found['n_answerable']} answerable) "
        f"on {found['n_papers']} abstracts; figures in per cent. "
        "Sentences that answer against others, AUROC: "
        f"{aurocs}. Calibration error of the probability of a sentence: {found['calibration_error']:.3f}.\n\n"
        + "".join(f"| {' | '.join(line)} |\n" for line in lines)
        + "\n"
    )


if __name__ == "__main__":
    main()
