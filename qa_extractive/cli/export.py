"""``export``: a checkpoint in, the folder that ``Predictor`` serves out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.labelled_rows import add_answerable_share, check_answerable_share
from qa_extractive.cli.safe_print import steady_stdout
from qa_extractive.cli.terminal import one_line
from qa_extractive.errors import DataError

if TYPE_CHECKING:
    from qa_extractive.export.report import ExportReport

_DEFAULT = "default"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``export``."""
    parser.add_argument(
        "--model",
        required=True,
        metavar="D",
        help="folder written by train.py, or folder or hub id of a QA checkpoint",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="D2", help="folder to write")
    parser.add_argument("--pack", type=Path, metavar="F", help="also write the model as one file, F.tar.gz")
    parser.add_argument(
        "--quantize",
        choices=("auto", "int8", "int8-weights", "int4", "fp16", "none"),
        default="auto",
        help="weights (default: the first of int8, int8-weights, fp16 and none that loses at most 0.5 F1)",
    )
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="read weights from .bin files where there is no safetensors; only from sources you trust",
    )
    parser.add_argument(
        "--calibrate",
        type=Path,
        nargs="+",
        metavar="F",
        help="labelled data not trained on (default: the examples that train.py held out)",
    )
    add_answerable_share(parser)
    parser.add_argument(
        "--embedding-bits",
        type=int,
        choices=(4, 8),
        help="bits of the word embeddings of int8 and int4 (default: 4, or 8 where that is needed)",
    )
    parser.add_argument(
        "--cached-layers",
        type=int,
        metavar="N",
        help="lower layers that read papers apart at the effort cached (default: as trained)",
    )
    parser.add_argument(
        "--cached-grid",
        type=int,
        metavar="N",
        help="such papers begin at positions that are multiples of N (default: as trained)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="windows run at once (default: all CPUs)")
    parser.add_argument(
        "--form",
        choices=("web",),
        help="instead: write what web/ reads of an exported model, or of the embedded one (default)",
    )


@steady_stdout()
def run(options: argparse.Namespace) -> int:
    """Export; 0 on success."""
    if options.form == "web":
        return _write_web(options)
    _refuse_exported(options)
    check_answerable_share(options)
    from qa_extractive.archive.pack import check_target, pack
    from qa_extractive.export.exporter import export

    examples = None
    if options.pack:
        check_target(options.pack)
    if options.calibrate:
        from qa_extractive.alignment.align import align_examples
        from qa_extractive.data.loading import load_examples

        loaded = load_examples(options.calibrate)
        for problem in loaded.problems:
            print(f"skipped {problem}")
        examples = align_examples(loaded.examples).examples
    report = export(
        options.model,
        options.output,
        quantize=options.quantize,
        calibrate=examples,
        answerable_share=options.answerable_share,
        embedding_bits=options.embedding_bits,
        n_threads=options.threads,
        allow_pickle=options.allow_pickle,
        cached_layers=options.cached_layers,
        cached_grid=options.cached_grid,
    )
    _print(report, options.output)
    if options.pack:
        packed = pack(options.output, options.pack)
        print(f"packed: {packed}, {packed.stat().st_size / 1e6:.1f} MB")
    print(f"next: python infer.py --batch data/inference_data.csv --model {options.pack or options.output}")
    return 0


def _write_web(options: argparse.Namespace) -> int:
    """What ``web/`` reads; 0 on success."""
    from qa_extractive.archive.unpack import open_model
    from qa_extractive.export.web import write_web
    from qa_extractive.predictor import DEFAULT_MODEL

    folder = DEFAULT_MODEL if options.model == _DEFAULT else open_model(options.model).folder
    sizes = write_web(folder, options.output)
    print(f"{options.output}: {sum(sizes.values()) / 1e6:.1f} MB for the browser")
    return 0


def _refuse_exported(options: argparse.Namespace) -> None:
    """Raise DataError, with what to do instead, for a model that is exported already."""
    from qa_extractive.inference.onnx_backend import MODEL_FILE

    path = Path(options.model)
    is_packed = path.is_file() and path.name.endswith((".tar.gz", ".tgz"))
    if options.model != _DEFAULT and not is_packed and not (path / MODEL_FILE).is_file():
        return
    if options.calibrate:
        data = " ".join(str(each) for each in options.calibrate)
        raise DataError(
            f"{options.model} is exported already; to fit its threshold and probabilities to your rows: "
            f"qa-extractive calibrate --model {options.model} --data {data} --output {options.output}"
        )
    raise DataError(
        f"{options.model} is exported already: infer.py --model {options.model} answers with it, and "
        f"train.py --base {options.model} trains it further"
    )


def _print(report: ExportReport, output: Path) -> None:
    megabytes, fp32_megabytes = report.model_bytes / 1e6, report.fp32_bytes / 1e6
    print(f"{output}: {megabytes:.1f} MB {report.format} (fused fp32 {fp32_megabytes:.1f} MB)")
    print(
        f"parity: max |logit difference| of fp32 ONNX and torch {report.max_logit_diff:.1e} "
        f"on {report.n_parity_windows} windows (limit 1e-3)"
    )
    for trial in report.tried:
        print(f"tried {trial['words']}")
    print(f"chosen: {report.format} ({report.why})")
    if report.answer_agreement is not None:
        print(f"same best span as fp32: {report.answer_agreement:.1%} of {report.n_check_examples} examples")
    if report.fp32_f1 is not None and report.model_f1 is not None:
        print(f"F1 without abstaining: torch {report.fp32_f1:.4f}, exported {report.model_f1:.4f}")
    print(f"calibration: {one_line(report.calibrated_on)}")
