"""Poolings that are rarer: maxima put back where they were, windows at random places, and powers in three dims."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import lazy as lx
from ...lazy import Tensor
from ._common import Size, error, reshaped, tuple_of
from .pooling import (
    _root,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool3d,
    best_of,
    elements_at,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window of x [N, C, D, H, W]."""
    count = math.prod(tuple_of(kernel_size, 3, "kernel_size"))
    return _root(avg_pool3d(input**norm_type, kernel_size, stride, 0, ceil_mode), count, norm_type)


# --- back to where the maxima were ------------------------------------------------------------------------------


def _max_unpool(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None, padding: Size, output_size: Any, n: int
) -> Tensor:
    name = f"max_unpool{n}d"
    if tuple(input.shape) != tuple(indices.shape):
        raise error(
            RuntimeError,
            f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices "
            f"tensor with shape: {list(indices.shape)}",
        )
    if input.ndim not in (n + 1, n + 2):
        raise error(
            RuntimeError,
            f"Input to {name} should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {input.ndim} dimensions.",
        )
    kernel = tuple_of(kernel_size, n, "kernel_size")
    strides = kernel if stride is None else tuple_of(stride, n, "stride")
    pads = tuple_of(padding, n, "padding")
    default = [(s - 1) * d + k - 2 * p for s, d, k, p in zip(input.shape[-n:], strides, kernel, pads)]
    sizes = _output_size(default, strides, output_size, n)
    lead = tuple(input.shape[:-n])
    flat = lx.zeros(*lead, math.prod(sizes), dtype=input.dtype, device=input.device)
    count = math.prod(input.shape[-n:])
    spots, values = reshaped(indices, (*lead, count)), reshaped(input, (*lead, count))
    return reshaped(lx.scatter(flat, -1, spots, values), (*lead, *sizes))


def _output_size(default: Sequence[int], strides: Sequence[int], given: Any, n: int) -> tuple[int, ...]:
    if given is None:
        return tuple(default)
    sizes = tuple(int(s) for s in given)
    if len(sizes) == n + 2:
        sizes = sizes[2:]
    if len(sizes) != n:
        raise error(
            ValueError, f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of "
            f"'{len(sizes)}'",
        )  # fmt: skip
    for d, (s, o, step) in enumerate(zip(sizes, default, strides)):
        if not o - step < s < o + step:
            raise error(
                ValueError,
                f"invalid output_size \"{given}\" (dim {d} must be between {o - step} and {o + step})",
            )
    return sizes


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """What ``max_pool1d`` gave, at the places that it named; zeros elsewhere."""
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """What ``max_pool2d`` gave, at the places that it named; zeros elsewhere."""
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """What ``max_pool3d`` gave, at the places that it named; zeros elsewhere."""
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 3)


# --- windows at random places -----------------------------------------------------------------------------------


def _fractional(
    input: Tensor, kernel_size: Size, output_size: Any, output_ratio: Any, samples: Tensor | None, n: int
) -> tuple[Tensor, Tensor]:
    """Maxima of windows whose beginnings are drawn (Graham 2014), and their places; samples [N, C, n] in [0, 1)."""
    name = f"fractional_max_pool{n}d"
    if output_size is None and output_ratio is None:
        raise error(ValueError, f"{name} requires specifying either an output_size or an output_ratio")
    batched = input.ndim == n + 2
    x = input if batched else input.unsqueeze(0)
    if x.ndim != n + 2:
        raise error(RuntimeError, f"{name}: Expected {n + 1}D or {n + 2}D tensor, but got: {list(input.shape)}")
    sizes = tuple(x.shape[2:])
    kernel = tuple_of(kernel_size, n, "kernel_size")
    if output_size is None:
        ratios = (output_ratio,) * n if isinstance(output_ratio, float) else tuple(output_ratio)
        output_size = tuple(int(s * r) for s, r in zip(sizes, ratios))
    out = tuple_of(output_size, n, "output_size")
    for s, k, o in zip(sizes, kernel, out):
        if o + k - 1 > s:
            raise error(RuntimeError, f"{name}: pool size {k} too large relative to input size {s}")
    lead = tuple(x.shape[:2])
    if samples is None:
        samples = lx.rand(*lead, n, dtype=x.dtype, device=x.device)
    starts = []
    for d in range(n):
        u = samples[..., n - 1 - d if n == 2 else d].unsqueeze(-1)  # PyTorch's order: x first in two dims only
        starts.append(_beginnings(u, sizes[d], out[d], kernel[d]))
    flat = reshaped(x.detach(), (*lead, math.prod(sizes)))
    candidates = []
    for offset in np.ndindex(*kernel):
        index: Any = 0
        for d in range(n):
            at = (starts[d] + offset[d]).reshape(*lead, *(out[d] if e == d else 1 for e in range(n)))
            index = index * sizes[d] + at
        candidates.append(reshaped(index, (*lead, math.prod(out))))
    values = [lx.gather(flat, 2, index) for index in candidates]
    places = best_of(values, candidates)[1]
    assert places is not None
    places = reshaped(places, (*lead, *out))
    best = elements_at(x, places)
    return (best, places) if batched else (best.squeeze(0), places.squeeze(0))


def _beginnings(u: Tensor, size: int, out: int, kernel: int) -> Tensor:
    """Where the ``out`` windows begin, for u [N, C, 1]; the last ends where the input does."""
    last = lx.full((*u.shape[:-1], 1), size - kernel, dtype=lx.int64, device=u.device)
    if out == 1:
        return last
    alpha = (size - kernel) / (out - 1)
    line = lx.arange(out - 1, dtype=u.dtype, device=u.device)
    return lx.cat([((line + u) * alpha).to(lx.int64) - (u * alpha).to(lx.int64), last], -1)


def fractional_max_pool2d_with_indices(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """``fractional_max_pool2d`` and the places of the maxima."""
    return _fractional(input, kernel_size, output_size, output_ratio, _random_samples, 2)


def fractional_max_pool2d(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest of windows of x [N, C, H, W] that begin at random places."""
    found = _fractional(input, kernel_size, output_size, output_ratio, _random_samples, 2)
    return found if return_indices else found[0]


def fractional_max_pool3d_with_indices(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """``fractional_max_pool3d`` and the places of the maxima."""
    return _fractional(input, kernel_size, output_size, output_ratio, _random_samples, 3)


def fractional_max_pool3d(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest of windows of x [N, C, D, H, W] that begin at random places."""
    found = _fractional(input, kernel_size, output_size, output_ratio, _random_samples, 3)
    return found if return_indices else found[0]


# --- maxima with their places, under names of their own ---------------------------------------------------------


def _with_indices(f: Callable[..., Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    def pooled(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        return f(*args, **{**kwargs, "return_indices": True})

    pooled.__name__ = pooled.__qualname__ = f.__name__ + "_with_indices"
    pooled.__doc__ = f"``{f.__name__}``, and the places of the maxima."
    return pooled


max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = map(
    _with_indices, (max_pool1d, max_pool2d, max_pool3d)
)
adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices, adaptive_max_pool3d_with_indices = map(
    _with_indices, (adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d)
)
