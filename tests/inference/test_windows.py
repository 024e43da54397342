"""Windows: offsets into the text as given, whatever it holds, and labels where the span is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from qa_extractive.config import WindowConfig
from qa_extractive.errors import DataError, ModelError
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.training.window_labels import label_windows
from qa_extractive.types import Example, Question, Span

ROOT = Path(__file__).resolve().parents[2]
SEEDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Everything that str can hold: lone surrogates, NUL, accents in both forms, right to left, joined emoji.
ODD = (
    "\0\ud83d\udfff\u0301é中文العربيةשלום\u200f\u202e\U0001f469\u200d\U0001f52c\ufdfa㎏½İßﬁ\u00a0\u2003\ufeff"
)
ANY_TEXT = st.text(
    st.one_of(st.characters(exclude_categories=()), st.sampled_from(ODD + " \n\t.,()|[]abdrz3%")), max_size=60
)
LONG = "the drug reduced risk with placebo in patients. " * 20


def _windower(
    tokenizer: Any, max_tokens: int = 40, stride: int = 8, question: int = 12, title: int = 6
) -> Windower:
    return Windower(tokenizer, WindowConfig(max_tokens, stride, question, title))


@pytest.fixture(scope="module")
def unigram_tokenizer() -> Tokenizer:
    """A SentencePiece-like tokenizer as DeBERTa has: NFKC, blanks in the tokens, bytes for the unknown."""
    pieces = [
        "<unk>",
        "[CLS]",
        "[SEP]",
        *(f"<0x{i:02X}>" for i in range(256)),
        "▁",
        "▁the",
        "▁zebra",
        "zebra",
        "|",
    ]
    scores = [(p, -1.0 if len(p) > 2 else -3.0) for p in [*pieces, *"abcdefghijklmnopqrstuvwxyz0123456789"]]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return tokenizer


@pytest.fixture(scope="module", params=["wordpiece", "unigram"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return request.getfixturevalue(
        {"wordpiece": "tiny_tokenizer", "unigram": "unigram_tokenizer"}[request.param]
    )


def _zebra_ids(tokenizer: Tokenizer) -> set[int]:
    return {i for piece in ("zebra", "▁zebra") if (i := tokenizer.token_to_id(piece)) is not None}


def _context_ids(window: Window) -> np.ndarray[Any, Any]:
    return window.token_ids[window.first : window.first + window.n_context_tokens]


@SEEDED
@given(before=ANY_TEXT, after=ANY_TEXT)
@example(before="é\0\ud800", after="\u202e")
@example(before="\ufdfa㎏ \U0001f469\u200d\U0001f52c", after="")
def test_offsets_index_the_text_as_given(tokenizer: Tokenizer, before: str, after: str) -> None:
    context = f"{before} zebra {after}"
    windows = _windower(tokenizer, max_tokens=400).windows([Question("what", context)])
    ids = _zebra_ids(tokenizer)
    found = [
        context[start:end].strip()
        for window in windows
        for token, (start, end) in zip(_context_ids(window), window.offsets, strict=True)
        if token in ids
    ]
    assert "zebra" in found
    assert all(0 <= a <= b <= len(context) for w in windows for a, b in w.offsets)


@SEEDED
@given(context=ANY_TEXT, data=st.data())
def test_a_span_of_whole_tokens_is_found_again(
    tokenizer: Tokenizer, context: str, data: st.DataObject
) -> None:
    for window in _windower(tokenizer, max_tokens=60).windows([Question("what", context)]):
        if not window.n_context_tokens:
            continue
        i = data.draw(st.integers(0, window.n_context_tokens - 1))
        j = data.draw(st.integers(i, window.n_context_tokens - 1))
        start, end = int(window.offsets[i, 0]), int(window.offsets[j, 1])
        if start >= end:
            continue
        place = window.locate(Span.cut(context, start, end))
        assert place is not None
        first, last = (p - window.first for p in place)
        assert 0 <= first <= last < window.n_context_tokens
        assert window.offsets[first, 0] <= start
        assert window.offsets[last, 1] >= end
        # Tight: the outer tokens share a character with the span.
        assert window.offsets[first, 1] > start
        assert window.offsets[last, 0] < end


def test_locate_by_hand(tiny_tokenizer: Any) -> None:
    context = "the risk\n reduced, in patients"
    (window,) = _windower(tiny_tokenizer).windows([Question("what", context)])
    words = ["the", "risk", "reduced", ",", "in", "patients"]
    assert [context[a:b] for a, b in window.offsets] == words

    def located(text: str) -> list[str] | None:
        place = window.locate(Span.cut(context, context.index(text), context.index(text) + len(text)))
        return None if place is None else words[place[0] - window.first : place[1] - window.first + 1]

    assert located("risk") == ["risk"]
    assert located("risk\n reduced") == ["risk", "reduced"]
    assert located("isk\n red") == ["risk", "reduced"], "half a word is located by the whole"
    assert located("\n reduced") == ["reduced"], "white space belongs to no token"
    assert located("\n ") is None
    assert located(context) == words


@SEEDED
@given(context=st.one_of(ANY_TEXT, st.just(LONG)), stride=st.integers(0, 10))
def test_windows_cover_every_context_token_and_share_the_stride(
    tokenizer: Tokenizer, context: str, stride: int
) -> None:
    question = Question("what", context)
    whole = _windower(tokenizer, max_tokens=3000).windows([question])
    pieces = _windower(tokenizer, stride=stride).windows([question])
    assert len(whole) == (1 if context.strip() else 0)
    if not whole:
        assert not pieces
        return
    ids, offsets = _context_ids(pieces[0]), pieces[0].offsets
    for piece in pieces[1:]:
        assert np.array_equal(ids[len(ids) - stride :], _context_ids(piece)[:stride])
        ids = np.concatenate([ids, _context_ids(piece)[stride:]])
        offsets = np.concatenate([offsets, piece.offsets[stride:]])
    assert np.array_equal(ids, _context_ids(whole[0]))
    assert np.array_equal(offsets, whole[0].offsets)
    assert all(piece.n_tokens <= 40 for piece in pieces)


def test_the_title_is_in_every_window_and_can_hold_no_span(tokenizer: Tokenizer) -> None:
    context = "the drug " * 60
    windows = _windower(tokenizer).windows([Question("what", context, "zebra")])
    ids = _zebra_ids(tokenizer)
    assert len(windows) > 2
    for window in windows:
        assert ids & set(window.token_ids[: window.first].tolist()), "the model reads the title"
        assert not ids & set(_context_ids(window).tolist()), "no position of the title is a context position"
        n_around = window.first + window.n_context_tokens
        assert len(window.type_ids) == len(window.token_ids) == n_around + 1, "[SEP] ends the window"
        assert {context[a:b].strip() for a, b in window.offsets} <= {"", "the", "drug", *"drug"}


@pytest.mark.parametrize("title", [None, "", " \n\u00a0"])
def test_a_blank_title_is_no_title(tiny_tokenizer: Any, title: str | None) -> None:
    plain, titled = (
        _windower(tiny_tokenizer).windows([Question("what", "the risk", t)])[0] for t in (None, title)
    )
    assert np.array_equal(plain.token_ids, titled.token_ids)


def test_a_long_title_is_cut_and_leaves_room(tiny_tokenizer: Any) -> None:
    windower = _windower(tiny_tokenizer, question=12, title=6)
    title = "drug risk trial dose group years " + "zebra " * 5000
    (window,) = windower.windows([Question("what", "the risk", title)])
    read = [tiny_tokenizer.id_to_token(i) for i in window.token_ids[: window.first]]
    assert read == ["[CLS]", "what", "|", "drug", "risk", "trial", "dose", "group", "years", "[SEP]"]


def test_a_question_too_long_is_refused_and_one_that_fits_is_not(tiny_tokenizer: Any) -> None:
    windower = _windower(tiny_tokenizer, question=12)
    fits, too_long = (Question(" ".join(["patients"] * n), "the risk " * 50, "zebra") for n in (12, 13))
    assert len(windower.windows([fits])) > 1
    assert windower.accepts(fits)
    assert not windower.accepts(too_long)
    for refuse in (windower.check, lambda q: windower.windows([fits, q])):
        with pytest.raises(DataError, match="question of 13 tokens exceeds 12"):
            refuse(too_long)


def test_every_window_begins_with_the_whole_question(tiny_tokenizer: Any) -> None:
    windower = _windower(tiny_tokenizer, max_tokens=48, stride=4, question=24)
    windows = windower.windows(
        [Question("patients " * 24, LONG, "zebra")]
    )  # longer than what is left for context
    assert len(windows) > 3
    head = [tiny_tokenizer.token_to_id(p) for p in ("[CLS]", *["patients"] * 24, "|", "zebra", "[SEP]")]
    for window in windows:
        assert window.token_ids[: window.first].tolist() == head


@pytest.mark.parametrize("text", ["\ufdfa" * 3, "½ ㎏" * 4, "\u3300 \u3300"], ids=ascii)
def test_text_that_grows_when_normalised_cannot_overflow_a_window(
    unigram_tokenizer: Tokenizer, text: str
) -> None:
    # One character of these becomes up to 18 under NFKC, more tokens than it has bytes.
    windower = _windower(unigram_tokenizer, max_tokens=64, stride=20, question=24, title=8)
    question = Question(text, "the a b c " * 30)
    n_tokens = len(unigram_tokenizer.encode(text, add_special_tokens=False))
    assert windower.accepts(question) == (n_tokens <= 24)
    titled = windower.windows([Question("the", "the a b c " * 30, text * 10)])
    assert all(w.first <= 3 + 1 + 2 + 8 + 4 for w in titled), "CLS, question, mark, title, SEP"


def test_special_tokens_in_a_text_are_text(tiny_tokenizer: Any) -> None:
    context = "the [SEP] risk [CLS]"
    (window,) = _windower(tiny_tokenizer).windows([Question("what [SEP] [PAD]", context, "[MASK]")])
    for name in ("[CLS]", "[MASK]", "[PAD]"):
        assert tiny_tokenizer.token_to_id(name) not in window.token_ids[1:].tolist()
    assert window.token_ids.tolist().count(tiny_tokenizer.token_to_id("[SEP]")) == 2
    marks = [context[a:b] for a, b in window.offsets]
    assert "".join(marks) == context.replace(" ", "")


@pytest.fixture(scope="module")
def stripping_tokenizer(unigram_tokenizer: Tokenizer) -> Tokenizer:
    """The same with blanks taken off the ends, as DeBERTa's: the start of a text is special."""
    tokenizer = Tokenizer.from_str(unigram_tokenizer.to_str())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKC()])
    return tokenizer


