"""Teachers side by side, then students that learn from their mean, then the best mean of students.

python -m qa_extractive.training.ensemble.run build RECIPE DATA_ROOT FOLDER     (no GPU)
python -m qa_extractive.training.ensemble.run fit FOLDER WORK MEMBER.json
python -m qa_extractive.training.ensemble.run all FOLDER WORK OUTPUT PLAN.json
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save, save_file

from qa_extractive.config import DecodeConfig, TrainConfig, WindowConfig
from qa_extractive.data.documents import document_of
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.decoding import RawPrediction, decode
from qa_extractive.inference.windows import Windower
from qa_extractive.metrics.text import best_token_f1, exact_match
from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig
from qa_extractive.training.ensemble.encoded import EncodedWindows, encode
from qa_extractive.training.ensemble.encoder import TOGETHER, Apart
from qa_extractive.training.ensemble.loop import DeviceWindows, LoopConfig, Targets, predict, train
from qa_extractive.training.ensemble.warm_up import warm_up
from qa_extractive.training.window_labels import label_windows
from qa_extractive.types import VERDICT_CLASSES, VERDICTS, Example

WINDOWS_FILE = "windows.npz"


# --- what it is judged on -----------------------------------------------------------------------------------


def evaluate(
    model: SpanReader, windower: Windower, sets: dict[str, list[Example]], apart: Apart = TOGETHER
) -> dict[str, dict[str, float]]:
    """The figures of each set of examples."""
    return {
        name: figures(read(model, windower, examples, apart), examples) for name, examples in sets.items()
    }


def read(model: SpanReader, windower: Windower, examples: list[Example], apart: Apart) -> list[RawPrediction]:
    labelled = label_windows(windower, examples)
    encoded = encode([(each, "", 0) for each in labelled])
    device = next(model.parameters()).device
    windows = DeviceWindows(encoded, device)
    found: dict[int, WindowLogits] = {}
    for own, _, output in predict(model, windows, np.arange(len(labelled)), apart=apart, batch_tokens=65_536):
        arrays = {name: each.float().cpu().numpy() for name, each in output.items()}
        for row, i in enumerate(own):
            n = labelled[i].window.n_tokens
            found[int(i)] = WindowLogits(
                arrays["start_logits"][row, :n],
                arrays["end_logits"][row, :n],
                float(arrays["answerability_logit"][row]),
                arrays["verdict_logits"][row],
            )
    questions = [example.question for example in examples]
    ordered = [found[i] for i in range(len(labelled))]
    return decode(questions, [each.window for each in labelled], ordered, DecodeConfig())


def figures(predictions: list[RawPrediction], examples: list[Example]) -> dict[str, float]:
    """F1 and EM without abstaining, AUROC of a cross-fitted answerability, accuracy of verdicts; in [0, 1]."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    f1, em, right, n_verdicts, majority = [], [], 0, 0, []
    for prediction, example in zip(predictions, examples, strict=True):
        if not example.answerable:
            continue
        text = ""
        if prediction.candidates:
            best = prediction.candidates[0]
            text = example.question.context[best.start : best.end]
        f1.append(best_token_f1(text, example.references))
        em.append(max(exact_match(text, reference) for reference in example.references))
        if example.verdict in VERDICTS and prediction.verdict_logits is not None:
            logits = prediction.verdict_logits[: len(VERDICTS)]
            right += VERDICT_CLASSES[int(np.argmax(logits))] == example.verdict
            n_verdicts += 1
            majority.append(example.verdict)
    result = {"f1": float(np.mean(f1)), "em": float(np.mean(em)), "n": float(len(examples))}
    if n_verdicts:
        result |= {"verdict": right / n_verdicts, "n_verdicts": float(n_verdicts)}
    kept = [(p, e) for p, e in zip(predictions, examples, strict=True) if p.candidates]
    labels = np.array([bool(e.answerable) for _, e in kept])
    if 0 < labels.sum() < len(labels):
        features = np.array([p.features() for p, _ in kept])
        groups = np.array([document_of(e) for _, e in kept])
        n_folds = min(5, len(set(groups)))
        probs = cross_val_predict(
            LogisticRegression(max_iter=1000),
            features,
            labels,
            groups=groups,
            cv=GroupKFold(n_folds),
            method="predict_proba",
        )[:, 1]
        result["auroc"] = float(roc_auc_score(labels, probs))
        gains = np.array(
            [
                best_token_f1(e.question.context[p.candidates[0].start : p.candidates[0].end], e.references)
                if e.answerable
                else 0.0
                for p, e in kept
            ]
        )
        order = np.argsort(-probs)
        cut = np.concatenate([[0.0], np.cumsum(gains[order] - ~labels[order])])
        result["best_f1"] = float((cut.max() + (~labels).sum()) / len(labels))
    return {name: round(value, 4) for name, value in result.items()}


