"""Every setting that a user chooses arrives wherever a predictor goes, also one that is added later."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qa_extractive.cli import infer
from qa_extractive.errors import ModelError
from qa_extractive.evaluation import footprint
from qa_extractive.predictor import Predictor, to_answer
from qa_extractive.settings import AnswerSettings
from qa_extractive.types import Answer, Question

# A value of each setting that is not its default. A new setting needs one here.
OTHER: dict[str, Any] = {
    "threshold": 0.125,
    "top_k": 3,
    "effort": "cached",
    "kept_mb": 7,
    "precision": "exact",
    "max_context_characters": 5000,
    "kept_folder": str(Path(os.devnull, "papers")),  # nothing is written
    "kept_folder_mb": 7,
}
NEUTRAL = {"kept_mb", "kept_folder", "kept_folder_mb"}  # no answer depends on them
WITH: dict[str, Any] = {  # what a setting goes with
    "kept_mb": {"effort": "cached"},
    "kept_folder": {"effort": "cached"},
    "kept_folder_mb": {"effort": "cached", "kept_folder": OTHER["kept_folder"]},
}
QUESTIONS = [Question("What was the effect?", "The drug reduced mortality. The risk was not increased.")]

each_setting = pytest.mark.parametrize("name", [each.name for each in fields(AnswerSettings)])


def with_other(folder: Path, name: str) -> Predictor:
    predictor = Predictor(folder, **{name: OTHER[name]}, **WITH.get(name, {}), n_threads=1)
    assert getattr(predictor.settings, name) == OTHER[name] != getattr(without(folder, name).settings, name)
    return predictor


def without(folder: Path, name: str) -> Predictor:
    return Predictor(folder, **WITH.get(name, {}))


def test_each_setting_has_another_value_here() -> None:
    assert set(OTHER) == {each.name for each in fields(AnswerSettings)}


@each_setting
def test_a_pickle_carries_it(skim_export: Path, name: str) -> None:
    predictor = with_other(skim_export, name)
    copy = pickle.loads(pickle.dumps(predictor))
    assert copy.settings == predictor.settings
    assert copy.answer_batch(QUESTIONS) == predictor.answer_batch(QUESTIONS)


@each_setting
def test_a_shipped_model_carries_it(skim_export: Path, name: str) -> None:
    pytest.importorskip("pyarrow")
    from qa_extractive.batch.arrow import AnswerKernel, ShippedModel

    predictor = with_other(skim_export, name)
    copy = pickle.loads(pickle.dumps(ShippedModel.of(predictor, 1))).load()
    assert copy.settings == predictor.settings
    assert copy.answer_batch(QUESTIONS) == predictor.answer_batch(QUESTIONS)
    kernel = pickle.loads(pickle.dumps(AnswerKernel(predictor)))
    assert kernel._predictor_here().settings == predictor.settings


@each_setting
def test_the_workers_of_a_cluster_get_it(
    skim_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    from qa_extractive.batch import BatchJob, ray

    pyarrow.parquet.write_table(
        arrow.Table.from_pylist([{"question": "q", "context": "c"}]), tmp_path / "t.parquet"
    )
    shipped: list[bytes] = []
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    monkeypatch.setattr(ray._RayRun, "answer", lambda run, *_: shipped.append(pickle.dumps(run.work)))
    predictor = with_other(skim_export, name)
    job = BatchJob.open(tmp_path / "t.parquet", tmp_path / "o.parquet")
    ray.answer_table_on_ray(predictor, job, ray.Cluster())
    assert pickle.loads(shipped[0])._kernel._predictor_here().settings == predictor.settings


@each_setting
def test_the_fingerprint_tells_it(skim_export: Path, name: str) -> None:
    identity = with_other(skim_export, name).identity()
    assert (identity != without(skim_export, name).identity()) == (name not in NEUTRAL)
    assert identity.get(name) == (None if name in NEUTRAL else OTHER[name])


@each_setting
def test_the_service_answers_with_it(skim_export: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from qa_extractive.service import engine
    from qa_extractive.service.settings import ServiceSettings

    predictor = with_other(skim_export, name)
    used: list[AnswerSettings] = []

    def noted(*arguments: Any) -> Answer:
        used.append(arguments[3])
        return to_answer(*arguments)

    monkeypatch.setattr(engine, "to_answer", noted)
    observer = SimpleNamespace(
        **dict.fromkeys(("on_batch", "on_tokenized", "on_run", "on_answers"), lambda _: None)
    )

    async def answered() -> engine.Answered:
        running = engine.Engine(predictor, ServiceSettings(), observer)
        await running.start()
        try:
            return await running.answer(QUESTIONS, engine.AnswerOptions())
        finally:
            await running.close()

    assert list(asyncio.run(answered()).answers) == predictor.answer_batch(QUESTIONS)
    assert used == [predictor.settings]


@each_setting
def test_the_footprint_is_measured_with_it(
    skim_export: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    predictor = with_other(skim_export, name)
    started: list[list[str]] = []

    def start(command: list[str], **_: Any) -> None:
        started.append(command)
        raise OSError("not started")

    monkeypatch.setattr(subprocess, "Popen", start)
    row: Any = SimpleNamespace(answer=True, example=SimpleNamespace(question=QUESTIONS[0]))
    footprint.footprint_of(SimpleNamespace(name="m", predictor=predictor), [row])
    assert json.loads(started[0][-1]) == asdict(predictor.settings)


@each_setting
def test_infer_has_an_option_for_it(skim_export: Path, name: str) -> None:
    parser = argparse.ArgumentParser()
    infer.add_arguments(parser)
    chosen = {name: OTHER[name]} | WITH.get(name, {})
    option = [text for key, value in chosen.items() for text in ("--" + key.replace("_", "-"), str(value))]
    predictor = infer.predictor_of(
        parser.parse_args(["--question", "q", "--model", str(skim_export), *option])
    )
    assert getattr(predictor.settings, name) == OTHER[name]


def test_what_one_call_chooses_is_checked() -> None:
    settings = AnswerSettings(0.5, effort="fast")
    assert settings.chosen() == settings
    assert settings.chosen(0.25, 50) == AnswerSettings(0.25, 50, "fast")
    assert settings.chosen(top_k=50).n_decoded == 50
    for given in ({"threshold": 5}, {"threshold": True}, {"threshold": "0.5"}, {"top_k": 0}, {"top_k": 1.0}):
        with pytest.raises(ModelError, match=next(iter(given))):
            settings.chosen(**given)
