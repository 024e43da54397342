"""``Predictor.from_pretrained`` beside the pipeline that transformers had: the same answers, but on purpose.

What differs is listed in docs/MIGRATE.md; each difference there has a test here.
"""

from __future__ import annotations

import csv
import inspect
import itertools
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
transformers = pytest.importorskip("transformers")
if not hasattr(transformers, "QuestionAnsweringPipeline"):
    reason = f"transformers {transformers.__version__} has no question-answering pipeline: 5.3 removed it"
    pytest.skip(reason, allow_module_level=True)

from qa_extractive.errors import DataError  # noqa: E402
from qa_extractive.inference.decoding import decode, whole_words  # noqa: E402
from qa_extractive.inference.onnx_backend import OnnxBackend  # noqa: E402
from qa_extractive.predictor import DEFAULT_MODEL, Predictor  # noqa: E402
from qa_extractive.types import Question  # noqa: E402

# The pipeline makes arrays of torch's tensors in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

ROOT = Path(__file__).resolve().parents[1]
QUESTION = "what was the effect of the drug"
WORDS = (
    "patients trial drug dose results showed that reduced increased risk mortality group placebo treatment "
    "significantly compared with years study conclusion background methods percent title zebra"
).split()
CONTEXTS = [
    "Background: we compared the drug with placebo in 512 patients. Results showed that it was reduced.",
    "The risk of bleeding increased significantly in the treatment group (p<0.05).",
    "Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5), at 10 mg/kg/day.",
    "zebra",
    *(" ".join(random.Random(seed).choices(WORDS, k=60)) for seed in range(12)),
]

Reader = Callable[..., Any]


def pair(folder: Path, cache: Path) -> tuple[Predictor, Reader]:
    """A checkpoint in fp32 that never abstains, and its pipeline with the same windows and lengths."""
    predictor = Predictor.from_pretrained(folder, quantize="none", cache=cache, threshold=0.0)
    assert isinstance(predictor.backend, OnnxBackend)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.model_input_names = list(predictor.backend.input_names)  # a DistilBERT's has no segments
    reader = transformers.pipeline("question-answering", model=str(folder), tokenizer=tokenizer, device="cpu")
    window, decoding = predictor.config.window, predictor.config.decode

    def read(question: str, context: str, **options: Any) -> Any:
        same = {
            "max_seq_len": window.max_tokens,
            "doc_stride": window.stride_tokens,
            "max_question_len": window.max_question_tokens,
            "max_answer_len": decoding.max_answer_tokens,
            "align_to_words": False,
        }
        return reader(question=question, context=context, **same | options)

    return predictor, read


@pytest.fixture(scope="module")
def bert(tiny_qa_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Reader]:
    return pair(tiny_qa_checkpoint, tmp_path_factory.mktemp("cache"))


def assert_same(predictor: Predictor, reader: Reader, question: str, context: str) -> bool:
    """The answer is the pipeline's, widened to whole words and numbers; whether that changed it."""
    given, answer = reader(question, context), predictor.answer(question, context)
    assert (answer.start, answer.end) == whole_words(context, given["start"], given["end"]), context
    assert context[given["start"] : given["end"]] == given["answer"]
    return bool(answer.text != given["answer"])


# ---------------------------------------------------------------- the same answers


@pytest.mark.parametrize("context", CONTEXTS)
def test_bert_answers_as_its_pipeline(bert: tuple[Predictor, Reader], context: str) -> None:
    assert len(bert[0].windower.windows([Question(QUESTION, context)])) == 1
    changed = assert_same(*bert, QUESTION, context)
    assert not (changed and set(context.split()) <= set(WORDS)), "single tokens are whole words already"


@pytest.mark.parametrize(
    "model_type",
    [
        *("deberta-v2", "distilbert", "electra", "roberta"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("albert", "deberta", "mpnet")),
    ],
)
def test_others_answer_as_their_pipelines(
    make_qa_checkpoint: Callable[..., Path], tmp_path: Path, model_type: str
) -> None:
    predictor, reader = pair(make_qa_checkpoint(model_type), tmp_path)
    changed = [assert_same(predictor, reader, QUESTION, context) for context in CONTEXTS]
    assert sum(changed) <= len(changed) // 4