# --- the data -----------------------------------------------------------------------------------------------


def build(recipe_path: Path, data_root: Path, folder: Path, n_variants: int) -> None:
    """Write the windows of several readings of a recipe's sources, and the development sets."""
    from qa_extractive.data.example_jsonl import examples_to_jsonl
    from qa_extractive.inference.tokenizer_file import read_tokenizer
    from qa_extractive.predictor import DEFAULT_MODEL
    from qa_extractive.training.labelled_rows import READERS
    from qa_extractive.training.question_only import question_only_auroc
    from qa_extractive.training.recipe import Recipe
    from qa_extractive.training.run import prepare

    import random

    recipe = Recipe.load(recipe_path)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = read_tokenizer(DEFAULT_MODEL / "tokenizer.json")
    labelled: list[Any] = []
    for variant in range(n_variants):
        config = dataclasses.replace(recipe.train, seed=recipe.train.seed + 100 * variant)
        sources = [source.read(data_root, config.seed) for source in recipe.sources]
        examples = [example for own in sources for example in own]
        windower = Windower(tokenizer, WindowConfig(max_tokens=config.train_window_tokens))
        splits = prepare(examples, windower, config)
        windows = label_windows(windower, splits.train)
        labelled += [(each, part_of(splits.train[each.window.question_index]), variant) for each in windows]
        print(f"variant {variant}: {len(splits.train)} examples, {len(windows)} windows", flush=True)
        if variant == 0:
            print(f"question words alone: AUROC {question_only_auroc(splits.train):.3f}", flush=True)
            rows = READERS["asked_as_given"](data_root / "asked/dev.jsonl.gz", random.Random(0))
            examples_to_jsonl(folder / "asked.jsonl.gz", rows)
            squad, science = _development(examples, windower, config)
            examples_to_jsonl(folder / "squad.jsonl.gz", squad)
            examples_to_jsonl(folder / "science.jsonl.gz", science)
            print(f"development: {len(rows)} asked, {len(squad)} squad, {len(science)} science", flush=True)
    encode(labelled).save(folder / WINDOWS_FILE)


def part_of(example: Example) -> str:
    """What is left out together: the source, but two parts for two of them."""
    if example.id.startswith("own-"):
        return "own questions"
    if example.source == "squad" and example.answerable is False and "negative" not in example.fields:
        return "squad, unanswerable"
    return example.source


def _development(
    examples: list[Example], windower: Windower, config: TrainConfig
) -> tuple[list[Example], list[Example]]:
    """SQuAD questions of held-out articles, and examples of the other sources; nothing is trained on them."""
    import random

    from qa_extractive.training.splits import CALIBRATES, _split, with_negatives

    part = _split([e for e in examples if windower.accepts(e.question)], config)[1]
    rng = random.Random(7)
    squad = [e for e in part if e.source == "squad"]
    science = [e for e in part if e.source != "squad" and not e.fields.get(CALIBRATES)]
    science = with_negatives(sorted(science, key=lambda e: e.source), config, rng)
    return rng.sample(squad, min(1000, len(squad))), rng.sample(science, min(800, len(science)))


def kept_examples(path: Path) -> list[Example]:
    """The examples of a file that ``build`` wrote."""
    from qa_extractive.data.example_jsonl import example_from_values

    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [example_from_values(json.loads(line)) for line in lines]


# --- one member ---------------------------------------------------------------------------------------------


def fit(folder: Path, work: Path, member: dict[str, Any]) -> None:
    """Train one member of the plan, measure it and keep its weights, and its logits where asked for."""
    from qa_extractive.inference.tokenizer_file import read_tokenizer
    from qa_extractive.predictor import DEFAULT_MODEL

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    arrays = EncodedWindows.load(folder / WINDOWS_FILE)
    windows = DeviceWindows(arrays, device)
    model = starting_model(member, work).to(device)
    config = loop_config(member)
    log: dict[str, Any] = {"name": member["name"]}
    if member.get("warm_up"):
        settings = dataclasses.replace(
            config, seconds=member["warm_up"], learning_rate=2e-4, batch_tokens=16_384
        )
        log["warm_up_loss"] = warm_up(model, windows, settings)
    chosen = np.flatnonzero(np.isin(arrays.variant, member["variants"]))
    for name in member.get("without", ()):
        chosen = chosen[arrays.source_names[arrays.source[chosen]] != name]
    for name, share in member.get("shares", {}).items():
        own = arrays.source_names[arrays.source[chosen]] == name
        chosen = chosen[~own | (np.random.default_rng(config.seed).random(len(chosen)) < share)]
    if member.get("n_windows"):
        chosen = np.random.default_rng(config.seed).permutation(chosen)[: member["n_windows"]]
    targets = load_targets(work, member["targets"], arrays, device) if member.get("targets") else None
    log |= train(model, windows, chosen, config, targets)
    if member.get("keep", True):
        save_file(
            {k: v.contiguous().cpu() for k, v in model.state_dict().items()},
            work / f"{member['name']}.safetensors",
        )
    model.to(torch.bfloat16)
    if member.get("writes_targets"):
        numbers = np.flatnonzero(np.isin(arrays.variant, member["writes_targets"]))
        write_targets(work / f"{member['name']}.targets.pt", model, windows, numbers)
    windower = Windower(read_tokenizer(DEFAULT_MODEL / "tokenizer.json"), WindowConfig())
    sets = {name: kept_examples(folder / f"{name}.jsonl.gz") for name in member["sets"]}
    log["full"] = evaluate(model, windower, sets)
    for n_layers, grid in member.get("evaluates_apart", ()):
        log[f"apart {n_layers}"] = evaluate(model, windower, sets, Apart(n_layers, grid))
    (work / f"{member['name']}.json").write_text(json.dumps(log, indent=1))
    print(json.dumps(log), flush=True)


