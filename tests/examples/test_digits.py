"""The project's main job: it learns, compiles a bounded number of times, and runs op by op to the same losses."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from absl.testing import flagsaver

import lazyxla as lx

pytest.importorskip("sklearn")
import digits

EXAMPLES = os.path.dirname(digits.__file__)


def run(*flags):
    command = [sys.executable, os.path.join(EXAMPLES, "digits.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


def test_the_whole_program(tmp_path):
    picture = tmp_path / "digits.png"
    done = run("--device", "xla", f"--picture={picture}")
    assert done.returncode == 0, done.stderr[-2000:]
    accuracy = float(done.stdout.split("held-out accuracy ")[1].split("%")[0])
    assert accuracy >= 98.0
    for word in ("compiles", "cache hits", "syncs"):
        assert word in done.stdout
    assert "image/s" in done.stderr and "loss=" in done.stderr  # the progress bar
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert os.listdir(tmp_path) == ["digits.png"]  # no temporary file is left


def compiles_of(epochs, monkeypatch):
    """The compiles of a run of so many epochs over 200 images (three batches of 64 and a smaller one)."""
    images, labels, held_out, truths = load_data()
    monkeypatch.setattr(digits, "load_data", lambda: (images[:200], labels[:200], held_out[:100], truths[:100]))
    lx.sync()
    lx.lowering.clear_cache()
    lx.metrics.reset()
    _, losses, probabilities = digits.train("xla", epochs, 64, 3e-3, 0, progress=False)
    assert len(losses) == 4 * epochs and probabilities.shape == (100, 10)
    return lx.metrics.report(as_dict=True)["recompiles"]


load_data = digits.load_data


def test_compiles_do_not_grow_with_epochs_or_the_schedule(monkeypatch):
    two, four = compiles_of(2, monkeypatch), compiles_of(4, monkeypatch)
    assert [c["ops"] for c in two] == [c["ops"] for c in four]
    rest = four[1:]  # the first makes the initial values
    training, evaluation = [c for c in rest if c["ops"] > 300], [c for c in rest if c["ops"] <= 300]
    assert len(training) == 2 and len(evaluation) == 2  # one for the whole batches, one for the smaller last


def test_eager_arrives_at_the_same_losses(tmp_path, monkeypatch, metrics):
    images, labels, held_out, truths = load_data()
    few = 20 * 64  # twenty steps of whole batches
    monkeypatch.setattr(digits, "load_data", lambda: (images[:few], labels[:few], held_out[:64], truths[:64]))
    losses, executions = [], []
    for mode in ("--noeager", "--eager"):
        file, picture = tmp_path / f"losses{mode}.json", tmp_path / "p.png"
        metrics.reset()
        with flagsaver.flagsaver():
            digits.FLAGS(["digits.py", "--device=cpu", "--epochs=1", mode, f"--losses={file}", f"--picture={picture}"])
            digits.main(["digits.py"])
        losses.append(json.loads(file.read_text()))
        executions.append(metrics.report(as_dict=True)["executions"])
    assert executions[0] < 30 and executions[1] > 20 * 100  # a program a step, a program an op
    assert len(losses[0]) == len(losses[1]) == 20
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_help_names_every_flag():
    done = run("--help")
    assert "python examples/digits.py --device xla" in done.stdout
    for flag in ("device", "epochs", "batch_size", "lr", "seed", "eager", "picture", "losses"):
        assert f"--{flag}" in done.stdout or f"--[no]{flag}" in done.stdout


def test_an_absent_device_is_a_clear_error(tmp_path):
    done = run("--device=tpu", f"--picture={tmp_path / 'p.png'}")
    assert done.returncode != 0
    assert "no tpu device" in done.stderr or "held-out" in done.stdout  # a machine with a TPU has one


def test_a_picture_that_cannot_be_written_is_said_before_the_training(tmp_path):
    done = run(f"--picture={tmp_path / 'missing' / 'p.png'}")
    assert done.returncode != 0 and "no folder to write" in done.stderr
    assert "image/s" not in done.stderr


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def fails(name):
        with open(name, "w") as f:
            f.write("half")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        digits.write(str(path), fails)
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file"]
