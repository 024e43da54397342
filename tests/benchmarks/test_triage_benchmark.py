"""``benchmarks/triage.py``: rows made of third-party files, split by document; made-up texts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sklearn")

from qa_extractive.types import Example, Question

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    import triage
    from triage_parts.sources import ONE_TOPIC, claims, effects, one_topic, topics

TEXT = " ".join(f"word{i}" for i in range(60))


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(record) + "\n" for record in records)


def test_topics_are_told_by_titles_that_are_not_shown(tmp_path: Path) -> None:
    titles = [
        "Asthma in children",
        "A drug",
        "Another drug",
        "Cancer in a child",
        "A third",
        "A fourth",
        "A fifth",
    ]
    papers = [
        {"pmcid": str(i), "title": title, "sections": [["METHODS", f"{TEXT} {i}"], ["RESULTS", "It fell."]]}
        for i, title in enumerate([*titles, ""])
    ]
    papers.append({"pmcid": "8", "title": "Short children", "sections": [["", "Too short."]]})
    _write(tmp_path / "evidence_inference/rct_abstracts.jsonl.gz", papers)
    rows = one_topic(tmp_path)
    assert {row.question.question for row in rows} == {ONE_TOPIC}
    assert {row.document for row in rows if row.answerable} == {"0", "3"}
    assert sum(not row.answerable for row in rows) == 4
    assert all(row.question.title is None and "children" not in row.question.context for row in rows)
    assert "METHODS" not in rows[0].question.context
    about = [row for row in topics(tmp_path) if row.answerable and row.document == "3"]
    assert len(about) == 2, "cancer, and children"


def test_effects_leave_the_validation_rows_alone(tmp_path: Path) -> None:
    labels = ["significantly increased", "no significant difference", "significantly decreased"]
    prompts = [
        {
            "prompt_id": str(i),
            "pmcid": str(i),
            "outcome": "pain",
            "intervention": "a drug",
            "comparator": "placebo",
            "label": label,
            "context": TEXT,
            "split": split,
        }
        for i, (label, split) in enumerate(zip(labels, ["train", "train", "validation"], strict=True))
    ]
    _write(tmp_path / "evidence_inference/prompts_with_spans.jsonl.gz", prompts)
    rows = effects(tmp_path)
    assert [(row.id, row.answerable) for row in rows] == [("0", True), ("1", False)]
    assert rows[0].question.question == "Did a drug significantly change pain compared with placebo?"


def test_claims_without_evidence_have_no_label(tmp_path: Path) -> None:
    _write(tmp_path / "scifact/corpus.jsonl.gz", [{"doc_id": 1, "abstract": ["One.", "Two."]}])
    evidence = [
        {"1": [{"label": "SUPPORT"}]},
        {"1": [{"label": "CONTRADICT"}]},
        {},
        {"2": [{"label": "SUPPORT"}]},
    ]
    found = [{"id": i, "claim": f"Claim {i}.", "evidence": own} for i, own in enumerate(evidence)]
    _write(tmp_path / "scifact/claims_train.jsonl.gz", found)
    rows = claims(tmp_path)
    assert [(row.question.question, row.answerable) for row in rows] == [
        ("Is it true that Claim 0?", True),
        ("Is it true that Claim 1?", False),
    ]
    assert rows[0].question.context == "One. Two."


def test_a_document_is_on_one_side() -> None:
    rows = [
        Example(str(i), Question("Yes?", f"Text {i // 3}."), answerable=i % 2 == 0, document=f"d{i // 3}")
        for i in range(90)
    ]
    found = triage.split("x", rows, 40, 30, 17)
    assert 40 <= len(found.train) + int(found.warnings[0].split()[0]) <= 42, (
        "copies of a question are left out"
    )
    assert len(found.test) == 30
    assert not {e.document for e in found.train} & {e.document for e in found.test}
    assert triage.split("x", rows, 40, 30, 17) == found


def test_results_of_other_sources_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "triage.json"
    own = {"accuracy": 0.5, "accuracy_interval": (0.4, 0.6), "auroc": None, "auroc_interval": None}
    values = {
        "n_train": 3,
        "n_test": 4,
        "n_test_yes": 1,
        "systems": {"after": {**own, "calibration_error": 0.1}},
    }
    triage.save(path, "one", values)
    triage.save(path, "two", values)
    lines = triage.table(json.loads(path.read_text(encoding="utf-8"))).splitlines()
    assert lines[2] == ("| one: 3 to train, 4 to test, 25.0 % yes | after | 50.0 [40.0, 60.0] | - | 0.100 |")
    assert lines[3].startswith("| two")
