"""Mixing: documents stay together, negatives have no answer, the same seed gives the same parts."""

from __future__ import annotations

import dataclasses
import random
import re
from itertools import combinations

import pytest

pytest.importorskip("sklearn")

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.training.splits import CALIBRATES, Splits, build_splits, with_negatives
from qa_extractive.types import Example, Question, Span

TOPICS = ("blood pressure", "bone density", "gene expression", "lung function", "sleep quality")
CONFIG = TrainConfig(n_dev=1000, n_calibration=1000, n_fresh=1000, mismatch_share=0.5, removal_share=0.5)


def _example(document: int, question: int = 0, source: str = "made-up", answerable: bool = True) -> Example:
    """One of several questions on a document; every fourth document shares its answer with others."""
    topic, percent = TOPICS[document % 5], 7 if document % 4 == 0 else 100 + document
    context = (
        f"We studied {topic} in cohort {document} over several years in many hospitals. "
        f"The {topic} fell by {percent} percent in the treated group. "
        f"Side effects of the treatment were rare and mild in both groups, as other trials had found before."
    )
    answer = f"{percent} percent"
    span = Span.cut(context, context.index(answer), context.index(answer) + len(answer))
    return Example(
        id=f"{source}-{document}-{question}",
        question=Question(f"By how much did {topic} fall, asked {question} times?", context),
        references=(answer,) if answerable else (),
        spans=(span,) if answerable else (),
        answerable=answerable,
        document=f"{source}-{document}",
        source=source,
    )


EXAMPLES = [_example(d, q) for d in range(60) for q in range(2)]


def _parts(splits: Splits) -> tuple[tuple[Example, ...], ...]:
    return splits.train, splits.dev, splits.calibration, splits.fresh


def _negative(examples: tuple[Example, ...] | list[Example], kind: str) -> list[Example]:
    return [e for e in examples if e.fields.get("negative") == kind]


def test_no_document_is_on_two_sides() -> None:
    parts = [{e.document for e in part} for part in _parts(build_splits(EXAMPLES, CONFIG))]
    assert all(parts)
    for one, other in combinations(parts, 2):
        assert one.isdisjoint(other)
    # Nor is a context, which is what a leak would be made of.
    texts = [{e.question.context for e in p} for p in _parts(build_splits(EXAMPLES, CONFIG))]
    for one, other in combinations(texts, 2):
        assert one.isdisjoint(other)


def test_every_example_lands_on_one_side() -> None:
    parts = _parts(build_splits(EXAMPLES, CONFIG))
    given = [e.id for part in parts for e in part if "negative" not in e.fields]
    assert sorted(given) == sorted(e.id for e in EXAMPLES)


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_file() -> None:
    def split(examples: list[Example], seed: int) -> list[set[str]]:
        parts = _parts(build_splits(examples, dataclasses.replace(CONFIG, seed=seed)))
        return [{e.id for e in part if "negative" not in e.fields} for part in parts]

    shuffled = random.Random(1).sample(EXAMPLES, len(EXAMPLES))
    assert split(EXAMPLES, 17) == split(shuffled, 17)
    apart = build_splits(EXAMPLES, dataclasses.replace(CONFIG, seed=18, split_seed=17))
    assert [{e.document for e in part} for part in _parts(apart)] == [
        {e.document for e in part} for part in _parts(build_splits(EXAMPLES, CONFIG))
    ]
    assert split(EXAMPLES, 17) != split(EXAMPLES, 18)


def test_examples_that_are_there_to_calibrate_do_so_and_spare_the_others() -> None:
    meant = [dataclasses.replace(e, fields={CALIBRATES: True}) for e in EXAMPLES[:30]]
    config = dataclasses.replace(CONFIG, n_dev=0, n_fresh=0)
    splits = build_splits([*meant, *EXAMPLES[30:]], config)
    given = {e.id for e in splits.calibration if "negative" not in e.fields}
    assert given == {e.id for e in meant}
    assert any("negative" in e.fields for e in splits.calibration)
    assert {e.id for e in splits.train} >= {e.id for e in EXAMPLES[30:]}


def test_the_same_seed_gives_the_same_mixture() -> None:
    first, again = build_splits(EXAMPLES, CONFIG), build_splits(list(EXAMPLES), CONFIG)
    assert first == again
    assert [e.id for e in first.train] == [e.id for e in again.train]
    assert first != build_splits(EXAMPLES, dataclasses.replace(CONFIG, seed=18))


