"""What the updates share: run-time scalars, initial state, checks of options, weight decay."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lazy as lx
from ..lazy import Tensor


class Count(int):
    """The count of a parameter's steps: a number to the update, and all that a 0-d tensor of it offers to who reads it."""

    def __add__(self, other: Any) -> Any:
        return Count(int(self) + other) if type(other) is int else super().__add__(other)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name.endswith("_"):
            raise AttributeError(f"a count of steps is not written to in place ({name}): give the state another one")
        return getattr(shown(self), name)


def shown(value: Any) -> Tensor:
    """A number of the state as PyTorch keeps it: 0-d, floating, on the CPU."""
    wide = lx.get_default_dtype() is lx.float64
    return lx.tensor(float(value), dtype=lx.float64 if wide else lx.float32, device="cpu")


class Scalars:
    """The numbers of one group's step. Each is an argument of the program, recorded once for all parameters of a type
    and device, so that no change of it recompiles."""

    def __init__(self, lr: Any) -> None:
        self.lr = lr
        self.made: dict[Any, Any] = {}

    def __call__(self, name: str, p: Any, value: float, t: int = 0) -> Any:
        """``value`` as a 0-d tensor for use with ``p``. It must be decided by ``name`` and the step count ``t``: two
        quantities that happen to be equal must not become one, or the program would change where they meet."""
        aval = p._aval()
        key = (name, t, aval.dtype, aval.device)
        found = self.made.get(key)
        if found is None:
            like = p if not p.dtype.is_complex else p.dtype.to_real()
            found = self.made[key] = lx.scalar(value, like, p.device)
        return found

    def rate(self, p: Any, factor: float = 1.0, name: str = "lr", t: int = 0) -> Any:
        """The learning rate (a number or a tensor of one element) times ``factor``."""
        if not isinstance(self.lr, Tensor):
            return self(name, p, self.lr * factor, t)
        key = (name, t, p.dtype, p.device)
        found = self.made.get(key)
        if found is None:
            lr = self.lr.detach().reshape(()).to(device=p.device, dtype=p.dtype.to_real())
            found = self.made[key] = lr * self(name + " factor", p, factor, t)
        return found

    def kept(self, p: Any, decay: float) -> Any:
        """1 - lr * decay: what decoupled weight decay leaves of a parameter."""
        if not isinstance(self.lr, Tensor):
            return self("kept", p, 1 - self.lr * decay)
        key = ("kept", 0, p.dtype, p.device)
        found = self.made.get(key)
        if found is None:
            found = self.made[key] = 1 - self.rate(p, decay, "decay")
        return found


def zeros_for(p: Any) -> Any:
    """Zeros like ``p`` that are computed already, so that the first step is the same program as the second."""
    return full_for(p, 0)


def full_for(p: Any, value: complex) -> Any:
    """A computed tensor like ``p``, filled with ``value``."""
    return lx.tensor(np.full(tuple(p.shape), value, p.dtype.numpy), dtype=p.dtype, device=p.device)


def decayed(p: Any, g: Any, decay: float, maximize: bool) -> Any:
    """The gradient to descend: its sign for ``maximize``, the weight decay added."""
    if maximize:
        g = -g
    return g + p * decay if decay != 0 else g


def rms(v: Any, g: Any, rho: float) -> Any:
    """Move the running mean of squares ``v`` on to v * rho + g * g * (1 - rho), in place."""
    return v.mul_(rho).add_(g * g * (1 - rho))


def checked_rate(lr: Any) -> None:
    """ValueError for a learning rate that is negative, or a tensor of other than one element."""
    if not isinstance(lr, Tensor):
        checked("learning rate", lr)
    elif lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")


def checked(name: str, value: Any, below: float | None = None) -> None:
    """ValueError for an option that is negative (NaN too), or not under ``below``."""
    if not value >= 0 or (below is not None and not value < below):
        raise ValueError(f"Invalid {name}: {value}")


def checked_betas(betas: tuple[float, float]) -> None:
    """ValueError for decay rates outside [0, 1)."""
    for i, beta in enumerate(betas):
        checked(f"beta parameter at index {i}", beta, below=1.0)
