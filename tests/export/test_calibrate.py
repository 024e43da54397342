"""``calibrate``: fitted to one's own rows, measured on rows no fit has seen; the rest of a model stays."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("scipy")

from qa_extractive import Predictor
from qa_extractive.cli import calibrate, main
from qa_extractive.errors import DataError
from qa_extractive.export import cross_fit as cross_fit_module
from qa_extractive.export.cross_fit import cross_fit
from qa_extractive.export.recalibrate import efforts_of, recalibrate
from qa_extractive.inference.calibration import CALIBRATION_FILES, Calibration, uncalibrated
from qa_extractive.inference.calibration_fit import FitRows, fit_rows
from qa_extractive.settings import EFFORTS
from qa_extractive.types import Example

ROOT = Path(__file__).resolve().parents[2]


def _rows(n: int = 60, n_documents: int = 12, seed: int = 3) -> FitRows:
    rng = np.random.default_rng(seed)
    answerable = rng.random(n) < 0.6
    features = rng.normal(size=(n, 4)) + 1.5 * answerable[:, None]
    f1 = np.where(answerable, rng.random(n).round(2), 0.0)
    documents = np.array([f"d{i % n_documents}" for i in range(n)])
    return FitRows(features, answerable, f1, documents)


def test_nothing_is_measured_on_rows_it_was_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows()
    fits: list[tuple[set[str], Calibration]] = []

    def recorded(own: FitRows, fitted_on: str, answerable_share: float | None) -> Calibration:
        assert answerable_share == 0.4
        fitted = fit_rows(own, fitted_on, answerable_share)
        fits.append((set(own.documents.tolist()), fitted))
        return fitted

    monkeypatch.setattr(cross_fit_module, "fit_rows", recorded)
    found = cross_fit(rows, uncalibrated(), fitted_on="made-up rows", n_folds=4, answerable_share=0.4)
    *folds, (everything, last) = fits
    assert (len(folds), everything) == (4, set(rows.documents.tolist()))
    assert found.calibration.threshold == last.threshold
    seen: set[str] = set()
    squares, gains = [], []
    for known, fitted in folds:
        held_out = everything - known
        assert held_out
        assert not held_out & seen, "a document is held out once"
        seen |= held_out
        chosen = np.isin(rows.documents, sorted(held_out))
        own = rows.where(chosen)
        probs = fitted.answerable.prob(own.features)
        squares += np.square(probs - own.answerable).tolist()
        gains += np.where(probs >= fitted.threshold, own.f1, ~own.answerable).tolist()
    assert seen == everything
    assert found.after.answerable_brier == pytest.approx(np.mean(squares))
    assert found.after.f1 == pytest.approx(np.mean(gains))
    before = uncalibrated().answerable.prob(rows.features)
    assert found.before.answerable_brier == pytest.approx(np.square(before - rows.answerable).mean())


def test_rows_of_chance_gain_nothing_across_folds() -> None:
    """A fit to noise looks better on its own rows than it is; across folds it does not."""
    own, across = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        answerable = np.arange(40) % 2 == 0
        noise = FitRows(rng.normal(size=(40, 4)), answerable, np.zeros(40), np.arange(40).astype(str))
        found = cross_fit(noise, uncalibrated(), fitted_on="noise")
        own.append(np.square(found.calibration.answerable.prob(noise.features) - answerable).mean())
        across.append(found.after.answerable_brier)
    assert np.mean(own) < 0.24
    assert np.mean(across) > 0.26


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (_rows(12), "12 usable rows"),
        (_rows(30, 1), "of 1 texts"),
        (FitRows(np.ones((30, 4)), np.ones(30, bool), np.ones(30), np.arange(30).astype(str)), "0 without"),
    ],
)
def test_rows_that_calibrate_nothing_are_refused_by_name(rows: FitRows, says: str) -> None:
    with pytest.raises(DataError, match=says):
        cross_fit(rows, uncalibrated(), fitted_on="x")


def test_more_wrong_answers_than_before_are_told() -> None:
    found = cross_fit(_rows(200), uncalibrated(), fitted_on="x")
    safe = dataclasses.replace(found, before=dataclasses.replace(found.after, risk=0.9))
    risky = dataclasses.replace(found, before=dataclasses.replace(found.after, risk=0.0))
    assert (safe.is_riskier, risky.is_riskier) == (False, bool(found.after.risk))
    assert "of the answers given" in calibrate._riskier("full", risky)
    assert "before 0 %" in calibrate._riskier("full", risky)


def test_every_effort_is_calibrated_and_nothing_else_changes(
    skim_export: Path, skim_examples: list[Example], tmp_path: Path
) -> None:
    output = tmp_path / "new"
    done = recalibrate(skim_export, skim_examples, output, n_folds=3)
    assert tuple(done.efforts) == efforts_of(skim_export) == EFFORTS
    changed = {
        path.name for path in output.iterdir() if path.read_bytes() != (skim_export / path.name).read_bytes()
    }
    assert changed == {*CALIBRATION_FILES.values(), "export.json"}
    report = json.loads((output / "export.json").read_text(encoding="utf-8"))
    for effort, fitted in done.efforts.items():
        predictor = Predictor(output, effort=effort)
        assert predictor.threshold == fitted.calibration.threshold
        assert predictor.calibration == fitted.calibration
        assert fitted.n == len(skim_examples)
    assert report["calibrated_on"] == done.efforts["full"].calibration.fitted_on
    questions = [example.question for example in skim_examples[:10]]
    best = [
        [a.best for a in Predictor(m, threshold=0).answer_batch(questions)] for m in (skim_export, output)
    ]
    assert [span and span.text for span in best[0]] == [span and span.text for span in best[1]]
    with pytest.raises(DataError, match="give another folder"):
        recalibrate(output, skim_examples, output)


def test_the_embedded_model_is_calibrated_by_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, labels = (ROOT / "data" / f"inference_{part}.csv" for part in ("data", "labels"))
    packed, folder = tmp_path / "mine.tar.gz", tmp_path / "mine"
    command = ["calibrate", "--data", str(data), "--labels", str(labels)]
    assert main([*command, "--output", str(folder), "--pack", str(packed)]) == 0
    out = capsys.readouterr().out
    assert "40 rows, 27 with an answer and 13 without" in out
    for part in ("effort full", "effort fast", "effort cached", "F1 at the threshold", "risk", "few"):
        assert part in out
    assert "68.6" in out.split("F1 at the threshold")[1].splitlines()[0], "before: as README.md has it"
    own = Calibration.load(folder)
    assert own.n_examples == 40
    assert own != Predictor().calibration
    assert Predictor(packed).threshold == own.threshold
    assert "Calibrated anew" in (folder / "README.md").read_text(encoding="utf-8")


def _csv(tmp_path: Path, rows: list[str]) -> str:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["question,context,answer", *rows, ""]), encoding="utf-8")
    return str(path)


def test_rows_without_labels_are_told_where_labels_go(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("question,context\n" + "What fell?,Risk fell.\n" * 3, encoding="utf-8")
    command = [
        "calibrate",
        "--model",
        str(tiny_export),
        "--data",
        str(data),
        "--output",
        str(tmp_path / "new"),
    ]
    for more in ([], ["--made-negatives", "0.5"]):
        assert main([*command, *more]) == 2
        err = capsys.readouterr().err
        assert "none of the 3 rows" in err
        assert "--labels F" in err
        assert err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_rows_that_all_have_an_answer_need_made_ones(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _csv(
        tmp_path,
        [
            f"What fell in trial {i}?,We treated many patients in study {i} for years and thanked them. "
            f"The risk fell to {i} percent.,{i} percent"
            for i in range(30)
        ],
    )
    command = ["calibrate", "--model", str(tiny_export), "--data", data, "--output", str(tmp_path / "new")]
    assert main(command) == 2
    assert "--made-negatives 0.5" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert main([*command, "--made-negatives", "1"]) == 0
    out = capsys.readouterr().out
    assert "30 with an answer and" in out
    assert Calibration.load(tmp_path / "new").answerable_share < 1.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--data", "x.csv"], "nowhere to write"),
        (["--data", "x.csv", "--pack", "m.zip"], "must end in .tar.gz"),
        (["--data", "x.csv", "--output", "o", "--folds", "1"], "at least 2"),
        (["--data", "x.csv", "--output", "o", "--made-negatives", "3"], "must lie in"),
        (["--data", "x.csv", "--output", "o", "--answerable-share", "1"], "must lie between 0 and 1"),
        (["--data", "no_such.csv", "--output", "o"], "no_such.csv"),
    ],
)
def test_bad_options_are_one_line(
    options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["calibrate", *options]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_it_needs_scikit_learn_and_says_so_and_never_torch(tmp_path: Path) -> None:
    """Without scikit-learn one line names the extra; nothing of [train] but scikit-learn is loaded."""
    data, labels = (str(ROOT / "data" / f"inference_{part}.csv") for part in ("data", "labels"))
    command = ["calibrate", "--data", data, "--labels", labels, "--output", str(tmp_path / "new")]
    code = (
        f"import sys; from qa_extractive.cli import main; code = main({command!r}); "
        "print('loaded:', *{'torch', 'transformers', 'onnx', 'datasets'} & sys.modules.keys()); "
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
    hidden = (
        "import importlib.util as u, sys; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'sklearn' else find(name, *a); "
        f"from qa_extractive.cli import main; sys.exit(main({command!r}))"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install 'qa-extractive[calibrate]'" in done.stderr


@pytest.mark.parametrize("is_packed", [False, True])
def test_export_points_there_at_once(
    is_packed: bool, tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from qa_extractive.archive.pack import pack

    model = str(pack(tiny_export, tmp_path / "m.tar.gz")) if is_packed else "default"
    for named in (model, str(tiny_export)):
        command = ["export", "--model", named, "--output", str(tmp_path / "o")]
        assert main([*command, "--calibrate", "rows.csv"]) == 2
        error = capsys.readouterr().err
        assert f"qa-extractive calibrate --model {named} --data rows.csv" in error
        assert main(command) == 2
        assert "exported already" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("option", ["--output", "--pack"])
def test_an_earlier_model_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = tmp_path / "mine.tar.gz"
    if option == "--output":
        earlier.mkdir()
        (earlier / "export.json").write_text("{}")
    else:
        earlier.write_bytes(b"packed")
    command = ["calibrate", "--data", _csv(tmp_path, []), option, str(earlier)]
    assert main(command) == 2
    assert capsys.readouterr().err == f"error: {earlier} exists: replace it with --overwrite\n"
    monkeypatch.setattr(calibrate, "_examples", lambda _: pytest.exit("gone on"))
    with pytest.raises(pytest.exit.Exception, match="gone on"):
        main([*command, "--overwrite"])
