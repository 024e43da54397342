from __future__ import annotations

import itertools
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_extractive import predictor as predictor_module
from qa_extractive.errors import DataError, ModelError
from qa_extractive.export.cache import content_hash
from qa_extractive.inference import pipeline as reading
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.calibration import Calibration, RiskPoint
from qa_extractive.inference.decoding import Candidate
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Window
from qa_extractive.predictor import Predictor, candidate_scores
from qa_extractive.types import Answer, Question

CONTEXT = (
    "Background: we compared the drug with placebo in 512 patients. Results showed that mortality was "
    "reduced (p<0.05). The risk of bleeding increased in the treatment group."
)
LONG = "The patients in the study were treated with placebo for years. " * 40
FEW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY_TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=()),  # lone surrogates too
        st.sampled_from(" \n\t\0\u00a0.,;()[]0123456789aeinorst"),
        st.sampled_from("\u200f\u202e\u0301é中文العربية\U0001f9ec\ud800\udfff"),
    ),
    max_size=300,
)


@pytest.fixture(scope="module")
def predictor(tiny_export: Path) -> Predictor:
    return Predictor(tiny_export, n_threads=1)


def questions() -> list[Question]:
    contexts = [CONTEXT, LONG, "Mortality was reduced.", "   ", CONTEXT[::-1], LONG + "zebra", CONTEXT * 3]
    titles = [None, "The drug trial"]
    return [Question("What was the effect on mortality?", c, t) for c in contexts for t in titles]


def check(answer: Answer, context: str, threshold: float) -> None:
    """What every answer must keep to."""
    assert answer.abstained == (answer.answerable < threshold or not answer.candidates)
    spans = [*answer.candidates, *([answer.sentence] if answer.sentence else [])]
    assert all(context[s.start : s.end] == s.text and s.text for s in spans)
    ordered = sorted(answer.candidates, key=lambda s: s.start)
    assert all(a.end <= b.start for a, b in itertools.pairwise(ordered))
    scores = [s.score for s in answer.candidates]
    assert scores == sorted(scores, reverse=True)
    assert math.fsum(scores) <= 1.0 + 1e-12
    assert (scores[0] if scores else 0.0) == answer.score
    if answer.abstained:
        assert (answer.text, answer.start, answer.end, answer.sentence) == ("", 0, 0, None)
    else:
        assert answer.text == answer.candidates[0].text == context[answer.start : answer.end]
        assert answer.sentence is not None
        assert answer.sentence.start <= answer.start < answer.end <= answer.sentence.end


class WordBackend:
    """Points at one word, wherever a window holds it."""

    def __init__(self, predictor: Predictor, word: str) -> None:
        self.token_id = predictor._windower._plain.token_to_id(word)

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        logits = [np.where(w.token_ids == self.token_id, 9.0, 0.0).astype(np.float32) for w in windows]
        return [WindowLogits(each, each, 0.0) for each in logits]


@FEW
@given(context=ANY_TEXT, question=ANY_TEXT.filter(str.strip), title=st.none() | ANY_TEXT)
def test_any_text_gives_verbatim_spans(
    predictor: Predictor, context: str, question: str, title: str | None
) -> None:
    try:
        answer = predictor.answer(question, context, title)
    except DataError as error:
        assert "tokens exceeds" in str(error)  # noqa: PT017
    else:
        check(answer, context, predictor.threshold)
        json.dumps(answer.to_dict())


@pytest.mark.parametrize(
    "context",
    [
        "a \ud83e lone surrogate and \udcff another",
        "NUL \0 in the \0middle\0 of the drug",
        "\0\0\0",
        "\u200f\u202eالعلاج خفض الوفيات بنسبة ٢٠٪\u202c בקבוצה",
        "👩🏽‍🔬 measured 🧬🧬 in e\u0301te\u0301 patients",
        "\u00a0 \u2003 \n mortality \r\n was\u2028reduced \u00a0",
        "[SEP] the [CLS] drug [PAD] reduced [MASK] mortality [UNK]",
        "中文的结果显示死亡率降低。患者的风险",
        "x" * 5000,
        "İstanbul ﬁnd ㎏ ß ǆ",
    ],
)
def test_odd_texts(predictor: Predictor, context: str) -> None:
    check(predictor.answer("what 👩🏽‍🔬 \ud800 effect?", context, context), context, predictor.threshold)


