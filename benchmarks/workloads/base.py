"""What a workload is, and the contestants that several share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Step = Callable[[int], Any]  # number of the batch -> the loss, not waited for
Program = Callable[[Any, str], Step]  # (torch or lazyxla, device) -> step: code that both run unchanged


class Workload(NamedTuple):
    """A step to be timed: its contestants, whom lazyxla is held against, and how closely losses must agree."""

    name: str
    what: str
    contestants: Mapping[str, Callable[[str], Step]]  # name -> device -> step; ImportError where it is not installed
    targets: Mapping[tuple[str, str], float]  # (a contestant of ours, another's) -> how many times as fast, at least
    steps: int = 10  # in one sample
    checked: int = 5  # steps whose losses are compared first
    tolerance: float = 1e-4
    absolute: float = 1e-8  # differences that do not count
    settling: int = 40  # steps of each contestant before any is timed


LAZYXLA, COMPILED = "lazyxla", "lazyxla, compiled"
NUMPY = "NumPy"
EAGER, INDUCTOR, JIT = "PyTorch eager", "torch.compile", "jax.jit"
PYTORCH_XLA = "PyTorch/XLA"


def in_lazyxla(program: Program) -> Callable[[str], Step]:
    """The program as it stands."""

    def make(device: str) -> Step:
        import lazyxla

        return program(lazyxla, device)

    return make


def compiled(program: Callable[..., Step]) -> Callable[[str], Step]:
    """The program with ``lazyxla.compile`` around what it does with a batch."""

    def make(device: str) -> Step:
        import lazyxla

        return program(lazyxla, device, around=lazyxla.compile)

    return make


def as_it_is(f: Any) -> Any:
    """What is around a program's step, or its model, if nothing is."""
    return f


def in_pytorch(program: Program) -> Callable[[str], Step]:
    """The same program in PyTorch, on all cores."""

    def make(device: str) -> Step:
        return program(pytorch(), _torch_device(device))

    return make


def inductor(program: Callable[..., Step]) -> Callable[[str], Step]:
    """The same program in PyTorch, with ``torch.compile`` around its model, as its documentation teaches."""

    def make(device: str) -> Step:
        torch = pytorch()
        return program(torch, _torch_device(device), around_model=torch.compile)

    return make


def in_pytorch_xla(program: Program) -> Callable[[str], Step]:
    """The same program in PyTorch/XLA, with the step marker that it asks for."""

    def make(device: str) -> Step:
        import torch
        import torch_xla

        step = program(torch, torch_xla.device())

        def marked(i: int) -> Any:
            loss = step(i)
            torch_xla.sync()
            return loss

        return marked

    return make


def everybody(program: Callable[..., Step], in_jax: Callable[[str], Step]) -> dict[str, Callable[[str], Step]]:
    """All contestants of a training step: the one program, and what is written in JAX."""
    return {
        JIT: in_jax, EAGER: in_pytorch(program), INDUCTOR: inductor(program), COMPILED: compiled(program),
        LAZYXLA: in_lazyxla(program), PYTORCH_XLA: in_pytorch_xla(program),
    }  # fmt: skip


def pytorch() -> Any:
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch


def _torch_device(device: str) -> str:
    import torch

    return "cuda" if device in ("xla", "cuda", "gpu") and torch.cuda.is_available() else "cpu"


def fill(torch: Any, parameters: Any, arrays: list[np.ndarray]) -> None:
    """Give the parameters these values, in order."""
    found = list(parameters)
    if [tuple(p.shape) for p in found] != [a.shape for a in arrays]:
        raise ValueError(
            f"expected parameters of shapes {[a.shape for a in arrays]}, got {[tuple(p.shape) for p in found]}"
        )
    with torch.no_grad():
        for p, a in zip(found, arrays, strict=True):
            p.copy_(torch.tensor(a).to(p.device))


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)