def starting_model(member: dict[str, Any], work: Path) -> SpanReader:
    """The model that a member starts from, in fp32."""
    from qa_extractive.training.run import load_base

    config = TrainConfig(verdict_weight=0.8)
    model, _ = load_base(member.get("base", "default"), config)
    if member.get("mean_of"):
        states = [load_file(work / f"{name}.safetensors") for name in member["mean_of"]]
        weights = member.get("weights") or [1 / len(states)] * len(states)
        mean = {k: sum(w * s[k] for w, s in zip(weights, states, strict=True)) for k in states[0]}
        model = without_pruning_heads(model)
        model.load_state_dict(mean)
    model = without_pruning_heads(model)
    if member.get("repeats_layers"):
        model = deeper(model, member["repeats_layers"])
    return model.float().train(False)


def without_pruning_heads(model: SpanReader) -> SpanReader:
    """The model without the heads that learn last."""
    if model.config.skim_layers:
        model.config.skim_layers = []
        del model.skim_heads
    return model


def deeper(model: SpanReader, times: int) -> SpanReader:
    """A model with each layer several times over."""
    values = model.config.to_dict()
    n_layers = model.encoder.config.num_hidden_layers
    values["encoder"] = {**model.config.encoder, "num_hidden_layers": times * n_layers}
    values.pop("model_type", None)
    grown = SpanReader(SpanReaderConfig(**values))
    state, wanted = model.state_dict(), {}
    for name in grown.state_dict():
        parts = name.split(".")
        if "layer" in parts:
            at = parts.index("layer") + 1
            parts[at] = str(int(parts[at]) // times)
        wanted[name] = state[".".join(parts)].clone()
    grown.load_state_dict(wanted)
    return grown


def loop_config(member: dict[str, Any]) -> LoopConfig:
    """The settings of a member."""
    values = dict(member["config"])
    values["apart"] = tuple((share, Apart(n, grid)) for share, n, grid in values.get("apart", ()))
    return LoopConfig(**values)


def write_targets(
    path: Path, model: SpanReader, windows: DeviceWindows, numbers: npt.NDArray[np.int64]
) -> None:
    """Keep what a model says of some windows."""
    own_starts = np.concatenate([[0], np.cumsum(windows.lengths[numbers])])
    row_of = np.full(len(windows.lengths), -1, np.int64)
    row_of[numbers] = own_starts[:-1]
    spans = torch.zeros((int(own_starts[-1]), 2), dtype=torch.float16, device=windows.device)
    answerable = torch.zeros(len(windows.lengths), device=windows.device)
    verdict = torch.zeros((len(windows.lengths), len(VERDICT_CLASSES)), device=windows.device)
    for own, batch, output in predict(model, windows, numbers):
        mask = batch["context_mask"]
        logs = [
            output[name].float().masked_fill(~mask, -1e4).log_softmax(-1).clamp(min=-30)
            for name in ("start_logits", "end_logits")
        ]
        place = torch.arange(mask.shape[1], device=windows.device)
        valid = place < batch["n_tokens"][:, None]
        rows = (torch.from_numpy(row_of[own]).to(windows.device)[:, None] + place)[valid]
        spans[rows] = torch.stack(logs, -1)[valid].half()
        index = torch.from_numpy(own).to(windows.device)
        answerable[index] = output["answerability_logit"].float().sigmoid()
        verdict[index] = output["verdict_logits"].float().softmax(-1)
    kept = {"row_of": torch.from_numpy(row_of), "spans": spans.cpu(), "answerable": answerable.cpu()}
    torch.save({**kept, "verdict": verdict.cpu()}, path)


def load_targets(work: Path, names: list[str], arrays: EncodedWindows, device: torch.device) -> Targets:
    """The mean of the probabilities of several teachers."""
    total: dict[str, torch.Tensor] = {}
    row_of = None
    for name in names:
        own = torch.load(work / f"{name}.targets.pt")
        row_of = own["row_of"]
        parts = {"spans": own["spans"].to(device).float().exp(), "answerable": own["answerable"].to(device)}
        parts["verdict"] = own["verdict"].to(device)
        for key, value in parts.items():
            total[key] = total[key] + value / len(names) if key in total else value / len(names)
    assert row_of is not None
    return Targets(
        row_of.to(device),
        total["spans"].clamp(min=1e-12).log().half().clamp(min=-30),
        total["answerable"],
        total["verdict"],
    )


# --- the whole plan -----------------------------------------------------------------------------------------


def run_all(folder: Path, work: Path, output: Path, plan: dict[str, Any]) -> None:
    """Every step of the plan; members of a step run side by side."""
    work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    for number, step in enumerate(plan["steps"]):
        pending = list(step)
        running: list[subprocess.Popen[bytes]] = []
        while pending or running:
            while pending and len(running) < plan.get("at_once", 8):
                member = pending.pop(0)
                path = work / f"{member['name']}.member.json"
                path.write_text(json.dumps(member))
                command = [sys.executable, "-m", __spec__.name, "fit", str(folder), str(work), str(path)]
                with (work / f"{member['name']}.log").open("w") as out:
                    running.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT))
            time.sleep(0.3)
            running = [each for each in running if each.poll() is None]
        print(f"step {number} ended at {time.monotonic() - began:.0f} s", flush=True)
        for member in step:
            path = work / f"{member['name']}.json"
            text = (
                path.read_text() if path.is_file() else (work / f"{member['name']}.log").read_text()[-1500:]
            )
            print(member["name"], " ".join(text.split()), flush=True)
            if path.is_file() and output:
                with (output / "log.jsonl").open("a") as out:
                    out.write(" ".join(text.split()) + "\n")
    if plan.get("choose"):
        choose(folder, work, output, plan["choose"])
        print(f"chosen at {time.monotonic() - began:.0f} s", flush=True)


