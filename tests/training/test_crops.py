"""Contexts cut to a few sentences: labels still hold, and the cut does not give away what holds an answer."""

from __future__ import annotations

import random

import pytest

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.training.crops import cropped, with_crops
from qa_extractive.training.splits import build_splits
from qa_extractive.types import Example, Question, Span

SENTENCES = [f"Sentence number {i} says that group {i} lost {10 + i} kg." for i in range(12)]
CONTEXT = " ".join(SENTENCES)


def _example(*answers: str, asked: str = "What did group 6 lose?", source: str = "made-up") -> Example:
    spans = tuple(Span.cut(CONTEXT, CONTEXT.index(a), CONTEXT.index(a) + len(a)) for a in answers)
    question = Question(asked, CONTEXT, "A title")
    return Example(
        f"{source}-{asked}",
        question,
        answers,
        spans,
        bool(spans),
        document=source,
        source=source,
        verdict=None,
    )


def test_a_crop_holds_whole_sentences_around_the_best_span() -> None:
    lengths = set()
    for seed in range(200):
        example = cropped(_example("16 kg"), random.Random(seed), 3)
        own = [s.text for s in split_sentences(example.question.context)]
        first = SENTENCES.index(own[0])
        assert own == SENTENCES[first : first + len(own)]
        assert SENTENCES[6] in own
        assert own.index(SENTENCES[6]) <= 3
        assert len(own) - own.index(SENTENCES[6]) - 1 <= 3
        assert [span.text for span in example.spans] == ["16 kg"], "Example compares the text at its place"
        lengths.add((own.index(SENTENCES[6]), len(own)))
    assert len(lengths) == 16, "every number of neighbours on both sides"


def test_spans_out_of_the_crop_are_no_longer_labelled() -> None:
    found = [cropped(_example("11 kg", "21 kg", "12 kg"), random.Random(seed), 3) for seed in range(50)]
    assert all(example.spans[0].text == "11 kg" for example in found)
    assert {span.text for example in found for span in example.spans} == {"11 kg", "12 kg"}


def test_a_span_over_several_sentences_is_kept_whole() -> None:
    answer = " ".join(SENTENCES[4:7])
    assert cropped(_example(answer), random.Random(1), 3).spans[0].text == answer


def test_without_an_answer_it_is_as_long_and_often_about_the_words_of_the_question() -> None:
    asked = "Did group 9 lose 19 kg?"
    found = [cropped(_example(asked=asked), random.Random(seed), 3) for seed in range(400)]
    contexts = [example.question.context for example in found]
    assert all(not example.spans and example.answerable is False for example in found)
    near = sum(SENTENCES[9] in context for context in contexts)
    assert 250 < near < 400, "half of them surely, others by chance"
    with_answer = [cropped(_example("19 kg"), random.Random(seed), 3).question.context for seed in range(400)]
    mean, other = (sum(map(len, each)) / 400 for each in (contexts, with_answer))
    assert mean == pytest.approx(other, rel=0.1)


def test_what_cannot_be_cut_stays() -> None:
    short = Example("a", Question("What?", "One sentence. And another."), answerable=False)
    assert cropped(short, random.Random(0), 3) is short
    unplaced = Example("b", Question("What?", CONTEXT), references=("something",), answerable=True)
    assert cropped(unplaced, random.Random(0), 3) is unplaced


def test_shares_are_those_of_the_source() -> None:
    examples = [_example("16 kg", source=source) for source in ("a", "b", "c") for _ in range(200)]
    config = TrainConfig(crop_share=0.5, crop_shares={"a": 0.0, "b": 1.0})
    cut = [e.question.context != CONTEXT for e in with_crops(examples, config, random.Random(3))]
    assert sum(cut[:200]) == 0
    assert sum(cut[200:400]) == 200
    assert 70 < sum(cut[400:]) < 130


@pytest.mark.parametrize("n_neighbours", [0, 1])
def test_a_crop_has_no_more_neighbours_than_it_may(n_neighbours: int) -> None:
    config = TrainConfig(crop_share=1.0, crop_neighbours=n_neighbours)
    found = with_crops([_example("16 kg")] * 60, config, random.Random(1))
    own = [[s.text for s in split_sentences(each.question.context)] for each in found]
    assert {each.index(SENTENCES[6]) for each in own} == set(range(n_neighbours + 1))
    assert max(map(len, own)) == 1 + 2 * n_neighbours


def test_only_the_training_part_is_cropped_and_the_same_for_a_seed() -> None:
    examples = [
        Example(
            f"{d}-{i}",
            Question(f"What did group {i} lose, in study {d}?", f"Study {d} begins. {CONTEXT}"),
            (f"{10 + i} kg",),
            (
                Span.cut(
                    f"Study {d} begins. {CONTEXT}",
                    (at := f"Study {d} begins. {CONTEXT}".index(f"{10 + i} kg")),
                    at + 5,
                ),
            ),
            True,
            document=f"d{d}",
            source="s",
        )
        for d in range(40)
        for i in range(3)
    ]
    config = TrainConfig(crop_share=1.0, mismatch_share=0.5, n_dev=100, n_calibration=100, held_out_share=0.2)
    splits, again = build_splits(examples, config), build_splits(examples, config)
    plain = build_splits(
        examples, TrainConfig(mismatch_share=0.5, n_dev=100, n_calibration=100, held_out_share=0.2)
    )
    assert [e.question for e in splits.train] == [e.question for e in again.train]
    assert all(len(split_sentences(e.question.context)) <= 7 for e in splits.train)
    assert splits.dev == plain.dev
    assert splits.calibration == plain.calibration
    assert [e.id for e in splits.train] == [e.id for e in plain.train]


@pytest.mark.parametrize(
    "settings", [{"crop_share": 1.5}, {"crop_shares": {"squad": -0.1}}, {"crop_neighbours": -1}]
)
def test_shares_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(DataError, match="crop"):
        TrainConfig(**settings)  # type: ignore[arg-type]
