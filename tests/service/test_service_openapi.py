"""schemathesis against the service's own OpenAPI."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qa_extractive import Predictor
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.windows import Window

pytest.importorskip("schemathesis")
requests = pytest.importorskip("requests")
pytest.importorskip("fastapi")

_EVIDENCE = ("/v1/evidence", "/v1/evidence/xlsx", "/v1/evidence/tally")

# What no schema can say: how many tokens a question has, and that tensors fit each other.
CONFIG = """
parameters = { name = "default" }

[[operations]]
include-path-regex = "^/v1/"
checks.positive_data_acceptance.expected-statuses = ["200", "422"]

[[operations]]
include-path-regex = "/infer$"
checks.positive_data_acceptance.expected-statuses = ["200", "400"]
"""


class Flat:
    """A backend that costs nothing."""

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        zeros = [np.zeros(w.n_tokens, np.float32) for w in windows]
        return [WindowLogits(each, each, 0.0) for each in zeros]


@pytest.fixture(scope="module")
def served(serve: Callable[..., Any]) -> Any:
    predictor = Predictor(n_threads=1)
    predictor._backend = Flat()
    return serve(predictor)


@pytest.mark.parametrize("n_examples", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_schemathesis_finds_nothing(served: Any, tmp_path: Path, n_examples: int) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    command = shutil.which("st", path=Path(sys.executable).parent) or "st"
    arguments = ["run", f"{served.url}/openapi.json", "--max-examples", str(n_examples), "--no-color"]
    done = subprocess.run([command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "16/16" in done.stdout


def test_every_example_of_the_openapi_is_answered(served: Any) -> None:
    paths = requests.get(served.url + "/openapi.json", timeout=60).json()
    schemas = paths["components"]["schemas"]
    used = {
        "AnswerRequest": "/v1/answer",
        "ManyQuestions": "/v1/answers",
        "ManyPapers": "/v1/answers",
        "QuestionsOfPapers": "/v1/answers",
        "EvidenceRequest": "/v1/evidence",
        "ExtractRequest": "/v1/extract",
        "SheetRequest": "/v1/evidence/xlsx",
        "TallyRequest": "/v1/evidence/tally",
        "InferRequest": "/v2/models/default/infer",
    }
    for name, path in used.items():
        for example in schemas[name]["examples"]:
            assert requests.post(served.url + path, json=example, timeout=60).status_code == 200


def test_the_openapi_names_what_can_go_wrong(served: Any) -> None:
    operations = requests.get(served.url + "/openapi.json", timeout=60).json()["paths"]
    for path in ("/v1/answer", "/v1/answers", "/v1/papers", "/v1/extract", *_EVIDENCE):
        stated = operations[path]["post"]["responses"]
        assert set(stated) == {"200", "400", "401", "408", "413", "415", "422", "500", "503", "504"}
        assert all(
            ("$ref" in str(stated[code]) or path.endswith("/xlsx"))
            and "HTTPValidation" not in str(stated[code])
            for code in stated
        )
