"""A training step of a 784-512-512-10 perceptron, batch 128, SGD with momentum, cross-entropy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .base import (
    COMPILED,
    EAGER,
    INDUCTOR,
    JIT,
    LAZYXLA,
    PYTORCH_XLA,
    Step,
    Workload,
    as_it_is,
    everybody,
    fill,
    normal,
)

WIDTHS = (784, 512, 512, 10)
BATCH, BATCHES, RATE, MOMENTUM = 128, 8, 0.05, 0.9


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return normal(rng, BATCHES, BATCH, WIDTHS[0]), rng.integers(0, WIDTHS[-1], (BATCHES, BATCH))


def parameters() -> list[np.ndarray]:
    """weight[out, in] and bias[out] of each layer."""
    rng = np.random.default_rng(1)
    pairs = [(normal(rng, n, m, scale=m**-0.5), np.zeros(n, np.float32)) for m, n in itertools.pairwise(WIDTHS)]
    return [a for pair in pairs for a in pair]


def program(torch: Any, device: str, around: Any = as_it_is, around_model: Any = as_it_is) -> Step:
    """The loop as PyTorch users write it."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)).to(device)
    fill(torch, model.parameters(), parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    batches = [(torch.tensor(x).to(device), torch.tensor(y).to(device)) for x, y in zip(*data(), strict=True)]
    forward = around_model(model)

    def train(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = around(train)
    return lambda i: run(*batches[i % BATCHES])


def in_jax(device: str) -> Step:
    """The same step written by hand, compiled whole, with the old parameters given to the new."""
    import jax
    import jax.numpy as jnp

    def loss_of(p: list[Any], x: Any, y: Any) -> Any:
        *layers, last = zip(p[::2], p[1::2], strict=True)
        for w, b in layers:
            x = jax.nn.relu(x @ w.T + b)
        logits = jax.nn.log_softmax(x @ last[0].T + last[1])
        return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

    def update(p: Any, velocity: Any, x: Any, y: Any) -> Any:
        loss, gradient = jax.value_and_grad(loss_of)(p, x, y)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, gradient)
        return jax.tree.map(lambda p, v: p - RATE * v, p, velocity), velocity, loss

    compiled = jax.jit(update, donate_argnums=(0, 1))
    p = jax.tree.map(jnp.array, parameters())
    state = [p, jax.tree.map(jnp.zeros_like, p)]
    batches = [(jnp.array(x), jnp.array(y)) for x, y in zip(*data(), strict=True)]

    def step(i: int) -> Any:
        *state[:], loss = compiled(*state, *batches[i % BATCHES])
        return loss

    return step


WORKLOAD = Workload(
    "mlp",
    "a training step of a 784-512-512-10 perceptron, batch 128, SGD with momentum",
    everybody(program, in_jax),
    {
        (COMPILED, JIT): 1.0,
        (COMPILED, EAGER): 2.0,
        (COMPILED, INDUCTOR): 2.0,
        (LAZYXLA, COMPILED): 0.8,
        (LAZYXLA, EAGER): 2.0,
        (LAZYXLA, INDUCTOR): 2.0,
        (LAZYXLA, PYTORCH_XLA): 3.0,
    },
    steps=20,
    checked=30,
    tolerance=1e-3,
)
