"""Pooling: the maximum, the mean or the norm of windows, and of windows adapted to an output size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import lazy as lx
from ...lazy import Tensor
from ._common import Ints, Size, choose, constant, edged, error, inexact, part, reshaped, spread, stored, tuple_of

# --- sizes ------------------------------------------------------------------------------------------------------


def _batched(input: Tensor, n: int, name: str) -> tuple[Tensor, bool]:
    if input.ndim in (n + 1, n + 2) and 0 in input.shape[input.ndim - n - 1 :]:
        raise error(
            RuntimeError,
            f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch size for input, but "
            f"got: {list(input.shape)}",
        )
    if input.ndim == n + 2:
        return input, True
    if input.ndim == n + 1:
        return reshaped(input, (1, *input.shape)), False
    raise error(
        RuntimeError,
        f"{name}: non-empty {n + 1}D or {n + 2}D (batch mode) tensor expected for input, but got {list(input.shape)}",
    )


def _output_size(n: int, kernel: int, pad: int, stride: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows; with ``ceil_mode`` the last may stick out, but must begin inside the input or its left edge."""
    free = n + 2 * pad - dilation * (kernel - 1) - 1
    out = (free + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (out - 1) * stride >= n + pad:
        out -= 1
    return out


def _windows(
    x: Tensor, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool, n: int, name: str
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Kernel, stride, padding, dilation and output size a spatial dim, checked."""
    kernel = tuple_of(kernel_size, n, "kernel_size")
    strides = kernel if stride is None or stride == () or stride == [] else tuple_of(stride, n, "stride")
    pads, dilations = tuple_of(padding, n, "padding"), tuple_of(dilation, n, "dilation")
    if min(kernel) < 1 or min(strides) < 1 or min(dilations) < 1:
        raise error(
            RuntimeError,
            f"{name}: kernel size, stride and dilation should be greater than zero, but got kernel_size={kernel}, "
            f"stride={strides}, dilation={dilations}",
        )
    for k, p, d in zip(kernel, pads, dilations):
        if p < 0:
            raise error(RuntimeError, f"pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * d + 1) // 2:
            raise error(
                RuntimeError,
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}",
            )
    sizes = tuple(map(_output_size, x.shape[2:], kernel, pads, strides, dilations, (ceil_mode,) * n))
    if min(sizes) < 1:
        shape = "x".join(map(str, x.shape[1:]))
        out = "x".join(map(str, (x.shape[1], *sizes)))
        raise error(
            RuntimeError, f"Given input size: ({shape}). Calculated output size: ({out}). Output size is too small"
        )
    return kernel, strides, pads, dilations, sizes


# --- maximum ----------------------------------------------------------------------------------------------------


def _lowest(dtype: Any) -> Any:
    return -math.inf if dtype.is_floating_point else lx.iinfo(dtype).min


def best_of(values: list[Tensor], places: list[Tensor] | None) -> tuple[Tensor, Tensor | None]:
    """The first largest of several, elementwise (a NaN wins), and what lies at the same place in ``places``.

    Selects rather than maxima, so that the gradient goes to that one element, as in PyTorch.
    """
    best, at = values[0], None if places is None else places[0]
    floating = best.is_floating_point()
    for i in range(1, len(values)):
        v = values[i]
        better = v > best
        if floating:
            better = better | (v != v)
        best = lx.ops.select(better, v, best)
        if places is not None:
            at = lx.ops.select(better, places[i], at)
    return best, at


def _flat_places(shape: Ints, device: Any) -> Tensor:
    """Each element's place in its own image, for x [N, C, *S]."""
    count = math.prod(shape[2:])
    line = lx.arange(count, device=device)
    return lx.ops.broadcast_in_dim(reshaped(line, shape[2:]), shape=shape, dims=tuple(range(2, len(shape))))


def elements_at(x: Tensor, places: Tensor) -> Tensor:
    """The elements of x [N, C, *S] at places [N, C, *T], each counted in its own image."""
    images, count = math.prod(x.shape[:2]), math.prod(x.shape[2:])
    lines = reshaped(places, (images, math.prod(places.shape[2:])))
    begins = lx.arange(images, device=x.device) * count
    index = reshaped(lines + spread(begins, tuple(lines.shape), (0,)), (places.numel(),))
    index = lx.ops.optimization_barrier(index, index)  # computed once, not anew for each use
    return reshaped(lx.index_select(reshaped(x, (x.numel(),)), 0, index), tuple(places.shape))


def _max_pool(
    input: Tensor, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool,
    return_indices: bool, n: int,
) -> Any:  # fmt: skip
    """One dim after the other, from the last: boxes are separable, and the first of equals stays the first."""
    x, batched = _batched(input, n, f"max_pool{n}d")
    kernel, strides, pads, dilations, sizes = _windows(
        x, kernel_size, stride, padding, dilation, ceil_mode, n, f"max_pool{n}d"
    )
    reach = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(sizes, strides, dilations, kernel)]
    high = [max(0, r - p - s) for r, p, s in zip(reach, pads, x.shape[2:])]
    places = _flat_places(tuple(x.shape), x.device) if return_indices else None
    x = edged(x, _lowest(x.dtype), (0, 0, *pads), (0, 0, *high))
    if places is not None:
        places = edged(places, 0, (0, 0, *pads), (0, 0, *high))
    for i in reversed(range(n)):
        d, starts = i + 2, [j * dilations[i] for j in range(kernel[i])]
        span = (sizes[i] - 1) * strides[i] + 1
        values = [part(x, d, s, s + span, strides[i]) for s in starts]
        at = None if places is None else [part(places, d, s, s + span, strides[i]) for s in starts]
        x, places = best_of(values, at)
    if not batched:
        x = reshaped(x, tuple(x.shape[1:]))
        places = None if places is None else reshaped(places, tuple(places.shape[1:]))
    return (x, places) if return_indices else x


def max_pool1d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest of each window of x [N, C, L] (or [C, L]), NaN where there is one; on request also where it lies."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 1)


def max_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest of each window of x [N, C, H, W] (or [C, H, W]); see ``max_pool1d``."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 2)


def max_pool3d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest of each window of x [N, C, D, H, W] (or [C, D, H, W]); see ``max_pool1d``."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 3)


# --- mean -------------------------------------------------------------------------------------------------------


def _counts(n: int, out: int, kernel: int, stride: int, pad: int, include_pad: bool) -> np.ndarray:
    """How many elements each window along one dim averages over."""
    start = np.arange(out) * stride - pad
    end = np.minimum(start + kernel, n + pad)
    if not include_pad:
        start, end = np.maximum(start, 0), np.minimum(end, n)
    return end - start


def _avg_pool(
    input: Tensor, kernel_size: Size, stride: Size | None, padding: Size, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None, n: int,
) -> Tensor:  # fmt: skip
    x, batched = _batched(input, n, f"avg_pool{n}d")
    kernel, strides, pads, _, sizes = _windows(x, kernel_size, stride, padding, 1, ceil_mode, n, f"avg_pool{n}d")
    if divisor_override == 0:
        raise error(RuntimeError, "divisor must be not zero")
    high = [max(0, (o - 1) * s + k - p - m) for o, s, k, p, m in zip(sizes, strides, kernel, pads, x.shape[2:])]
    padded = edged(x, 0, (0, 0, *pads), (0, 0, *high))
    # windows that reach past the last one wanted (an edge wider than needed) fall away with the cut
    keep = [(o - 1) * s + k for o, s, k in zip(sizes, strides, kernel)]
    for i, length in enumerate(keep):
        padded = part(padded, i + 2, 0, length)
    total = lx.ops.reduce_window_sum(padded, window=(1, 1, *kernel), strides=(1, 1, *strides))
    if not total.dtype.is_inexact and divisor_override is None:
        counts = 1 / (total.new_ones((), dtype=lx.float64) * _inverse_counts(
            total.to(lx.float64), x, kernel, strides, pads, count_include_pad))
        y = lx.div(total, counts.round().to(total.dtype), rounding_mode="trunc")
    elif divisor_override is not None:
        y = total * (1 / divisor_override)
    else:
        y = total * _inverse_counts(total, x, kernel, strides, pads, count_include_pad)
    y = y.to(input.dtype)  # whole numbers stay whole, cut towards zero
    return y if batched else reshaped(y, tuple(y.shape[1:]))


def _inverse_counts(total: Tensor, x: Tensor, kernel: Ints, strides: Ints, pads: Ints, include_pad: bool) -> Any:
    """1 / the size of each window: a number where all are equal."""
    n = len(kernel)
    lines = [_counts(x.shape[i + 2], total.shape[i + 2], kernel[i], strides[i], pads[i], include_pad) for i in range(n)]
    if all((line == line[0]).all() for line in lines):
        return 1 / math.prod(int(line[0]) for line in lines)
    counts = np.ones((1,) * n)
    for i, line in enumerate(lines):
        counts = counts * line.reshape([-1 if j == i else 1 for j in range(n)])
    found = constant(1 / counts, total.dtype, total.device)
    return lx.ops.broadcast_in_dim(found, shape=tuple(total.shape), dims=tuple(range(2, n + 2)))


def avg_pool1d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window of x [N, C, L] (or [C, L])."""
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


def avg_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of x [N, C, H, W] (or [C, H, W])."""
    y = _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2)
    return stored(out, y, "avg_pool2d")


