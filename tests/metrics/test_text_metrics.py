"""Normalisation, exact match, token F1 and ROUGE-L: hand-computed values and independent implementations."""

from __future__ import annotations

import functools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.errors import DataError
from qa_extractive.metrics.text import (
    SquadVersion,
    best_exact_match,
    best_rouge_l,
    best_token_f1,
    exact_match,
    gold_references,
    lcs_length,
    normalize_answer,
    rouge_l,
    token_f1,
)

WORDS = st.sampled_from(
    ["the", "A", "an", "cat", "Cat,", "CAT-5", "...", "β-catenin", "é", "a\u0301", "5%", "\u00a0"]
)
TEXTS = st.one_of(st.lists(WORDS, max_size=8).map(" ".join), st.text(max_size=30))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("  \t\n ", ""),
        ("The Eiffel Tower", "eiffel tower"),
        ("the THE a An", ""),
        ("An apple, a day!", "apple day"),
        ("Athens and Ana", "athens and ana"),  # articles only as whole words
        ("p-value < 0.05", "pvalue 005"),
        ("a_b a.b", "ab ab"),  # punctuation goes first, so this is no article
        ("a-the", "athe"),
        ("patient's", "patients"),
        ("patient’s 1–2", "patient’s 1–2"),  # only ASCII punctuation is removed
        ("the—end", "—end"),
        ("x\u00a0\u2003y\x1fz", "x y z"),  # every Unicode white space
        ("naïve β-Catenin", "naïve βcatenin"),
        ("ÉCOLE İ", "école i̇"),
        ("a\u0301", "\u0301"),  # a combining accent ends the word, in the official scripts too
        ("$^+=<>|~`", ""),
    ],
)
def test_normalize_answer(text: str, expected: str) -> None:
    assert normalize_answer(text) == expected


@settings(deadline=None)
@given(TEXTS)
def test_normalising_leaves_single_blanks_and_no_capitals(text: str) -> None:
    normal = normalize_answer(text)
    assert normal == " ".join(normal.split())
    assert not set(normal) & set("ABCXYZ.,;!?()")


@pytest.mark.parametrize(
    ("prediction", "reference", "em", "f1"),
    [
        ("The cat.", "cat", 1.0, 1.0),
        ("cat sat", "sat cat", 0.0, 1.0),
        ("the cat sat", "a cat", 0.0, 2 / 3),  # precision 1/2, recall 1
        ("cat cat", "cat", 0.0, 2 / 3),  # counted with repetition
        ("cat cat dog", "cat cat cat", 0.0, 2 / 3),
        ("one two three four", "three four five", 0.0, 4 / 7),
        ("dog", "cat", 0.0, 0.0),
        ("dog", "", 0.0, 0.0),
        ("", "dog", 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_hand_computed_scores(
    prediction: str, reference: str, em: float, f1: float, version: SquadVersion
) -> None:
    assert exact_match(prediction, reference) == em
    assert token_f1(prediction, reference, version=version) == pytest.approx(f1, abs=1e-15)


@pytest.mark.parametrize(("prediction", "reference"), [("", ""), ("the", ""), ("", "..."), ("a", "An!")])
def test_the_versions_differ_where_nothing_is_left(prediction: str, reference: str) -> None:
    assert exact_match(prediction, reference) == 1.0
    assert token_f1(prediction, reference, version="2.0") == 1.0
    assert token_f1(prediction, reference, version="1.1") == 0.0


@settings(deadline=None)
@given(TEXTS, TEXTS, st.sampled_from(["1.1", "2.0"]))
def test_f1_is_symmetric_and_one_for_an_exact_match(left: str, right: str, version: SquadVersion) -> None:
    f1 = token_f1(left, right, version=version)
    assert f1 == pytest.approx(token_f1(right, left, version=version))
    assert 0.0 <= f1 <= 1.0
    if exact_match(left, right) and normalize_answer(left):
        assert f1 == 1.0


def test_gold_references_of_version_2_drop_what_normalises_to_nothing() -> None:
    assert gold_references(["the", "cat", "..."]) == ("cat",)
    assert gold_references(["the", "..."]) == ("",)
    assert gold_references([]) == ("",)


def test_gold_references_of_version_1_stay_as_they_are() -> None:
    assert gold_references(["the", "cat"], version="1.1") == ("the", "cat")
    with pytest.raises(DataError, match=r"version 2\.0"):
        gold_references([], version="1.1")


def test_best_is_the_maximum_over_references() -> None:
    references = ["dog", "the black cat", "cat"]
    assert best_exact_match("Cat", references) == 1.0
    assert best_token_f1("black cat sat", references) == pytest.approx(4 / 5)
    assert best_rouge_l("black cat sat", references) == pytest.approx(4 / 6)
    # The article alone is a reference in 1.1 and none in 2.0.
    assert best_exact_match("", ["the", "cat"], version="1.1") == 1.0
    assert best_exact_match("", ["the", "cat"], version="2.0") == 0.0


def test_best_of_an_unanswerable_question() -> None:
    assert (best_exact_match("", []), best_token_f1("", [])) == (1.0, 1.0)
    assert (best_exact_match("x", []), best_token_f1("x", [])) == (0.0, 0.0)
    assert best_rouge_l("x", []) is None


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("The cat sat on the mat", "the cat is on the mat", 5 / 6),
        ("police killed the gunman", "police kill the gunman", 3 / 4),
        ("a b c d", "d c b a", 1 / 4),
        ("p-value", "p value", 1.0),
        ("α β", "α β", 0.0),  # no ASCII letter or digit: no token
        ("", "cat", 0.0),
        ("", "", 0.0),
    ],
)
def test_rouge_l_by_hand(prediction: str, reference: str, expected: float) -> None:
    assert rouge_l(prediction, reference) == pytest.approx(expected)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_rouge_l_equals_the_rouge_score_package(prediction: str, reference: str) -> None:
    assert rouge_l(prediction, reference) == pytest.approx(rouge_package(reference, prediction), abs=1e-12)


def rouge_package(target: str, prediction: str) -> float:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=False)
    return float(scorer.score(target, prediction)["rougeL"].fmeasure)


@settings(deadline=None)
@given(*[st.lists(st.sampled_from("abc"), max_size=9)] * 2)
def test_lcs_length_equals_the_recursive_definition(left: list[str], right: list[str]) -> None:
    @functools.cache
    def lcs(i: int, j: int) -> int:
        if i == len(left) or j == len(right):
            return 0
        return 1 + lcs(i + 1, j + 1) if left[i] == right[j] else max(lcs(i + 1, j), lcs(i, j + 1))

    assert lcs_length(left, right) == lcs(0, 0)


def test_lcs_of_thousands_of_tokens() -> None:
    tokens = [str(i % 997) for i in range(4000)]
    started = time.process_time()
    assert lcs_length(tokens, [*reversed(["x"] * 500), *tokens]) == 4000
    assert time.process_time() - started < 10
