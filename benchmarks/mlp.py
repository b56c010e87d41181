"""A training step of a 784-512-512-10 perceptron: the unmodified lazy loop, a donated jax.jit step, PyTorch.

SGD with momentum, batch 128, cross-entropy. All begin with the same numbers, and their losses are compared before
anything is timed. Each has a process of its own and they take turns. PyTorch takes part where it is installed.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _timing import interleaved, show
from absl import app, flags

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


def in_jax(device: str) -> Step:
    """The same step written by hand, compiled whole, with the old parameters given to the new."""
    import jax
    import jax.numpy as jnp

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


def contestant(name: str, device: str, pipe: Any) -> None:
    """Lives in a process of its own, so that no library's threads get in another's way, and waits for its turns.

    Says its first losses, or None if its library is missing; then for each number of steps asked of it, the seconds.
    """
    try:
        step = MAKERS[name](device)
    except ImportError:
        pipe.send(None)
        return
    pipe.send([step(i).item() for i in range(CHECKED)])
    while steps := pipe.recv():
        start = time.perf_counter()
        for i in range(steps):
            loss = step(i)
        loss.item()  # waits for the last: every step needs the one before
        pipe.send((time.perf_counter() - start) / steps)


def _pytorch(device: str) -> Step:
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    return like_pytorch(torch, "cpu")


def _lazyxla(device: str) -> Step:
    import lazyxla

    return like_pytorch(lazyxla, device)


JAX = "jax.jit, donated"
MAKERS: dict[str, Callable[[str], Step]] = {JAX: in_jax, "lazyxla": _lazyxla, "PyTorch eager": _pytorch}


def main(argv: list[str]) -> None:
    del argv
    spawn = multiprocessing.get_context("spawn")
    losses: dict[str, list[float]] = {}
    turns: dict[str, Callable[[], float]] = {}
    pipes = []
    for name in MAKERS:
        pipe, theirs = spawn.Pipe()
        spawn.Process(target=contestant, args=(name, _DEVICE.value, theirs), daemon=True).start()
        found = pipe.recv()
        if found is None:
            print(f"{name}: not installed, left out")
            continue
        losses[name], turns[name] = found, lambda pipe=pipe: pipe.send(_STEPS.value) or pipe.recv()
        pipes.append(pipe)

    for name, found in losses.items():
        np.testing.assert_allclose(found, losses[JAX], rtol=1e-3, err_msg=f"losses of {name}")
    print(f"losses agree over {CHECKED} steps: {losses['lazyxla'][0]:.4f} to {losses['lazyxla'][-1]:.4f}")
    show("a training step", interleaved(turns, _ROUNDS.value), baseline=JAX, unit="ms")
    for pipe in pipes:
        pipe.send(0)


if __name__ == "__main__":
    app.run(main)
