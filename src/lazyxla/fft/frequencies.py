"""The frequencies of a transform's elements, and putting zero in the middle."""

from __future__ import annotations

from typing import Any

from ..lazy import Tensor
from ..lazy import public as lx
from ..lazy.functions.shape import normal_dim


def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """The n frequencies of ``fft``'s elements in cycles per unit of the spacing d: 0, 1, ..., -2, -1 over (n d)."""
    first = (n - 1) // 2 + 1
    steps = lx["cat"]([lx["arange"](0, first, device=device), lx["arange"](-(n // 2), 0, device=device)])
    return _over(steps, n, d, dtype, requires_grad)


def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """The n // 2 + 1 frequencies of ``rfft``'s elements, none of them negative."""
    return _over(lx["arange"](0, n // 2 + 1, device=device), n, d, dtype, requires_grad)


def _over(steps: Tensor, n: int, d: float, dtype: Any, requires_grad: bool) -> Tensor:
    from ..lazy import get_default_dtype

    out = steps.to(dtype or get_default_dtype()) * (1.0 / (n * d))
    return out.requires_grad_() if requires_grad else out


def _dims(x: Tensor, dim: Any) -> list[int]:
    given = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return [normal_dim(d, x.ndim) for d in given]


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """Turned by half along dims (all unless given), so that the zero frequency comes to the middle."""
    dims = _dims(input, dim)
    return input.roll([input.shape[d] // 2 for d in dims], dims)


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of ``fftshift``."""
    dims = _dims(input, dim)
    return input.roll([(input.shape[d] + 1) // 2 for d in dims], dims)


__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]