def test_about_fifteen_percent_at_most_are_held_out_on_each_side() -> None:
    examples = [_example(d) for d in range(400)]
    splits = build_splits(examples, dataclasses.replace(CONFIG, mismatch_share=0, removal_share=0))
    assert 35 <= len(splits.dev) <= 85
    assert 35 <= len(splits.calibration) <= 85
    asked = build_splits(examples, TrainConfig(n_dev=10, n_calibration=0, mismatch_share=0, removal_share=0))
    assert (len(asked.dev), len(asked.calibration)) == (10, 0)
    assert len(asked.train) > 360, "a small development set is cut from a small held-out share"


def test_negatives_are_unanswerable_and_hold_no_label() -> None:
    negatives = [e for part in _parts(build_splits(EXAMPLES, CONFIG)) for e in part if "negative" in e.fields]
    assert {e.fields["negative"] for e in negatives} == {"mismatched", "removed"}
    for e in negatives:
        assert (e.answerable, e.spans, e.references) == (False, (), ())
        assert e.id.endswith("+" + e.fields["negative"])
        assert e.source == "made-up"


def test_a_negatives_context_never_holds_the_reference() -> None:
    by_id = {e.id: e for e in EXAMPLES}
    negatives = [e for part in _parts(build_splits(EXAMPLES, CONFIG)) for e in part if "negative" in e.fields]
    assert len(_negative(negatives, "mismatched")) >= 30
    shares_answers = 0
    for e in negatives:
        origin = by_id[e.id.split("+")[0]]
        assert e.question.question == origin.question.question
        assert e.question.context != origin.question.context
        for reference in origin.references:
            assert not re.search(rf"\b{reference}\b", e.question.context)
            shares_answers += reference == "7 percent"
    assert shares_answers, "the case that must be avoided came up"


def test_a_reference_counts_as_held_in_any_case_and_only_as_whole_words() -> None:
    asked = _example(1)  # "101 percent"
    held = dataclasses.replace(
        asked, question=Question("q", "A rise of 101 PERCENT."), spans=(), document="b"
    )
    inside = dataclasses.replace(
        asked, question=Question("q", "A rise of 1101 percent."), spans=(), document="c"
    )
    config = TrainConfig(mismatch_share=1.0, removal_share=0)
    for seed in range(5):
        (negative,) = with_negatives([asked, held, inside], config, random.Random(seed))[3:]
        assert negative.question.context == "A rise of 1101 percent."
        assert negative.document == "c", "the negative belongs to the document of its context"


def test_an_example_is_never_asked_of_its_own_context() -> None:
    """A free-form reference does not stand in the context, which answers the question all the same."""
    examples = [dataclasses.replace(_example(d), references=("in free words",)) for d in range(6)]
    config = TrainConfig(mismatch_share=1.0, removal_share=0)
    for seed in range(5):
        for negative in with_negatives(examples, config, random.Random(seed))[6:]:
            origin = next(e for e in examples if e.id == negative.id.split("+")[0])
            assert negative.question.context != origin.question.context


def test_negatives_do_not_depend_on_the_order_of_the_sources() -> None:
    one, two = ([_example(d, source=s) for d in range(20)] for s in ("one", "two"))
    first = with_negatives([*one, *two], CONFIG, random.Random(3))
    other = with_negatives([*two, *one], CONFIG, random.Random(3))
    assert set(first) == set(other)


def test_a_mismatch_is_of_the_same_source() -> None:
    examples = [_example(d, source=s) for d in range(20) for s in ("one", "two")]
    for negative in _negative(with_negatives(examples, CONFIG, random.Random(3)), "mismatched"):
        assert negative.document.startswith(negative.source)


def test_half_the_mismatches_are_on_the_same_topic() -> None:
    examples = [_example(d) for d in range(100)]
    config = TrainConfig(mismatch_share=1.0, removal_share=0)
    negatives = _negative(with_negatives(examples, config, random.Random(3)), "mismatched")
    topical = sum(
        any(t in e.question.question and t in e.question.context for t in TOPICS) for e in negatives
    )
    assert 0.5 < topical / len(negatives) < 0.75, "half by topic, and a fifth of the other half by chance"