@pytest.fixture(scope="module")
def byte_tokenizer() -> Tokenizer:
    """A RoBERTa-like tokenizer: bytes with their blanks, which are then taken out of the offsets."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<s>", "</s>", *letters, "he", "the", "Ġthe"])}
    merges = [("h", "e"), ("t", "he"), ("Ġ", "the")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=True)
    return tokenizer


KINDS = ("tiny_tokenizer", "unigram_tokenizer", "stripping_tokenizer", "byte_tokenizer")


def _same(one: Window, other: Window, n_free: int) -> bool:
    """Whether two windows are equal, but for the offsets of their first ``n_free`` context tokens."""
    return (
        (one.question_index, one.first) == (other.question_index, other.first)
        and np.array_equal(one.token_ids, other.token_ids)
        and np.array_equal(one.type_ids, other.type_ids)
        and np.array_equal(one.offsets[n_free:], other.offsets[n_free:])
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_characters", [70, 150, 1000])
@settings(SEEDED, max_examples=20)
@given(words=st.lists(st.one_of(ANY_TEXT.map(lambda t: t[:12]), st.just("the zebra risk")), max_size=30))
def test_a_text_tokenized_in_pieces_has_the_windows_of_the_whole(
    kind: str, n_characters: int, words: list[str], request: pytest.FixtureRequest
) -> None:
    windower = _windower(request.getfixturevalue(kind), max_tokens=60)
    # Each piece has a blank between two ASCII words, as every text of a paper has.
    context = " and so on, ".join(["a", *words, "b", "the drug reduced risk (p < 0.05). " * 9])
    questions = [Question("what", c, "a title") for c in ("the risk", context, " ", context + ".", "end")]
    whole = windower.windows(questions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qa_extractive.inference.windows._PIECE_CHARACTERS", n_characters)
        pieces = windower.windows(questions)
    assert len(whole) == len(pieces)
    # RoBERTa's post-processor leaves a blank in the first token of a window, as if it had put it there.
    n_free = 1 if kind == "byte_tokenizer" else 0
    assert all(_same(one, other, n_free) for one, other in zip(whole, pieces, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "context", ["x" * 500, "中文" * 250, "\ufdfa" * 300, "\0" * 500, "x" * 99 + " a" * 90]
)
def test_a_text_without_blanks_is_cut_all_the_same(
    kind: str, context: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa_extractive.inference.windows._PIECE_CHARACTERS", 64)
    windower = _windower(request.getfixturevalue(kind), max_tokens=60)
    windows = windower.windows([Question("what", context)])
    assert all(w.n_tokens <= 60 for w in windows)
    covered = np.zeros(len(context), dtype=bool)
    for window in windows:
        assert (np.diff(window.offsets, axis=0) >= 0).all()
        for start, end in window.offsets:
            covered[start:end] = True
    assert covered[[i for i, c in enumerate(context) if c not in " \0"]].all()


_PEAK = """
import resource, sys
from qa_extractive import Predictor, Question
from qa_extractive.errors import DataError
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
windower = Predictor(n_threads=1).windower
before = peak()
text = sys.argv[1] * (2_000_000 // len(sys.argv[1]))
windower.windows([Question("What fell?", text)])
try:
    windower.windows([Question(text, "c")])
except DataError as error:
    assert "characters exceeds" in str(error)
print(peak() - before)
"""


@pytest.mark.parametrize("text", ["Systolic pressure fell by 5 mmHg. ", "中", "x"])
def test_a_long_text_takes_no_more_memory_than_its_windows(text: str) -> None:
    command = [sys.executable, "-c", _PEAK, text]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 250, "MB for 2 million characters; in one piece 300 and more, 1,200 of Chinese"


@pytest.mark.parametrize("context", ["", " ", "\n\t\u00a0\u2003"])
def test_a_blank_context_has_no_window_and_keeps_its_neighbours_places(
    tiny_tokenizer: Any, context: str
) -> None:
    questions = [Question("what", c) for c in ("the risk", context, "the drug")]
    assert [w.question_index for w in _windower(tiny_tokenizer).windows(questions)] == [0, 2]


def test_a_context_without_tokens_can_hold_no_span(tiny_tokenizer: Any) -> None:
    (window,) = _windower(tiny_tokenizer).windows([Question("what", "\0\0")])
    assert window.n_context_tokens == 0
    assert window.locate(Span("\0", 0, 1)) is None


def test_the_tokenizers_own_truncation_and_padding_do_not_count(tiny_tokenizer: Any) -> None:
    tokenizer = Tokenizer.from_str(tiny_tokenizer.to_str())
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=64)
    question = Question("what", "the drug reduced risk with placebo in patients")
    given_to, plain = (_windower(t).windows([question])[0] for t in (tokenizer, tiny_tokenizer))
    assert np.array_equal(given_to.token_ids, plain.token_ids)
    long, short = (Question("what " * n, "the drug") for n in (13, 12))
    assert _windower(tokenizer).accepts(short)
    assert not _windower(tokenizer).accepts(long), "a question is not cut without a word"
    assert tokenizer.truncation["max_length"] == 5, "the tokenizer given is not changed"


def test_a_broken_or_missing_tokenizer_is_named(tmp_path: Path, tiny_tokenizer: Any) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing"):
        Windower.load(tmp_path, WindowConfig())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        Windower.load(tmp_path, WindowConfig())
    tiny_tokenizer.save(str(tmp_path / "tokenizer.json"))
    (window,) = Windower.load(tmp_path, WindowConfig()).windows([Question("what", "the risk")])
    assert window.n_context_tokens == 2


def _example(spans: tuple[Span, ...] = (), answerable: bool | None = None, context: str = LONG) -> Example:
    return Example("e", Question("what", context), spans=spans, answerable=answerable)


def test_a_span_labels_the_windows_that_hold_all_of_it(tiny_tokenizer: Any) -> None:
    context = "the drug " * 40 + "zebra risk " + "the dose " * 40
    at = context.index("zebra risk")
    labelled = label_windows(
        _windower(tiny_tokenizer, stride=0),
        [_example((Span.cut(context, at, at + 10, 0.6),), context=context)],
    )
    assert len(labelled) > 3
    holding = [each for each in labelled if each.positions]
    assert len(holding) == 1
    ((first, last),) = holding[0].positions
    ids = holding[0].window.token_ids
    assert [tiny_tokenizer.id_to_token(ids[p]) for p in (first, last)] == ["zebra", "risk"]
    assert last == first + 1
    assert [each.answerable for each in labelled] == [float(bool(each.positions)) for each in labelled]
    assert {each.span_weight for each in labelled} == {0.6}, "'no answer here' is as sure as the label"


def test_a_span_cut_by_a_window_is_no_label_there(tiny_tokenizer: Any) -> None:
    windower = _windower(tiny_tokenizer, stride=0)
    first, second = windower.windows([Question("what", LONG)])[:2]
    across = Span.cut(LONG, int(first.offsets[-1, 0]), int(second.offsets[0, 1]))
    labelled = label_windows(windower, [_example((across,))])
    assert [each.positions for each in labelled] == [()] * len(labelled)


def test_of_several_spans_any_is_right_and_the_surest_sets_the_weight(tiny_tokenizer: Any) -> None:
    context = "risk the drug"
    spans = (Span.cut(context, 0, 4, 0.3), Span.cut(context, 9, 13, 0.8))
    (each,) = label_windows(_windower(tiny_tokenizer), [_example(spans, context=context)])
    assert each.positions == ((each.window.first, each.window.first), (each.window.first + 2,) * 2)
    assert each.span_weight == 0.8


@pytest.mark.parametrize(
    ("answerable", "weight", "target"), [(None, 0.0, None), (True, 0.0, 1.0), (False, 1.0, 0.0)]
)
def test_what_is_not_known_is_not_trained(
    tiny_tokenizer: Any, answerable: bool | None, weight: float, target: float | None
) -> None:
    for each in label_windows(_windower(tiny_tokenizer), [_example(answerable=answerable)]):
        assert (each.positions, each.span_weight, each.answerable) == ((), weight, target)
