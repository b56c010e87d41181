"""The other examples, at small sizes: each runs, learns, and compiles a bounded number of times."""

import numpy as np
import pytest

import lazyxla as lx

pytest.importorskip("sklearn")
import char_gpt
import lstm_lm
import reinforce
import vae


def test_char_gpt_learns_and_writes():
    model, letters, losses = char_gpt.train("xla", 25, 4, 16, 16, 1, 1e-2, 0, progress=False)
    assert len(losses) == 25 and np.mean(losses[-5:]) < 0.9 * losses[0]
    lx.metrics.reset()
    begun = lx.tensor([[letters.index(c) for c in "Return "]]).to("xla")
    written = model.eval().write(begun, 20)
    assert len(written) == 20 and all(0 <= i < len(letters) for i in written)


def test_vae_learns_with_few_compiles(tmp_path):
    images = np.random.default_rng(0).random((80, 64)).astype(np.float32)
    lx.metrics.reset()
    model, losses = vae.train("xla", 6, 32, 5e-3, 0, images, progress=False)
    assert losses[-1] < losses[0]
    large = [c for c in lx.metrics.report(as_dict=True)["recompiles"] if c["ops"] >= 100]
    assert len(large) <= 4  # the first step, later ones, and the last batch's
    drawn = model.draw(60, "xla").cpu().numpy()
    assert drawn.shape == (60, 64) and 0 <= drawn.min() <= drawn.max() <= 1
    vae.picture(tmp_path / "vae.png", drawn)
    assert (tmp_path / "vae.png").read_bytes().startswith(b"\x89PNG")


def test_lstm_lm_learns():
    _, perplexities, unigram = lstm_lm.train("xla", 2, 8, 8, 16, 5.0, 0, rows=90, progress=False)
    assert perplexities[1] < perplexities[0] < 2 * 2000 and unigram < 2000


def test_reinforce_compiles_no_more_with_more_episodes():
    reinforce.train("xla", 4, 1e-2, 0.99, 0, most=12, progress=False)
    lx.metrics.reset()
    _, lengths = reinforce.train("xla", 6, 1e-2, 0.99, 1, most=12, progress=False)
    assert len(lengths) == 6 and all(0 < n <= 12 for n in lengths)
    assert lx.metrics.report(as_dict=True)["compiles"] <= 2


def test_returns_are_deviations_of_discounted_sums():
    found = reinforce.returns_of(3, 0.5, 5)
    sums = np.array([1.75, 1.5, 1.0])
    np.testing.assert_allclose(found, [*(sums - sums.mean()) / sums.std(), 0, 0], rtol=1e-5)
