"""``benchmarks/quality.py``, on made-up texts and a reader that compares words."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qa_extractive import Answer, DataError, Example, QAError, Question, Span
from qa_extractive._utils.sentences import split_sentences
from qa_extractive.data import examples_to_jsonl
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.inference.calibration import Calibration, Logistic, RiskPoint

pytest.importorskip("sklearn")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    import quality
    from quality_parts.common import Bench, Figure, Goal
    from quality_parts.reliability import calibration_of
    from quality_parts.risk import one_sided_bounds, risk_lines, verdict
    from quality_parts.science import (
        asked_as,
        nearest_others,
        paired_figures,
        prompt_pairs,
        random_others,
        shuffled_example,
    )
    from quality_parts.table import markdown

FLAT = Logistic((0.0, 0.0, 0.0), 0.0)
CALIBRATION = Calibration(
    FLAT, FLAT, 0.5, n_examples=1000, risk_table=tuple(RiskPoint(0.8, c, 0.1, 0.15) for c in (0.1, 0.5, 0.9))
)


class WordReader:
    """Answers with the sentence that shares most words with the question; the share is its probability."""

    name = model_name = "words"
    threshold = 0.5
    calibration = CALIBRATION

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.n_asked = 0

    def answer_batch(self, questions: Sequence[Question], threshold: float | None = None) -> list[Answer]:
        self.n_asked += len(questions)
        least = self.threshold if threshold is None else threshold
        return [self._answer(question, least) for question in questions]

    def _answer(self, question: Question, least: float) -> Answer:
        asked = _words(question.question)
        ranked = sorted(split_sentences(question.context), key=lambda s: -len(asked & _words(s.text)))
        best, share = ranked[0], len(asked & _words(ranked[0].text)) / len(asked)
        if share < least:
            return Answer("", 0, 0, share, share, abstained=True, candidates=(best,))
        return Answer(best.text, best.start, best.end, share, share, False, best, (best,))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _bench(**settings: Any) -> Bench:
    system: Any = WordReader()
    return Bench(system, CALIBRATION, Path(), n_bootstrap=50, **settings)


def _example(name: str, question: str, context: str, answer: str | None, document: str = "") -> Example:
    spans = () if answer is None else (Span.cut(context, i := context.index(answer), i + len(answer)),)
    references = tuple(span.text for span in spans)
    return Example(
        name, Question(question, context), references, spans, bool(spans), document or name, "squad"
    )


def _row(right: bool, prob: float, name: str = "a", *, failed: bool = False) -> ScoredRow:
    """A row whose answer is right or which has none, answered with that probability."""
    example = _example(name, "what fell?", "Pressure fell.", "Pressure fell." if right else None)
    outcome: Answer | QAError = Answer("Pressure fell.", 0, 14, prob, prob, False)
    return ScoredRow.of(example, DataError("broken") if failed else outcome)


# ---- figures


def test_a_figure_is_held_against_its_floor() -> None:
    assert Figure("f", 0.8, 1, goal=Goal("at least", 0.8)).met is True
    assert Figure("f", 0.06, 1, goal=Goal("at most", 0.05)).met is False
    assert Figure("f", 0.2, 1, (0.01, 0.4), Goal("interval above", 0.0)).met is True
    assert Figure("f", 0.2, 1, (-0.01, 0.4), Goal("interval above", 0.0)).met is False
    assert Figure("f", 0.2, 1, None, Goal("interval above", 0.0)).met is False
    assert Figure("f", None, 0, goal=Goal("at least", 0.8)).met is None
    assert "met" not in Figure("f", 0.2, 1).to_dict()


def test_a_failed_row_counts_as_the_worst_probability() -> None:
    rows = [_row(True, 1.0, "a"), _row(False, 0.0, "b"), _row(True, 1.0, "c", failed=True)]
    assert _bench().auroc("auroc", rows[:2]).value == 1.0
    assert _bench().auroc("auroc", rows).value == 0.75  # the failed one ties with the unanswerable one
    assert calibration_of(_bench(), rows[:2], "").figures[0].value == 0.0
    assert calibration_of(_bench(), rows, "").figures[0].value == pytest.approx(1 / 3)


# ---- calibration and risk


def test_calibration_error_and_reliability_of_known_rows() -> None:
    rows = [_row(i < 3, 0.5, f"r{i}") for i in range(4)]
    part = calibration_of(_bench(), rows, "x: ", Goal("at most", 0.05))
    assert [figure.value for figure in part.figures[::2]] == [0.25, 0.25]
    assert [figure.met for figure in part.figures[::2]] == [False, False]
    line = {"mean_probability": 0.5, "observed_share": 0.75, "n": 4}
    assert part.details["reliability"] == {"x: answerable": [line], "x: score": [line]}


def test_bounds_of_clopper_and_pearson() -> None:
    assert list(one_sided_bounds(0, 10)) == pytest.approx([0.0, 1 - 0.05**0.1])
    assert list(one_sided_bounds(10, 10)) == pytest.approx([0.05**0.1, 1.0])
    assert one_sided_bounds(0, 0) == (None, None)


@pytest.mark.parametrize(
    ("n_wrong", "n_answered", "expected"),
    [(0, 0, "nothing answered"), (1, 10, "held"), (2, 10, "exceeded within chance"), (9, 10, "broken")],
)
def test_the_verdict_on_a_promise(n_wrong: int, n_answered: int, expected: str) -> None:
    assert verdict(n_wrong, n_answered, 0.1) == expected


def test_risk_counts_wrong_answers_at_the_promised_threshold() -> None:
    rows = [_row(True, 0.9, "a"), _row(False, 0.8, "b"), _row(False, 0.79, "c"), _row(True, 0.9, "d")]
    lines = {line["max_risk"]: line for line in risk_lines(_bench(), rows, "fresh")}
    assert lines[0.05]["threshold"] is None
    assert lines[0.05]["coverage"] is None
    assert lines[0.05]["promise"] == "no threshold promises it"
    assert lines[0.2]["threshold"] == 0.8
    assert (lines[0.2]["n_answered"], lines[0.2]["coverage"]) == (3, 0.75)
    assert (lines[0.2]["n_wrong"], lines[0.2]["risk"]) == (1, pytest.approx(1 / 3))
    assert lines[0.2]["promise"] == "exceeded within chance"


# ---- abstracts


def test_shuffled_abstracts_keep_their_blocks_and_their_label() -> None:
    sections, conclusion = ["Aim one.", "Method two. More.", "Result three."], "So it works. It does."
    example = _example("p", "does it?", " ".join([*sections, conclusion]), conclusion)
    places = set()
    for seed in range(60):
        shuffled = shuffled_example(example, sections, random.Random(seed))
        context, span = shuffled.question.context, shuffled.spans[0]
        assert span.text == context[span.start : span.end] == conclusion
        rest = (context[: span.start] + context[span.end :]).split()
        assert sorted(rest) == sorted(" ".join(sections).split())
        assert all(section in context for section in sections)
        places.add(span.start)
    assert len(places) > 4  # first, last and between


TOPICS = ["red wine and hearts", "red wine and old hearts", "deep sea fish", "deep sea fish and squid"]


def _papers() -> list[Example]:
    return [_example(f"p{i}", f"what of {t}?", f"We studied {t}.", t) for i, t in enumerate(TOPICS)]


def test_mismatched_questions_stand_beside_another_context() -> None:
    papers = _papers()
    for pairs in (random_others(papers, 1), nearest_others(papers)):
        for own, pair in zip(papers, pairs, strict=True):
            assert pair.question.question == own.question.question
            assert pair.question.context != own.question.context
            assert (pair.answerable, pair.spans, pair.document) == (False, (), own.document)
    assert random_others(papers, 1) == random_others(papers, 1)
    assert [pair.id for pair in nearest_others(papers)] == ["p0+p1", "p1+p0", "p2+p3", "p3+p2"]
    assert random_others(papers[:1], 1) == []


def _prompts() -> list[Example]:
    context = "Pain fell with the drug. Sleep improved with the drug."
    pain, sleep = (f"{s}." for s in context.rstrip(".").split(". "))
    return [
        _example("pain", "how did pain change?", context, pain, "d1"),
        _example("ache", "what of pain?", context, pain, "d1"),
        _example("sleep", "how did sleep change?", context, sleep, "d1"),
        _example("other", "how did mood change?", "Mood rose.", "Mood rose.", "d2"),
    ]


def test_prompts_pair_with_other_outcomes_of_their_abstract() -> None:
    outcomes = {"pain": "pain", "ache": "pain", "sleep": "sleep", "other": "mood"}
    pairs = prompt_pairs(_prompts(), outcomes)
    expected = [("pain", "sleep"), ("ache", "sleep"), ("sleep", "pain"), ("sleep", "ache")]
    assert [(p.id, q.id) for p, q in pairs] == expected
    asked = asked_as(*pairs[0])
    assert asked.question.question == "how did sleep change?"
    assert asked.references == _prompts()[0].references


def test_the_paired_difference_averages_over_the_other_prompts_first() -> None:
    rows = [ScoredRow.of(p, WordReader().answer_batch([p.question])[0]) for p in _prompts()[:3]]
    others = [("pain", 0.5), ("ache", 0.5), ("sleep", 0.0), ("sleep", 1.0)]
    true, other, difference = paired_figures(_bench(), rows, others, "all", Goal("interval above", 0.0))
    assert true.value == pytest.approx(1.0)
    assert other.value == pytest.approx(0.5)
    assert difference.value == pytest.approx(0.5)
    assert difference.n == 3
    assert difference.met is False  # one abstract has no interval


# ---- the whole command


def _write(path: Path, value: Any, *, lines: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in value) if lines else json.dumps(value)
    path.write_bytes(gzip.compress(text.encode()))


def _squad(path: Path, version: str, *, unanswerable: bool) -> None:
    articles = []
    for i in range(4):
        context = f"Town {i} has {i + 3} gates. Its river is long."
        found = {"text": f"Town {i} has {i + 3} gates.", "answer_start": 0}
        asked: list[dict[str, Any]] = [
            {"id": f"a{i}", "question": f"how many gates has town {i}?", "answers": [found]}
        ]
        if unanswerable:
            never = {"id": f"u{i}", "question": "who is mayor?", "answers": [], "is_impossible": True}
            asked.append(never)
        articles.append({"title": f"Town {i}", "paragraphs": [{"context": context, "qas": asked}]})
    _write(path, {"version": version, "data": articles})


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A data root of a few made-up rows."""
    root = tmp_path / "data"
    _squad(root / "squad/dev-v1.1.json.gz", "1.1", unanswerable=False)
    _squad(root / "squad/dev-v2.0.json.gz", "v2.0", unanswerable=True)
    abstracts = {
        str(i): {
            "QUESTION": f"Does {topic} help?",
            "CONTEXTS": [f"Little is known of {topic} today.", "We asked some people."],
            "LONG_ANSWER": f"We conclude that {topic} does help.",
        }
        for i, topic in enumerate(TOPICS)
    }
    _write(root / "pubmedqa/pqal-train-500.json.gz", abstracts)
    papers = [
        {
            "paper_id": str(i),
            "title": f"On {topic}",
            "source": [f"We look at {topic} here, as closely and as long as anyone has.", "Hard.", "We win."],
            "source_labels": [1, 0, 0],
            "rouge_scores": [0.9, 0.1, 0.1],
        }
        for i, topic in enumerate(TOPICS)
    ]
    _write(root / "scitldr/test.jsonl.gz", papers, lines=True)
    _write(root / "scitldr/train.jsonl.gz", papers[-1:], lines=True)
    rows = _asked_rows()
    for part in ("train", "dev", "test"):
        _write(root / f"asked/{part}.jsonl.gz", rows, lines=True)
    _write(root / "evidence_inference/prompts_with_spans.jsonl.gz", _prompt_records(), lines=True)
    return root