def test_a_removed_context_lacks_the_answers_sentences_and_nothing_else() -> None:
    by_id = {e.id: e for e in EXAMPLES}
    removed = [
        e for part in _parts(build_splits(EXAMPLES, CONFIG)) for e in part if e.id.endswith("+removed")
    ]
    assert len(removed) >= 20
    for e in removed:
        origin = by_id[e.id.split("+")[0]]
        sentences = [s.text for s in split_sentences(origin.question.context)]
        assert e.question.context == f"{sentences[0]} {sentences[2]}"
        assert e.document == origin.document


def test_removal_is_given_up_where_little_is_left_or_the_rest_holds_the_answer() -> None:
    short = dataclasses.replace(
        _example(1),
        question=Question("q", "It fell by 5 percent. So it was."),
        references=("5 percent",),
        spans=(Span("5 percent", 11, 20),),
    )
    context = "It fell by 5 percent. " + "The other words are many and plain here. " * 3 + "It was 5 Percent."
    twice = dataclasses.replace(short, question=Question("q", context))
    config = TrainConfig(mismatch_share=0, removal_share=1.0)
    assert with_negatives([short, twice], config, random.Random(1)) == [short, twice]


@pytest.mark.parametrize("n", [4, 10, 60])
def test_held_out_parts_are_balanced_as_far_as_there_are_enough(n: int) -> None:
    examples = [_example(d, answerable=d % 4 != 3) for d in range(400)]
    splits = build_splits(examples, dataclasses.replace(CONFIG, n_dev=n, n_calibration=n))
    for part in (splits.dev, splits.calibration):
        assert len(part) == n
        assert abs(sum(bool(e.answerable) for e in part) - n / 2) <= (1 if n <= 10 else 12)


@pytest.mark.parametrize(("share", "every"), [(0.7, 4), (0.55, 2), (0.3, 8)])
def test_calibration_examples_have_the_share_that_is_asked_for(share: float, every: int) -> None:
    """Whichever kind is too few for it: the other is cut down to that."""
    examples = [_example(d, answerable=d % every != 0) for d in range(400)]
    config = dataclasses.replace(CONFIG, calibration_answerable_share=share, n_calibration=400)
    splits = build_splits(examples, config)
    n_yes = sum(bool(e.answerable) for e in splits.calibration)
    assert len(splits.calibration) >= 20
    assert abs(n_yes / len(splits.calibration) - share) < 0.04
    assert splits.dev == build_splits(examples, dataclasses.replace(CONFIG, n_calibration=400)).dev


