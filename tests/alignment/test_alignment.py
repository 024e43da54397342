"""Weak span labels: hand-made cases for every tier, and what holds for any text."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.alignment import (
    DEFAULT_THRESHOLD,
    TIERS,
    Alignment,
    align,
    align_example,
    align_examples,
)
from qa_extractive.alignment.content_overlap import ContentWeights, overlap, stem
from qa_extractive.alignment.forms import ContextForms
from qa_extractive.alignment.oracle import oracle_f1, oracle_sentence_f1
from qa_extractive.alignment.sentence_roles import is_question_like, role_gain
from qa_extractive.alignment.text_forms import close_brackets, fold, tokenize
from qa_extractive.alignment.tiers import MAX_CANDIDATES
from qa_extractive.alignment.token_search import best_token_f1, best_windows, window_limit
from qa_extractive.metrics.text import normalize_answer, token_f1
from qa_extractive.types import Example, Question, Span

ABSTRACT = (
    "Background: Whether the drug lowers relapse was unclear. We randomised 540 adults to 5 mg/day "
    "of the drug or to "
    "placebo. Over 12 months, relapse occurred in 31% ± 4% of the drug group and in 47% of the placebo group "
    "(hazard ratio 0.66, 95% CI 0.51–0.85). The follow-up rate was 96%. Serious hyperkalaemia did not differ "
    "significantly between groups. TNF-α levels were unchanged, and the World Health Organization "
    "(WHO) was informed."
)


def aligned(reference: str, context: str = ABSTRACT, **settings_: Any) -> Alignment:
    found = align(reference, context, **settings_)
    for span in found.spans:
        assert context[span.start : span.end] == span.text
    return found


# ---- tier by tier


@pytest.mark.parametrize(
    "reference", ["hazard ratio 0.66", "540", "Over 12 months, relapse occurred in 31% ± 4%", "WHO"]
)
def test_verbatim_is_exact_and_certain(reference: str) -> None:
    found = aligned(reference)
    assert (found.tier, found.confidence) == ("exact", 1.0)
    assert [span.text for span in found.spans] == [reference]


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("SERIOUS HYPERKALAEMIA", "Serious hyperkalaemia"),
        ("31 % +/- 4 %", "31% ± 4%"),
        ("5mg / day", "5 mg/day"),
        ("0.51-0.85", "0.51–0.85"),
        ("the follow up rate", "The follow-up rate"),
        ("a Follow up rate", "follow-up rate"),
        ("TNF–alpha levels", "TNF-α levels"),
        ("“hazard\u00a0ratio\u20090·66”.", "hazard ratio 0.66"),
        ("a World Health Organization (WHO)", "World Health Organization (WHO)"),
        ("31 percent", "31%"),
    ],
)
def test_other_spellings_are_normalised(reference: str, text: str) -> None:
    found = aligned(reference)
    assert found.tier == "normalised"
    assert found.spans[0].text == text
    assert found.confidence == pytest.approx(0.95)


def test_most_of_the_words_in_a_row_are_a_window() -> None:
    found = aligned("serious hyperkalemia did not differ significantly between the groups")
    assert found.tier == "window"
    assert found.spans[0].text == "Serious hyperkalaemia did not differ significantly between groups"
    assert 0.7 < found.confidence < 0.95


def test_a_window_is_trimmed_of_what_dangles() -> None:
    context = "It uses robust adversarial training by the way of sampling."
    found = align("robust adversarial training the nets better", context, threshold=0.0)
    assert (found.tier, found.spans[0].text) == ("window", "robust adversarial training")


def test_a_window_ends_at_whole_compounds() -> None:
    context = "A novel approach to building sentence embeddings from pre-trained vectors."
    found = align("novel approaches to building sentence embeddings from pre trainedword vectors", context)
    assert found.spans[0].text.endswith("pre-trained vectors")
    found = align("a new approach to building the sentence embeddings from pre", context, threshold=0.0)
    assert found.spans[0].text.endswith("pre-trained")


def test_a_window_keeps_within_a_sentence_unless_clearly_better() -> None:
    context = "The cats sleep all day long. Dogs bark. Red cats sleep."
    found = align("cats sleep dogs", context)
    assert all("." not in span.text for span in found.spans)


def test_a_paraphrase_is_its_sentence_not_the_aim() -> None:
    context = (
        "We aimed to determine whether dropout slows the training of large networks. Networks were "
        "trained on digits. "
        "Reaching convergence took three times as many epochs with dropout, because each gradient is "
        "noisy. Cost fell."
    )
    found = align(
        "Three times more epochs are needed for convergence since dropout makes gradients noisy", context
    )
    assert found.tier == "sentence"
    assert found.spans[0].text.startswith("Reaching convergence")


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "  ",
        "yes",
        "No.",
        "Maybe",
        "the",
        "it is",
        "—",
        "()",
        "Quantum chromodynamics of heavy mesons",
        "77%",
    ],
)
def test_what_is_not_there_aligns_with_nothing(reference: str) -> None:
    assert aligned(reference) == Alignment("none")


def test_an_empty_context_aligns_with_nothing() -> None:
    assert align("something", "") == Alignment("none")


# ---- what must not mislead


@pytest.mark.parametrize("lead", ["Yes, ", "No. ", "Yes: ", "Mostly yes; ", "yes — ", "Maybe, largely: "])
def test_a_leading_verdict_is_passed_over(lead: str) -> None:
    found = aligned(lead + "relapse occurred in 31% ± 4% of the drug group")
    assert found.tier == "exact"
    assert found.spans[0].text.startswith("relapse")


@pytest.mark.parametrize("reference", ["No. 5 chromosome", "No Doubt", "Yes Minister"])
def test_a_name_that_starts_like_a_verdict_stays_whole(reference: str) -> None:
    found = align(reference, f"It was {reference} that we meant.")
    assert found.spans[0].text == reference


def test_another_number_or_a_negation_lowers_the_confidence() -> None:
    context = "Among adults the treatment improved survival by 15 months on average."
    same = align("the treatment improved survival by 15 months on the average", context, threshold=0.0)
    number = align("the treatment improved survival by 25 months on the average", context, threshold=0.0)
    negated = align("the treatment never improved survival by 15 months on average", context, threshold=0.0)
    assert same.confidence > 0.8
    assert max(number.confidence, negated.confidence) < DEFAULT_THRESHOLD + 0.05


def test_an_acronym_is_not_a_word_in_lower_case() -> None:
    assert align("WHO", "those who came").tier == "none"
    assert align("AIDS", "hearing aids help").tier == "none"
    assert align("WHO", "the WHO and those who came").spans[0].start == 4


def test_a_number_is_neither_part_of_a_number_nor_of_a_name() -> None:
    assert align("5", "a ratio of 15.5 in 0.5 h, IL5 too").tier == "none"
    assert align("5", "a dose of 5mg").spans[0].text == "5"
    assert align("cat", "education of a cat").spans[0].start == 15


def test_a_phrase_that_cuts_words_is_widened_to_them() -> None:
    found = align("reater loss of memor", "A greater loss of memory followed.")
    assert (found.tier, found.spans[0].text) == ("exact", "greater loss of memory")


# ---- several places


def test_a_short_answer_that_stands_often_is_believed_less() -> None:
    confidences = [align("2012", "In 2012 it rained. " * n).confidence for n in range(1, 9)]
    assert confidences[0] == 1.0
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[-1] == pytest.approx(0.5)
    assert align("2012", "In 2012 it rained. " * 9).tier == "none"


def test_a_long_answer_that_stands_often_is_believed_and_all_places_are_kept() -> None:
    found = align("it rained in the whole valley", "Then it rained in the whole valley. " * 20)
    assert (found.confidence, len(found.spans)) == (1.0, MAX_CANDIDATES)


def test_the_question_ranks_the_places() -> None:
    context = "Smith was born in Rome. The king died there. The treaty was signed in Rome by the queen."
    found = align("Rome", context, question="Where was the treaty signed?")
    assert found.spans[0].start == context.rindex("Rome")
    assert found.confidence > align("Rome", context).confidence


def test_a_threshold_of_one_keeps_only_what_is_certain() -> None:
    assert aligned("540", threshold=1.0).tier == "exact"
    assert aligned("31 percent", threshold=1.0).tier == "none"


# ---- examples


def example(*references: str, context: str = ABSTRACT, **more: Any) -> Example:
    return Example("e", Question("What happened?", context), references, **more)


def test_given_spans_are_kept() -> None:
    span = Span.cut(ABSTRACT, 0, 10)
    labelled = example("Background", spans=(span,), answerable=True)
    assert align_example(labelled) == (labelled, Alignment("given", (span,)))


def test_the_best_of_several_references_counts() -> None:
    labelled, found = align_example(example("no such thing at all", "31 percent", "hazard ratio 0.66"))
    assert found.tier == "exact"
    assert [span.text for span in labelled.spans] == ["hazard ratio 0.66"]
    assert labelled.answerable is True


@pytest.mark.parametrize("answerable", [True, None])
def test_no_alignment_leaves_the_example_as_it_was(answerable: bool | None) -> None:
    unlabelled = example("yes", answerable=answerable)
    assert align_example(unlabelled) == (unlabelled, Alignment("none"))


def test_the_unanswerable_stays_without_a_label() -> None:
    unanswerable = example("540", answerable=False)
    assert align_example(unanswerable) == (unanswerable, Alignment("none"))


def test_the_report_counts_shares_and_ceilings() -> None:
    examples = [
        example("540"),
        example("31 percent"),
        example("yes"),
        example(),
        example("x", answerable=False),
    ]
    result = align_examples(examples)
    report = result.report
    assert (report.n, report.n_skipped, report.n_labelled, report.n_oracle) == (3, 2, 2, 3)
    assert [stats.tier for stats in report.tiers] == list(TIERS)
    assert {s.tier: s.n for s in report.tiers if s.n} == {"exact": 1, "normalised": 1, "none": 1}
    assert sum(stats.share for stats in report.tiers) == pytest.approx(1.0)
    assert report.tier("normalised").mean_confidence == pytest.approx(0.95)
    assert report.oracle_f1 == pytest.approx((1 + oracle_f1(["31 percent"], ABSTRACT) + 0) / 3)
    assert len(result.examples) == len(result.alignments) == 5
    assert json.loads(json.dumps(report.to_dict()))["tiers"]["exact"]["n"] == 1


def test_the_report_of_nothing() -> None:
    report = align_examples([]).report
    assert (report.n, report.oracle_f1, report.tier("exact").share) == (0, 0.0, 0.0)


# ---- identities

WORDS = st.lists(
    st.text(alphabet=st.sampled_from("abcdefgXYé"), min_size=1, max_size=7), min_size=3, max_size=40
)
SMALL = st.lists(st.sampled_from("abcdef"), max_size=24)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=200), st.floats(0, 1))
def test_any_unicode_aligns_with_verbatim_spans_or_with_none(
    reference: str, context: str, threshold: float
) -> None:
    found = align(reference, context, question=reference, threshold=threshold)
    assert found.tier in TIERS
    assert bool(found.spans) is (found.tier != "none")
    assert len(found.spans) <= MAX_CANDIDATES
    for span in found.spans:
        assert context[span.start : span.end] == span.text != ""
        assert span.score >= threshold


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("aB1 .,-–%(½²‘μ的हि\u0301\n"), max_size=12), st.data())
def test_text_made_of_hard_characters(context: str, data: st.DataObject) -> None:
    reference = data.draw(st.text(alphabet=st.sampled_from("aB1 .,-–%(½²‘μ的हि\u0301\n"), max_size=6))
    aligned(reference, context, threshold=0.0)


@settings(deadline=None)
@given(WORDS, st.data())
def test_a_verbatim_piece_of_three_words_is_exact_and_covered(words: list[str], data: st.DataObject) -> None:
    context = " ".join(words)
    start = data.draw(st.integers(0, len(words) - 3))
    end = data.draw(st.integers(start + 3, len(words)))
    piece = " ".join(words[start:end])
    cut = data.draw(st.integers(0, len(words[start]) - 1))
    for reference in (piece, piece[cut:]):
        found = aligned(reference, context)
        assert found.tier == "exact"
        assert all(reference in span.text for span in found.spans)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(3, 12))
def test_case_dashes_and_spaces_do_not_matter(seed: int, start: int, length: int) -> None:
    rng = random.Random(seed)
    words = ABSTRACT.replace("Background:", "Background").split()
    piece = " ".join(words[start % (len(words) - 2) :][:length])
    perturbed = piece.swapcase().replace("–", "-").replace("%", " %").replace("-", rng.choice("-‐‑–"))
    perturbed = "".join(rng.choice([" ", "  ", "\u00a0", "\u2009"]) if c == " " else c for c in perturbed)
    found = aligned(perturbed.strip(" ,.("), ABSTRACT.replace("Background:", "Background"))
    assert found.tier in ("normalised", "exact")
    assert tokenize(found.spans[0].text).words == tokenize(piece).words


@settings(deadline=None)
@given(SMALL, SMALL.filter(bool))
def test_the_window_search_finds_the_best_run(words: list[str], reference: list[str]) -> None:
    wanted = Counter(reference)
    limit = window_limit(len(reference))
    best = max(
        (
            2 * (Counter(words[i:j]) & wanted).total() / (j - i + len(reference))
            for i in range(len(words))
            for j in range(i + 1, min(len(words), i + limit) + 1)
        ),
        default=0.0,
    )
    assert best_token_f1(reference, words) == pytest.approx(best)
    for window in best_windows(reference, words):
        assert token_f1(" ".join(words[window.first : window.end]), " ".join(reference)) == pytest.approx(
            0.0 if best == 0 else window.f1,
            abs=1.0 if "a" in words + reference else 1e-9,  # SQuAD drops "a"
        )


@settings(deadline=None)
@given(SMALL, SMALL.filter(bool), st.data())
def test_the_penalised_search_finds_the_best_key(
    words: list[str], reference: list[str], data: st.DataObject
) -> None:
    steps = data.draw(st.lists(st.integers(0, 1), min_size=len(words), max_size=len(words)))
    groups = [sum(steps[: i + 1]) for i in range(len(words))]
    wanted = Counter(reference)
    keys = [
        2 * (Counter(words[i:j]) & wanted).total() / (j - i + len(reference))
        - 0.1 * (groups[j - 1] - groups[i])
        for i in range(len(words))
        for j in range(i + 1, len(words) + 1)
        if words[i] in wanted
    ]
    found = best_windows(reference, words, groups=groups, penalty=0.1)
    assert (found[0].key if found else 0.0) == pytest.approx(max([0.0, *keys]))


@settings(deadline=None)
@given(SMALL.filter(lambda words: len(words) > 2))
def test_the_oracle_bounds_every_span_and_every_sentence(words: list[str]) -> None:
    context, reference = " ".join(words), " ".join(words[1:-1][::-1])
    ceiling = oracle_f1([reference], context)
    assert ceiling >= oracle_sentence_f1([reference], context) - 1e-9
    if normalize_answer(reference):
        assert ceiling == pytest.approx(1.0)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_tokens_lie_in_order_and_each_in_a_sentence(text: str) -> None:
    forms = ContextForms.of(text)
    tokens = forms.tokens
    assert list(tokens.starts) == sorted(tokens.starts)
    assert all(0 <= a < b <= len(text) for a, b in zip(tokens.starts, tokens.ends, strict=True))
    assert all(word and not any(c.isspace() for c in word) for word in tokens.words)
    assert len(forms.sentence_of) == len(forms.stems) == len(tokens)


@settings(deadline=None)
@given(SMALL, SMALL.filter(bool))
def test_find_all_finds_every_run(words: list[str], needle: list[str]) -> None:
    found = tokenize(" ".join(words)).find_all(needle)
    assert all(words[i : i + len(needle)] == needle for i in found)
    assert bool(found) == any(words[i : i + len(needle)] == needle for i in range(len(words)))


# ---- the parts


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("15 %", "15%"),
        ("5mg", "5 mg"),
        ("µg", "μg"),
        ("P<.05", "p < 0.05"),
        ("1,521 patients", "1521 patients"),
        ("TNF-α", "tnf–alpha"),
        ("cm²", "cm2"),
        ("ﬁbrosis", "fibrosis"),
        ("naïve", "nai\u0308ve"),
        ("Crohn’s", "Crohns"),
        ("inter\u00advention", "intervention"),
        ("<= 5", "≤5"),
        ("２５％", "25%"),
    ],
)
def test_spellings_of_the_same(left: str, right: str) -> None:
    assert tokenize(left).words == tokenize(right).words


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("10²", "102"),
        ("-5", "5"),
        ("1.5", "15"),
        ("a = b", "a ≠ b"),
        ("हि", "ह"),
        ("vitamin a", "vitamin"),
        ("10⁻²", "10²"),
    ],
)
def test_spellings_of_something_else(left: str, right: str) -> None:
    assert tokenize(left).words != tokenize(right).words


def test_fold_and_close_brackets() -> None:
    assert fold("ÉcoleＡ") == "ecolea"
    assert close_brackets("x (NBA).", 0, 6) == 7
    assert close_brackets("x NBA).", 0, 5) == 5


def test_stems_meet_across_forms() -> None:
    for forms in (
        "improves improved improvement",
        "hyperkalaemia hyperkalemia",
        "reduction reduced reduces",
        "five 5",
    ):
        assert len({stem(word) for word in forms.split()}) == 1
    assert stem("the") == stem("x") == ""


def test_rare_stems_and_numbers_weigh_more() -> None:
    weights = ContentWeights.of([["drug", "12"], ["drug", "relapse"]])
    assert weights.total(["drug"]) < weights.total(["relapse"]) < weights.total(["12"])
    met = overlap(("relapse", "did", "not", "rise", "12"), ("relapse", "fell"), weights)
    assert (met.n_shared, met.number_recall, met.negation_agrees) == (1, 0.0, False)


def test_roles_of_sentences() -> None:
    assert is_question_like("We aimed to determine the effect of X.")
    assert is_question_like("To assess X in Y.")
    assert not is_question_like("X improved Y.")
    assert role_gain("We found that X improved Y.") > role_gain("X is red.") > role_gain("X was measured.")
    assert role_gain("X is common.", is_early=True) < role_gain("X is common.")


# ---- cost


def test_a_book_is_searched_in_seconds() -> None:
    rng = random.Random(0)
    vocabulary = ["".join(rng.choices("abcdefghij", k=rng.randint(2, 8))) for _ in range(5000)] + [
        "the",
        "of",
        "in",
    ] * 300
    context = " ".join(w + "." * (rng.random() < 0.05) for w in rng.choices(vocabulary, k=100_000))
    started = time.process_time()
    align("the rate of relapse in adults", context)
    oracle_f1(["the rate of relapse in adults"], context)
    assert time.process_time() - started < 20
