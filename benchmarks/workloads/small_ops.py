"""A thousand small operations in a loop, read once at the end: what each costs."""

from __future__ import annotations

from typing import Any

from .base import EAGER, LAZYXLA, PYTORCH_XLA, Step, Workload, in_lazyxla, in_pytorch, in_pytorch_xla

OPS = 1000


def program(torch: Any, device: str) -> Step:
    y = torch.full((4,), 1e-3).to(device)
    z0 = torch.ones(4).to(device)

    def step(i: int) -> Any:
        z = z0
        for _ in range(OPS // 2):
            z = (z + y) * z0
        return z.sum()

    return step


WORKLOAD = Workload(
    "small_ops",
    f"{OPS} operations on four numbers in a loop, read once",
    {EAGER: in_pytorch(program), LAZYXLA: in_lazyxla(program), PYTORCH_XLA: in_pytorch_xla(program)},
    {(LAZYXLA, EAGER): 1.0, (LAZYXLA, PYTORCH_XLA): 1.0},
    steps=5,
)