def test_special_tokens_in_a_text_are_text(predictor: Predictor) -> None:
    asked = Question("[SEP] what", "risk [SEP] [CLS] [PAD]", "[MASK]")
    token_ids = predictor._windower.windows([asked])[0].token_ids
    special = [predictor._windower._plain.token_to_id(t) for t in ("[CLS]", "[SEP]", "[PAD]", "[MASK]")]
    counts = [int((token_ids == i).sum()) for i in special]
    assert counts == [1, 2, 0, 0]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_answers_do_not_depend_on_their_batch(
    tiny_export: Path, predictor: Predictor, n_threads: int
) -> None:
    asked = questions()
    alone = [predictor.answer(q.question, q.context, q.title) for q in asked]
    other = Predictor(tiny_export, n_threads=n_threads)
    assert other.answer_batch(asked) == alone
    assert other.answer_batch(asked[::-1]) == alone[::-1]
    for question, answer in zip(asked, alone, strict=True):
        check(answer, question.context, predictor.threshold)


def test_questions_about_one_paper_are_answered_as_each_by_itself(predictor: Predictor) -> None:
    asked = questions()[0]
    texts = [asked.question, "What fell?", asked.question]
    found = predictor.answer_paper(texts, asked.context, asked.title, threshold=0.0, top_k=2)
    assert found == [
        predictor.answer(text, asked.context, asked.title, threshold=0.0, top_k=2) for text in texts
    ]
    assert predictor.answer_paper([], asked.context) == []
    with pytest.raises(DataError, match="not one string"):
        predictor.answer_paper("What fell?", asked.context)
    with pytest.raises(DataError, match="not NoneType"):
        predictor.answer_paper(None, asked.context)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"questions\[1\]: question is empty"):
        predictor.answer_paper(["What fell?", " "], asked.context)