@pytest.mark.parametrize("share", [0, 1, -0.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="calibration_answerable_share must lie between 0 and 1"):
        dataclasses.replace(CONFIG, calibration_answerable_share=share)


@pytest.mark.parametrize("scarce", [True, False])
def test_what_one_kind_lacks_the_other_fills(scarce: bool) -> None:
    examples = [_example(d, answerable=(d % 8 == 3) == scarce) for d in range(400)]
    config = TrainConfig(n_dev=20, n_calibration=20, n_fresh=20, mismatch_share=0, removal_share=0)
    for part in _parts(build_splits(examples, config))[1:]:
        assert len(part) == 20
        assert 0 < sum(e.answerable is scarce for e in part) < 10


def test_sources_stand_together_in_the_training_part_and_what_is_unknown_is_left_out() -> None:
    examples = [_example(d, source=s) for d in range(10) for s in ("b", "a")]
    unknown = dataclasses.replace(_example(99), spans=(), answerable=None)
    config = TrainConfig(n_dev=0, n_calibration=0, mismatch_share=0, removal_share=0)
    splits = build_splits([*examples, unknown], config)
    assert [e.source for e in splits.train] == ["a"] * 10 + ["b"] * 10
    assert (splits.dev, splits.calibration, splits.fresh) == ((), (), ())


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_tiny_data_sets_are_mixed_too(n: int) -> None:
    for seed in range(10):
        splits = build_splits(
            EXAMPLES[: 2 * n : 2], dataclasses.replace(CONFIG, seed=seed, mismatch_share=1.0)
        )
        given = [e for part in _parts(splits) for e in part if "negative" not in e.fields]
        assert len(given) == n


def test_contexts_without_a_word_to_compare_are_mixed_too() -> None:
    config = TrainConfig(mismatch_share=1.0, removal_share=0)
    examples = [
        Example(str(i), Question("what", c), (c,), (Span(c, 0, len(c)),), True, str(i), "made-up")
        for i, c in enumerate(("1", "2", "é", "中"))
    ]
    negatives = with_negatives(examples, config, random.Random(1))[4:]
    assert len(negatives) == 4
    assert all(e.question.context != examples[int(e.id[0])].question.context for e in negatives)


def test_a_document_of_two_sources_lies_on_one_side() -> None:
    many = [dataclasses.replace(_example(d, source="many"), document=f"d{d % 80}") for d in range(600)]
    few = [dataclasses.replace(_example(d, source="few"), document=f"d{d}") for d in range(80)]
    config = TrainConfig(n_dev=30, n_calibration=30, n_fresh=30, mismatch_share=0, removal_share=0)
    parts = [{e.document for e in part} for part in _parts(build_splits([*many, *few], config))]
    assert all(parts)
    for one, other in combinations(parts, 2):
        assert one.isdisjoint(other)


def test_a_small_source_is_held_out_beside_a_large_one() -> None:
    examples = [_example(d, source="large") for d in range(2000)]
    examples += [_example(d, source="small") for d in range(100)]
    config = TrainConfig(n_dev=0, n_calibration=40, n_fresh=0, mismatch_share=0, removal_share=0)
    splits = build_splits(examples, config)
    assert sum(e.source == "small" for e in splits.calibration) >= 5
    capped = build_splits(examples, dataclasses.replace(config, held_out_share=0.01))
    assert sum(e.source == "small" for e in capped.calibration) <= 4


def test_copies_train_and_are_not_held_out() -> None:
    copies = [dataclasses.replace(e, id=f"{e.id}~1", fields={"copy": 1}) for e in EXAMPLES]
    train, *held_out = _parts(build_splits([*EXAMPLES, *copies], CONFIG))
    assert sum("copy" in e.fields for e in train) >= len(train) / 3
    assert not any("copy" in e.fields for part in held_out for e in part)


def test_examples_without_a_document_are_kept_together_by_their_context() -> None:
    nameless = [dataclasses.replace(e, document="") for e in EXAMPLES]
    parts = [{e.question.context for e in part} for part in _parts(build_splits(nameless, CONFIG))]
    assert all(parts)
    for one, other in combinations(parts, 2):
        assert one.isdisjoint(other)


@pytest.mark.parametrize("seed", range(40))
def test_a_single_document_is_trained_on(seed: int) -> None:
    assert build_splits([_example(1)], TrainConfig(seed=seed)).train


def test_shares_of_negatives_can_differ_by_source() -> None:
    examples = [_example(d, source=s) for d in range(40) for s in ("a", "b")]
    config = TrainConfig(
        mismatch_share=0.5, removal_share=0, mismatch_shares={"b": 0.1}, removal_shares={"a": 0.25}
    )
    made = with_negatives(examples, config, random.Random(1))
    n = {(e.source, e.fields.get("negative")) for e in made}
    assert ("b", "removed") not in n

    def count(source: str, kind: str) -> int:
        return sum(e.source == source for e in _negative(made, kind))

    assert count("a", "mismatched") == 20
    assert count("b", "mismatched") == 4
    assert 0 < count("a", "removed") <= 10


def test_a_mismatch_avoids_the_labelled_span_too() -> None:
    asked = dataclasses.replace(_example(1), references=())
    other = _example(2)
    holds_it = dataclasses.replace(
        other,
        question=Question("q", other.question.context + " It fell by 101 percent."),
        document="x",
    )
    config = TrainConfig(mismatch_share=1.0, removal_share=0)
    assert not [
        e
        for e in with_negatives([asked, holds_it], config, random.Random(1))
        if e.id.startswith(asked.id + "+")
    ]


def test_swapped_questions_are_negatives_of_their_own_text() -> None:
    context = "In 2011 we studied hens in Lyon. They laid 6 eggs a week."
    span = Span.cut(context, context.index("6 eggs"), context.index("6 eggs") + 6)
    examples = [
        Example(
            f"e{i}",
            Question(f"What did hens lay in 2011, asked {i} times?", context),
            ("6 eggs",),
            (span,),
            True,
        )
        for i in range(8)
    ]
    config = TrainConfig(mismatch_share=0, removal_share=0, swap_share=0.5)
    added = with_negatives(examples, config, random.Random(1))[8:]
    assert len(added) == 4
    for e in added:
        assert e.fields["negative"] == "swapped"
        assert (e.answerable, e.spans, e.verdict) == (False, (), None)
        assert e.question.context == context
        assert e.question.question != examples[int(e.id[1])].question.question
