"""``torch.backends.cudnn``: kept and without effect, since XLA decides how it uses cuDNN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import cuda

enabled = True
benchmark = False
benchmark_limit: int | None = 10
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether there is a GPU, whose convolutions XLA may give to cuDNN."""
    return cuda.is_available()


def version() -> int | None:
    """None: XLA does not tell which one it uses."""
    return None


@contextmanager
def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int | None = 10, deterministic: bool = False,
    allow_tf32: bool = True,
) -> Iterator[None]:  # fmt: skip
    """The switches set for a block."""
    names = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
    saved = {n: globals()[n] for n in names}
    globals().update(zip(names, (enabled, benchmark, benchmark_limit, deterministic, allow_tf32)))
    try:
        yield
    finally:
        globals().update(saved)
