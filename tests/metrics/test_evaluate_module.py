"""The metrics as a module of the library ``evaluate``: the numbers of the package, offline, from anywhere.

One process loads it outside the repository, with a copy of the package and no network, and says all that the
tests below look at: importing ``evaluate`` takes seconds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qa_extractive import metrics

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "qa_extractive" / "metrics" / "extractive_qa"

SCRIPT = """
import json
import socket
import sys


def refuse(*_):
    raise OSError("a connection was tried")


socket.socket.connect = refuse
# Its evaluators, which nothing here uses, would take seconds to import: it does without.
sys.modules["transformers"] = None

import evaluate

del sys.modules["transformers"]

from qa_extractive.metrics import evaluate_module_path

with open("rows.json", encoding="utf-8") as stream:
    rows = json.load(stream)
texts, references = rows["texts"], rows["references"]
path = evaluate_module_path()
metric = evaluate.load(path)
said = {
    "library": evaluate.__file__,
    "path": path,
    "script": sys.modules[type(metric).__module__].__file__,
    "name": metric.name,
    "torch": "torch" in sys.modules,
    "by_script": type(evaluate.load(path + "/extractive_qa.py")).__name__,
}

said["texts"] = metric.compute(predictions=texts, references=references)
said["squad"] = metric.compute(predictions=rows["squad"], references=rows["squad_references"])
said["threshold"] = metric.compute(
    predictions=rows["squad"], references=rows["squad_references"], no_answer_threshold=0.5
)
said["answers"] = metric.compute(predictions=rows["answers"], references=references)
said["one_reference"] = metric.compute(predictions=["cat", ""], references=["the cat", ""])
said["empty"] = metric.compute(predictions=[], references=[])
said["in_memory"] = evaluate.load(path, keep_in_memory=True).compute(
    predictions=texts, references=references
)

metric.add_batch(predictions=rows["answers"][:50], references=references[:50])
for prediction, reference in zip(rows["answers"][50:60], references[50:60]):
    metric.add(prediction=prediction, reference=reference)
metric.add_batch(predictions=rows["answers"][60:], references=references[60:])
said["batches"] = metric.compute()

has = [i for i, own in enumerate(references) if own]
some = [texts[i] for i in has], [references[i] for i in has]
said["version_1"] = evaluate.load(path, "1.1").compute(predictions=some[0], references=some[1])

combined = evaluate.combine([path, rows["other"]])
said["combined"] = combined.compute(predictions=texts, references=references)
for prediction, reference in zip(texts[:3], references[:3]):
    combined.add(prediction, reference)
combined.add_batch(texts[3:], references[3:])
said["combined_batches"] = combined.compute()
versions = {"one": evaluate.load(path, "1.1"), "two": evaluate.load(path)}
said["versions"] = evaluate.combine(versions).compute(predictions=some[0], references=some[1])

said["errors"] = {}
for name, (given, expected) in rows["bad"].items():
    try:
        metric.add_batch(predictions=given, references=expected)
    except Exception as error:
        said["errors"][name] = [type(error).__name__, str(error)]
try:
    evaluate.load(path, "1.1").add_batch(predictions=["x"], references=[[]])
except Exception as error:
    said["errors"]["version_1"] = [type(error).__name__, str(error)]
try:
    evaluate.load(path, "3")
except Exception as error:
    said["errors"]["configuration"] = [type(error).__name__, str(error)]
try:
    evaluate.load(path).compute(predictions=["x"], references=["x"], no_answer_threshold=0.5)
except Exception as error:
    said["errors"]["threshold"] = [type(error).__name__, str(error)]
said["after_errors"] = metric.compute(predictions=texts, references=references)

with open("said.json", "w", encoding="utf-8") as stream:
    json.dump(said, stream, allow_nan=False)
"""

OTHER = """
import datasets
import evaluate


