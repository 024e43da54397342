"""EM and F1 equal two independent implementations to 1e-9: torchmetrics, and one written here.

On 1,000 random sets of predictions each, with unanswerable rows, Unicode, punctuation, articles and empty
strings, on whatever else hypothesis finds, and on the examples that the official metrics document.
"""

from __future__ import annotations

import random
import re
import statistics
import string
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qa_extractive.metrics.scores import SquadScores, squad_scores
from qa_extractive.metrics.text import SquadVersion

N_SETS = 1000

Row = tuple[str, tuple[str, ...], float]  # prediction, references, no-answer probability

VOCABULARY = (
    *("the", "The", "a", "A", "an", "AN", "of", "and", "cat", "Cat", "CAT,", "dog.", "dogs", "3.3", "5%"),
    *("p-value", "p", "value", "patient's", "patient’s", "(95%", "CI)", "±", "<0.05", "...", "-", "—", "“x”"),
    *("β-catenin", "Β-CATENIN", "naïve", "NAÏVE", "e\u0301", "é", "ß", "SS", "İ", "ﬁ", "中文", "🙂", "١٢"),
    *("\u00a0", "\u2003", "\u200b", "\t", "x\u00a0y", "a\u0301", "the—end", "_a_"),
)


def random_text(rng: random.Random, n_max: int = 5) -> str:
    return rng.choice(["", " ", "  "]).join(["", *rng.choices(VOCABULARY, k=rng.randrange(n_max)), ""]) or ""


def spoilt(rng: random.Random, text: str) -> str:
    """A prediction that shares something with the text: the whole, a part, more, other case or order."""
    words = text.split() or [""]
    begin = rng.randrange(len(words))
    return rng.choice(
        [
            text,
            text.upper(),
            f"The {text}.",
            " ".join(words[begin:]),
            " ".join(reversed(words)),
            f"{text} {rng.choice(VOCABULARY)}",
            f"{text} {text}",
        ]
    )


def random_sets(seed: int, *, has_empty_gold: bool) -> Iterator[list[Row]]:
    """Sets of 1 to 12 rows, about a third of them without references.

    Args:
        seed: Of the draws.
        has_empty_gold: Whether references may be there and hold no token, which the two versions of the
            official script treat differently.
    """
    rng = random.Random(seed)
    for _ in range(N_SETS):
        rows = []
        for _ in range(rng.randint(1, 12)):
            gold = [random_text(rng) for _ in range(rng.randint(1, 4))] if rng.random() < 0.67 else []
            kept = tuple(text for text in gold if has_empty_gold or plain_tokens(text))
            about = rng.choice(kept) if kept and rng.random() < 0.7 else random_text(rng)
            prediction = "" if rng.random() < 0.15 else spoilt(rng, about)
            rows.append((prediction, kept, rng.choice([0.0, 0.25, 0.5, 1.0, rng.random()])))
        yield rows


def columns(rows: Sequence[Row]) -> tuple[list[str], list[tuple[str, ...]], list[float]]:
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


# ---------------------------------------------------------------------------------------- written here
# After the text of the official scripts' definitions, and nothing of the package.


def plain_tokens(text: str) -> list[str]:
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def plain_f1(prediction: str, reference: str, version: SquadVersion) -> float:
    left, right = plain_tokens(prediction), plain_tokens(reference)
    if version == "2.0" and (not left or not right):
        return float(left == right)
    rest, shared = list(right), 0
    for token in left:
        if token in rest:
            rest.remove(token)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / len(left), shared / len(right)
    return 2 * precision * recall / (precision + recall)


def plain_row(prediction: str, references: Sequence[str], version: SquadVersion) -> tuple[float, float]:
    gold = references if version == "1.1" else ([r for r in references if plain_tokens(r)] or [""])
    em = max(float(plain_tokens(prediction) == plain_tokens(r)) for r in gold)
    return em, max(plain_f1(prediction, r, version) for r in gold)


def plain_best(scores: Sequence[float], rows: Sequence[Row]) -> tuple[float, float]:
    """The best mean over thresholds: abstain everywhere, then admit row after row by probability."""
    current = best = float(sum(not references for _, references, _ in rows))
    threshold = 0.0
    for score, (prediction, references, prob) in sorted(
        zip(scores, rows, strict=True), key=lambda pair: pair[1][2]
    ):
        if references:
            current += score
        elif prediction:
            current -= 1
        if current > best:
            best, threshold = current, prob
    return best / len(rows), threshold


def plain_mean(values: Sequence[float]) -> Any:
    return pytest.approx(statistics.fmean(values), abs=1e-9) if values else None


def assert_version_2_agrees(rows: Sequence[Row]) -> SquadScores:
    predictions, references, probs = columns(rows)
    scores = squad_scores(predictions, references, no_answer_probs=probs)
    plain = [plain_row(p, r, "2.0") for p, r, _ in rows]
    ems, f1s = [em for em, _ in plain], [f1 for _, f1 in plain]
    has, lacks = [i for i, r in enumerate(references) if r], [i for i, r in enumerate(references) if not r]
    assert (scores.n, scores.n_has_ans, scores.n_no_ans) == (len(rows), len(has), len(lacks))
    assert (scores.em, scores.f1) == (plain_mean(ems), plain_mean(f1s))
    assert scores.has_ans_em == plain_mean([ems[i] for i in has])
    assert scores.has_ans_f1 == plain_mean([f1s[i] for i in has])
    assert scores.no_ans_em == plain_mean([ems[i] for i in lacks])
    assert scores.no_ans_f1 == plain_mean([f1s[i] for i in lacks])
    assert (scores.best_em, scores.best_em_threshold) == pytest.approx(plain_best(ems, rows), abs=1e-9)
    assert (scores.best_f1, scores.best_f1_threshold) == pytest.approx(plain_best(f1s, rows), abs=1e-9)
    return scores