def test_chunks_change_nothing(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = predictor.answer_batch(questions())
    monkeypatch.setattr(reading, "CHUNK_QUESTIONS", 3)
    assert predictor.answer_batch(questions()) == expected
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", 200)
    assert predictor.answer_batch(questions()) == expected
    asked = [Question("q", "x" * n) for n in (150, 50, 1, 500, 1, 1, 1, 1)]
    chunks = reading.chunks(asked, 3, 200)
    assert [len(chunk) for chunk in chunks] == [2, 1, 1, 3, 1]


def test_several_threads_at_once(predictor: Predictor) -> None:
    expected = predictor.answer_batch(questions())
    results: list[list[Answer]] = []

    def work() -> None:
        results.append(predictor.answer_batch(questions()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4


def test_pickled_answers_alike(tiny_export: Path) -> None:
    original = Predictor(tiny_export, threshold=0.3, top_k=2, n_threads=1)
    copy = pickle.loads(pickle.dumps(original))
    assert copy.answer_batch(questions()) == original.answer_batch(questions())
    assert (copy.threshold, copy.top_k, copy.n_threads, copy.model_name) == (0.3, 2, 1, original.model_name)
    backend = pickle.loads(pickle.dumps(OnnxBackend(tiny_export, 1)))
    assert backend.folder == tiny_export


def test_no_questions(predictor: Predictor) -> None:
    assert predictor.answer_batch([]) == []


@pytest.mark.parametrize("context", ["", "  \n\t ", "\u00a0", "\0"])
def test_context_without_a_token_abstains_even_at_threshold_zero(tiny_export: Path, context: str) -> None:
    answer = Predictor(tiny_export, threshold=0.0, n_threads=1).answer("What was the effect?", context)
    assert answer == Answer("", 0, 0, 0.0, 0.0, abstained=True)


def test_threshold_decides_abstention(tiny_export: Path) -> None:
    for threshold in (0.0, 0.5, 1.0):
        strict = Predictor(tiny_export, threshold=threshold, n_threads=1)
        for question, answer in zip(questions(), strict.answer_batch(questions()), strict=True):
            check(answer, question.context, threshold)
            assert threshold == 1.0 or answer.candidates or not question.context.strip()


def test_fewer_candidates_are_the_first_of_more(tiny_export: Path) -> None:
    predictors = [Predictor(tiny_export, top_k=k, n_threads=1) for k in (7, 3, 1)]
    many, few, one = (each.answer_batch(questions()) for each in predictors)
    for a, b, c in zip(many, few, one, strict=True):
        assert a.candidates[:3] == b.candidates
        assert a.candidates[:1] == c.candidates
        assert (a.score, a.answerable) == (b.score, b.answerable) == (c.score, c.answerable)


def test_answer_at_the_far_end_of_a_long_context(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "_backend", WordBackend(predictor, "zebra"))
    for context in (LONG + "zebra", "zebra " + LONG, LONG + "zebra " + LONG):
        answer = predictor.answer("which", context)
        assert answer.text == "zebra"
        check(answer, context, predictor.threshold)


def test_overlapping_windows_give_no_duplicates(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "_backend", WordBackend(predictor, "zebra"))
    context = " ".join(["zebra" if i % 25 == 0 else "patients" for i in range(300)])
    n_windows = len(predictor._windower.windows([Question("which", context)]))
    reading = predictor.read_batch([Question("which", context)])[0]
    best = [c for c in reading.candidates if context[c.start : c.end] == "zebra"]
    assert n_windows >= 3
    assert len({c.start for c in best}) == len(best) == 12


def test_title_is_read_but_holds_no_span(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    with_title = predictor.answer("What was the effect?", CONTEXT, "zebra zebra")
    assert with_title != predictor.answer("What was the effect?", CONTEXT)
    monkeypatch.setattr(predictor, "_backend", WordBackend(predictor, "zebra"))
    for context in (CONTEXT, LONG):
        answer = predictor.answer("What was the effect of the zebra?", context, "The zebra trial")
        check(answer, context, predictor.threshold)
        assert all("zebra" not in span.text for span in answer.candidates)


def test_long_title_leaves_room_for_the_context(predictor: Predictor) -> None:
    windows = predictor._windower.windows([Question("what", CONTEXT, "trial " * 500)])
    assert len(windows) == 1
    assert windows[0].offsets[-1, 1] == len(CONTEXT)


def test_question_too_long(predictor: Predictor) -> None:
    long = Question("patients " * 33, CONTEXT)
    with pytest.raises(DataError, match=r"^question of 33 tokens exceeds 32"):
        predictor.check(long)
    with pytest.raises(DataError, match=r"^questions\[1\]: question of 33 tokens"):
        predictor.answer_batch([Question("what", CONTEXT), long])


@pytest.mark.parametrize(
    ("given_questions", "message"),
    [
        ([Question("q", "c"), "q"], r"questions\[1\] must be a Question or a dict, not str"),
        ([None], r"questions\[0\]"),
        ([{"question": "q", "context": "c"}, {"question": "q"}], r"questions\[1\]: there is no 'context'"),
        ([{"question": "q", "abstract": "c"}], r"questions\[0\]: there is no 'context'"),
        ([{"question": "q", "context": "c", "text": "c"}], r"questions\[0\]: there is a key 'text'"),
        ([{"question": 3, "context": "c"}], r"questions\[0\]: question must be a string, not int"),
        ([{"question": "q", "context": None}], r"questions\[0\]: context must be a string, not NoneType"),
        ([{"question": "q", "context": "c", "title": 1}], r"questions\[0\]: title must be a string"),
        ([{"question": " ", "context": "c"}], r"questions\[0\]: question is empty"),
        ({"question": "q", "context": "c"}, "must be a list of Question or of dicts, not dict"),
        ("what", "must be a list"),
        (Question("q", "c"), "must be a list"),
        (None, "must be a list of Question or of dicts, not NoneType"),
    ],
)
def test_what_is_no_question(predictor: Predictor, given_questions: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        predictor.answer_batch(given_questions)


def test_an_empty_context_is_an_abstention_everywhere(tiny_export: Path, tmp_path: Path) -> None:
    """In a call, in a frame and in a table alike: the paper does not say, and nothing failed."""
    pd = pytest.importorskip("pandas")
    from qa_extractive.batch import BatchJob, answer_table
    from qa_extractive.tables.reading import read_rows

    predictor = Predictor(tiny_export, threshold=0)
    for blank in ("", " \n\t", "\u00a0\u2003"):
        for answer in (
            predictor.answer("what?", blank),
            *predictor.answer_batch([Question("what?", blank, "A")]),
        ):
            assert (answer.abstained, answer.status, answer.answerable, answer.candidates) == (
                True, "not_reported", 0.0, (),
            )  # fmt: skip
    rows = [{"question": "what?", "context": context} for context in ("", None, " ", CONTEXT)]
    frame = pd.DataFrame(rows)
    found = predictor.answer_frame(frame)
    assert found["error"].isna().all()
    assert found["answer"].tolist()[:3] == ["", "", ""]
    assert found["answer"][3]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    summary = answer_table(predictor, BatchJob.open(path, tmp_path / "o.jsonl"))
    assert (summary.n_rows, summary.n_failed, summary.n_abstained) == (4, 0, 3)
    assert [row.values["answer"] for row in read_rows(tmp_path / "o.jsonl")][:3] == ["", "", ""]


def test_dicts_are_questions(predictor: Predictor) -> None:
    asked = [
        Question("what was the effect?", CONTEXT, "A trial"),
        Question("what?", ""),
        Question("how?", CONTEXT),
    ]
    dicts = [{"question": q.question, "context": q.context, "title": q.title} for q in asked[:1]]
    dicts += [{"question": q.question, "context": q.context} for q in asked[1:]]
    assert predictor.answer_batch(dicts) == predictor.answer_batch(asked)
    assert predictor.answer_batch([asked[0], *dicts[1:]]) == predictor.answer_batch(asked)
    assert predictor.read_batch(dicts) == predictor.read_batch(asked)


def test_a_call_chooses_its_own_threshold_and_candidates(tiny_export: Path) -> None:
    """As a predictor with these settings answers; the predictor itself stays as it was."""
    pd = pytest.importorskip("pandas")
    predictor = Predictor(tiny_export, threshold=0.5)
    asked = [Question(f"what was the effect of drug {i}?", CONTEXT) for i in range(3)]
    frame = pd.DataFrame({"question": [q.question for q in asked], "context": CONTEXT})
    choices: list[dict[str, Any]] = [{"threshold": 0.0}, {"threshold": 1.0, "top_k": 2}, {"top_k": 30}, {}]
    for chosen in choices:
        other = Predictor(tiny_export, **{"threshold": 0.5, **chosen})
        answers = predictor.answer_batch(asked, **chosen)
        assert answers == other.answer_batch(asked)
        assert predictor.answer(asked[0].question, CONTEXT, **chosen) == answers[0]
        own, their = (
            each.answer_frame(frame, with_candidates=True, **more)
            for each, more in ((predictor, chosen), (other, {}))
        )
        pd.testing.assert_frame_equal(own, their)
    assert (predictor.threshold, predictor.top_k) == (0.5, 5)
    assert all(len(answer.candidates) <= 5 for answer in predictor.answer_batch(asked))
    for wrong in ({"threshold": 1.5}, {"threshold": "high"}, {"top_k": 0}, {"top_k": 2.5}):
        with pytest.raises(ModelError, match=next(iter(wrong))):
            predictor.answer("what?", CONTEXT, **wrong)


def test_one_model_serves_calls_of_different_thresholds_at_once(predictor: Predictor) -> None:
    asked = [Question(f"what was the effect of drug {i}?", CONTEXT) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda t: predictor.answer_batch(asked, threshold=t), [0.0, 1.0] * 8))
    assert all(not answer.abstained for answers in found[::2] for answer in answers)
    assert all(answer.abstained for answers in found[1::2] for answer in answers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": -0.1}, r"\[0, 1\]"),
        ({"threshold": 1.1}, r"\[0, 1\]"),
        ({"threshold": math.nan}, r"\[0, 1\]"),
        ({"threshold": "0.5"}, "must be a number"),
        ({"threshold": True}, "must be a number"),
        ({"threshold": 0.5, "max_risk": 0.1}, "exclude each other"),
        ({"max_risk": 0.0}, "between 0 and 1"),
        ({"max_risk": 0.5}, "no threshold of this model"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 2.5}, "top_k"),
        ({"top_k": True}, "top_k"),
        ({"effort": "low"}, "no effort 'low': use 'full', 'fast', 'cached'"),
        ({"kept_mb": 0}, "kept_mb"),
        ({"kept_mb": 1.5}, "kept_mb"),
        ({"kept_folder_mb": 0}, "kept_folder_mb"),
        ({"kept_folder": "papers"}, "kept_folder goes with the effort 'cached'"),
        ({"n_threads": 0}, "n_threads"),
        ({"max_context_characters": 0}, "max_context_characters"),
        ({"max_context_characters": 5.5}, "max_context_characters"),
    ],
)
def test_arguments_out_of_range(tiny_export: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Predictor(tiny_export, **arguments)
    assert "\n" not in str(caught.value)


def test_max_risk_takes_the_lowest_safe_threshold(tiny_export: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_export, tmp_path / "model")
    risks = {0.9: 0.01, 0.6: 0.1, 0.4: 0.3, 0.35: 0.05}
    table = tuple(RiskPoint(threshold, 1 - threshold, r, r + 0.05) for threshold, r in risks.items())
    replace(Calibration.load(folder), risk_table=table, n_examples=100).save(folder)
    assert Predictor(folder, max_risk=0.2, n_threads=1).threshold == 0.6
    with pytest.raises(ModelError, match="allow more risk"):
        Predictor(folder, max_risk=0.02)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "reader.json", "calibration.json"])
@pytest.mark.parametrize("content", [None, b"", b"\x00garbage", b"{}"])
def test_damaged_folder(tiny_export: Path, tmp_path: Path, name: str, content: bytes | None) -> None:
    folder = shutil.copytree(tiny_export, tmp_path / "model")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=name) as caught:
        Predictor(folder)
    assert "\n" not in str(caught.value)


