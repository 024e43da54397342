"""Training several teachers and a student of their mean: the same function as the model's own, in pieces."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

torch = pytest.importorskip("torch")

from qa_extractive.cli import main  # noqa: E402
from qa_extractive.config import TrainConfig, WindowConfig  # noqa: E402
from qa_extractive.data.example_jsonl import examples_to_jsonl  # noqa: E402
from qa_extractive.errors import DataError  # noqa: E402
from qa_extractive.inference.windows import Windower  # noqa: E402
from qa_extractive.model.apart import Apart  # noqa: E402
from qa_extractive.model.span_reader import SpanReader  # noqa: E402
from qa_extractive.training.batching import collate  # noqa: E402
from qa_extractive.training.ensemble import encoder as ensemble_encoder  # noqa: E402
from qa_extractive.training.ensemble import loop  # noqa: E402
from qa_extractive.training.ensemble.data import JUDGED_ON, WINDOWS_FILE, development_sets  # noqa: E402
from qa_extractive.training.ensemble.encoded import EncodedWindows, encode, joined  # noqa: E402
from qa_extractive.training.ensemble.encoder import forward, is_bfloat16_fast  # noqa: E402
from qa_extractive.training.ensemble.members import (  # noqa: E402
    Member,
    chosen_windows,
    deeper,
    fit,
    load_targets,
    mean_state,
    write_targets,
)
from qa_extractive.training.ensemble.plan import Plan, choose, run_plan, score  # noqa: E402
from qa_extractive.training.recipe import Recipe  # noqa: E402
from qa_extractive.training.run import load_base, load_tokenizer  # noqa: E402
from qa_extractive.training.window_labels import LabelledWindow, label_windows  # noqa: E402
from qa_extractive.types import Example, Question, Span  # noqa: E402

CPU = torch.device("cpu")
TEXTS = (
    "Desk heights were raised by 12 cm. Back pain fell in both groups.",
    "Sixty hens ate oats. Their eggs weighed 61 g, and none of them was ill, as far as anybody could tell.",
)


def examples() -> list[Example]:
    """Two answerable yes/no questions and one that its text does not answer."""
    found = []
    for number, (asked, context, answer, verdict) in enumerate(
        [
            ("Did back pain fall?", TEXTS[0], "Back pain fell", "yes"),
            ("Were hens ill?", TEXTS[1], "none of them was ill", "no"),
            ("How old were the hens?", TEXTS[1], None, None),
        ]
    ):
        start = context.index(answer) if answer else 0
        spans = (Span.cut(context, start, start + len(answer)),) if answer else ()
        found.append(
            Example(
                id=str(number),
                question=Question(asked, context, "Of hens" if number else None),
                references=tuple(span.text for span in spans),
                spans=spans,
                answerable=bool(spans),
                document=str(number),
                source="a" if number else "b",
                verdict=verdict,
            )
        )
    return found


@pytest.fixture
def reader(tiny_checkpoint: Path) -> SpanReader:
    model, _ = load_base(str(tiny_checkpoint), TrainConfig(verdict_weight=0.5))
    model.train(False)
    return model


@pytest.fixture
def labelled(tiny_checkpoint: Path) -> list[LabelledWindow]:
    sizes = WindowConfig(max_tokens=48, stride_tokens=8, max_question_tokens=16, max_title_tokens=8)
    return label_windows(Windower(load_tokenizer(tiny_checkpoint), sizes), examples())


def encoded(labelled: list[LabelledWindow]) -> EncodedWindows:
    sources = [example.source for example in examples()]
    return encode([(each, sources[each.window.question_index], 0) for each in labelled])


def test_no_more_examples_are_judged_than_may_be(tiny_checkpoint: Path) -> None:
    made = [
        dataclasses.replace(example, id=f"{source}-{i}", document=f"{source}-{i}", source=source)
        for source in ("squad", "claims")
        for i in range(60)
        for example in examples()[:1]
    ]
    windower = Windower(load_tokenizer(tiny_checkpoint), WindowConfig())
    config = TrainConfig(n_dev=40, n_calibration=10, held_out_share=0.5)
    sizes = {
        n: {name: len(each) for name, each in development_sets(made, windower, config, n).items()}
        for n in (3, 1000)
    }
    assert sizes[3] == {"asked": 0, "squad": 3, "science": 3}
    assert sizes[1000]["squad"] > 3 < sizes[1000]["science"]


def test_a_batch_is_what_collate_makes(labelled: list[LabelledWindow]) -> None:
    windows = loop.DeviceWindows(encoded(labelled), CPU)
    numbers = torch.arange(len(labelled))
    found = windows.batch(numbers, int(windows.lengths.max()))
    wanted = collate(labelled)
    assert len(labelled) >= 3
    for name in ("input_ids", "context_mask", "start_positions", "end_positions", "answerable", "verdict"):
        assert torch.equal(found[name], wanted[name].to(found[name].dtype)), name
    assert found["n_tokens"].tolist() == wanted["attention_mask"].sum(1).tolist()


def test_read_together_it_is_the_models_own_function(
    reader: SpanReader, labelled: list[LabelledWindow]
) -> None:
    windows = loop.DeviceWindows(encoded(labelled), CPU)
    batch = windows.batch(torch.arange(len(labelled)), 64)
    with torch.no_grad():
        found, wanted = forward(reader, batch), reader(**collate(labelled))
    inside = collate(labelled)["attention_mask"].bool()
    for name in ("start_logits", "end_logits"):
        assert torch.allclose(found[name][:, : inside.shape[1]][inside], wanted[name][inside], atol=1e-5)
    assert torch.allclose(found["answerability_logit"], wanted.answerability_logit, atol=1e-5)
    assert torch.allclose(found["verdict_logits"], wanted.verdict_logits, atol=1e-5)


@pytest.mark.parametrize("apart", [Apart(0, 1), Apart(1, 4)])
def test_weights_in_bfloat16_give_the_same_function_on_a_cpu(
    reader: SpanReader, labelled: list[LabelledWindow], apart: Apart
) -> None:
    batch = loop.DeviceWindows(encoded(labelled), CPU).batch(torch.arange(len(labelled)), 64)
    with torch.no_grad():
        expected = forward(reader, batch, apart=apart)
        found = forward(reader.to(torch.bfloat16), batch, apart=apart)
    for name, logits in expected.items():
        assert found[name].dtype == torch.bfloat16, name
        assert (found[name].float() - logits).norm() < 0.1 * logits.norm(), name


@pytest.mark.parametrize(
    ("instructions", "is_fast"),
    [
        (("AVX2", "AVX-512", "AVX-512 VNNI"), False),
        (("AVX2", "AVX-512", "AVX-512 VNNI", "AVX-512 BF16"), True),
        (("NEON", "bf16"), True),
        ((), False),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, instructions: tuple[str, ...], is_fast: bool
) -> None:
    monkeypatch.setattr(ensemble_encoder, "cpu_and_instructions", lambda: ("A CPU", instructions))
    assert is_bfloat16_fast(CPU) is is_fast
    assert is_bfloat16_fast(torch.device("cuda"))


@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_paper_read_apart_does_not_see_the_question(
    reader: SpanReader, labelled: list[LabelledWindow], n_layers: int
) -> None:
    """With all layers apart no logit of the paper depends on the question, or on its length; else it does."""
    windows = loop.DeviceWindows(encoded(labelled), CPU)
    one = windows.batch(torch.tensor([0]), 48)
    first = int(one["first"][0])
    other = {name: value.clone() for name, value in one.items()}
    other["input_ids"][0, 1] = 7
    shorter = {name: value.clone() for name, value in one.items()}
    shorter["input_ids"] = torch.cat([one["input_ids"][:, :1], one["input_ids"][:, 2:]], 1)
    shorter["first"], shorter["n_tokens"] = one["first"] - 1, one["n_tokens"] - 1
    last = int(one["n_tokens"][0])
    total = reader.encoder.config.num_hidden_layers
    with torch.no_grad():
        apart = Apart(n_layers, 16)
        logits, changed, moved = (
            forward(reader, each, apart=apart)["start_logits"][0] for each in (one, other, shorter)
        )
    same = torch.allclose(logits[first:last], changed[first:last], atol=1e-6)
    assert same == (n_layers == total)
    if same:
        assert torch.allclose(logits[first:last], moved[first - 1 : last - 1], atol=1e-6)
    assert not torch.allclose(logits[:first], changed[:first], atol=1e-6)


def test_readings_are_joined_without_storing_a_text_twice(
    labelled: list[LabelledWindow], tmp_path: Path
) -> None:
    part = encoded(labelled)
    both = joined([part, part])
    assert len(both) == 2 * len(part)
    assert len(both.tokens) == len(part.tokens)
    assert both.variant.tolist() == [0] * len(part) + [1] * len(part)
    both.save(tmp_path / "w.npz")
    again = EncodedWindows.load(tmp_path / "w.npz")
    for one in dataclasses.fields(again):
        assert np.array_equal(getattr(again, one.name), getattr(both, one.name)), one.name
    a, b = loop.DeviceWindows(part, CPU), loop.DeviceWindows(again, CPU)
    for i in range(len(part)):
        left, right = (w.batch(torch.tensor([n]), 48) for w, n in ((a, i), (b, len(part) + i)))
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_batches_hold_every_window_once_a_pass_and_keep_to_their_size() -> None:
    lengths = np.random.default_rng(1).integers(20, 200, 500)
    seen: list[int] = []
    for own, longest in loop.batches(lengths, 1024, seed=3):
        assert longest >= lengths[own].max()
        assert longest * len(own) <= 1024 or len(own) == 1
        seen += own.tolist()
        if len(seen) >= 500:
            break
    assert sorted(seen) == list(range(500))


def test_it_learns_and_ends_by_its_steps(reader: SpanReader, labelled: list[LabelledWindow]) -> None:
    windows = loop.DeviceWindows(encoded(labelled), CPU)
    chosen = np.arange(len(labelled))
    config = loop.LoopConfig(
        seconds=300, max_steps=60, batch_tokens=256, learning_rate=3e-3, head_learning_rate=3e-3, dropout=0.0
    )
    before = {name: value.clone() for name, value in reader.state_dict().items()}
    first = loop.train(
        reader,
        windows,
        chosen,
        dataclasses.replace(config, max_steps=2, learning_rate=0.0, head_learning_rate=0.0),
    )
    assert all(torch.equal(before[name], value) for name, value in reader.state_dict().items())
    done = loop.train(reader, windows, chosen, config)
    assert done["steps"] == 60
    assert done["mean_loss"] < first["mean_loss"]
    assert all(each.dtype == torch.float32 for each in reader.parameters())


@pytest.mark.parametrize("is_fast", [False, True])
def test_words_that_do_not_learn_stay_and_products_are_in_bfloat16_only_where_fast(
    reader: SpanReader, labelled: list[LabelledWindow], monkeypatch: pytest.MonkeyPatch, is_fast: bool
) -> None:
    windows, chosen = loop.DeviceWindows(encoded(labelled), CPU), np.arange(len(labelled))
    types: set[Any] = set()

    def seen(model: SpanReader, *arguments: Any, **options: Any) -> dict[str, Any]:
        types.update(each.dtype for each in model.parameters())
        return forward(model, *arguments, **options)

    monkeypatch.setattr(loop, "forward", seen)
    monkeypatch.setattr(loop, "is_bfloat16_fast", lambda device: is_fast)
    words = reader.encoder.embeddings.word_embeddings.weight
    config = loop.LoopConfig(seconds=300, max_steps=3, batch_tokens=256, learns_words=False)
    before = {name: value.clone() for name, value in reader.state_dict().items()}
    loop.train(reader, windows, chosen, config)
    changed = {name for name, value in reader.state_dict().items() if not torch.equal(before[name], value)}
    assert "encoder.embeddings.word_embeddings.weight" not in changed
    assert "encoder.embeddings.position_embeddings.weight" in changed
    assert types == {torch.bfloat16 if is_fast else torch.float32}
    assert {each.dtype for each in reader.parameters()} == {torch.float32}
    kept = words.detach().clone()
    loop.train(reader, windows, chosen, dataclasses.replace(config, learns_words=True))
    assert not torch.equal(words, kept)


def test_targets_are_the_mean_of_the_teachers(
    reader: SpanReader, labelled: list[LabelledWindow], tmp_path: Path
) -> None:
    arrays = encoded(labelled)
    windows = loop.DeviceWindows(arrays, CPU)
    numbers = np.arange(len(labelled))
    other = deeper(reader, 2)
    assert other.encoder.config.num_hidden_layers == 2 * reader.encoder.config.num_hidden_layers
    with torch.no_grad():
        dict(other.named_parameters())["answerability_head.2.bias"].add_(1.0)
    for name, model in (("one", reader), ("two", other)):
        write_targets(tmp_path / f"{name}.targets.pt", model, windows, numbers)
    targets = load_targets(tmp_path, ["one", "two"], CPU)
    batch = windows.batch(torch.tensor([1]), 48)
    with torch.no_grad():
        both = [forward(model, batch) for model in (reader, other)]
    mean = torch.stack([each["answerability_logit"].sigmoid() for each in both]).mean()
    assert float(targets.answerable[1]) == pytest.approx(float(mean), abs=1e-4)
    n = int(batch["n_tokens"][0])
    logits = [each["start_logits"].masked_fill(~batch["context_mask"], -1e4) for each in both]
    probs = torch.stack([each[0].softmax(-1) for each in logits]).mean(0)
    begin = int(targets.starts[1])
    assert torch.allclose(targets.spans[begin : begin + n, 0].float().exp(), probs[:n], atol=2e-3)
    # a student that says what the teachers say has no divergence left
    config: dict[str, Any] = {"hard_weight": 0.0, "answerability_weight": 0.0, "verdict_weight": 0.0}
    soft = loop._loss(
        reader,
        batch,
        loop.LoopConfig(seconds=1, dropout=0.0, **config),
        Apart(),
        {
            "start": both[0]["start_logits"].log_softmax(-1),
            "end": both[0]["end_logits"].log_softmax(-1),
            "answerable": torch.zeros(1),
            "verdict": torch.zeros(1, 4),
        },
    )
    assert float(soft.detach()) < 0.05


def a_plan(base: Path) -> dict[str, Any]:
    config = {"seconds": 60, "max_steps": 2, "batch_tokens": 128, "verdict_weight": 0.5}
    return {
        "n_readings": 1,
        "at_once": 1,
        "steps": [
            {
                "base": str(base),
                "writes_targets": [0],
                "config": config,
                "members": [{"name": "one"}, {"name": "two", "config": {"seed": 2, "label_smoothing": 0.1}}],
            },
            {
                "base": str(base),
                "mean_of": ["one", "two"],
                "targets": ["one", "two"],
                "judged_apart": [[1, 4]],
                "config": {**config, "apart": [[0.5, 1, 4]]},
                "members": [{"name": "student"}],
            },
        ],
        "candidates": [["student"], ["one", "two"]],
    }


def a_recipe(plan: dict[str, Any]) -> dict[str, Any]:
    return {"sources": [], "train": {}, "ensemble": plan}


def test_a_plan_trains_its_members_and_the_best_mean_is_chosen(
    tiny_checkpoint: Path, labelled: list[LabelledWindow], tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(a_recipe(a_plan(tiny_checkpoint))))
    folder, work = tmp_path / "out/data", tmp_path / "out/members"
    for each in (folder, work):
        each.mkdir(parents=True)
    encoded(labelled).save(folder / WINDOWS_FILE)
    for name in JUDGED_ON:
        examples_to_jsonl(folder / f"{name}.jsonl.gz", examples())
    plan = Plan.load(recipe)
    for step in plan.steps:
        for member in step:
            fit(member, folder, work)  # as the process of each member does
    run_plan(plan, recipe, work)  # finds all of them there
    log = json.loads((work / "student.json").read_text())
    assert log["steps"] == 2
    assert set(log["together"]) == set(log["apart 1"]) == set(JUDGED_ON)
    names, found = choose(plan, folder, work)
    assert set(found) == {"student", "one + two"}
    assert score(found[" + ".join(names)]) == max(map(score, found.values()))
    mean = mean_state(["one", "two"], work)
    one, two = (load_file(work / f"{name}.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(mean[name], (one[name] + two[name]) / 2) for name in mean)


def test_a_member_that_fails_is_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(a_recipe(a_plan(tiny_checkpoint))))
    work = tmp_path / "out/members"
    work.mkdir(parents=True)
    with pytest.raises(DataError, match=r"member one failed, see .*one\.log: error: .*windows\.npz"):
        run_plan(Plan.load(recipe), recipe, work)


def step_of(*members: dict[str, Any]) -> dict[str, Any]:
    return {"steps": [{"members": list(members)}]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"candidates": [["none"]]}, "'none' is no member"),
        ({"n_readings": 0}, "n_readings must be a positive whole number, got 0"),
        ({"n_judged": -1}, "n_judged must be a positive whole number, got -1"),
        ({"at_once": "all"}, "at_once must be a positive whole number, got 'all'"),
        (
            {"steps": [{"members": [{"name": "a", "config": {"seconds": 1}, "targets": ["b"]}]}]},
            "'b' is needed",
        ),
        ({"steps": [{"members": [{"name": "a", "config": {"secondes": 1}}]}]}, "secondes"),
        (
            {"steps": [{"members": 2 * [{"name": "a", "config": {"seconds": 1}}]}]},
            "two members have one name",
        ),
    ],
)
def test_a_plan_that_does_not_hold_together_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(a_recipe({**a_plan(tiny_checkpoint), **change})))
    with pytest.raises(DataError, match=said):
        Plan.load(recipe)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist: give a recipe"),
        ("{bad", "is not a recipe"),
        ("[1]", "is not a recipe"),
        ('{"sources": [], "train": {}}', 'has no "ensemble": it is a recipe for train.py'),
        ('{"sources": [], "train": {}, "ensemble": 3}', 'has no "ensemble"'),
    ],
)
def test_a_file_that_is_no_plan_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    recipe = tmp_path / "recipe.json"
    if text is not None:
        recipe.write_text(text)
    assert main(["ensemble", "--recipe", str(recipe), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {recipe}")
    with pytest.raises(DataError, match=said):
        Plan.load(recipe)


@pytest.mark.parametrize(("name", "sizes"), [("ensemble", [5, 3]), ("short_runs", [14, 10])])
def test_the_projects_own_plans_are_read(name: str, sizes: list[int]) -> None:
    path = Path(__file__).parents[2] / f"recipes/{name}.json"
    plan = Plan.load(path, base="elsewhere")
    assert [len(step) for step in plan.steps] == sizes
    assert {member.base for step in plan.steps for member in step} == {"elsewhere"}
    assert Recipe.load(path).train.split_seed == 17


def test_what_is_left_out_are_parts_of_the_data() -> None:
    """A part by another name would leave out nothing."""
    path = Path(__file__).parents[2] / "recipes/short_runs.json"
    left_out = {part for step in Plan.load(path).steps for member in step for part in member.without}
    sources = {source.reader for source in Recipe.load(path).sources}
    assert "own_questions" in sources
    others = {"asked", "squad", "claims", "negations", "findings", "prompts", "papers", "trials", "takeaways"}
    forms = {"searches", "sentences", "health", "roles"}
    assert left_out == {"own questions", "squad, unanswerable", *others, *forms}


def test_a_member_reads_its_shares(labelled: list[LabelledWindow]) -> None:
    arrays = joined([encoded(labelled)] * 200)
    member = Member("m", loop.LoopConfig(seconds=1), readings=tuple(range(100)), shares={"a": 0.5})
    chosen = chosen_windows(member, arrays)
    of_a = arrays.source_names[arrays.source] == "a"
    assert (arrays.variant[chosen] < 100).all()
    n_a = int((of_a & (arrays.variant < 100)).sum())
    assert 0.35 * n_a < of_a[chosen].sum() < 0.65 * n_a
    assert (~of_a[chosen]).sum() == (~of_a & (arrays.variant < 100)).sum()
    without = chosen_windows(dataclasses.replace(member, without=("a",)), arrays)
    assert not of_a[without].any()
