"""The random stream, as ``torch.random``: one for all devices, and blocks that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import lazy as lx
from .lazy import default_generator

manual_seed = lx.manual_seed
seed = lx.seed
initial_seed = lx.initial_seed
get_rng_state = lx.get_rng_state
set_rng_state = lx.set_rng_state

__all__ = [
    "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state",
]  # fmt: skip


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, device_type: str = "cuda") -> Iterator[None]:
    """Numbers drawn inside the block do not change what is drawn after it.

    There is one stream for all devices, so ``devices`` need not be named.
    """
    if not enabled:
        yield
        return
    state = default_generator._seed, default_generator._count
    try:
        yield
    finally:
        default_generator._seed, default_generator._count = state
