"""``benchmarks/screening.py``: paired runs of a recipe, scored on examples held out by another run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from qa_extractive.data.loading import examples_to_jsonl
from qa_extractive.training.corpora import READERS
from tests.made_examples import made_examples

ROOT = Path(__file__).resolve().parents[2]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "benchmarks")
    import screening


@pytest.fixture
def command(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A screening of 5 steps a run, on made examples; the variants are to be added."""
    monkeypatch.setitem(READERS, "squad", lambda path, rng: made_examples(0, 40, ("made", "squad")))
    settings = {"max_steps": 5, "batch_size": 4, "n_dev": 4, "n_calibration": 0, "learning_rate": 1e-2}
    recipe = {"sources": [{"reader": "squad", "path": "x.json"}], "train": {**settings, "split_seed": 17}}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    examples_to_jsonl(tmp_path / "dev.jsonl", made_examples(100, 130, ("made", "squad")))
    options = {"data-root": tmp_path, "base": tiny_checkpoint, "recipe": tmp_path / "recipe.json"}
    options |= {"dev": tmp_path / "dev.jsonl", "results": tmp_path / "screening.jsonl"}
    return [str(each) for name, value in options.items() for each in (f"--{name}", value)]


def _run(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["screening.py", *command])
    screening.main()


def test_variants_run_once_with_each_seed_and_make_a_table(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run([*command, "--seeds", "17", "18", "--", "base", "layer_decay=0.5"], monkeypatch)
    text = (tmp_path / "screening.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    variants = ("base", "base,mean", "layer_decay=0.5", "layer_decay=0.5,mean")
    assert sorted((line["variant"], line["seed"]) for line in lines) == [
        (variant, seed) for variant in variants for seed in (17, 18)
    ]
    losses = {(line["variant"], line["seed"]): line["loss"] for line in lines}
    assert len(set(losses.values())) == 4, "a run of its own for each setting and seed"
    for line in lines:
        assert line["n_dev"] == 30
        assert all(0 <= line[name] <= 1 for name in screening.SHOWN)
    head, _, *rows = (tmp_path / "screening.md").read_text().splitlines()
    assert head.startswith("| variant | seeds | minutes | f1 |")
    assert [row.split(" | ")[0] for row in rows] == [f"| {v}" for v in variants]

    _run([*command, "--seeds", "17", "--", "base"], monkeypatch)
    assert (tmp_path / "screening.jsonl").read_text() == text, "what is there is not run again"


def test_the_table_gives_means_and_what_is_gained_with_the_same_seed() -> None:
    def line(variant: str, seed: int, f1: float) -> dict[str, object]:
        return {"variant": variant, "seed": seed, "minutes": 10.0, **dict.fromkeys(screening.SHOWN, f1)}

    lines = [line("base", 1, 0.5), line("base", 2, 0.6), line("x=1", 1, 0.52), line("x=1", 2, 0.59)]
    *_, base, other = screening.table(lines).splitlines()
    assert base.startswith("| base | 1, 2 | 10 | 55.0 (50.0, 60.0) |")
    assert other.startswith("| x=1 | 1, 2 | 10 | 55.5 (+2.0, -1.0) |")


def test_a_text_of_the_scores_must_not_be_trained_on(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples_to_jsonl(tmp_path / "dev.jsonl", made_examples(30, 50, ("made", "squad")))
    with pytest.raises(SystemExit, match="texts of --dev are trained on"):
        _run([*command, "--", "base"], monkeypatch)
