"""An LSTM written as a cell of basic operations in a Python loop over time, against scans and handwritten kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .base import (
    EAGER,
    LAZYXLA,
    PYTORCH_XLA,
    Step,
    Workload,
    fill,
    in_lazyxla,
    in_pytorch,
    in_pytorch_xla,
    normal,
    pytorch,
)

SCAN, KERNEL = "jax.lax.scan", "PyTorch nn.LSTM"
RATE = 0.1


class Sizes(NamedTuple):
    length: int
    batch: int
    inputs: int
    hidden: int


def data(s: Sizes) -> np.ndarray:
    return normal(np.random.default_rng(0), s.length, s.batch, s.inputs)


def parameters(s: Sizes) -> list[np.ndarray]:
    """Input and recurrent weights[4 * hidden, ...] and a bias; the gates in the order i, f, g, o."""
    rng, scale = np.random.default_rng(1), s.hidden**-0.5
    return [
        normal(rng, 4 * s.hidden, s.inputs, scale=scale), normal(rng, 4 * s.hidden, s.hidden, scale=scale),
        normal(rng, 4 * s.hidden, scale=0.1),
    ]  # fmt: skip


def cells(torch: Any, x: Any, w_x: Any, w_h: Any, b: Any) -> Any:
    """The hidden states over time: the loop as people write it."""
    h = torch.zeros(x.shape[1], w_h.shape[1], device=x.device)
    c = torch.zeros_like(h)
    states = []
    for t in range(x.shape[0]):
        gates = x[t] @ w_x.T + h @ w_h.T + b
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states)


def forward(s: Sizes) -> Any:
    def program(torch: Any, device: str) -> Step:
        x, (w_x, w_h, b) = torch.tensor(data(s)).to(device), [torch.tensor(p).to(device) for p in parameters(s)]

        def step(i: int) -> Any:
            with torch.no_grad():
                return cells(torch, x, w_x, w_h, b).square().mean()

        return step

    return program


def training(s: Sizes) -> Any:
    def program(torch: Any, device: str) -> Step:
        x = torch.tensor(data(s)).to(device)
        weights = [torch.tensor(p).to(device).requires_grad_() for p in parameters(s)]
        optimizer = torch.optim.SGD(weights, lr=RATE)

        def step(i: int) -> Any:
            optimizer.zero_grad()
            loss = cells(torch, x, *weights).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    return program


def kernel(s: Sizes, train: bool) -> Any:
    """PyTorch's own layer."""

    def make(device: str) -> Step:
        torch = pytorch()
        device = "cuda" if torch.cuda.is_available() and device != "cpu" else "cpu"
        layer = torch.nn.LSTM(s.inputs, s.hidden).to(device)
        w_x, w_h, b = parameters(s)
        fill(torch, layer.parameters(), [w_x, w_h, b, np.zeros_like(b)])
        layer.bias_hh_l0.requires_grad_(False)
        optimizer = torch.optim.SGD([p for p in layer.parameters() if p.requires_grad], lr=RATE)
        x = torch.tensor(data(s)).to(device)

        def step(i: int) -> Any:
            if not train:
                with torch.no_grad():
                    return layer(x)[0].square().mean()
            optimizer.zero_grad()
            loss = layer(x)[0].square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    return make


def scan(s: Sizes, train: bool) -> Any:
    """The cell in ``jax.lax.scan``, as its documentation teaches."""

    def make(device: str) -> Step:
        import jax
        import jax.numpy as jnp

        def loss_of(weights: Any, x: Any) -> Any:
            w_x, w_h, b = weights

            def cell(state: Any, x: Any) -> Any:
                h, c = state
                i, f, g, o = jnp.split(x @ w_x.T + h @ w_h.T + b, 4, axis=1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h

            zeros = jnp.zeros((s.batch, s.hidden))
            return jnp.square(jax.lax.scan(cell, (zeros, zeros), x)[1]).mean()

        def update(weights: Any, x: Any) -> Any:
            loss, gradient = jax.value_and_grad(loss_of)(weights, x)
            return jax.tree.map(lambda p, g: p - RATE * g, weights, gradient), loss

        x, state = jnp.array(data(s)), [[jnp.array(p) for p in parameters(s)]]
        compiled = jax.jit(update, donate_argnums=0) if train else jax.jit(loss_of)

        def step(i: int) -> Any:
            if not train:
                return compiled(*state, x)
            state[0], loss = compiled(*state, x)
            return loss

        return step

    return make


def workload(name: str, s: Sizes, train: bool, targets: dict[tuple[str, str], float]) -> Workload:
    what = "forward and backward" if train else "forward"
    program = training(s) if train else forward(s)
    contestants = {
        EAGER: in_pytorch(program),
        SCAN: scan(s, train),
        KERNEL: kernel(s, train),
        LAZYXLA: in_lazyxla(program),
    }
    if not train:  # PyTorch/XLA compiles the gradient of the unrolled loop for minutes
        contestants[PYTORCH_XLA] = in_pytorch_xla(program)
    return Workload(
        name,
        f"an LSTM as a Python loop of {s.length} cells, batch {s.batch}, {s.inputs} to {s.hidden}, {what}",
        contestants,
        targets,
        steps=5,
    )


FORWARD = workload(
    "lstm_forward",
    Sizes(100, 16, 128, 256),
    False,
    {(LAZYXLA, EAGER): 2.6, (LAZYXLA, SCAN): 1.0, (LAZYXLA, PYTORCH_XLA): 2.5},
)
TRAINING = workload(
    "lstm", Sizes(100, 16, 128, 256), True, {(LAZYXLA, EAGER): 3.4, (LAZYXLA, SCAN): 1.8, (LAZYXLA, KERNEL): 1.0}
)
SINGLE = workload(
    "lstm_single", Sizes(100, 1, 512, 512), True, {(LAZYXLA, EAGER): 10.0, (LAZYXLA, SCAN): 1.5, (LAZYXLA, KERNEL): 1.0}
)
