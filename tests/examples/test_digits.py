"""The project's main job: it learns, compiles a bounded number of times, and runs op by op to the same losses."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import lazyxla as lx

pytest.importorskip("sklearn")
EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "examples")
sys.path.insert(0, EXAMPLES)
import digits  # noqa: E402


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


def compiles_of(epochs):
    lx.sync()
    lx.lowering.clear_cache()
    lx.metrics.reset()
    images, labels, *_ = digits.load_data()
    # a fifth of the images, of which the last batch is smaller
    few = slice(0, 200)
    monkey = digits.load_data
    digits.load_data = lambda: (images[few], labels[few], images[300:400], labels[300:400])
    try:
        digits.train("xla", epochs, 64, 3e-3, 0, progress=False)
    finally:
        digits.load_data = monkey
    facts = lx.metrics.report(as_dict=True)
    return [c for c in facts["recompiles"] if "digits.py" in c["why"] or "vary" in c["why"]], facts["compiles"]


def test_compiles_do_not_grow_with_epochs_or_the_schedule():
    two, total_two = compiles_of(2)
    five, total_five = compiles_of(5)
    assert total_two == total_five
    training = [c for c in five if c["ops"] > 300]
    evaluation = [c for c in five if 40 < c["ops"] <= 100]
    assert 1 <= len(training) <= 2 + 1  # the last batch adds its own
    assert 1 <= len(evaluation) <= 2 + 1
    assert total_five <= 6


def test_eager_arrives_at_the_same_losses(tmp_path):
    files = [tmp_path / "lazy.json", tmp_path / "eager.json"]
    for file, mode in zip(files, ("--noeager", "--eager")):
        done = run("--device=cpu", "--epochs=1", mode, f"--losses={file}", f"--picture={tmp_path / 'p.png'}")
        assert done.returncode == 0, done.stderr[-2000:]
    lazy, eager = (np.array(json.loads(f.read_text())) for f in files)
    assert len(lazy) >= 20
    np.testing.assert_allclose(lazy[:20], eager[:20], rtol=1e-4)


def test_help_names_every_flag():
    done = run("--help")
    assert "python examples/digits.py --device xla" in done.stdout
    for flag in ("device", "epochs", "batch_size", "lr", "seed", "eager", "picture", "losses"):
        assert f"--{flag}" in done.stdout or f"--[no]{flag}" in done.stdout


def test_an_absent_device_is_a_clear_error(tmp_path):
    done = run("--device=tpu", f"--picture={tmp_path / 'p.png'}")
    assert done.returncode != 0
    assert "no tpu device" in done.stderr or "held-out" in done.stdout  # a machine with a TPU has one
