"""The encoder written out, with papers read apart: its own function, but for the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qa_extractive.errors import ModelError  # noqa: E402
from qa_extractive.model.apart import TOGETHER, Apart, encoded  # noqa: E402
from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig  # noqa: E402

FIRST, N_TOKENS = (5, 9), (20, 16)


@pytest.fixture(scope="module")
def model() -> SpanReader:
    torch.manual_seed(3)
    encoder = {
        "model_type": "bert",
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 24,
    }
    made = SpanReader(SpanReaderConfig(encoder, skim_layers=[2, 3], cached_layers=2, cached_grid=8))
    made.train(False)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return made


@pytest.fixture
def batch() -> dict[str, Any]:
    """Two windows, the second with padding."""
    generator = torch.Generator().manual_seed(1)
    return {
        "input_ids": torch.randint(0, 50, (2, 20), generator=generator),
        "first": torch.tensor(FIRST),
        "n_tokens": torch.tensor(N_TOKENS),
    }


def test_together_it_is_what_the_encoder_gives(model: SpanReader, batch: dict[str, Any]) -> None:
    place = torch.arange(20)
    valid = place < batch["n_tokens"][:, None]
    types = (valid & (place >= batch["first"][:, None])).long()
    with torch.inference_mode():
        expected = model.encoder(
            batch["input_ids"], attention_mask=valid.long(), token_type_ids=types
        ).last_hidden_state
        found = encoded(model, batch, apart=TOGETHER, dropout=0.0)
    np.testing.assert_allclose(found[valid], expected[valid], atol=1e-5)


def test_the_paper_sees_the_question_above_the_cut_only(model: SpanReader, batch: dict[str, Any]) -> None:
    other = {**batch, "input_ids": batch["input_ids"].clone()}
    other["input_ids"][:, 1:5] = 7
    found: dict[int, Any] = {}
    changed: dict[int, Any] = {}
    with torch.inference_mode():
        encoded(model, batch, apart=Apart(2, 8), dropout=0.0, attended=found)
        encoded(model, other, apart=Apart(2, 8), dropout=0.0, attended=changed)
    for layer in (1, 2, 3, 4):
        is_same = torch.equal(found[layer][0, FIRST[0] :], changed[layer][0, FIRST[0] :])
        assert is_same == (layer <= 2), layer
        assert not torch.equal(found[layer][0, : FIRST[0]], changed[layer][0, : FIRST[0]])


def test_a_paper_is_the_same_behind_questions_of_other_lengths(
    model: SpanReader, batch: dict[str, Any]
) -> None:
    ids = batch["input_ids"][:1]
    longer = torch.cat([ids[:, :3], ids[:, 1:]], dim=1)  # two tokens more, and still below 8
    by_length = []
    for own, first in ((ids[:, :16], 5), (longer[:, :18], 7)):
        inputs = {"input_ids": own, "first": torch.tensor([first]), "n_tokens": torch.tensor([own.shape[1]])}
        attended: dict[int, Any] = {}
        with torch.inference_mode():
            encoded(model, inputs, apart=Apart(2, 8), dropout=0.0, attended=attended)
        by_length.append(attended[2][0, first:])
    np.testing.assert_allclose(by_length[0], by_length[1], atol=1e-6)


def test_heads_below_the_cut_have_no_loss_where_papers_are_apart(
    model: SpanReader, batch: dict[str, Any]
) -> None:
    place = torch.arange(20)
    valid = place < batch["n_tokens"][:, None]
    context = valid & (place >= batch["first"][:, None])
    labels = {
        "input_ids": batch["input_ids"],
        "attention_mask": valid.long(),
        "token_type_ids": context.long(),
        "context_mask": context | (place == 0),
        "start_positions": torch.tensor([[10], [11]]),
        "end_positions": torch.tensor([[12], [12]]),
        "span_weight": torch.ones(2),
        "answerable": torch.ones(2),
        "sentence_ids": torch.where(context, (place - 5).clamp(min=0) // 4, -1),
    }
    for apart in (None, model.apart):
        model.zero_grad()
        loss = model(**labels, apart=apart).loss
        assert loss is not None
        loss.backward()
        grads = {name: weight.grad for name, weight in model.named_parameters()}
        lower, upper = (float(grads[f"skim_heads.{i}.output.weight"].abs().sum()) for i in range(2))
        assert upper > 0
        assert (lower > 0) == (not apart)


def test_what_a_model_cannot_do_is_refused(model: SpanReader) -> None:
    config = model.config.to_dict()
    for name, value, message in (
        ("cached_layers", 4, "cached_layers must lie between 1 and 3, got 4"),
        ("cached_layers", True, "cached_layers must lie between 1 and 3"),
        ("cached_grid", 0, "cached_grid must lie between 1 and 512, got 0"),
    ):
        with pytest.raises(ModelError, match=message):
            SpanReader(SpanReaderConfig(**{**config, name: value}))
    with pytest.raises(ValueError, match="BERT's encoder, with attention_mask"):
        model(torch.zeros((1, 4), dtype=torch.long), apart=model.apart)


def test_in_training_on_a_cpu_the_written_out_encoder_learns_the_same(model: SpanReader) -> None:
    """In bfloat16 it stands for the encoder: gradients agree with those in float32 as closely as its own."""
    ids = torch.randint(0, 50, (4, 20), generator=torch.Generator().manual_seed(5))
    mask = (torch.arange(20) < torch.tensor([20, 20, 16, 18])[:, None]).long()
    types = (torch.arange(20) >= 6).long() * mask
    labels = {
        "context_mask": types.bool() | (torch.arange(20) == 0),
        "start_positions": torch.full((4, 1), 8),
        "end_positions": torch.full((4, 1), 10),
        "span_weight": torch.ones(4),
        "answerable": torch.ones(4),
    }

    def gradients(narrow: bool) -> tuple[Any, bool]:
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
            is_written_out = model._is_quicker_written_out(ids, mask, types)
            model(ids, mask, types, **labels).loss.backward()
        own = [p.grad.flatten() for p in model.encoder.parameters() if p.grad is not None]
        return torch.cat(own), is_written_out

    expected, is_written_out = gradients(narrow=False)
    assert not is_written_out
    found, is_written_out = gradients(narrow=True)
    assert is_written_out
    assert (found - expected).norm() < 0.05 * expected.norm()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert not model._is_quicker_written_out(ids, mask, types)
