"""A training step of a residual net of ResNet-18's shape, a quarter as wide, on CIFAR-sized images, batch 32."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import (
    COMPILED,
    EAGER,
    JIT,
    LAZYXLA,
    Step,
    Workload,
    as_it_is,
    compiled,
    fill,
    in_lazyxla,
    in_pytorch,
    normal,
)

WIDTHS, BLOCKS, BATCH, BATCHES = (16, 32, 64, 128), 2, 32, 4
RATE, MOMENTUM = 0.01, 0.9


def layout() -> list[tuple[int, int, int]]:
    """(inputs, outputs, stride) of each block."""
    found, width = [], WIDTHS[0]
    for i, w in enumerate(WIDTHS):
        for j in range(BLOCKS):
            found.append((width, w, 2 if i and not j else 1))
            width = w
    return found


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return normal(rng, BATCHES, BATCH, 3, 32, 32), rng.integers(0, 10, (BATCHES, BATCH))


def parameters() -> list[np.ndarray]:
    """In the order of the module below."""
    rng = np.random.default_rng(1)

    def conv(n: int, m: int, k: int) -> list[np.ndarray]:
        return [normal(rng, n, m, k, k, scale=(2 / (m * k * k)) ** 0.5), np.ones(n, np.float32), np.zeros(n, np.float32)]

    found = conv(WIDTHS[0], 3, 3)
    for m, n, stride in layout():
        found += conv(n, m, 3) + conv(n, n, 3) + (conv(n, m, 1) if m != n or stride != 1 else [])
    return [*found, normal(rng, 10, WIDTHS[-1], scale=WIDTHS[-1] ** -0.5), np.zeros(10, np.float32)]


def module(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    def conv(m: int, n: int, k: int, stride: int) -> Any:
        return nn.Sequential(nn.Conv2d(m, n, k, stride, padding=k // 2, bias=False), nn.BatchNorm2d(n))

    class Block(nn.Module):
        def __init__(self, m: int, n: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.conv2 = conv(m, n, 3, stride), conv(n, n, 3, 1)
            self.shortcut = conv(m, n, 1, stride) if m != n or stride != 1 else nn.Identity()

        def forward(self, x: Any) -> Any:
            return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))

    class ResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = conv(3, WIDTHS[0], 3, 1)
            self.blocks = nn.Sequential(*[Block(*b) for b in layout()])
            self.head = nn.Linear(WIDTHS[-1], 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))

    return ResNet()


def program(torch: Any, device: str, around: Any = as_it_is) -> Step:
    model = module(torch).to(device)
    fill(torch, model.parameters(), parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    batches = [(torch.tensor(x).to(device), torch.tensor(y).to(device)) for x, y in zip(*data(), strict=True)]

    def train(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = around(train)
    return lambda i: run(*batches[i % BATCHES])


def in_jax(device: str) -> Step:
    """By hand in jax, with the channels where PyTorch has them; the running statistics are kept up too."""
    import jax
    import jax.numpy as jnp

    def loss_of(p: Any, stats: Any, x: Any, y: Any) -> Any:
        p, old, kept = iter(p), iter(stats), []

        def conv(x: Any, k: int, stride: int) -> Any:
            w, scale, shift = next(p), next(p)[:, None, None], next(p)[:, None, None]
            x = jax.lax.conv_general_dilated(
                x, w, (stride, stride), [(k // 2, k // 2)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
            )
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
            n = x.size // x.shape[1]
            running_mean, running_variance = next(old), next(old)
            kept.append(0.9 * running_mean + 0.1 * mean)
            kept.append(0.9 * running_variance + 0.1 * variance * n / (n - 1))
            mean, variance = mean[:, None, None], variance[:, None, None]
            return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + shift

        x = jax.nn.relu(conv(x, 3, 1))
        for m, n, stride in layout():
            z = conv(jax.nn.relu(conv(x, 3, stride)), 3, 1)
            x = jax.nn.relu(z + (conv(x, 1, stride) if m != n or stride != 1 else x))
        logits = jax.nn.log_softmax(x.mean((2, 3)) @ next(p).T + next(p))
        return -jnp.take_along_axis(logits, y[:, None], axis=1).mean(), kept

    def update(p: Any, velocity: Any, stats: Any, x: Any, y: Any) -> Any:
        (loss, stats), g = jax.value_and_grad(loss_of, has_aux=True)(p, stats, x, y)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, g)
        return jax.tree.map(lambda p, v: p - RATE * v, p, velocity), velocity, stats, loss

    compiled = jax.jit(update, donate_argnums=(0, 1, 2))
    p = [jnp.array(a) for a in parameters()]
    scales = [a for i, a in enumerate(p[:-2]) if i % 3 == 1]
    stats = [f(a) for a in scales for f in (jnp.zeros_like, jnp.ones_like)]
    state = [p, [jnp.zeros_like(a) for a in p], stats]
    batches = [(jnp.array(x), jnp.array(y)) for x, y in zip(*data(), strict=True)]

    def step(i: int) -> Any:
        *state[:], loss = compiled(*state, *batches[i % BATCHES])
        return loss

    return step


WORKLOAD = Workload(
    "resnet",
    "a training step of a residual net of ResNet-18's shape, a quarter as wide, 32x32 images, batch 32",
    {JIT: in_jax, EAGER: in_pytorch(program), COMPILED: compiled(program), LAZYXLA: in_lazyxla(program)},
    {(COMPILED, JIT): 1.1, (COMPILED, EAGER): 0.6, (LAZYXLA, COMPILED): 0.9},
    steps=2,
    checked=3,
)