def avg_pool3d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of x [N, C, D, H, W] (or [C, D, H, W])."""
    y = _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3)
    return stored(out, y, "avg_pool3d")


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window of x [N, C, L]."""
    count = tuple_of(kernel_size, 1, "kernel_size")[0]
    return _root(avg_pool1d(input**norm_type, kernel_size, stride, 0, ceil_mode), count, norm_type)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window of x [N, C, H, W]."""
    count = math.prod(tuple_of(kernel_size, 2, "kernel_size"))
    return _root(avg_pool2d(input**norm_type, kernel_size, stride, 0, ceil_mode), count, norm_type)


def _root(mean: Tensor, count: int, p: float) -> Tensor:
    return (lx.sign(mean) * lx.relu(mean.abs()) * count) ** (1 / p)


# --- adaptive ---------------------------------------------------------------------------------------------------


def _adapted(input: Tensor, output_size: Any, n: int, name: str) -> tuple[Tensor, bool, Ints]:
    if n > 1 and not hasattr(output_size, "__index__") and output_size is not None and input.ndim <= len(output_size):
        raise error(ValueError, f"Input dimension should be at least {len(output_size) + 1}")
    if input.ndim not in (n + 1, n + 2):
        raise error(RuntimeError, f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got {list(input.shape)}")
    single = output_size is None or hasattr(output_size, "__index__")
    given = (output_size,) * n if single else tuple(output_size)
    if len(given) != n:
        raise error(RuntimeError, f"{name}(): output_size must be {n} integers, but got {list(given)}")
    x, batched = _batched(input, n, name)
    sizes = tuple(x.shape[i + 2] if o is None else int(o) for i, o in enumerate(given))
    if min(sizes) < 0:
        raise error(RuntimeError, f"{name}(): output_size must not be negative, but got {list(sizes)}")
    return x, batched, sizes


def _bounds(n: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of ``out`` windows over n elements begins and ends: floor(i n / out), ceil((i + 1) n / out)."""
    i = np.arange(out)
    return i * n // out, -((-(i + 1) * n) // out)


