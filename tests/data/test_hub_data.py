"""Data sets of the library ``datasets``: folders of every layout, names of the hub, what is said offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

datasets = pytest.importorskip("datasets")

from qa_extractive.cli import main  # noqa: E402
from qa_extractive.data import hub  # noqa: E402
from qa_extractive.data.columns import ColumnNames  # noqa: E402
from qa_extractive.data.contexts import load_contexts  # noqa: E402
from qa_extractive.data.loading import load_examples  # noqa: E402
from qa_extractive.errors import DataError  # noqa: E402

CONTEXT = "Systolic pressure fell by 5 mmHg."
SQUAD = {
    "id": ["a", "b", "c"],
    "title": ["Trial"] * 3,
    "context": [CONTEXT] * 3,
    "question": ["What fell?", "What rose?", "By how much?"],
    "answers": [
        {"text": ["Systolic pressure"], "answer_start": [0]},
        {"text": [], "answer_start": []},
        {"text": ["5 mmHg"], "answer_start": [3]},
    ],
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture(scope="module")
def rows() -> Any:
    """SQuAD as the hub has it; the offset of its last row is wrong."""
    return datasets.Dataset.from_dict(SQUAD)


def _check(path: Path | str, stem: str) -> None:
    loaded = load_examples(path)
    assert [e.id for e in loaded.examples] == ["a", "b"]
    first, second = loaded.examples
    assert (first.spans[0].text, first.spans[0].start, first.answerable) == ("Systolic pressure", 0, True)
    assert (second.spans, second.answerable) == ((), False)
    assert (first.document, first.question.title, first.source) == ("Trial", None, stem)
    [problem] = loaded.problems
    assert str(problem).startswith(f"{path}, row 3: the context at character 3 reads")


def test_what_save_to_disk_wrote(rows: Any, tmp_path: Path) -> None:
    rows.save_to_disk(tmp_path / "one")
    _check(tmp_path / "one", "one")
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "two")
    _check(f"{tmp_path / 'two'}:test", "two-test")
    _check(tmp_path / "two" / "train", "train")
    with pytest.raises(DataError, match=r"its splits are train, test: name one, as in .*two:train$"):
        load_examples(tmp_path / "two")
    with pytest.raises(DataError, match="its splits are train, test"):
        load_examples(f"{tmp_path / 'two'}:dev")
    with pytest.raises(DataError, match="has no splits: leave out ':test'"):
        load_examples(f"{tmp_path / 'one'}:test")


def test_folders_of_files(rows: Any, tmp_path: Path) -> None:
    named, plain = tmp_path / "named", tmp_path / "plain"
    named.mkdir()
    plain.mkdir()
    for split in ("train", "validation"):
        rows.to_parquet(named / f"{split}-00000-of-00001.parquet")
    _check(f"{named}:validation", "named-validation")
    rows.select([0]).to_parquet(plain / "1.parquet")
    rows.select([1, 2]).to_parquet(plain / "2.parquet")
    _check(plain, "plain-train")
    lines = [json.dumps({"q": "What fell?", "body": CONTEXT, "a": "pressure"})]
    for path in plain.iterdir():
        path.unlink()
    (plain / "rows.jsonl").write_text("\n".join(lines) + "\n")
    names = ColumnNames(question="q", context="body", answer="a")
    [example] = load_examples(plain, names=names).examples
    assert (example.id, example.references) == ("plain-train-1", ("pressure",))
    with pytest.raises(DataError, match=r"plain: .*no column for it by a usual name"):
        load_examples(plain)


def test_unlabelled_texts_come_from_folders_too(rows: Any, tmp_path: Path) -> None:
    rows.save_to_disk(tmp_path / "texts")
    assert [c.id for c in load_contexts([tmp_path / "texts"]).contexts] == ["texts-1", "texts-2", "texts-3"]


@pytest.mark.parametrize("n_bytes", [None, 10, hub._STREAMED_BYTES + 1])
def test_names_of_the_hub(rows: Any, monkeypatch: pytest.MonkeyPatch, n_bytes: int | None) -> None:
    """The library's own functions, which take a folder for a name of the hub, stand for the hub."""
    asked: list[tuple[Any, ...]] = []

    def load(name: str, config: str | None, *, split: str, streaming: bool) -> Any:
        asked.append((name, config, split, streaming))
        return rows.to_iterable_dataset() if streaming else rows

    info = SimpleNamespace(info=SimpleNamespace(download_size=n_bytes))
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda name, config: ["train", "validation"])
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name, config: info)
    monkeypatch.setattr(datasets, "load_dataset", load)
    _check("hf:squad_v2:validation", "squad_v2-validation")
    is_streamed = n_bytes == hub._STREAMED_BYTES + 1
    assert asked == [("squad_v2", None, "validation", is_streamed)]
    _check("hf:owner/set:train:plain_text", "set-train")
    assert asked[1][:3] == ("owner/set", "plain_text", "train")
    with pytest.raises(DataError, match="hf:squad_v2: its splits are train, validation: name one, as in hf:"):
        load_examples("hf:squad_v2")


def test_a_data_set_that_cannot_be_had_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", "hf:squad_v2:train", "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: hf:squad_v2:train cannot be read (Couldn't reach 'squad_v2' on the Hub")
    assert "offline, give a folder" in error
    with pytest.raises(DataError, match="write hf:NAME, hf:NAME:SPLIT"):
        load_examples("hf:a/b/c")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is an empty folder"):
        load_examples(tmp_path / "empty")
    (tmp_path / "empty" / "notes.xyz").write_text("nothing")
    with pytest.raises(DataError, match=r"cannot be read \(.*\): check the folder$"):
        load_examples(tmp_path / "empty")
