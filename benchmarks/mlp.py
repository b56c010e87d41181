"""A training step of a 784-512-512-10 perceptron: the unmodified lazy loop, a donated jax.jit step, PyTorch.

SGD with momentum, batch 128, cross-entropy. All begin with the same numbers, and their losses are compared before
anything is timed. PyTorch takes part where it is installed.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _timing import interleaved, quiet, show
from absl import app, flags

import lazyxla

_STEPS = flags.DEFINE_integer("steps", 20, "Steps in one sample.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 15, "Samples for each contestant.", lower_bound=2)
_DEVICE = flags.DEFINE_string("device", "xla", "Where lazyxla runs; jax uses its own default device.")

WIDTHS = (784, 512, 512, 10)
BATCH, BATCHES, RATE, MOMENTUM = 128, 8, 0.05, 0.9
CHECKED = 30  # steps whose losses are compared

Step = Callable[[int], Any]  # number of the batch -> loss, not waited for


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCHES, BATCH, WIDTHS[0])).astype(np.float32)
    return x, rng.integers(0, WIDTHS[-1], (BATCHES, BATCH))


def parameters() -> list[tuple[np.ndarray, np.ndarray]]:
    """(weight[out, in], bias[out]) a layer."""
    rng = np.random.default_rng(1)
    return [
        ((rng.standard_normal((n, m)) / np.sqrt(m)).astype(np.float32), np.zeros(n, np.float32))
        for m, n in itertools.pairwise(WIDTHS)
    ]


def like_pytorch(torch: Any, device: str) -> Step:
    """The loop as PyTorch users write it; ``torch`` is lazyxla or PyTorch itself."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    ).to(device)  # fmt: skip
    with torch.no_grad():
        for layer, (w, b) in zip(list(model)[::2], parameters(), strict=True):
            layer.weight.copy_(torch.tensor(w).to(device))
            layer.bias.copy_(torch.tensor(b).to(device))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    xs, ys = data()
    batches = [(torch.tensor(x).to(device), torch.tensor(y).to(device)) for x, y in zip(xs, ys, strict=True)]

    def step(i: int) -> Any:
        x, y = batches[i % BATCHES]
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def in_jax() -> Step:
    """The same step written by hand, compiled whole, with the old parameters given to the new."""

    def loss_of(layers: Any, x: Any, y: Any) -> Any:
        for w, b in layers[:-1]:
            x = jax.nn.relu(x @ w.T + b)
        w, b = layers[-1]
        logits = jax.nn.log_softmax(x @ w.T + b)
        return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

    def update(layers: Any, velocity: Any, x: Any, y: Any) -> Any:
        loss, gradient = jax.value_and_grad(loss_of)(layers, x, y)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, gradient)
        return jax.tree.map(lambda p, v: p - RATE * v, layers, velocity), velocity, loss

    compiled = jax.jit(update, donate_argnums=(0, 1))
    layers = jax.tree.map(jnp.array, parameters())
    state = [layers, jax.tree.map(jnp.zeros_like, layers)]
    xs, ys = data()
    batches = [(jnp.array(x), jnp.array(y)) for x, y in zip(xs, ys, strict=True)]

    def step(i: int) -> Any:
        *state[:], loss = compiled(*state, *batches[i % BATCHES])
        return loss

    return step


def main(argv: list[str]) -> None:
    del argv
    quiet()
    steps: dict[str, Step] = {"jax.jit, donated": in_jax(), "lazyxla": like_pytorch(lazyxla, _DEVICE.value)}
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: left out")
    else:
        torch.set_num_threads(os.cpu_count() or 1)
        steps["PyTorch eager"] = like_pytorch(torch, "cpu")

    losses = {name: [float(step(i)) for i in range(CHECKED)] for name, step in steps.items()}
    for name, found in losses.items():
        np.testing.assert_allclose(found, losses["jax.jit, donated"], rtol=1e-3, err_msg=f"losses of {name}")
    print(f"losses agree over {CHECKED} steps: {losses['lazyxla'][0]:.4f} to {losses['lazyxla'][-1]:.4f}")

    def several(step: Step) -> Callable[[], None]:
        def run() -> None:
            for i in range(_STEPS.value):
                loss = step(i)
            float(loss)  # waits for the last: every step needs the one before

        return run

    samples = interleaved({name: several(step) for name, step in steps.items()}, 1, _ROUNDS.value)
    per_step = {name: [t / _STEPS.value for t in values] for name, values in samples.items()}
    show("a training step", per_step, baseline="jax.jit, donated", unit="ms")


if __name__ == "__main__":
    app.run(main)