def assert_version_1_agrees(rows: Sequence[Row]) -> None:
    predictions, references, _ = columns(rows)
    plain = [plain_row(p, r, "1.1") for p, r, _ in rows]
    scores = squad_scores(predictions, references, version="1.1")
    assert scores.em == plain_mean([em for em, _ in plain])
    assert scores.f1 == plain_mean([f1 for _, f1 in plain])


def test_random_sets_equal_the_definitions_of_version_2() -> None:
    all_scores = [assert_version_2_agrees(rows) for rows in random_sets(1, has_empty_gold=True)]
    assert len(all_scores) == N_SETS
    assert sum(scores.n_no_ans for scores in all_scores) > N_SETS  # unanswerable rows
    f1s = [scores.f1 for scores in all_scores if scores.f1 is not None]
    assert sum(0.0 < f1 < 1.0 for f1 in f1s) > N_SETS / 2  # and not all alike


def test_random_sets_equal_the_definitions_of_version_1() -> None:
    n = 0
    for rows in random_sets(2, has_empty_gold=True):
        answerable = [row for row in rows if row[1]]
        assert_version_1_agrees(answerable or [("cat", ("the cat",), 0.0)])
        n += 1
    assert n == N_SETS


WORDS = st.sampled_from(
    ["the", "A", "an", "cat", "Cat,", "dog", "...", "β-catenin", "É", "a\u0301", "5%", "\u00a0"]
)
TEXTS = st.one_of(st.lists(WORDS, max_size=5).map(" ".join), st.text(max_size=12))
PROBS = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
ROWS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=3).map(tuple), PROBS), min_size=1, max_size=12)


@settings(deadline=None)
@given(ROWS)
@example([("the", (), 0.5), ("", ("the", "..."), 0.5), ("a cat", ("cat",), 0.5)])
def test_any_set_equals_the_definitions_of_version_2(rows: list[Row]) -> None:
    assert_version_2_agrees(rows)


@settings(deadline=None)
@given(ROWS.map(lambda rows: [(p, r or ("cat",), prob) for p, r, prob in rows]))
def test_any_set_equals_the_definitions_of_version_1(rows: list[Row]) -> None:
    assert_version_1_agrees(rows)


# ---------------------------------------------------------------------------------------- torchmetrics


@pytest.fixture
def torchmetrics_squad() -> Iterator[Any]:
    """Its ``squad``, which keeps its sums in torch's default type: doubles, for nine digits."""
    torch = pytest.importorskip("torch", reason="torchmetrics needs torch: pip install -e '.[dev]'")
    text = pytest.importorskip("torchmetrics.functional.text", reason="pip install -e '.[dev]'")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield text.squad
    torch.set_default_dtype(before)


def test_random_sets_equal_torchmetrics(torchmetrics_squad: Any) -> None:
    """Its reference for an unanswerable row is the empty text, as SQuAD 2.0's script has it.

    It follows that script where nothing is left of a text, and version 1.1 does not differ otherwise; so
    references that are there hold a token.
    """
    n_unanswerable = 0
    for rows in random_sets(3, has_empty_gold=False):
        predictions, references, _ = columns(rows)
        said = [{"prediction_text": p, "id": str(i)} for i, p in enumerate(predictions)]
        gold = [
            {"answers": {"text": list(r) or [""], "answer_start": [0] * max(1, len(r))}, "id": str(i)}
            for i, r in enumerate(references)
        ]
        expected = {name: float(value) / 100 for name, value in torchmetrics_squad(said, gold).items()}
        scores = squad_scores(predictions, references)
        assert scores.em == pytest.approx(expected["exact_match"], abs=1e-9)
        assert scores.f1 == pytest.approx(expected["f1"], abs=1e-9)
        n_unanswerable += scores.n_no_ans
        if scores.n_no_ans == 0:
            one = squad_scores(predictions, references, version="1.1")
            assert (one.em, one.f1) == (scores.em, scores.f1)
    assert n_unanswerable > N_SETS


# ------------------------------------------------------------------------- the documented examples
# Of the cards of ``evaluate``'s squad and squad_v2, which wrap the official scripts: in percent there.

THREE = [("1976",), ("Beyoncé and Bruno Mars",), ("climate change",)]


@pytest.mark.parametrize(
    ("predictions", "references", "exact", "f1"),
    [
        (["1976"], [("1976",)], 100.0, 100.0),
        (["1999"], [("1976",)], 0.0, 0.0),
        (["1976", "Beyonce", "climate change"], THREE, 66.66666666666667, 66.66666666666667),
    ],
)
def test_the_examples_of_the_official_cards(
    predictions: list[str], references: list[tuple[str, ...]], exact: float, f1: float
) -> None:
    one = squad_scores(predictions, references, version="1.1")
    two = squad_scores(predictions, references, no_answer_probs=[0.0] * len(predictions))
    for em_of, f1_of in (
        (one.em, one.f1),
        (two.em, two.f1),
        (two.has_ans_em, two.has_ans_f1),
        (two.best_em, two.best_f1),
    ):
        assert em_of == pytest.approx(exact / 100, abs=1e-9)
        assert f1_of == pytest.approx(f1 / 100, abs=1e-9)
    assert (two.best_em_threshold, two.best_f1_threshold) == (0.0, 0.0)
    assert (two.n, two.n_has_ans, two.n_no_ans, two.no_ans_em) == (
        len(predictions),
        len(predictions),
        0,
        None,
    )
