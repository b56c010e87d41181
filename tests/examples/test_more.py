"""The other examples, at small sizes: each runs, learns, and compiles a bounded number of times."""

import numpy as np
import pytest

import lazyxla as lx

pytest.importorskip("sklearn")
import char_gpt
import dcgan
import lstm_lm
import reinforce
import resnet18
import vae
import vit


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


def few_digits(size=20):
    images, labels, held_out, truths = resnet18.load_data()
    assert images.shape == (1438, 3, 32, 32) and images.dtype == np.float32 and abs(images).max() < 1
    return images[:size], labels[:size], held_out[:8], truths[:8]


def test_resnet18_learns_with_few_compiles():
    lx.metrics.reset()
    _, losses, right = resnet18.train("xla", 12, 10, 0.05, 0, width=2, data=few_digits(), progress=False)
    assert len(losses) == 24 and np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4]) and 0 <= right <= 1
    large = [c for c in lx.metrics.report(as_dict=True)["recompiles"] if c["ops"] >= 1000]
    assert len(large) <= 2  # the first step and later ones
    assert resnet18.ResNet18(10, 2, small=True)(lx.zeros(2, 3, 8, 8)).shape == (2, 10)  # recorded, not run


def test_images_are_moved_and_their_brightness_changed(seed):
    x = lx.tensor(seed.uniform(0.2, 1, (4, 3, 6, 6)).astype(np.float32))
    moved, padded = resnet18.augment(x, 2).numpy(), np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    for got, whole in zip(moved, padded):
        places = [(i, j) for i in range(5) for j in range(5)]
        ratios = [got / whole[:, i : i + 6, j : j + 6] for i, j in places]
        found = min(ratios, key=np.std)
        assert np.std(found) < 1e-5 and 0.8 <= found.mean() <= 1.2


def test_vit_learns():
    _, losses, right = vit.train("xla", 15, 10, 5e-3, 0, 16, 1, 16, data=few_digits(), progress=False)
    assert len(losses) == 30 and np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4]) and 0 <= right <= 1
    with pytest.raises(ValueError, match="patches of 5 pixels do not fill an image of 32"):
        vit.ViT(32, 5, 1, 1, 4, 4, 2)


def test_dcgan_learns_and_draws():
    images = np.full((24, 1, 32, 32), -1, np.float32)
    images[:, :, 8:24, 8:24] = 1
    lx.metrics.reset()
    generator, losses = dcgan.train("xla", 6, 8, 2e-3, 0, 4, 2, images, progress=False)
    assert len(losses) == 18 and np.isfinite(losses).all()
    assert np.mean(losses[-3:], axis=0)[0] < np.mean(losses[:3], axis=0)[0]  # found and drawn are told apart
    assert len([c for c in lx.metrics.report(as_dict=True)["recompiles"] if c["ops"] >= 200]) <= 4
    drawn = dcgan.draw(generator, lx.randn(9, 4, 1, 1, device="xla")).cpu().numpy()
    assert drawn.shape == (9, 32, 32) and 0 <= drawn.min() <= drawn.max() <= 1 and generator.training
    weights = generator.main[0].weight.detach().cpu().numpy()
    assert 0.01 < weights.std() < 0.1  # began at 0.02


def test_images_in_a_grid():
    images = np.arange(1.0, 6)[:, None, None] * np.ones((5, 2, 3))
    found = dcgan.grid(images, columns=2, gap=1)
    assert found.shape == (1 + 2 * 3, 1 + 2 * 4)  # the fifth does not fill a row
    rows = [[0, 1, 1, 1, 0, 2, 2, 2, 0], [0, 3, 3, 3, 0, 4, 4, 4, 0]]
    np.testing.assert_array_equal(found[[0, 1, 2, 3, 4, 5, 6]], [[0] * 9, rows[0], rows[0], [0] * 9, rows[1], rows[1], [0] * 9])