class MeanLength(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": datasets.Sequence(text)})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"mean_length": sum(map(len, predictions)) / len(predictions), "f1": 0.0}
"""

BAD: dict[str, tuple[Any, Any]] = {
    "number": ([1], ["x"]),
    "none": (["x", None], ["x", "y"]),
    "no_text": ([{"id": "q1"}], ["x"]),
    "text_type": ([{"prediction_text": 3}], ["x"]),
    "typo": ([{"prediction_text": "x", "no_answer_prob": 0.5}], ["x"]),
    "prob": ([{"text": "x", "answerable": 1.5}], ["x"]),
    "prob_type": ([{"text": "x", "score": "high"}], ["x"]),
    "some_probs": ([{"text": "x", "score": 0.5}, {"text": "y"}], ["x", "y"]),
    "length": (["x", "y"], [["x"]]),
    "reference": (["x"], [7]),
    "reference_text": (["x"], [["y", None]]),
    "reference_form": (["x"], [{"id": "q1", "text": ["x"]}]),
    "ids": ([{"prediction_text": "x", "id": "q1"}], [{"answers": {"text": ["x"]}, "id": "q2"}]),
    "no_references": (["x"], None),
    "no_list": ("x", ["x"]),
}

WORDS = "the A an cat Cat, dog ... β-catenin É 5% β 12".split()


def make_rows() -> dict[str, Any]:
    """Rows in all forms: texts from before any abstention, of which those under 0.5 are abstained."""
    rng = random.Random(5)
    best = [" ".join(rng.choices(WORDS, k=rng.randrange(4))) for _ in range(120)]
    references = [
        [" ".join(rng.choices(WORDS[3:], k=rng.randint(1, 3))) for _ in range(rng.randrange(3))] for _ in best
    ]
    no_answer = [round(rng.random(), 6) for _ in best]
    scores = [rng.random() for _ in best]
    answerable = [1.0 - prob for prob in no_answer]
    texts = ["" if prob < 0.5 else text for text, prob in zip(best, answerable, strict=True)]
    candidates = [
        [{"text": text, "start": 0, "end": len(text), "score": 0.5}] if text else [] for text in best
    ]
    return {
        "best": best,
        "texts": texts,
        "references": references,
        "no_answer": no_answer,
        "answerable": answerable,
        "scores": scores,
        "squad": [
            {"id": f"q{i}", "prediction_text": text, "no_answer_probability": prob}
            for i, (text, prob) in enumerate(zip(best, no_answer, strict=True))
        ],
        "squad_references": [
            {"id": f"q{i}", "answers": {"text": own, "answer_start": [0] * len(own)}}
            for i, own in enumerate(references)
        ],
        "answers": [
            {
                "text": text,
                "start": 0,
                "end": len(text),
                "score": score,
                "answerable": prob,
                "abstained": prob < 0.5,
                "sentence": None,
                "candidates": own,
            }
            for text, score, prob, own in zip(texts, scores, answerable, candidates, strict=True)
        ],
    }


@pytest.fixture(scope="module")
def rows() -> dict[str, Any]:
    return make_rows()


@pytest.fixture(scope="module")
def said(rows: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the process said; its PYTHONPATH holds a copy of the package and not the root."""
    site, work = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    ignored = shutil.ignore_patterns("models", "__pycache__")
    shutil.copytree(ROOT / "qa_extractive", site / "qa_extractive", ignore=ignored)
    other = work / "mean_length"
    other.mkdir()
    (other / "mean_length.py").write_text(OTHER, encoding="utf-8")
    given = rows | {"other": str(other), "bad": BAD}
    (work / "rows.json").write_text(json.dumps(given), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON"))}
    caches = {"HF_HOME": str(work / "hf"), "XDG_CACHE_HOME": str(work / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=work,
        env=kept | caches | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {
        **json.loads((work / "said.json").read_text(encoding="utf-8")),
        "work": str(work),
        "site": str(site),
    }


def test_the_folder_is_a_part_of_the_package() -> None:
    assert Path(metrics.evaluate_module_path()) == FOLDER
    assert isinstance(metrics.evaluate_module_path(), str)  # evaluate.load takes no Path
    # As a package of its own it is in each wheel; evaluate looks for a script of the folder's name.
    assert (FOLDER / "__init__.py").is_file()
    assert (FOLDER / f"{FOLDER.name}.py").is_file()


def test_it_is_loaded_by_the_library_from_the_installed_package(said: dict[str, Any]) -> None:
    assert Path(said["library"]).parent.name == "evaluate"
    assert Path(said["path"]).is_relative_to(Path(said["site"]).resolve())
    assert Path(said["script"]).is_relative_to(Path(said["work"]) / "hf")
    assert (said["name"], said["by_script"], said["torch"]) == ("extractive_qa", "ExtractiveQA", False)


def of_texts(texts: list[str], references: list[list[str]], **options: Any) -> dict[str, Any]:
    scores = metrics.squad_scores(texts, references, **options)
    rouges = [metrics.best_rouge_l(t, r) for t, r in zip(texts, references, strict=True) if r]
    return {
        "em": scores.em,
        "f1": scores.f1,
        "n_rows": scores.n,
        "has_ans_em": scores.has_ans_em,
        "has_ans_f1": scores.has_ans_f1,
        "n_has_ans": scores.n_has_ans,
        "no_ans_em": scores.no_ans_em,
        "no_ans_f1": scores.no_ans_f1,
        "n_no_ans": scores.n_no_ans,
        "rouge_l": pytest.approx(sum(r or 0.0 for r in rouges) / len(rouges), abs=1e-12),
    }


def of_answerability(rows: dict[str, Any], no_answer: list[float]) -> dict[str, Any]:
    best = metrics.squad_scores(rows["best"], rows["references"], no_answer_probs=no_answer)
    probs, labels = rows["answerable"], [bool(own) for own in rows["references"]]
    return {
        "best_em": best.best_em,
        "best_em_no_answer_threshold": best.best_em_threshold,
        "best_f1": best.best_f1,
        "best_f1_no_answer_threshold": best.best_f1_threshold,
        "auroc": metrics.answerability_auroc(probs, labels),
        "average_precision": metrics.answerability_average_precision(probs, labels),
        "answerable_brier": metrics.brier_score(probs, labels),
        "answerable_calibration_error": metrics.calibration_error(probs, labels),
    }


def right(rows: dict[str, Any]) -> list[bool]:
    pairs = zip(rows["best"], rows["references"], strict=True)
    return [bool(own) and metrics.best_token_f1(text, own) >= 0.5 for text, own in pairs]


def of_confidence(confidence: list[float], is_right: list[bool]) -> dict[str, Any]:
    curve = metrics.risk_coverage(confidence, is_right)
    at = {f"coverage_at_{p}": curve.coverage_at(p / 100) for p in (80, 90, 95)}
    return {"aurc": curve.aurc, "augrc": curve.augrc, **at}


def test_texts_give_the_numbers_of_the_package(said: dict[str, Any], rows: dict[str, Any]) -> None:
    assert said["texts"] == of_texts(rows["texts"], rows["references"])
    assert said["in_memory"] == said["texts"]
    assert 0 < said["texts"]["n_no_ans"] < 120


def test_squad_rows_give_the_numbers_of_the_package(said: dict[str, Any], rows: dict[str, Any]) -> None:
    assert said["squad"] == {
        **of_texts(rows["best"], rows["references"]),
        **of_answerability(rows, rows["no_answer"]),
        **of_confidence(rows["answerable"], right(rows)),
    }


def test_a_threshold_makes_abstentions(said: dict[str, Any], rows: dict[str, Any]) -> None:
    expected = said["squad"] | of_texts(rows["texts"], rows["references"])
    assert said["threshold"] == expected
    assert said["threshold"]["f1"] != said["squad"]["f1"]


def test_answers_give_the_numbers_of_the_package(said: dict[str, Any], rows: dict[str, Any]) -> None:
    scores, is_right = rows["scores"], right(rows)
    assert said["answers"] == {
        **of_texts(rows["texts"], rows["references"]),
        **of_answerability(rows, [1.0 - prob for prob in rows["answerable"]]),
        **of_confidence(scores, is_right),
        "score_brier": metrics.brier_score(scores, is_right),
        "score_calibration_error": metrics.calibration_error(scores, is_right),
    }


def test_rows_can_come_in_batches_and_one_by_one(said: dict[str, Any]) -> None:
    assert said["batches"] == said["answers"]


def test_a_single_text_is_one_reference_and_an_empty_one_none(said: dict[str, Any]) -> None:
    figures = said["one_reference"]
    assert (figures["em"], figures["n_has_ans"], figures["n_no_ans"]) == (1.0, 1, 1)


def test_no_rows_have_no_figures(said: dict[str, Any]) -> None:
    assert (said["empty"]["n_rows"], said["empty"]["f1"], said["empty"]["rouge_l"]) == (0, None, None)


def test_version_1_is_a_configuration(said: dict[str, Any], rows: dict[str, Any]) -> None:
    has = [(t, r) for t, r in zip(rows["texts"], rows["references"], strict=True) if r]
    texts, references = [t for t, _ in has], [r for _, r in has]
    assert said["version_1"] == of_texts(texts, references, version="1.1")
    assert said["versions"]["one_f1"] == said["version_1"]["f1"]
    assert said["versions"]["two_f1"] == metrics.squad_scores(texts, references).f1


@pytest.mark.parametrize("how", ["combined", "combined_batches"])
def test_it_combines_with_another_module(said: dict[str, Any], rows: dict[str, Any], how: str) -> None:
    figures = dict(said[how])
    assert figures.pop("mean_length") == pytest.approx(sum(map(len, rows["texts"])) / 120)
    assert figures.pop("mean_length_f1") == 0.0
    own = dict(said["texts"])
    assert figures.pop("extractive_qa_f1") == own.pop("f1")  # a name that both have gets the module's
    assert figures == own


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("number", "prediction 0 is 1: give a text, or a mapping with 'prediction_text' or 'text'"),
        ("none", "prediction 1 is missing: give a text"),
        ("no_text", "prediction 0 is {'id': 'q1'}: give a text"),
        ("text_type", "the prediction_text of row 0 is 3: give a string"),
        ("typo", "prediction 0 has an unknown key 'no_answer_prob'"),
        ("prob", "answerable of row 0 is 1.5: give a number in [0, 1]"),
        ("prob_type", "score of row 0 is 'high': give a number in [0, 1]"),
        ("some_probs", "prediction 1 has no probability (score), but others have"),
        ("length", "columns differ in length (2 predictions, 1 references)"),
        ("reference", "reference 0 is 7: give a text, a list of texts or SQuAD's form"),
        ("reference_text", "the text of a reference of row 0 is missing: give a string"),
        ("reference_form", "reference 0 is {'id': 'q1', 'text': ['x']}: SQuAD's form has 'answers'"),
        ("ids", "prediction 0 is of id 'q1', its reference of 'q2'"),
        ("no_references", "a batch lacks its predictions or its references"),
        ("no_list", "a batch is a list of predictions and one of references"),
        ("version_1", "reference 0 is empty, and SQuAD 1.1 has no such rows"),
        ("configuration", "there is no configuration '3': give '1.1' or '2.0'"),
        ("threshold", "no_answer_threshold needs a probability"),
    ],
)
def test_bad_input_is_one_clear_line(said: dict[str, Any], name: str, message: str) -> None:
    kind, text = said["errors"][name]
    assert kind == "DataError"
    assert text.startswith(message)
    assert "\n" not in text


def test_a_bad_batch_leaves_the_metric_usable(said: dict[str, Any]) -> None:
    assert said["after_errors"] == said["texts"]
