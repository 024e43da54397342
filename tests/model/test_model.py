"""The torch model: its loss by hand, its logits whatever the padding, its files there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import BertConfig, BertModel  # noqa: E402

from qa_extractive.config import WindowConfig  # noqa: E402
from qa_extractive.errors import ModelError  # noqa: E402
from qa_extractive.inference.windows import Window, Windower  # noqa: E402
from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig, TorchBackend, pad_windows  # noqa: E402
from qa_extractive.training.batching import collate  # noqa: E402
from qa_extractive.training.window_labels import LabelledWindow  # noqa: E402
from qa_extractive.types import Question  # noqa: E402

QUESTIONS = [
    Question("what", "the drug reduced risk"),
    Question("how did the trial compare the effect", "results showed that mortality increased " * 4, "title"),
    Question("which dose", "placebo group"),
]


@pytest.fixture(scope="module", params=["bert", "deberta"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    name = {"bert": "tiny_checkpoint", "deberta": "tiny_deberta_checkpoint"}[request.param]
    folder: Path = request.getfixturevalue(name)
    return folder


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> SpanReader:
    reader: SpanReader = SpanReader.from_pretrained(checkpoint, use_safetensors=True).eval()
    return reader


@pytest.fixture
def bert(tiny_checkpoint: Path) -> SpanReader:
    reader: SpanReader = SpanReader.from_pretrained(tiny_checkpoint, use_safetensors=True).eval()
    return reader


@pytest.fixture
def windows(tiny_tokenizer: Any) -> list[Window]:
    return Windower(tiny_tokenizer, WindowConfig(128, 32, 32, 16)).windows(QUESTIONS)


def _logits(model: SpanReader, batch: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with torch.no_grad():
        output = model(**batch)
    return output.start_logits.numpy(), output.end_logits.numpy(), output.answerability_logit.numpy()


def _span_loss(logits: np.ndarray, allowed: list[int], right: list[int]) -> float:
    """Minus the log of the probability, over the allowed positions, of the right ones."""
    mass = np.exp(logits.astype(np.float64) - logits[allowed].max())
    return float(-np.log(mass[right].sum() / mass[allowed].sum()))


def _context(window: Window) -> list[int]:
    return [0, *range(window.first, window.first + window.n_context_tokens)]


def test_the_loss_by_hand(bert: SpanReader, windows: list[Window]) -> None:
    one, two, three = windows
    a, b = one.first, two.first
    bert.config.answerability_weight = 0.25
    batch = collate(
        [
            LabelledWindow(one, ((a, a + 1), (a + 2, a + 3)), 0.5, 1.0),
            LabelledWindow(two, (), 1.0, 0.0),
            LabelledWindow(three, (), 0.0, None),
        ]
    )
    start, end, answerability = (x.astype(np.float64) for x in _logits(bert, batch))
    first = _span_loss(start[0], _context(one), [a, a + 2]) + _span_loss(
        end[0], _context(one), [a + 1, a + 3]
    )
    second = _span_loss(start[1], _context(two), [0]) + _span_loss(end[1], _context(two), [0])
    spans = (0.5 * first / 2 + 1.0 * second / 2) / 1.5
    answerable = (np.log1p(np.exp(-answerability[0])) + np.log1p(np.exp(answerability[1]))) / 2
    with torch.no_grad():
        loss = float(bert(**batch).loss)
    assert loss == pytest.approx(spans + 0.25 * answerable, abs=1e-5)
    assert b != a, "the two windows differ in where the context begins"


def test_spans_that_share_a_start_count_it_once(bert: SpanReader, windows: list[Window]) -> None:
    one = windows[0]
    a = one.first
    twice = collate([LabelledWindow(one, ((a, a + 1), (a, a + 2), (a + 1, a + 2)), 1.0, None)])
    start, end, _ = _logits(bert, twice)
    expected = _span_loss(start[0], _context(one), [a, a + 1]) + _span_loss(
        end[0], _context(one), [a + 1, a + 2]
    )
    with torch.no_grad():
        assert float(bert(**twice).loss) == pytest.approx(expected / 2, abs=1e-5)


def test_eager_attention_gives_the_same_logits(checkpoint: Path, windows: list[Window]) -> None:
    model = SpanReader.from_pretrained(checkpoint, use_safetensors=True).eval()
    batch = pad_windows(windows)
    before = _logits(model, batch)
    model.use_eager_attention()
    model.eval()
    for one, other in zip(before, _logits(model, batch), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_is_not_known_moves_nothing(bert: SpanReader, windows: list[Window]) -> None:
    unknown = collate([LabelledWindow(w, (), 0.0, None) for w in windows])
    loss = bert(**unknown).loss
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(p.grad is None or not p.grad.any() for p in bert.parameters())


def test_a_span_label_never_favours_the_question(bert: SpanReader, windows: list[Window]) -> None:
    batch = collate([LabelledWindow(windows[0], (), 1.0, None)])
    output = bert(**batch)
    output.start_logits.retain_grad()
    output.loss.backward()
    moved = torch.nonzero(output.start_logits.grad[0]).flatten().tolist()
    assert moved == _context(windows[0])


def test_labels_without_weights_are_a_bug_of_the_caller(bert: SpanReader, windows: list[Window]) -> None:
    batch = collate([LabelledWindow(windows[0], (), 1.0, None)])
    del batch["span_weight"]
    with pytest.raises(ValueError, match="span_weight"):
        bert(**batch)


def test_padding_does_not_change_the_logits(model: SpanReader, windows: list[Window]) -> None:
    assert len({w.n_tokens for w in windows}) == 3, "two of them are padded"
    together = TorchBackend(model).run(windows)
    for window, padded in zip(windows, together, strict=True):
        start, end, answerability = _logits(model, pad_windows([window]))
        assert len(padded.start) == len(padded.end) == window.n_tokens
        assert np.abs(padded.start - start[0]).max() < 1e-5
        assert np.abs(padded.end - end[0]).max() < 1e-5
        assert padded.answerability == pytest.approx(answerability[0], abs=1e-5)
        assert np.ptp(padded.start) > 0.1, "logits that are all alike could not differ"


def test_the_backend_keeps_the_order_whatever_the_batch(model: SpanReader, windows: list[Window]) -> None:
    large = TorchBackend(model, batch_size=32).run(windows)
    small = TorchBackend(model, batch_size=2).run(windows)
    for window, one, other in zip(windows, large, small, strict=True):
        assert len(one.start) == window.n_tokens
        assert np.abs(one.start - other.start).max() < 1e-5
    assert TorchBackend(model).run([]) == []


def test_a_model_comes_back_as_saved_in_safetensors_only(
    model: SpanReader, windows: list[Window], tmp_path: Path
) -> None:
    model.config.answerability_weight = 0.125
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    again = SpanReader.from_pretrained(tmp_path, use_safetensors=True).eval()
    assert again.config.answerability_weight == 0.125
    for one, other in zip(
        _logits(model, pad_windows(windows)), _logits(again, pad_windows(windows)), strict=True
    ):
        assert np.array_equal(one, other)


def test_segments_reach_the_encoder_that_has_them(model: SpanReader, windows: list[Window]) -> None:
    batch = pad_windows(windows)
    flat = {**batch, "token_type_ids": torch.zeros_like(batch["token_type_ids"])}
    differs = np.abs(_logits(model, batch)[0] - _logits(model, flat)[0]).max() > 1e-3
    assert differs == (model.encoder.config.model_type == "bert")


def test_dropout_is_off_in_the_backend(bert: SpanReader, windows: list[Window]) -> None:
    backend = TorchBackend(bert.train())
    assert not bert.training
    assert np.array_equal(backend.run(windows)[0].start, backend.run(windows)[0].start)


@pytest.mark.parametrize("encoder", [{"model_type": "gpt2"}, {}, {"model_type": None}])
def test_an_unsupported_encoder_is_refused(encoder: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="is not supported; use one of bert, deberta"):
        SpanReader(SpanReaderConfig(encoder=encoder))


def _encoder(tokenizer: Any) -> BertModel:
    torch.manual_seed(5)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    return BertModel(
        BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=128, **sizes)
    ).eval()


def test_an_encoder_keeps_its_weights_and_gets_fresh_heads(
    tiny_tokenizer: Any, windows: list[Window], tmp_path: Path
) -> None:
    encoder = _encoder(tiny_tokenizer)
    encoder.save_pretrained(tmp_path)
    torch.manual_seed(1)
    first = SpanReader.from_encoder(tmp_path, answerability_weight=0.75).eval()
    torch.manual_seed(2)
    second = SpanReader.from_encoder(tmp_path).eval()
    assert first.config.answerability_weight == 0.75
    batch = pad_windows(windows)
    with torch.no_grad():
        hidden = encoder(**batch).last_hidden_state
        own = first.encoder(**batch).last_hidden_state
    on_tokens = batch["attention_mask"].bool()
    assert (hidden - own)[on_tokens].abs().max() < 1e-5
    assert not torch.equal(first.span_head.weight, second.span_head.weight)
    assert float(first.span_head.weight.detach().abs().max()) < 0.2


def test_a_base_that_is_none_is_named(tiny_tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="base /no/such/folder"):
        SpanReader.from_encoder("/no/such/folder")
    encoder = _encoder(tiny_tokenizer)
    encoder.config.save_pretrained(tmp_path)
    torch.save(encoder.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        SpanReader.from_encoder(tmp_path)