def test_truncated_model(tiny_export: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_export, tmp_path / "model")
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded"):
        Predictor(folder)


def test_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="is not a folder"):
        Predictor(tmp_path / "missing")
    with pytest.raises(ModelError, match="must be a folder"):
        Predictor(3)  # type: ignore[arg-type]
    monkeypatch.setattr(predictor_module, "DEFAULT_MODEL", tmp_path)
    with pytest.raises(ModelError, match="no embedded model"):
        Predictor()


def test_none_is_the_embedded_model(tiny_export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "DEFAULT_MODEL", tiny_export)
    assert Predictor(n_threads=1).folder == tiny_export


def test_tokenizer_of_another_model(tiny_export: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_export, tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["zebra"] = 99_999
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match="failed on a window"):
        Predictor(folder, n_threads=1).answer("what", "zebra")


def test_feeds_what_the_graph_declares(tmp_path: Path, predictor: Predictor) -> None:
    """A graph of 32-bit ids alone, without an answerability head."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    axes = ["batch", "length"]
    nodes = [
        helper.make_node("Cast", ["input_ids"], [f"{n}_logits"], to=types.FLOAT) for n in ("start", "end")
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("input_ids", types.INT32, axes)],
        [helper.make_tensor_value_info(f"{n}_logits", types.FLOAT, axes) for n in ("start", "end")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(tmp_path / "model.onnx"))
    backend = OnnxBackend(tmp_path, n_threads=1)
    window = predictor._windower.windows([Question("what", CONTEXT)])[0]
    (logits,) = backend.run([window])
    assert backend.input_names == ("input_ids",)
    assert logits.answerability is None
    assert (logits.start == window.token_ids).all()


@pytest.mark.parametrize(
    ("logits", "right", "expected"),
    [
        ([], 0.7, []),
        ([3.0], 0.7, [0.7]),
        ([3.0, 3.0], 0.7, [0.7, 0.3]),
        ([3.0, 3.0, 3.0], 0.1, [0.1, 0.1, 0.1]),
        ([3.0, -2000.0], 0.7, [0.7, 0.0]),
    ],
)
def test_candidate_scores(logits: list[float], right: float, expected: list[float]) -> None:
    candidates = [Candidate(logit, i, i + 1) for i, logit in enumerate(logits)]
    assert candidate_scores(candidates, right) == pytest.approx(expected)


@given(
    st.lists(st.floats(-60, 60), min_size=1, max_size=20).map(lambda x: sorted(x, reverse=True)),
    st.floats(0.0, 1.0),
)
def test_candidate_scores_are_probabilities(logits: list[float], right: float) -> None:
    scores = candidate_scores([Candidate(logit, i, i + 1) for i, logit in enumerate(logits)], right)
    assert scores[0] == right
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.0
    assert math.fsum(scores) <= 1.0 + 1e-12


def test_serving_imports_no_torch(tiny_export: Path) -> None:
    code = (
        "import sys; from qa_extractive import Predictor; "
        f"assert Predictor({str(tiny_export)!r}).answer('what', 'the drug reduced mortality').candidates; "
        "heavy = {'torch', 'transformers', 'onnx', 'pandas', 'sklearn'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_goes_on_answering(tiny_export: Path) -> None:
    code = f"""
