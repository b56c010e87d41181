"""Short settings of the programs: their data, and the losses that they give; the same for PyTorch and for lazyxla."""

import json
import sys
from pathlib import Path

import numpy as np

from . import kit

KEPT = Path(__file__).with_name("losses.json")


def digit_classifier(m, torch, device, steps):
    rng = kit.rng("images")
    images, labels = rng.random((16 * steps - 4, 1, 8, 8), np.float32), rng.integers(0, 10, 16 * steps - 4)
    held_out = images[:20], labels[:20]
    return m.main(device, (images, labels), held_out, epochs=1, batch_size=16, dropout=False, prepare=kit.weights)[0]


def sine_waves(m, torch, device, steps):
    waves = np.sin((np.arange(25) + kit.rng("waves").integers(-80, 80, (8, 1))) / 20.0)
    losses, tests, _ = m.main(device, waves, steps=1, future=24, hidden=8, max_iter=steps, prepare=kit.weights)
    return losses + tests


def vae(m, torch, device, steps):
    rng = kit.rng("noise")
    images = kit.rng("images").random((16 * steps - 4, 1, 8, 8), np.float32)

    def noise(t):
        return torch.tensor(rng.normal(size=tuple(t.shape)).astype(np.float32)).to(t.device)

    return m.main(device, images, 1, 16, prepare=kit.weights, hidden=20, latent=4, randn_like=noise)[0]


def _words(kind):
    def run(m, torch, device, steps):
        text = kit.rng("text").zipf(1.5, 4 * (5 * steps - 2)).clip(max=30) - 1
        sizes = dict(kind=kind, ninp=8, nhid=8, nhead=2, nlayers=2, dropout=0.0, bptt=5, batch_size=4)
        losses, tests, _ = m.main(device, text, text[:44], 30, epochs=1, lr=1.0, prepare=kit.weights, **sizes)
        return losses + tests

    return run


def reinforce(m, torch, device, steps):
    rng = kit.rng("actions")  # drawn here, since each library has random numbers of its own

    def sample(_):
        return torch.tensor([int(rng.integers(2))]).to(device)

    return m.main(device, episodes=3, dropout=0.0, prepare=kit.weights, sample=sample)[0]


def adding_gpt(m, torch, device, steps):
    pairs = [[tuple(map(int, p)) for p in kit.rng("sums", i).integers(0, 100, (8, 2))] for i in range(steps)]
    return m.main(device, pairs, pairs[0], prepare=kit.weights, n_layer=2, n_head=2, n_embd=16)[0]


def _gan(penalty):
    def run(m, torch, device, steps):
        draw = kit.rng("images", penalty)
        images = draw.random((steps, 8, 1, 8, 8), np.float32)
        noise, mixes = draw.normal(size=(steps, 8, 8)).astype(np.float32), draw.random((steps, 8, 1, 1, 1), np.float32)
        return m.main(device, images, noise, mixes, penalty, prepare=kit.weights)

    return run


def maml(m, torch, device, steps):
    draw = kit.rng("sines")
    tasks = []
    for _ in range(steps):
        high, shift = draw.uniform(0.1, 5, (3, 1, 1)), draw.uniform(0, np.pi, (3, 1, 1))
        x = draw.uniform(-5, 5, (3, 20, 1))
        x, y = x.astype(np.float32), (high * np.sin(x - shift)).astype(np.float32)
        tasks.append((x[:, :10], y[:, :10], x[:, 10:], y[:, 10:]))
    return m.main(device, [[np.ascontiguousarray(a) for a in t] for t in tasks], prepare=kit.weights)


def compressed(m, torch, device, steps):
    draw = kit.rng("scores")
    batches = [(draw.normal(size=(16, 10)).astype(np.float32), draw.integers(0, 4, 16)) for _ in range(steps)]
    return m.main(device, batches, prepare=kit.weights)


PROGRAMS = {  # name: (program, how it is run)
    "digit_classifier": ("digit_classifier", digit_classifier),
    "sine_waves": ("sine_waves", sine_waves),
    "vae": ("vae", vae),
    "word_model_lstm": ("word_model", _words("lstm")),
    "word_model_transformer": ("word_model", _words("transformer")),
    "reinforce": ("reinforce", reinforce),
    "adding_gpt": ("adding_gpt", adding_gpt),
    "wgan_clipped": ("wgan", _gan(False)),
    "wgan_penalty": ("wgan", _gan(True)),
    "maml": ("maml", maml),
    "compressed": ("compressed", compressed),
}


def losses(name, library, device, steps=20):
    program, run = PROGRAMS[name]
    module = kit.load(program, library)
    return run(module, sys.modules[library], device, steps)


def keep():
    """Run all with PyTorch and keep the losses: ``python -m tests.programs.settings``."""
    KEPT.write_text(json.dumps({name: losses(name, "torch", "cpu") for name in PROGRAMS}, indent=1) + "\n")


if __name__ == "__main__":
    keep()