def _asked_rows() -> list[dict[str, Any]]:
    rows = []
    for i, topic in enumerate(TOPICS * 2):
        context = f"We gave {topic} to {i + 20} hens. The {topic} made the hens number {i} lay more eggs."
        asked = {
            "fact": (f"How many hens got {topic}, how many?", f"{i + 20} hens", None),
            "claim": (
                f"Does the {topic} made by hens number {i} lay more eggs?",
                f"hens number {i} lay more eggs",
                ("yes", "no")[i % 2],
            ),
            "near": (f"When did ducks die of {i}?", None, None),
        }
        for kind, (question, answer, verdict) in asked.items():
            found = [{"text": answer, "answer_start": context.index(answer)}] if answer else []
            rows.append(
                {
                    "id": f"{i}-{kind}",
                    "question": question,
                    "title": f"On {topic}",
                    "context": context,
                    "answers": found,
                    "answerable": bool(found),
                    "type": kind,
                    "verdict": verdict,
                    "doc": f"rct-{i}",
                }
            )
    return rows


def _prompt_records() -> list[dict[str, Any]]:
    records = []
    for i in range(3):
        context = f"Pain fell with drug {i} a lot. Sleep improved with drug {i} too."
        for outcome, start, end in (("pain", 0, context.index(".") + 1), ("sleep", 27, len(context))):
            records.append(
                {
                    "prompt_id": f"{i}{outcome}",
                    "pmcid": str(i),
                    "split": "validation",
                    "outcome": outcome,
                    "intervention": f"drug {i}",
                    "comparator": "none",
                    "context": context,
                    "answers": [{"text": context[start:end], "answer_start": start}],
                }
            )
    return records


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that has the names of an exported model."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in quality.MODEL_FILES:
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[WordReader]:
    """The readers opened instead of predictors."""
    opened: list[WordReader] = []

    def _open(folder: Path, *, n_threads: int | None, effort: str) -> WordReader:
        assert effort == "full"
        opened.append(WordReader(folder))
        return opened[-1]

    monkeypatch.setattr(quality, "Predictor", _open)
    return opened