import os, signal
from qa_extractive import Predictor, Question
predictor = Predictor({str(tiny_export)!r}, n_threads=2)
asked = [Question("what", "the drug reduced mortality " * n) for n in (1, 9, 99)]
answers = predictor.answer_batch(asked)
assert predictor.answer_batch(asked[:1]) == answers[:1]  # on both threads
child = os.fork()
if not child:
    signal.alarm(60)
    asked_alone = [predictor.answer_batch([each])[0] for each in asked]
    os._exit(0 if predictor.answer_batch(asked) == answers == asked_alone else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert predictor.answer_batch(asked[:1]) == answers[:1]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_from_pretrained_exports_once(
    tiny_qa_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setenv("QA_EXTRACTIVE_CACHE", str(tmp_path / "cache"))
    source = shutil.copytree(tiny_qa_checkpoint, tmp_path / "checkpoint")
    first = Predictor.from_pretrained(source, n_threads=1)
    assert first.folder.parent == tmp_path / "cache"
    assert first.model_name == str(source)
    monkeypatch.setattr(
        "qa_extractive.export.exporter.export", lambda *_, **__: pytest.fail("exported again")
    )
    again = Predictor.from_pretrained(source, threshold=0.1, top_k=2)
    assert (again.folder, again.threshold, again.top_k) == (first.folder, 0.1, 2)
    assert Predictor.from_pretrained(first.folder).folder == first.folder
    (source / "config.json").write_text((source / "config.json").read_text() + "\n")
    assert content_hash(source) not in first.folder.name


def test_from_pretrained_needs_the_extra(
    tiny_qa_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "qa_extractive.export.exporter", None)
    with pytest.raises(ModelError, match=r"pip install 'qa-extractive\[train\]'"):
        Predictor.from_pretrained(tiny_qa_checkpoint, cache=tmp_path)


@pytest.mark.parametrize("name", ["./no/such/folder/here", "/no/such", "a b", ""])
def test_from_pretrained_of_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a folder nor"):
        Predictor.from_pretrained(name, cache=tmp_path)


def test_time_is_linear_in_the_context(predictor: Predictor) -> None:
    words = "the patients in trial were treated with placebo".split()

    def seconds(n_words: int) -> float:
        context = " ".join(words[i % len(words)] for i in range(n_words))
        began = time.process_time()
        check(predictor.answer("what", context), context, predictor.threshold)
        return time.process_time() - began

    seconds(500)
    assert seconds(24_000) < 5 * 8 * max(seconds(3_000), 0.02)  # quadratic: 64 times