def choose(folder: Path, work: Path, output: Path, candidates: list[dict[str, Any]]) -> None:
    """Measure means of members and write the best, in fp16, in pieces of 15 MiB."""
    from qa_extractive.inference.tokenizer_file import read_tokenizer
    from qa_extractive.predictor import DEFAULT_MODEL

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    windower = Windower(read_tokenizer(DEFAULT_MODEL / "tokenizer.json"), WindowConfig())
    names = ("asked", "squad", "science")
    sets = {name: kept_examples(folder / f"{name}.jsonl.gz") for name in names}
    best: tuple[float, dict[str, torch.Tensor]] | None = None
    for candidate in candidates:
        try:
            model = starting_model(candidate, work)
        except FileNotFoundError as error:
            print(candidate, error, flush=True)
            continue
        state = {k: v.half().contiguous() for k, v in model.state_dict().items()}
        result = evaluate(model.to(device, torch.bfloat16), windower, sets)
        asked = result["asked"]
        score = asked["f1"] + asked["auroc"] + 0.5 * asked["verdict"] + 0.5 * result["squad"]["f1"]
        score += 0.5 * result["squad"]["auroc"] + 0.5 * result["science"]["f1"]
        for n_layers, grid in candidate.get("evaluates_apart", ()):
            few = {name: sets[name] for name in ("asked", "squad")}
            result[f"apart {n_layers}"] = evaluate(model, windower, few, Apart(n_layers, grid))  # type: ignore[assignment]
        line = json.dumps({"mean_of": candidate["mean_of"], "score": round(score, 4), **result})
        print(line, flush=True)
        with (output / "log.jsonl").open("a") as out:
            out.write(line + "\n")
        if candidate.get("eligible", True) and (best is None or score > best[0]):
            best = (score, state)
            write_pieces(state, output)


def write_pieces(state: dict[str, torch.Tensor], output: Path) -> None:
    """The state as ``model.safetensors`` in pieces that may be put together with ``cat``."""
    data = save(state)
    size = 15 << 20
    for number in range(-(-len(data) // size)):
        (output / f"model.safetensors.{number}").write_bytes(data[number * size : (number + 1) * size])


def main(arguments: list[str]) -> None:
    """One of the three commands."""
    command, *rest = arguments
    if command == "build":
        build(Path(rest[0]), Path(rest[1]), Path(rest[2]), int(rest[3]))
    elif command == "fit":
        fit(Path(rest[0]), Path(rest[1]), json.loads(Path(rest[2]).read_text()))
    else:
        run_all(Path(rest[0]), Path(rest[1]), Path(rest[2]), json.loads(Path(rest[3]).read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
