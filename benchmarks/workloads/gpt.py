"""A training step of a small GPT: 4 layers, width 256, length 128, batch 8, AdamW."""

from __future__ import annotations

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

LAYERS, WIDTH, HEADS, LENGTH, BATCH, VOCABULARY = 4, 256, 4, 128, 8, 256
RATE, DECAY, BETAS, EPSILON = 1e-3, 0.01, (0.9, 0.999), 1e-8
BATCHES = 4


def data() -> tuple[np.ndarray, np.ndarray]:
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (BATCHES, BATCH, LENGTH + 1))
    return tokens[..., :-1].copy(), tokens[..., 1:].copy()


def parameters(layers: int = LAYERS) -> list[np.ndarray]:
    """In the order of the module below."""
    rng, n = np.random.default_rng(1), WIDTH

    def norm() -> list[np.ndarray]:
        return [np.ones(n, np.float32), np.zeros(n, np.float32)]

    def linear(outputs: int, inputs: int) -> list[np.ndarray]:
        return [normal(rng, outputs, inputs, scale=0.02), np.zeros(outputs, np.float32)]

    found = [normal(rng, VOCABULARY, n, scale=0.02), normal(rng, LENGTH, n, scale=0.02)]
    for _ in range(layers):
        found += norm() + linear(3 * n, n) + linear(n, n) + norm() + linear(4 * n, n) + linear(n, 4 * n)
    return found + norm() + linear(VOCABULARY, n)


def module(torch: Any, layers: int = LAYERS) -> Any:
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(WIDTH)
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
            self.out = nn.Linear(WIDTH, WIDTH)
            self.norm2 = nn.LayerNorm(WIDTH)
            self.up = nn.Linear(WIDTH, 4 * WIDTH)
            self.down = nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            b, t, n = x.shape
            q, k, v = (
                a.view(b, t, HEADS, n // HEADS).transpose(1, 2) for a in self.qkv(self.norm1(x)).split(WIDTH, dim=2)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, n))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, WIDTH)
            self.places = nn.Embedding(LENGTH, WIDTH)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.norm = nn.LayerNorm(WIDTH)
            self.head = nn.Linear(WIDTH, VOCABULARY)

        def forward(self, x: Any) -> Any:
            x = self.tokens(x) + self.places(torch.arange(x.shape[1], device=x.device))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    return GPT()


def program(
    torch: Any, device: str, around: Any = as_it_is, around_model: Any = as_it_is, layers: int = LAYERS
) -> Step:
    model = module(torch, layers).to(device)
    fill(torch, model.parameters(), parameters(layers))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=DECAY)
    batches = [(torch.tensor(x).to(device), torch.tensor(y).to(device)) for x, y in zip(*data(), strict=True)]
    forward = around_model(model)

    def train(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        logits = forward(x)
        loss = torch.nn.functional.cross_entropy(logits.view(-1, VOCABULARY), y.view(-1))
        loss.backward()
        optimizer.step()
        return loss

    run = around(train)
    return lambda i: run(*batches[i % BATCHES])


def in_jax(device: str) -> Step:
    """The same step as people write it in jax: products of three dims, ``value_and_grad``, donated."""
    import jax
    import jax.numpy as jnp

    def norm(x: Any, w: Any, b: Any) -> Any:
        mean = x.mean(-1, keepdims=True)
        variance = jnp.square(x - mean).mean(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * w + b

    def block(x: Any, p: Any) -> Any:
        b, t, n = x.shape
        qkv = norm(x, p[0], p[1]) @ p[2].T + p[3]
        q, k, v = (a.reshape(b, t, HEADS, n // HEADS).transpose(0, 2, 1, 3) for a in jnp.split(qkv, 3, axis=-1))
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(n // HEADS).astype(np.float32)
        scores = jnp.where(jnp.tril(jnp.ones((t, t), bool)), scores, -jnp.inf)
        y = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(b, t, n)
        x = x + y @ p[4].T + p[5]
        return x + jax.nn.gelu(norm(x, p[6], p[7]) @ p[8].T + p[9], approximate=False) @ p[10].T + p[11]

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        z = p[0][x] + p[1][jnp.arange(x.shape[1])]
        for layer in range(LAYERS):
            z = block(z, p[2 + 12 * layer : 14 + 12 * layer])
        logits = jax.nn.log_softmax(norm(z, p[-4], p[-3]) @ p[-2].T + p[-1])
        return -jnp.take_along_axis(logits, y[..., None], axis=-1).mean()

    def update(p: Any, m: Any, v: Any, count: Any, x: Any, y: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(p, x, y)
        count = count + 1
        m = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, m, g)
        v = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, v, g)

        def new(p: Any, m: Any, v: Any) -> Any:
            m, v = m / (1 - BETAS[0] ** count), v / (1 - BETAS[1] ** count)
            return p * (1 - RATE * DECAY) - RATE * m / (jnp.sqrt(v) + EPSILON)

        return jax.tree.map(new, p, m, v), m, v, count, loss

    compiled = jax.jit(update, donate_argnums=(0, 1, 2, 3))
    p = [jnp.array(a) for a in parameters()]
    state = [p, [jnp.zeros_like(a) for a in p], [jnp.zeros_like(a) for a in p], jnp.zeros((), jnp.float32)]
    batches = [(jnp.array(x), jnp.array(y)) for x, y in zip(*data(), strict=True)]

    def step(i: int) -> Any:
        *state[:], loss = compiled(*state, *batches[i % BATCHES])
        return loss

    return step


WORKLOAD = Workload(
    "gpt",
    f"a training step of a GPT, {LAYERS} layers, width {WIDTH}, length {LENGTH}, batch {BATCH}, AdamW",
    everybody(program, in_jax),
    {
        (COMPILED, JIT): 2.0,
        (COMPILED, EAGER): 1.0,
        (COMPILED, INDUCTOR): 0.95,
        (LAZYXLA, COMPILED): 0.9,
        (LAZYXLA, EAGER): 1.0,
        (LAZYXLA, INDUCTOR): 0.95,
        (LAZYXLA, PYTORCH_XLA): 1.2,
    },
    steps=2,
)