def _fresh(folder: Path) -> Path:
    examples = [
        _example(f"f{i}", f"what of {t}?", f"It is {t}.", f"It is {t}.") for i, t in enumerate(TOPICS)
    ]
    examples += [_example(f"n{i}", "who knows?", f"It is {t}.", None) for i, t in enumerate(TOPICS)]
    examples_to_jsonl(folder / "fresh.jsonl.gz", examples)
    return folder / "fresh.jsonl.gz"


def test_all_parts_and_what_is_kept(
    tmp_path: Path, data_root: Path, model: Path, readers: list[WordReader]
) -> None:
    output = tmp_path / "out" / "quality.json"
    arguments = [f"--data-root={data_root}", f"--model={model}", f"--output={output}", "--bootstrap=20"]
    quality.main(arguments)
    first = json.loads(output.read_text(encoding="utf-8"))
    without = ["asked", "squad1", "squad2", "pubmedqa", "mismatched", "evidence_inference"]
    assert list(first["parts"]) == without
    named = {f["name"]: f for f in first["parts"]["asked"]["figures"]}
    assert named["AUROC, all questions"]["value"] == 1.0
    assert named["NoAns accuracy at the threshold"]["value"] == 1.0
    assert named["verdict accuracy"]["value"] == 0.0, "this reader gives none"
    assert named["verdict accuracy of the majority"]["value"] == 0.5
    assert named["numbers exact, of answers with numbers"]["n"] == 16
    assert named["F1 without abstaining, lay"]["value"] is None
    named = {f["name"]: f for f in first["parts"]["squad1"]["figures"]}
    assert named["token F1, never abstaining"]["value"] == 1.0
    assert named["token F1, never abstaining"]["met"] is True
    named = {f["name"]: f for f in first["parts"]["squad2"]["figures"]}
    assert named["answerability AUROC"]["value"] == 1.0
    assert named["token F1 of unanswerable rows"]["value"] == 1.0

    own = "SciTLDR test: answered, own abstract"
    assert {f["name"]: f["n"] for f in first["parts"]["mismatched"]["figures"]}[own] == 3  # one is trained on

    quality.main([*arguments, "--fresh", str(_fresh(tmp_path)), "--only", "risk", "calibration"])
    second = json.loads(output.read_text(encoding="utf-8"))
    assert list(second["parts"]) == [*without, "calibration", "risk"]
    assert all(second["parts"][name] == first["parts"][name] for name in without)
    assert second["parts"]["risk"]["n_rows"] == 8 + 8 + 4
    assert len(second["parts"]["risk"]["fresh_sha256"]) == 64
    assert readers[-1].n_asked == 8 + 8 + 4  # fresh rows are asked once for both parts

    table = output.with_suffix(".md").read_text(encoding="utf-8")
    assert "| token F1, never abstaining | 1.000 [1.000, 1.000] | 4 | ≥ 0.82 | met |" in table
    assert str(tmp_path) not in table + output.read_text(encoding="utf-8")

    (model / "calibration.json").write_text("another")
    quality.main([*arguments, "--only", "squad1"])
    assert list(json.loads(output.read_text(encoding="utf-8"))["parts"]) == ["squad1"]


