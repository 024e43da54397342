"""Tiny seeded models, built in memory: no network, no downloads."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import shutil
import signal
import string
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.types import Example

# torch's threads only wait for each other over models this small, and much longer where processes share the
# processors. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """Leave what was imported out of each collection of garbage to come."""
    gc.collect()
    gc.freeze()


# A shell that runs the tests in the background has SIGINT ignored, which the processes that tests interrupt
# would inherit, and rightly keep.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TINY_WINDOW = {"max_tokens": 128, "stride_tokens": 32, "max_question_tokens": 32, "max_title_tokens": 16}
TINY_WORDS = (
    "what which how does the a an of in and is was were did not effect patients trial drug dose results "
    "showed that reduced increased risk mortality group placebo treatment significantly compared with years "
    "study we conclusion background methods percent title zebra"
).split()


_PADDED = {"max_position_embeddings": 130, "type_vocab_size": 1}  # the first two positions are the padding's
_DEBERTA = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
# What a tiny encoder of an architecture needs beside ``_sizes``. Embeddings narrower than the layers, where
# an architecture can have them: with equal ones ELECTRA is a BERT.
_SHAPES: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "camembert": _PADDED,
    "convbert": {"embedding_size": 16},
    "data2vec-text": _PADDED,
    "deberta": _DEBERTA | {"max_relative_positions": 32},
    "deberta-v2": _DEBERTA | {"position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True},
    "distilbert": {"hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "longformer": {"attention_window": 16, "max_position_embeddings": 130},
    "mobilebert": {"embedding_size": 32, "intra_bottleneck_size": 32},
    "mpnet": _PADDED,
    "rembert": {"input_embedding_size": 16},
    "roberta": _PADDED,
    "roformer": {"embedding_size": 16},
    "squeezebert": {"embedding_size": 32},
    "xlm-roberta": _PADDED,
}


@pytest.fixture(scope="session")
def trial_rows() -> Callable[[Sequence[int]], str]:
    """Makes a CSV of labelled rows, one a number."""

    def table(numbers: Sequence[int]) -> str:
        lines = [
            f"What fell in trial {i}?,{i} percent,The risk in the trial of Ann Bold fell to {i} percent."
            for i in numbers
        ]
        return "\n".join(["question,answer,context", *lines, ""])

    return table


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """A lower-casing WordPiece tokenizer with BERT's pair template."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.punctuation, *"αβγ≥±µ中文"]
    letters = string.ascii_lowercase + string.digits
    pieces += [*letters, *(f"##{c}" for c in letters), *(w for w in TINY_WORDS if len(w) > 1)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return tokenizer


def _sizes(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": TINY_WINDOW["max_tokens"],
        "pad_token_id": 0,
    }


def _roughen(model: Any) -> Any:
    """Weights large enough that attention and the heads tell tokens apart, as trained ones do."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                parameter.mul_(20.0 if "head" in name or "qa_outputs" in name else 6.0)
            elif name.endswith("bias"):
                parameter.normal_(std=0.1)
    return model.eval()


def _save_reader(encoder_config: Any, tokenizer: Any, folder: Path) -> Path:
    import torch

    from qa_extractive.config import DecodeConfig, ReaderConfig, WindowConfig
    from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig

    torch.manual_seed(17)
    model = _roughen(SpanReader(SpanReaderConfig(encoder=encoder_config.to_dict())))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    ReaderConfig(WindowConfig(**TINY_WINDOW), DecodeConfig(max_answer_tokens=12)).save(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a 2-layer BERT SpanReader as train.py writes it, without calibration."""
    pytest.importorskip("torch")
    from transformers import BertConfig

    folder = tmp_path_factory.mktemp("tiny_bert")
    return _save_reader(BertConfig(**_sizes(tiny_tokenizer)), tiny_tokenizer, folder)


@pytest.fixture(scope="session")
def tiny_deberta_checkpoint(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a DeBERTa-v3 encoder: disentangled attention, log buckets, no segments."""
    pytest.importorskip("torch")
    from transformers import DebertaV2Config

    with warnings.catch_warnings():  # it uses torch.jit.script, which torch 2.13 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        import transformers.models.deberta_v2.modeling_deberta_v2  # noqa: F401

    config = DebertaV2Config(
        **_sizes(tiny_tokenizer),
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
    )
    return _save_reader(config, tiny_tokenizer, tmp_path_factory.mktemp("tiny_deberta"))


@pytest.fixture(scope="session")
def make_reader_checkpoint(
    tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Makes the folder of a SpanReader, as train.py writes it, with an encoder of some architecture."""
    pytest.importorskip("torch")
    from transformers import AutoConfig

    def make(model_type: str, **config: Any) -> Path:
        sizes = _sizes(tiny_tokenizer) | _SHAPES.get(model_type, {}) | config
        encoder_config = AutoConfig.for_model(model_type, **sizes)
        folder = tmp_path_factory.mktemp(f"tiny_reader_{model_type}")
        with warnings.catch_warnings():  # DeBERTa uses torch.jit.script, which torch 2.13 deprecates
            warnings.simplefilter("ignore", DeprecationWarning)
            return _save_reader(encoder_config, tiny_tokenizer, folder)

    return make


@pytest.fixture(scope="session")
def make_qa_checkpoint(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the folder of a plain Hugging Face question-answering checkpoint of an architecture."""
    torch = pytest.importorskip("torch")
    from transformers import AutoConfig, AutoModelForQuestionAnswering

    def make(model_type: str, **config: Any) -> Path:
        torch.manual_seed(17)
        folder = tmp_path_factory.mktemp(f"tiny_qa_{model_type}")
        sizes = _sizes(tiny_tokenizer) | _SHAPES.get(model_type, {}) | config
        with warnings.catch_warnings():  # DeBERTa uses torch.jit.script, which torch 2.13 deprecates
            warnings.simplefilter("ignore", DeprecationWarning)
            model = AutoModelForQuestionAnswering.from_config(AutoConfig.for_model(model_type, **sizes))
        _roughen(model).save_pretrained(folder)
        _save_hub_tokenizer(tiny_tokenizer, folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_qa_checkpoint(make_qa_checkpoint: Callable[..., Path]) -> Path:
    """Folder of a plain Hugging Face question-answering checkpoint (BERT)."""
    return make_qa_checkpoint("bert")


@pytest.fixture
def infer(tiny_export: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs ``infer`` in this process with the tiny model: exit code, standard output, standard error."""
    from qa_extractive.cli import main

    def run(*arguments: object, model: Path = tiny_export) -> tuple[int, str, str]:
        code = main(["infer", *map(str, arguments), "--model", str(model), "--threads", "1"])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


def _save_hub_tokenizer(tokenizer: Any, folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=TINY_WINDOW["max_tokens"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_fp32(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT exported in fp32."""
    return _export(tiny_checkpoint, tmp_path_factory.mktemp("exports") / "fp32", "none")


@pytest.fixture(scope="session")
def tiny_export(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT exported in int8: what ``Predictor`` loads."""
    return _export(tiny_checkpoint, tmp_path_factory.mktemp("exports") / "int8", "int8")


def _export(checkpoint: Path, output: Path, quantize: str) -> Path:
    pytest.importorskip("transformers")
    from qa_extractive.export.exporter import export

    export(checkpoint, output, quantize=quantize, n_threads=1)
    return output


SKIM_LAYERS = [2, 3]


@pytest.fixture(scope="session")
def skim_plain_checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny reader of four layers with a verdict head, without pruning heads."""
    torch = pytest.importorskip("torch")
    from qa_extractive.model.span_reader import SpanReader

    folder = tmp_path_factory.mktemp("plain_checkpoint")
    shutil.copytree(tiny_checkpoint, folder, dirs_exist_ok=True)
    config = SpanReader.from_pretrained(tiny_checkpoint).config
    config.encoder["num_hidden_layers"] = 4
    torch.manual_seed(4)
    model = SpanReader(config)
    model.add_verdict_head()
    with torch.no_grad():
        model.span_head.weight.mul_(40.0)
        verdict_head: Any = model.verdict_head
        verdict_head.output.weight.mul_(40.0)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def skim_checkpoint(skim_plain_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with pruning heads in the second and the third layer."""
    torch = pytest.importorskip("torch")
    from qa_extractive.model.span_reader import SpanReader

    folder = tmp_path_factory.mktemp("skim_checkpoint")
    shutil.copytree(skim_plain_checkpoint, folder, dirs_exist_ok=True)
    model = SpanReader.from_pretrained(skim_plain_checkpoint)
    torch.manual_seed(5)
    model.add_pruning_heads(SKIM_LAYERS)
    with torch.no_grad():
        for head in model.skim_heads:
            head.output.weight.mul_(40.0)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def skim_examples(skim_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Examples whose references are mostly what the model answers, so that it has something to lose."""
    from qa_extractive.export.exporter import export
    from qa_extractive.predictor import Predictor
    from tests.made_examples import made_examples

    folder = tmp_path_factory.mktemp("uncalibrated") / "model"
    export(skim_checkpoint, folder, quantize="int8", calibrate=(), n_threads=2)
    made = made_examples(0, 120)
    answers = Predictor(folder, threshold=0).answer_batch([example.question for example in made])
    return [
        replace(example, references=(answer.text,), spans=(answer.candidates[0],), answerable=True)
        if i % 6
        else example
        for i, (example, answer) in enumerate(zip(made, answers, strict=True))
    ]


@pytest.fixture(scope="session")
def skim_export(
    skim_checkpoint: Path, skim_examples: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Its int8 export, calibrated for all efforts."""
    from qa_extractive.export.exporter import export

    folder = tmp_path_factory.mktemp("skim") / "model"
    export(skim_checkpoint, folder, quantize="int8", calibrate=skim_examples, n_threads=2)
    return folder


@dataclass(frozen=True)
class Took:
    """Times of a piece of work.

    Attributes:
        wall_s: By the clock on the wall.
        cpu_s: On the processors, of all threads of this process.
        busy: How many times longer than on a quiet machine this process's threads waited for processors, by a
            spin right before and after; 1 where nothing else ran.
    """

    wall_s: float
    cpu_s: float
    busy: float

    def is_within(self, seconds: float, n_threads: int) -> bool:
        """Whether it took no longer; where other processes ran, by its CPU time shared out evenly."""
        return self.wall_s < seconds or (self.busy > _BUSY and self.cpu_s / n_threads < seconds)

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s ({self.cpu_s:.2f} s of CPU, machine {self.busy:.1f} times as busy)"


_BUSY, _SPIN_ROUNDS, _SPIN_BYTES = 1.3, 40, 2_000_000


def _spin(n_threads: int) -> float:
    """Wall-clock seconds for each second that one of so many threads was on a processor."""
    data = bytes(_SPIN_BYTES)

    def hash_it() -> float:
        began = time.thread_time()
        for _ in range(_SPIN_ROUNDS):
            hashlib.sha256(data)  # leaves the interpreter to the other threads
        return time.thread_time() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(n_threads) as threads:
        on_cpu = max(each.result() for each in [threads.submit(hash_it) for _ in range(n_threads)])
    return (time.perf_counter() - began) / on_cpu


@pytest.fixture(scope="session")
def time_of() -> Callable[[Callable[[], object], int], Took]:
    """Times a piece of work that uses so many threads."""

    def measure(work: Callable[[], object], n_threads: int) -> Took:
        before = _spin(n_threads)
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return Took(wall, cpu, max(before, _spin(n_threads)))

    return measure


class Served:
    """The service on a free port of the loopback, in a thread of its own."""

    def __init__(self, predictor: Any, **settings: Any) -> None:
        from qa_extractive.service.listening import bound_socket
        from qa_extractive.service.server import make_server
        from qa_extractive.service.settings import ServiceSettings

        self.predictor = predictor
        self.server = make_server(predictor, ServiceSettings(**settings))
        listening = bound_socket("127.0.0.1", 0)
        self.port = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        while not self.server.started:
            assert self._thread.is_alive(), "the service did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(60.0)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., Served]]:
    """Starts services around predictors, with keyword arguments of ``ServiceSettings``."""
    pytest.importorskip("uvicorn")
    running: list[Served] = []

    def start(predictor: Any, **settings: Any) -> Served:
        running.append(Served(predictor, **settings))
        return running[-1]

    yield start
    for served in running:
        served.stop()


@pytest.fixture(autouse=True)
def package_log_level() -> Iterator[None]:
    """A command sets the level of the package's logger for its process: no test inherits it from another."""
    logger = logging.getLogger("qa_extractive")
    level = logger.level
    yield
    logger.setLevel(level)