def _adaptive_avg(input: Tensor, output_size: Any, n: int) -> Tensor:
    name = f"adaptive_avg_pool{n}d"
    x, batched, sizes = _adapted(inexact(input, name), output_size, n, name)
    spatial = tuple(x.shape[2:])
    if all(o == 1 for o in sizes):
        y = x.mean(tuple(range(2, n + 2)), keepdim=True)
    elif all(o and s % o == 0 for s, o in zip(spatial, sizes)):
        kernel = tuple(s // o for s, o in zip(spatial, sizes))
        y = _avg_pool(x, kernel, kernel, 0, False, True, None, n)
    else:
        y = x
        for i, o in enumerate(sizes):
            y = _window_means(y, i + 2, o)
    return y if batched else reshaped(y, tuple(y.shape[1:]))


def _window_means(x: Tensor, d: int, out: int) -> Tensor:
    """Means of windows of unequal length along one dim: gathered to the longest, what is too much set to zero."""
    start, end = _bounds(x.shape[d], out)
    longest = int((end - start).max(initial=1))
    places = np.minimum(start[:, None] + np.arange(longest), x.shape[d] - 1)
    shape = tuple(x.shape)
    wide = shape[:d] + (out, longest) + shape[d + 1 :]
    taken = reshaped(lx.index_select(x, d, constant(places.reshape(-1), lx.int64, x.device)), wide)
    inside = constant(np.arange(longest) < (end - start)[:, None], lx.bool, x.device)
    inside = lx.ops.broadcast_in_dim(inside, shape=wide, dims=(d, d + 1))
    total = choose(inside, taken, 0.0).sum(d + 1)
    scale = constant(1 / (end - start), x.dtype, x.device)
    return total * lx.ops.broadcast_in_dim(scale, shape=tuple(total.shape), dims=(d,))


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """x [N, C, L] (or [C, L]) as ``output_size`` means of nearly equal windows."""
    return _adaptive_avg(input, output_size, 1)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """x [N, C, H, W] (or [C, H, W]) as means of nearly equal windows; None keeps a size."""
    return _adaptive_avg(input, output_size, 2)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """x [N, C, D, H, W] (or [C, D, H, W]) as means of nearly equal windows; None keeps a size."""
    return _adaptive_avg(input, output_size, 3)


def _adaptive_max(input: Tensor, output_size: Any, return_indices: bool, n: int) -> Any:
    x, batched, sizes = _adapted(input, output_size, n, f"adaptive_max_pool{n}d")
    best = x.detach()
    # the gradient goes to the elements that were found: one scatter of the result's size, where that of all the choices
    # would go through each of them
    placed = return_indices or x._edge is not None
    found: dict[int, Tensor] = {}  # along each dim, where the largest lies
    for i in reversed(range(n)):
        d = i + 2
        start, end = _bounds(best.shape[d], sizes[i])
        # a window shorter than the longest sees its last element again, which is not better than itself
        steps = [np.minimum(start + j, end - 1) for j in range(int((end - start).max(initial=1)))]
        values = [lx.index_select(best, d, constant(s, lx.int64, x.device)) for s in steps]
        shape = tuple(values[0].shape)
        at = [spread(constant(s, lx.int32, x.device), shape, (d,)) for s in steps] if placed else None
        best, here = best_of(values, at)
        if here is not None:
            found = {e: lx.gather(there, d, here) for e, there in found.items()} | {d: here}
    places: Tensor | None = None
    for d in sorted(found):
        here = found[d].to(lx.int64)
        places = here if places is None else places * x.shape[d] + here
    if x._edge is not None and places is not None:
        best = elements_at(x, places)
    if not return_indices:
        places = None
    if not batched:
        best = reshaped(best, tuple(best.shape[1:]))
        places = None if places is None else reshaped(places, tuple(places.shape[1:]))
    return (best, places) if return_indices else best


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """x [N, C, L] (or [C, L]) as the largest of ``output_size`` nearly equal windows."""
    return _adaptive_max(input, output_size, return_indices, 1)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """x [N, C, H, W] (or [C, H, W]) as the largest of nearly equal windows; None keeps a size."""
    return _adaptive_max(input, output_size, return_indices, 2)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """x [N, C, D, H, W] (or [C, D, H, W]) as the largest of nearly equal windows; None keeps a size."""
    return _adaptive_max(input, output_size, return_indices, 3)
