"""Undoing maximum pooling, and pooling over windows that are drawn."""

from __future__ import annotations

import math
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ._common import Ints, Size, choose, error, reshaped, spread, tuple_of

# --- back to the places of the maxima ---------------------------------------------------------------------------


def _unpool(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None, padding: Size, output_size: Any, n: int
) -> Tensor:
    name = f"max_unpool{n}d"
    if input.ndim not in (n + 1, n + 2):
        raise error(RuntimeError, f"{name}: expected a {n + 1}D or {n + 2}D input, but got {list(input.shape)}")
    if indices.dtype is not lx.int64:
        raise error(RuntimeError, f"elements in indices should be type int64 but got: {indices.dtype.name}")
    if input.shape != indices.shape:
        raise error(
            RuntimeError,
            f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices "
            f"tensor with shape: {list(indices.shape)}",
        )
    kernel = tuple_of(kernel_size, n, "kernel_size")
    strides = kernel if stride is None else tuple_of(stride, n, "stride")
    pads = tuple_of(padding, n, "padding")
    sizes = _unpooled_sizes(input, kernel, strides, pads, output_size, n)
    lead = tuple(input.shape[:-n])
    flat = (*lead, math.prod(input.shape[-n:]))
    out = lx.zeros(*lead, math.prod(sizes), dtype=input.dtype, device=input.device)
    return reshaped(out.scatter(-1, reshaped(indices, flat), reshaped(input, flat)), (*lead, *sizes))


def _unpooled_sizes(x: Tensor, kernel: Ints, strides: Ints, pads: Ints, output_size: Any, n: int) -> Ints:
    usual = tuple((m - 1) * s + k - 2 * p for m, s, k, p in zip(x.shape[-n:], strides, kernel, pads))
    if output_size is None:
        return usual
    given = tuple(int(v) for v in output_size)[-n:]
    if len(output_size) not in (n, x.ndim):
        raise error(ValueError, f"output_size should be a sequence containing {n} or {x.ndim} elements, but it has a "
            f"length of '{len(output_size)}'")  # fmt: skip
    for d, (g, u, s) in enumerate(zip(given, usual, strides)):
        if not u - s < g < u + s:
            raise error(ValueError, f'invalid output_size "{list(given)}" (dim {d} must be between {u - s} and {u + s})')
    return given


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """The maxima [N, C, L] of ``max_pool1d`` put back at their places ``indices``; zero elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """The maxima [N, C, H, W] of ``max_pool2d`` put back at their places; zero elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """The maxima [N, C, D, H, W] of ``max_pool3d`` put back at their places; zero elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 3)


# --- windows that are drawn -------------------------------------------------------------------------------------


def _starts(u: Tensor, n: int, out: int, k: int) -> Tensor:
    """Where ``out`` windows of size k over n begin, of unequal steps that u (uniform, [N, C]) decides: [N, C, out]."""
    shape = (*u.shape, out)
    if out == 1:
        return lx.full(shape, n - k, dtype=lx.int64, device=u.device)
    step = (n - k) / (out - 1)
    wide = spread(u, shape, (0, 1))
    place = spread(lx.arange(out, dtype=u.dtype, device=u.device), shape, (2,))
    found = ((place + wide) * step).long() - (wide * step).long()
    last = spread(lx.arange(out, device=u.device) == out - 1, shape, (2,))
    return choose(last, n - k, found)


def _fractional(
    input: Tensor, kernel_size: Size, output_size: Any, output_ratio: Any, return_indices: bool, samples: Any, n: int
) -> Any:
    name = f"fractional_max_pool{n}d"
    if output_size is None and output_ratio is None:
        raise error(ValueError, f"{name} requires specifying either an output_size or an output_ratio")
    if input.ndim not in (n + 1, n + 2):
        raise error(RuntimeError, f"{name}: expected a {n + 1}D or {n + 2}D input, but got {list(input.shape)}")
    x = input if input.ndim == n + 2 else reshaped(input, (1, *input.shape))
    spatial = tuple(x.shape[2:])
    kernel = tuple_of(kernel_size, n, "kernel_size")
    if output_size is None:
        ratios = (output_ratio,) * n if isinstance(output_ratio, float) else tuple(output_ratio)
        sizes = tuple(int(s * r) for s, r in zip(spatial, ratios))
    else:
        sizes = tuple_of(output_size, n, "output_size")
    for s, k, o in zip(spatial, kernel, sizes):
        if o < 1 or o + k - 1 > s:
            raise error(RuntimeError, f"{name}: pool size {k} and output size {o} are too large for an input of {s}")
    lead = tuple(x.shape[:2])
    u = samples if samples is not None else lx.rand(*lead, n, dtype=_real(x), device=x.device)
    # in two dims PyTorch's first number is for the width
    order = range(n) if n == 3 else range(n - 1, -1, -1)
    full = (*lead, *sizes, *kernel)
    place: Any = None
    for d, s in enumerate(spatial):
        begin = spread(_starts(u.select(-1, order[d]), s, sizes[d], kernel[d]), full, (0, 1, 2 + d))
        at = begin + spread(lx.arange(kernel[d], device=x.device), full, (2 + n + d,))
        place = at if place is None else place * s + at
    places = reshaped(place, (*lead, math.prod(sizes) * math.prod(kernel)))
    flat = reshaped(x, (*lead, math.prod(spatial)))
    windows = reshaped(flat.gather(-1, places), (*lead, math.prod(sizes), math.prod(kernel)))
    values, best = windows.max(-1)
    found = reshaped(places, tuple(windows.shape)).gather(-1, best.unsqueeze(-1)).squeeze(-1)
    shape = (*lead, *sizes) if input.ndim == n + 2 else (lead[1], *sizes)
    values, found = reshaped(values, shape), reshaped(found, shape)
    return (values, found) if return_indices else values


def _real(x: Tensor) -> Any:
    return x.dtype if x.dtype.is_floating_point else lx.get_default_dtype()


def fractional_max_pool2d(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest of windows at random places, for x [N, C, H, W] or [C, H, W] (Graham 2014, arXiv:1412.6071)."""
    return _fractional(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 2)


def fractional_max_pool3d(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest of windows at random places, for x [N, C, D, H, W] or [C, D, H, W]."""
    return _fractional(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 3)
