"""Parts of the rows: how they are cut, their figures by hand, the worst answers, the ceiling of the data."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from qa_extractive.data.question_forms import YES_NO, is_yes_no, question_type
from qa_extractive.errors import DataError, ModelError, QAError
from qa_extractive.evaluation.ceiling import ceiling_of, oracle_rouge_l
from qa_extractive.evaluation.failures import failures_of
from qa_extractive.evaluation.lengths import count_tokens
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import Results
from qa_extractive.evaluation.slices import (
    NONE,
    OTHER,
    Slice,
    check_columns,
    slice_figures,
    slices_of,
)
from qa_extractive.metrics.text import rouge_l
from qa_extractive.types import Answer, Example, Question, Span

CONTEXT = "Aspirin halved the risk. It was safe."


def asks(number: int, *references: str, question: str = "Why?", **fields: Any) -> Example:
    return Example(
        f"q{number}",
        Question(question, CONTEXT),
        references,
        answerable=bool(references),
        document=f"d{number}",
        fields=fields,
    )


def says(text: str, score: float = 0.9, answerable: float = 0.9, *, abstained: bool = False) -> Answer:
    span = Span.cut(CONTEXT, CONTEXT.index(text), CONTEXT.index(text) + len(text), score)
    if abstained:
        return Answer("", 0, 0, score, answerable, abstained=True, candidates=(span,))
    return Answer(span.text, span.start, span.end, score, answerable, False, None, (span,))


def parts(found: list[Slice], by: str) -> dict[str, tuple[int, ...]]:
    return {each.value: each.rows for each in found if each.by == by}


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What was halved?", "what / which"),
        ("In which group, and why, was it halved?", "what / which"),
        ("How many adults took part?", "how many / how much"),
        ("By how much did it fall?", "how many / how much"),
        ("How was it measured?", "how"),
        ("Does it help how people sleep?", "does / is / can ..."),
        ("  CAN it be cured", "does / is / can ..."),
        ("In adults who smoke, does it help?", "does / is / can ..."),
        ("Among adults, what helps?", "what / which"),
        ("Must it be cured?", "does / is / can ..."),
        ("Being ill, what helps?", "what / which"),
        ("Why did it fail?", "why"),
        ("Who paid?", "who"),
        ("By whom was it paid?", "who"),
        ("What do patients who smoke risk?", "what / which"),
        ("When was it found?", "when"),
        ("In what year did it begin?", "when"),
        ("Where do they live?", "where"),
        ("Since when is it sold?", "when"),
        ("Aspirin and the risk of stroke", "other"),
        ("Whatever works", "other"),
        ("Island life?", "other"),
    ],
)
def test_kinds_of_questions(question: str, kind: str) -> None:
    assert question_type(question) == kind
    assert is_yes_no(question) == (kind == YES_NO)


def test_lengths_are_cut_at_fixed_places() -> None:
    examples = [asks(i, *reference) for i, reference in enumerate([("a",), ("a b",), (), ("a b c d", "a")])]
    examples.append(Example("q4", Question("Why?", CONTEXT)))
    found = slices_of(examples, [128, 129, 1024, 1025, 3])
    assert parts(found, "input tokens") == {
        "1-128": (0, 4),
        "129-256": (1,),
        "513-1024": (2,),
        "over 1024": (3,),
    }
    assert parts(found, "answer words") == {"no answer": (2,), "1": (0, 3), "2-3": (1,), "not known": (4,)}
    assert parts(found, "question type") == {"why": (0, 1, 2, 3, 4)}


def test_few_numbers_and_words_are_parted_by_value() -> None:
    years = ["2001", "999", "2001", None, " "]
    found = slices_of([asks(i, year=year) for i, year in enumerate(years)], [1] * 5, ["year", "year"])
    assert [each.value for each in found if each.by == "year"] == ["999", "2001", NONE]
    assert parts(found, "year") == {"2001": (0, 2), "999": (1,), NONE: (3, 4)}


def test_many_numbers_are_parted_at_their_quartiles() -> None:
    numbers: list[object] = [*range(16), 15, "x"[:0], float("nan")]
    found = parts(slices_of([asks(i, n=n) for i, n in enumerate(numbers)], [1] * 19, ["n"]), "n")
    assert list(found) == ["0 to 4", "5 to 8", "9 to 12", "13 to 15", NONE]
    assert found["13 to 15"] == (13, 14, 15, 16)
    assert found[NONE] == (17, 18)


def test_many_words_leave_the_most_frequent_apart() -> None:
    words = ["rare", *(f"w{i:02}" for i in range(14)), "rare", ["a", 1], "x" * 90]
    found = parts(slices_of([asks(i, w=word) for i, word in enumerate(words)], [1] * len(words), ["w"]), "w")
    assert list(found)[:3] == ["rare", '["a", 1]', "w00"]
    assert len(found) == 13
    assert found[OTHER] == (11, 12, 13, 14, 17)


def test_a_column_that_is_not_there_is_told_with_those_that_are() -> None:
    check_columns([asks(0, year=1)], ["year"])
    with pytest.raises(DataError, match=r"--slice yaer: no row .* those there are: 'year'"):
        check_columns([asks(0, year=1, empty="")], ["yaer"])
    with pytest.raises(DataError, match="there are: none"):
        check_columns([asks(0)], ["year"])
    assert parts(slices_of([asks(0)], [1], ["year"]), "year") == {}


def test_figures_of_a_part_by_hand() -> None:
    examples = [asks(0, "halved the risk"), asks(1), asks(2, "safe"), asks(3)]
    said: list[Answer | QAError] = [
        says("halved the risk"),
        says("safe", abstained=True),
        says("Aspirin"),
        ModelError("no"),
    ]
    rows = tuple(map(ScoredRow.of, examples, said))
    unknown = ScoredRow.of(Example("u", Question("Why?", CONTEXT)), says("safe", abstained=True))
    results = Results("fake", (*rows, unknown), ())
    whole, last, none = slice_figures(
        results, [Slice("x", "all", (0, 1, 2, 3)), Slice("x", "last", (2, 4)), Slice("x", "u", (4,))]
    )
    assert (whole.n, whole.n_scored, whole.f1, whole.em) == (4, 4, 3 / 4, 3 / 4)
    assert whole.abstained_share == pytest.approx(1 / 3)
    assert whole.f1_interval is None
    assert (last.n, last.n_scored, last.f1, last.abstained_share) == (2, 1, 0.0, 0.5)
    assert (none.f1, none.em, none.abstained_share) == (None, None, 1.0)
    assert whole.to_dict()["value"] == "all"


def test_intervals_from_30_rows_on() -> None:
    rows = tuple(ScoredRow.of(asks(i, "safe"), says("safe" if i % 2 else "Aspirin")) for i in range(30))
    few, many = slice_figures(
        Results("fake", rows, ()), [Slice("x", n, tuple(range(int(n)))) for n in ("29", "30")], n_bootstrap=50
    )
    assert few.f1_interval is None
    assert many.f1_interval is not None
    assert many.f1_interval[0] < 0.5 < many.f1_interval[1]


def test_the_worst_are_those_it_was_surest_of() -> None:
    said: dict[int, tuple[Example, Answer | QAError]] = {
        0: (asks(0, "safe"), says("Aspirin", 0.4)),
        1: (asks(1, "safe"), says("Aspirin", 0.8)),
        2: (asks(2, "safe"), says("safe", 0.99)),
        3: (asks(3), says("Aspirin", 0.1, 0.7)),
        4: (asks(4), says("Aspirin", 0.9, 0.6)),
        5: (asks(5, "safe"), says("safe", 0.3, 0.2, abstained=True)),
        6: (asks(6, "safe"), says("safe", 0.3, 0.1, abstained=True)),
        7: (asks(7), says("safe", 0.3, 0.1, abstained=True)),
        8: (asks(8, "safe"), ModelError("no")),
    }
    found = failures_of(ScoredRow.of(*each) for each in said.values())
    assert [row.example.id for row in found.wrong] == ["q1", "q0"]
    assert [row.example.id for row in found.answered] == ["q3", "q4"]
    assert [row.example.id for row in found.abstained] == ["q6", "q5"]
    many = failures_of(ScoredRow.of(asks(i), says("Aspirin")) for i in range(7))
    assert (len(many.answered), many.n_answered, many.answered[0].example.id) == (5, 7, "q0")
    nothing = failures_of([])
    assert (nothing.wrong, nothing.n_wrong) == ((), 0)


def test_tokens_are_those_of_question_title_and_context() -> None:
    plain, titled, odd = count_tokens(
        [
            Example("a", Question("Why?", "It was safe.")),
            Example("b", Question("Why?", "It was safe.", "A trial")),
            Example("c", Question("Why?", "\ud800 [SEP]")),
        ]
    )
    assert plain == 2 + 4
    assert titled == plain + 2
    assert odd > 2 + 2  # text that looks like a special token is text
    assert count_tokens([]) == ()


def test_the_best_run_of_words_is_that_of_a_search_of_all() -> None:
    context = "The risk, it was found, fell by half: the risk of a stroke fell."
    words = re.findall("[a-z0-9]+", context.lower())
    runs = [" ".join(words[i:j]) for i, j in itertools.combinations(range(len(words) + 1), 2)]
    for reference in (
        "the risk fell",
        "half the strokes",
        "a stroke by half",
        "no",
        "",
        "risk of falling by half",
    ):
        assert oracle_rouge_l([reference], context) == max(rouge_l(run, reference) for run in runs)
    assert oracle_rouge_l(["xyz", "fell by half"], context) == 1.0
    assert oracle_rouge_l([], context) == oracle_rouge_l(["a"], "") == 0.0


def test_the_ceiling_by_hand() -> None:
    found = ceiling_of([asks(0, "halved the risk"), asks(1), asks(2, "halved it all")])
    assert (found.n, found.verbatim_share) == (2, 0.5)
    # "halved [the] risk. It": two words of three against two of three; ROUGE-L counts the article.
    assert found.f1 == pytest.approx((1 + 2 / 3) / 2)
    assert found.rouge_l == pytest.approx((1 + 2 * 2 / (4 + 3)) / 2)
    assert ceiling_of([asks(0)]).to_dict() == {"n": 0, "f1": None, "rouge_l": None, "verbatim_share": None}
    assert ceiling_of([asks(0, "isk")]).verbatim_share == 0.0  # within a word is no quote
