"""Many fields of one text over HTTP: as ``Predictor.extract`` has it, within the limits of other calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qa_extractive import Predictor

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi")
pytest.importorskip("pint")

TEXT = "🧂 We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5)."
FIELDS: dict[str, Any] = {
    "n": {"question": "How many adults took part?", "type": "integer"},
    "fall": {"question": "By how much did systolic pressure fall?", "type": "quantity"},
    "cost": "What did the substitute cost?",
    "did": {"question": "Did systolic pressure fall?", "type": "yes_no"},
    "who": {"question": "Who was given the salt substitute?", "type": "list"},
}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(n_threads=1)


@pytest.fixture(scope="module")
def served(serve: Callable[..., Any], predictor: Predictor) -> Any:
    return serve(predictor, max_questions=20, max_context_characters=50_000, max_queue_mb=0.1)


def post(served: Any, body: Any) -> Any:
    return requests.post(served.url + "/v1/extract", json=body, timeout=240)


def test_it_is_what_the_predictor_extracts(served: Any, predictor: Predictor) -> None:
    body = post(served, {"context": TEXT, "fields": FIELDS, "title": "Salt"}).json()
    found = predictor.extract(TEXT, FIELDS, "Salt")
    assert body["fields"] == {name: each.to_dict() for name, each in found.items()}
    assert body["fields"]["n"]["value"] == 212
    assert body["fields"]["fall"]["value"] == {"number": 3.3, "unit": "millimeter_Hg"}
    assert body["threshold"] == predictor.threshold
    strict = post(served, {"context": TEXT, "fields": FIELDS, "threshold": 1.0}).json()
    assert all(each["quote"] is None for each in strict["fields"].values())


def test_a_json_schema(served: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "description": "How many adults?"}}}
    assert post(served, {"context": TEXT, "fields": schema}).json()["fields"]["n"]["value"] == 212


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"fields": {}}, "fields", "at least 1"),
        ({"fields": ["n"]}, "fields", ""),
        ({"fields": {"n": 5}}, "fields", "field 'n' must be a question"),
        ({"fields": {"n": {"question": "Why?", "type": "float"}}}, "fields", "has the type 'float'"),
        ({"fields": {"n": "why " * 500}}, "fields.n", "question of"),
        ({"fields": {str(i): "Why?" for i in range(21)}}, "fields", "21 are more than the 20 of one call"),
        ({"context": "x" * 50_001, "fields": {"n": "Why?"}}, "context", "exceeds 50,000"),
        ({"context": "x" * 40_000}, "fields", "with every question, 200,"),
        ({"threshold": 2}, "threshold", "at most 1"),
        ({"extra": 1}, "extra", "no field that is known"),
    ],
)
def test_what_is_refused(served: Any, change: dict[str, Any], path: str, message: str) -> None:
    response = post(served, {"context": TEXT, "fields": FIELDS} | change)
    assert response.status_code == 422, response.text
    error = response.json()["error"]
    assert error["fields"][0]["path"] == path
    assert message in error["fields"][0]["message"]