@pytest.mark.slow
def test_the_trained_model_answers_as_its_pipeline(tmp_path: Path) -> None:
    """The embedded model as a BertForQuestionAnswering, on the demonstration."""
    predictor, reader = pair(embedded_as_plain_checkpoint(tmp_path / "model"), tmp_path / "cache")
    with (ROOT / "data" / "inference_data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    context_column = next(name for name in ("context", "abstract") if name in rows[0])
    asked = [(row["question"], row[context_column]) for row in rows]
    short = [each for each in asked if len(predictor.windower.windows([Question(*each)])) == 1]
    assert len(short) >= 20
    changed = [assert_same(predictor, reader, *each) for each in short]
    print(f"{len(short)} of {len(asked)} in one window, {sum(changed)} widened to whole words")
    assert sum(changed) <= len(changed) // 4


def embedded_as_plain_checkpoint(folder: Path) -> Path:
    from qa_extractive.export.dequantize import load_rebuilt

    source = load_rebuilt(DEFAULT_MODEL)
    model = transformers.BertForQuestionAnswering(source.encoder.config)
    model.bert.load_state_dict(source.encoder.state_dict())
    model.qa_outputs.load_state_dict(source.span_head.state_dict())
    model.eval().save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(DEFAULT_MODEL / "tokenizer.json"),
        model_max_length=512,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    return folder


# ---------------------------------------------------------------- the differences


def test_numbers_are_not_cut(bert: tuple[Predictor, Reader]) -> None:
    predictor, reader = bert
    changed = 0
    for context in ("3.3", "0.05", "1.25 2.75", "12,500 4.75 0.001"):
        answer = predictor.answer(QUESTION, context)
        assert all(re.fullmatch(r"\d+[.,]\d+", part) for part in answer.text.split()), answer.text
        given = [reader(QUESTION, context, align_to_words=align)["answer"] for align in (False, True)]
        changed += any(text != answer.text for text in given)
    assert changed, "the pipeline cuts none of them: this difference is gone"


def test_windows_are_compared_by_logits(bert: tuple[Predictor, Reader]) -> None:
    """The pipeline compares probabilities, each of its own window, and adds up those of equal texts."""
    predictor, reader = bert
    n_different = 0
    for seed in range(8):
        question = Question(QUESTION, " ".join(random.Random(seed).choices(WORDS, k=400)))
        ours, theirs = best_of_windows(predictor, question)
        answer = predictor.answer(question.question, question.context)
        given = reader(question.question, question.context)
        assert (answer.start, answer.end) == ours
        assert (given["start"], given["end"]) == theirs
        n_different += ours != theirs
    assert n_different, "both ways agree on all of them: this shows nothing"


def best_of_windows(predictor: Predictor, question: Question) -> tuple[tuple[int, int], tuple[int, int]]:
    """The best span by logit, and by probability within its window, equal texts added up."""
    windows = predictor.windower.windows([question])
    assert len(windows) > 2
    best = []
    for window, logits in zip(windows, predictor.backend.run(windows), strict=True):
        reading = decode([question], [window], [logits], predictor.config.decode)[0].candidates[0]
        allowed = [0, *range(window.first, window.first + window.n_context_tokens)]
        norm = np.logaddexp.reduce(logits.start[allowed]) + np.logaddexp.reduce(logits.end[allowed])
        best.append((reading, math.exp(reading.span_logit - norm)))
    ours = max(best, key=lambda each: each[0].span_logit)[0]
    sums: dict[str, list[Any]] = {}
    for reading, probability in best:
        text = question.context[reading.start : reading.end].lower()
        sums.setdefault(text, [0.0, (reading.start, reading.end)])[0] += probability
    return (ours.start, ours.end), max(sums.values(), key=lambda each: each[0])[1]


def test_candidates_do_not_overlap(bert: tuple[Predictor, Reader]) -> None:
    predictor, reader = bert
    n_overlapping = 0
    for context in CONTEXTS[4:]:
        ours = predictor.answer(QUESTION, context).candidates
        assert ours
        assert not any(a.overlaps(b) for a, b in itertools.combinations(ours, 2))
        theirs = sorted((each["start"], each["end"]) for each in reader(QUESTION, context, top_k=5))
        n_overlapping += any(a[1] > b[0] for a, b in itertools.pairwise(theirs))
    assert n_overlapping


def test_equal_texts_are_not_added_up(bert: tuple[Predictor, Reader]) -> None:
    """The pipeline's scores of texts that occur often can exceed that of its best span."""
    predictor, reader = bert
    context = "zebra " * 40
    first = predictor.answer(QUESTION, context).candidates
    assert len({(span.start, span.end) for span in first}) == len(first) > 1
    answers = reader(QUESTION, context, top_k=5, max_answer_len=1)
    answers = answers if isinstance(answers, list) else [answers]
    assert [each["answer"] for each in answers] == ["zebra"], "all forty are one answer"


def test_scores_are_probabilities_of_being_right(bert: tuple[Predictor, Reader]) -> None:
    predictor, reader = bert
    question = Question(QUESTION, CONTEXTS[4])
    margin = predictor.read_batch([question])[0].margin
    answer = predictor.answer_batch([question])[0]
    assert answer.score == answer.answerable == pytest.approx(1 / (1 + math.exp(-margin)))
    assert reader(question.question, question.context)["score"] != pytest.approx(answer.score, abs=1e-3)


def test_it_abstains_by_itself(bert: tuple[Predictor, Reader]) -> None:
    predictor, reader = bert
    strict = Predictor(predictor.folder, threshold=1.0)
    answer = strict.answer(QUESTION, CONTEXTS[0])
    assert (answer.text, answer.abstained) == ("", True)
    assert answer.candidates[0].text == predictor.answer(QUESTION, CONTEXTS[0]).text
    assert reader(QUESTION, CONTEXTS[0])["answer"]


def test_a_blank_context_is_no_answer(bert: tuple[Predictor, Reader]) -> None:
    predictor, reader = bert
    with pytest.raises(ValueError, match="cannot be empty"):
        reader(QUESTION, "")
    assert predictor.answer(QUESTION, "").abstained
    assert predictor.answer(QUESTION, " \n").abstained


def test_a_question_too_long_is_one_clear_error(bert: tuple[Predictor, Reader]) -> None:
    predictor, reader = bert
    question = "zebra " * 200
    with pytest.raises(DataError, match="question of 200 tokens exceeds 32"):
        predictor.answer(question, CONTEXTS[0])
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of no class of its own
        reader(question, CONTEXTS[0])
    assert not isinstance(caught.value, DataError)


def test_special_tokens_in_a_text_are_text(bert: tuple[Predictor, Reader], tiny_qa_checkpoint: Path) -> None:
    context = "drug [SEP] placebo"
    (window,) = bert[0].windower.windows([Question(QUESTION, context)])
    separator = window.token_ids[-1]
    assert list(window.token_ids).count(separator) == 2
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_qa_checkpoint)
    assert tokenizer(QUESTION, context)["input_ids"].count(separator) == 3


def test_the_defaults_differ(bert: tuple[Predictor, Reader]) -> None:
    pipeline = transformers.QuestionAnsweringPipeline
    theirs = inspect.signature(pipeline.postprocess).parameters["max_answer_len"].default
    assert (theirs, bert[0].config.decode.max_answer_tokens) == (15, 120)
    assert "min(self.tokenizer.model_max_length, 384)" in inspect.getsource(pipeline.preprocess)
    ours = inspect.signature(Predictor.from_pretrained).parameters["quantize"].default
    assert ours == "auto"


def test_the_page_names_each_difference() -> None:
    page = (ROOT / "docs" / "MIGRATE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    source = Path(__file__).read_text(encoding="utf-8")
    here = set(re.findall(r"^def (test_\w+)", source.split("# ----", 2)[2], re.MULTILINE))
    assert named == here - {"test_the_page_names_each_difference"}
