"""Adapters learn in the place of the encoder and end in its weights; layers can be computed again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from qa_extractive.config import TrainConfig  # noqa: E402
from qa_extractive.errors import DataError, ModelError  # noqa: E402
from qa_extractive.inference.windows import Windower  # noqa: E402
from qa_extractive.model.checkpoint import window_for  # noqa: E402
from qa_extractive.model.span_reader import ENCODER_TYPES, SpanReader, TorchBackend  # noqa: E402
from qa_extractive.training import run, trainer  # noqa: E402
from qa_extractive.training.batching import collate  # noqa: E402
from qa_extractive.training.distillation import Distillation  # noqa: E402
from qa_extractive.training.lora import add_adapters, merge_adapters  # noqa: E402
from qa_extractive.training.report import TrainReport  # noqa: E402
from qa_extractive.training.run import load_base, train  # noqa: E402
from qa_extractive.training.window_labels import LabelledWindow, label_windows  # noqa: E402
from qa_extractive.types import Example, Question, Span  # noqa: E402

# Checkpoints of these runs lie less than a second apart, which the Trainer takes for a broken file system.
pytestmark = [
    pytest.mark.filterwarnings("ignore:mtime may not be reliable"),
    # DeBERTa's, at import
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
]

LORA = TrainConfig(
    max_steps=4, batch_size=4, learning_rate=3e-3, mismatch_share=0, removal_share=0, n_dev=0,
    n_calibration=0, save_minutes=1e-9, lora_rank=2,
)  # fmt: skip
_POSITIONS = {"max_position_embeddings": 130, "type_vocab_size": 1}  # the first two are the padding's
_DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0}
# What a tiny encoder needs beside the usual sizes, and its products in a layer.
ENCODERS: dict[str, tuple[dict[str, Any], int]] = {
    "bert": ({}, 6),
    "deberta": (_DEBERTA | {"max_relative_positions": 32, "position_biased_input": False}, 6),
    "deberta-v2": (_DEBERTA | {"position_buckets": 16, "share_att_key": True}, 6),
    "roberta": (_POSITIONS, 6),
    "electra": ({"embedding_size": 16}, 6),
    "distilbert": ({"hidden_dim": 64}, 6),
    "mpnet": (_POSITIONS, 6),
}


def _examples(n: int = 12) -> list[Example]:
    made = []
    for i in range(n):
        context = f"We treated {20 + i} patients with the drug. The risk of mortality fell to {i} percent."
        span = Span.cut(context, context.index("fell"), len(context) - 1)
        question = Question(f"How did the risk change in trial {i}?", context)
        made.append(Example(str(i), question, (span.text,), (span,), True, f"d{i}", "small"))
    return made


def _windows(base: str, model: SpanReader) -> list[LabelledWindow]:
    return label_windows(Windower(run.load_tokenizer(base), window_for(model.encoder.config)), _examples())


@pytest.fixture(params=ENCODER_TYPES)
def base(request: pytest.FixtureRequest, make_reader_checkpoint: Callable[..., Path]) -> str:
    """A checkpoint of each type of encoder."""
    return str(make_reader_checkpoint(request.param, **ENCODERS[request.param][0]))


def test_adapters_alone_learn_and_merge_into_a_plain_model_of_the_same_logits(base: str) -> None:
    model, _ = load_base(base, LORA)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    windows = _windows(base, model)
    add_adapters(model, LORA)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or not name.startswith("encoder.") for name in learning)
    kind = model.encoder.config.model_type
    assert sum("lora_A" in name for name in learning) >= ENCODERS[kind][1] * 2, "in both layers"

    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    model.train()
    for _ in range(3):
        optimizer.zero_grad()
        model(**collate(windows)).loss.backward()
        optimizer.step()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert with_gradient <= learning
    assert any("lora_A" in name for name in with_gradient)
    assert "span_head.weight" in with_gradient

    adapted = {n: weight.clone() for n, weight in model.state_dict().items()}
    logits = TorchBackend(model).run([each.window for each in windows])
    merge_adapters(model)
    merged = model.state_dict()
    assert merged.keys() == before.keys(), "a plain model"
    for found, expected in zip(TorchBackend(model).run([w.window for w in windows]), logits, strict=True):
        assert abs(found.start - expected.start).max() < 1e-5 * max(1.0, abs(expected.start).max())
        assert abs(found.end - expected.end).max() < 1e-5 * max(1.0, abs(expected.end).max())
    changed = 0
    for name, weight in merged.items():
        if not name.startswith("encoder."):
            continue
        stem = name.removesuffix(".weight")
        if f"{stem}.lora_A.default.weight" in adapted:
            product = adapted[f"{stem}.lora_B.default.weight"] @ adapted[f"{stem}.lora_A.default.weight"]
            torch.testing.assert_close(weight, before[name] + 2.0 * product, atol=1e-6, rtol=1e-5)
            changed += int(not torch.equal(weight, before[name]))
        else:
            assert torch.equal(weight, before[name]), name
    assert changed > 0


def test_layers_computed_again_keep_less_and_give_the_same_gradients(base: str) -> None:
    if not _can_recompute(base):
        pytest.skip("transformers cannot do so with this encoder; the next test looks at what is said")

    def gradients(is_checkpointed: bool) -> tuple[dict[str, Any], int]:
        model, _ = load_base(base, LORA)
        batch = collate(_windows(base, model))
        if is_checkpointed:
            model.recompute_layers()
        n_kept: list[int] = []

        def keep(tensor: Any) -> Any:
            n_kept.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = model.train()(**batch).loss
        loss.backward()
        return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, sum(n_kept)

    (plain, n_plain), (again, n_again) = gradients(False), gradients(True)
    assert n_again < 0.7 * n_plain
    assert plain.keys() == again.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient)


def _can_recompute(base: str) -> bool:
    model, _ = load_base(base, LORA)
    return any(hasattr(module, "gradient_checkpointing") for module in model.modules())


def test_an_encoder_without_checkpointing_is_refused_in_one_line(
    make_reader_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = load_base(str(make_reader_checkpoint("bert")), LORA)

    def refuse(_: Any) -> None:
        raise ValueError("SpanReader is not compatible")

    for name in ("gradient_checkpointing_enable", "activation_checkpointing_enable"):
        monkeypatch.setattr(model, name, refuse, raising=False)
    with pytest.raises(ModelError, match="encoder 'bert' cannot train with gradient_checkpointing"):
        model.recompute_layers()


def test_the_option_computes_layers_again(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.bert.modeling_bert import BertIntermediate

    n_passes: list[bool] = []
    forward = BertIntermediate.forward

    def counted(self: Any, x: Any) -> Any:
        n_passes.append(self.training)
        return forward(self, x)

    monkeypatch.setattr(BertIntermediate, "forward", counted)
    base, config = str(tiny_checkpoint), dataclasses.replace(LORA, lora_rank=0, save_minutes=60.0)
    counts = []
    for name in ("plain", "again"):
        n_passes.clear()
        chosen = dataclasses.replace(config, gradient_checkpointing=name == "again")
        train(_examples(), base=base, output=tmp_path / name, config=chosen)
        counts.append(sum(n_passes))
    assert counts[1] == 2 * counts[0]
    plain, again = (SpanReader.from_pretrained(tmp_path / n).state_dict() for n in ("plain", "again"))
    assert all(torch.allclose(again[name], plain[name], atol=1e-5) for name in plain)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_killed_run_of_adapters_resumes_and_ends_as_a_plain_checkpoint(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    config = dataclasses.replace(LORA, precision=precision, gradient_checkpointing=True)
    base, whole, killed = str(tiny_checkpoint), tmp_path / "whole", tmp_path / "killed"
    model, _ = load_base(base, LORA)
    teacher = Distillation(TorchBackend(model), weight=0.5)
    report = train(_examples(), base=base, output=whole, config=config, distillation=teacher)

    original = trainer.Clock.on_step_end

    def stop_at_three(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 3:
            raise KeyboardInterrupt
        original(self, args, state, control, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Clock, "on_step_end", stop_at_three)
        with pytest.raises(KeyboardInterrupt):
            train(_examples(), base=base, output=killed, config=config, distillation=teacher)
    other = dataclasses.replace(config, lora_rank=4)
    with pytest.raises(DataError, match="lora_rank=2, not 4: cannot resume"):
        train(_examples(), base=base, output=killed, config=other, resume=True)
    train(_examples(), base=base, output=killed, config=config, resume=True, distillation=teacher)
    expected, found = (load_base(str(folder), LORA)[0].state_dict() for folder in (whole, killed))
    assert expected.keys() == model.state_dict().keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    moved = [name for name, weight in model.state_dict().items() if not torch.equal(weight, expected[name])]
    assert any("query.weight" in name for name in moved)
    assert not any("embeddings" in name or "LayerNorm" in name for name in moved)

    heads = sum(p.numel() for n, p in model.named_parameters() if not n.startswith("encoder."))
    # Two layers: rank 2 times the sum of both sides of four 32 x 32, a 32 x 64 and a 64 x 32 product.
    assert report.n_trained == heads + 2 * 2 * (4 * 64 + 2 * 96)
    assert report.n_parameters == sum(p.numel() for p in model.parameters())
    assert TrainReport.load(whole).n_trained == report.n_trained


def test_what_cannot_be_is_one_clear_line(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="lora_alpha needs a lora_rank"):
        TrainConfig(lora_alpha=8)
    with pytest.raises(DataError, match="lora_rank must not be negative"):
        TrainConfig(lora_rank=-1)
    monkeypatch.setattr("qa_extractive.training.lora.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"need peft: pip install 'qa-extractive\[lora\]'"):
        train(_examples(), base=str(tiny_checkpoint), output=tmp_path / "run", config=LORA)
    assert not (tmp_path / "run").exists(), "nothing that a second attempt would have to resume"