def test_a_trial_run_leaves_results_of_whole_sets_alone(
    tmp_path: Path, data_root: Path, model: Path, readers: list[WordReader]
) -> None:
    output = tmp_path / "quality.json"
    arguments = [f"--data-root={data_root}", f"--model={model}", f"--output={output}", "--only", "squad1"]
    quality.main([*arguments, "--limit", "2"])
    assert readers[-1].n_asked == 2
    assert "no result" in output.with_suffix(".md").read_text(encoding="utf-8")
    quality.main(arguments)
    whole = output.read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        quality.main([*arguments, "--limit", "2"])
    assert output.read_text(encoding="utf-8") == whole


def test_parts_of_fresh_examples_ask_for_them(
    data_root: Path, readers: list[WordReader], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        quality.main([f"--data-root={data_root}", "--only", "risk"])
    assert "--fresh" in capsys.readouterr().err


def test_the_table_says_what_the_verdict_rests_on() -> None:
    figures = [
        Figure("a", 0.2, 9, (0.1, 0.3), Goal("interval above", 0.0, aim=0.25)),
        Figure("error", 0.04, 9, goal=Goal("at most", 0.05, aim=0.02)),
        Figure("b", 0.06, 1234, None, Goal("at most", 0.05), "exceeded within chance"),
        Figure("c", None, 0, None, Goal("at most", 0.05), "no threshold promises it"),
    ]
    part = {
        "title": "t",
        "n_rows": 1,
        "n_documents": 1,
        "n_failed": 0,
        "notes": [],
        "table": [],
        "figures": [figure.to_dict() for figure in figures],
    }
    settings = {"model_files": {"model.onnx": "0" * 64}, "seed": 1, "n_bootstrap": 9, "limit": None}
    result = {
        "command": "c",
        "machine": "m",
        "model": {"name": "n"},
        "settings": settings,
        "parts": {"p": part},
    }
    lines = markdown(result).splitlines()
    assert "| a | 0.200 [0.100, 0.300] | 9 | interval > 0, aim 0.25 | met, aim missed |" in lines
    assert "| error | 0.040 | 9 | ≤ 0.05, aim 0.02 | met, aim missed |" in lines
    assert "| b | 0.060 | 1,234 | ≤ 0.05 | missed (exceeded within chance) |" in lines
    assert "| c | none | 0 | ≤ 0.05 | not defined (no threshold promises it) |" in lines
