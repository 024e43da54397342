"""Recipes: the one that ships loads, a wrong one says what is wrong, and takes what it says it takes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.training.recipe import Recipe, Source

ROOT = Path(__file__).resolve().parents[2]
SOURCE: dict[str, Any] = {"reader": "claims", "path": "claims.jsonl.gz"}


def _load(folder: Path, values: Any) -> Recipe:
    path = folder / "recipe.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return Recipe.load(path)


@pytest.mark.parametrize("name", ["default", "asked"])
def test_recipes_that_ship_load_and_keep_the_tests_out(name: str) -> None:
    recipe = Recipe.load(ROOT / "recipes" / f"{name}.json")
    assert recipe.about
    assert len(recipe.sources) >= 5
    for source in recipe.sources:
        parts = set(source.path.replace("-", ".").replace("/", ".").split("."))
        assert not {"test", "validation"} & parts
        assert source.calibrates or "dev" not in parts
        assert "validation" not in source.reader


def test_a_recipe_holds_what_its_file_says(tmp_path: Path) -> None:
    sources = [{**SOURCE, "n": 3, "max_context_words": 9}, {"reader": "squad", "path": "a.json"}]
    recipe = _load(tmp_path, {"about": "é", "sources": sources, "train": {"seed": 5, "n_dev": 0}})
    assert recipe.about == "é"
    assert recipe.sources == (Source("claims", "claims.jsonl.gz", 3, 9), Source("squad", "a.json"))
    assert recipe.train == TrainConfig(seed=5, n_dev=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"sources": [{**SOURCE, "reader": "hearsay"}], "train": {}},
            "unknown reader 'hearsay'; known are squad",
        ),
        ({"sources": [{**SOURCE, "weight": 2}], "train": {}}, "'weight'"),
        ({"sources": [{"reader": "claims"}], "train": {}}, "'path'"),
        ({"sources": [{**SOURCE, "n": 0}], "train": {}}, "n and copies of claims.jsonl.gz must be positive"),
        (
            {"sources": [{**SOURCE, "copies": 0}], "train": {}},
            "n and copies of claims.jsonl.gz must be positive",
        ),
        ({"sources": [{**SOURCE, "n": -5}], "train": {}}, "n and copies of claims.jsonl.gz must be positive"),
        ({"sources": [{**SOURCE, "n": "5"}], "train": {}}, "is not a recipe"),
        ({"sources": [SOURCE], "train": {"epoch": 1}}, "unknown setting 'epoch'; known are epochs"),
        ({"sources": [SOURCE], "train": {"epochs": 0}}, "epochs must be positive"),
        ({"sources": [SOURCE], "train": {"precision": "int3"}}, "precision must be one of fp32, bf16"),
        (
            {"sources": [SOURCE], "train": {"removal_shares": {"a": -1}}},
            "removal_shares must not be negative",
        ),
        ({"sources": [SOURCE], "train": {"held_out_share": 1}}, "held_out_share must lie in [0, 1)"),
        ({"sources": [SOURCE], "train": {"epochs": "1"}}, "is not a recipe"),
        ({"sources": [SOURCE]}, "'train'"),
        ({"train": {}}, "'sources'"),
        ([], "is not a recipe"),
        ("{", "is not a recipe"),
    ],
    ids=str,
)
def test_a_wrong_recipe_is_one_clear_line(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        _load(tmp_path, values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json does not exist"):
        Recipe.load(tmp_path / "none.json")


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """Thirty claims on thirty papers of 10, 11, ... 39 words."""
    papers = [{"doc_id": i, "title": "A title", "abstract": ["word " * (10 + i)]} for i in range(30)]
    claims = [{"id": i, "claim": f"Claim {i}.", "evidence": {}, "cited_doc_ids": [i]} for i in range(30)]
    for name, records in (("corpus", papers), ("claims", claims)):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(record) + "\n" for record in records)
    return tmp_path


def test_n_is_a_random_sample_the_same_for_the_same_seed(data_root: Path) -> None:
    whole = Source(**SOURCE).read(data_root, 17)
    assert len(whole) == 30
    some = Source(**SOURCE, n=8).read(data_root, 17)
    assert some == Source(**SOURCE, n=8).read(data_root, 17)
    assert some != Source(**SOURCE, n=8).read(data_root, 18)
    assert len({e.id for e in some}) == 8
    assert {e.id for e in some} != {e.id for e in whole[:8]}, "not merely the first"
    assert set(some) <= set(whole), "the wording of an example does not depend on n"
    assert Source(**SOURCE, n=31).read(data_root, 17) == whole


def test_long_contexts_are_left_out_before_the_sample_is_drawn(data_root: Path) -> None:
    read = Source(**SOURCE, max_context_words=15, n=6).read(data_root, 17)
    assert sorted(len(e.question.context.split()) for e in read) == [10, 11, 12, 13, 14, 15]


def test_examples_come_in_the_order_of_the_sources(data_root: Path) -> None:
    train = TrainConfig(seed=3)
    first, second = Source(**SOURCE, max_context_words=12), Source(**SOURCE, n=2)
    recipe = Recipe("", (first, second), (train,))
    assert recipe.examples(data_root) == [*first.read(data_root, 3), *second.read(data_root, 3)]
    assert len(recipe.examples(data_root)) == 5


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match=r"claims\.jsonl\.gz is missing"):
        Source(**SOURCE).read(tmp_path, 1)


def test_copies_are_read_anew_and_marked(data_root: Path) -> None:
    once, thrice = (
        Source(**SOURCE, n=8).read(data_root, 17),
        Source(**SOURCE, n=8, copies=3).read(data_root, 17),
    )
    assert thrice[:8] == once
    assert [e.fields.get("copy") for e in thrice] == [None] * 8 + [1] * 8 + [2] * 8
    assert len({e.id for e in thrice}) == 24
    assert {e.id.split("~")[0] for e in thrice} == {e.id for e in once}
    assert len({e.question.question for e in thrice}) > 8, "worded anew"


def test_later_stages_change_what_they_name_and_hold_out_the_same(tmp_path: Path) -> None:
    values = {
        "sources": [SOURCE],
        "train": {"seed": 5, "epochs": 2},
        "later_stages": [{"seed": 6}, {"epochs": 1}],
    }
    recipe = _load(tmp_path, values)
    assert recipe.train == TrainConfig(seed=5, epochs=2)
    assert recipe.stages[1:] == (
        TrainConfig(seed=6, epochs=2, split_seed=5),
        TrainConfig(seed=5, epochs=1, split_seed=5),
    )
    assert not recipe.average_stages
    assert _load(tmp_path, {**values, "average_stages": True}).average_stages
    with pytest.raises(DataError, match="average_stages must be true or false, got 'yes'"):
        _load(tmp_path, {**values, "average_stages": "yes"})
    assert recipe.skim_stage is None
    skim = _load(tmp_path, {**values, "skim_stage": {"skim_layers": [2], "max_steps": 9}}).skim_stage
    assert skim == TrainConfig(seed=5, epochs=2, split_seed=5, skim_layers=[2], skim_only=True, max_steps=9)
    with pytest.raises(DataError, match="all stages must share one split_seed"):
        _load(tmp_path, {**values, "skim_stage": {"skim_layers": [2], "split_seed": 6}})
    values["later_stages"] = [{"split_seed": 6}]
    with pytest.raises(DataError, match="all stages must share one split_seed"):
        _load(tmp_path, values)


def test_examples_are_read_for_the_seed_of_a_stage(data_root: Path) -> None:
    stages = (TrainConfig(seed=3), TrainConfig(seed=4))
    recipe = Recipe("", (Source(**SOURCE, n=9),), stages, skim_stage=TrainConfig(seed=8))
    assert recipe.examples(data_root, 2) == Source(**SOURCE, n=9).read(data_root, 4)
    assert recipe.examples(data_root, 2) != recipe.examples(data_root)
    assert recipe.examples(data_root, 3) == Source(**SOURCE, n=9).read(data_root, 8)


def test_a_later_stage_may_have_sources_of_its_own_and_those_after_it_keep_them(
    tmp_path: Path, data_root: Path
) -> None:
    values = {
        "sources": [{**SOURCE, "n": 9}],
        "train": {"seed": 5},
        "later_stages": [{"seed": 6}, {"seed": 7, "sources": [{**SOURCE, "n": 4}]}, {"seed": 8}],
        "skim_stage": {"skim_layers": [2]},
    }
    recipe = _load(tmp_path, values)
    read = [len(recipe.examples(data_root, stage)) for stage in range(1, 6)]
    assert read == [9, 9, 4, 4, 4]
    assert recipe.examples(data_root, 4) == Source(**SOURCE, n=4).read(data_root, 8)
    assert recipe.stages[2] == TrainConfig(seed=7, split_seed=5)
