"""Images resized and their channels rearranged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import lazy as lx
from ...autograd.control import cond
from ...lazy import Tensor, levels
from ...lazy.record import mode as recording
from ._common import Ints, constant, error, reshaped, spread, tuple_of
from .pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

_RANKS = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4}
Taps = list[tuple[np.ndarray, np.ndarray | None]]  # places along a dim, and the weight of each (None: one)


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """x [N, C, *S] with its spatial dims resized to ``size`` or by ``scale_factor``.

    Modes: 'nearest', 'nearest-exact', 'linear' (3-D), 'bilinear' and 'bicubic' (4-D), 'trilinear' (5-D), 'area'.
    Images of bytes are resized in whole numbers and rounded after each dim, the last one first.
    """
    n = input.ndim - 2
    if n not in (1, 2, 3):
        raise error(NotImplementedError, f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D)")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise error(ValueError, "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor")
    if mode not in _RANKS and align_corners is not None:
        raise error(
            ValueError,
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
            "trilinear",
        )
    sizes, scales = _sizes(input, size, scale_factor, n)
    if recompute_scale_factor:
        scales = None
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[n - 1](input, sizes)
    if mode not in ("nearest", "nearest-exact") and _RANKS.get(mode) != input.ndim:
        raise error(
            NotImplementedError, f"Got {input.ndim}D input, but {mode} mode needs {_RANKS.get(mode, 'another')}D input"
        )
    x, weighted = input, mode in _RANKS
    if weighted and not (x.dtype.is_floating_point or x.dtype.is_complex or x.dtype == lx.uint8):
        raise error(NotImplementedError, f"interpolate: {mode} is not implemented for {x.dtype}, only for uint8 and floats")
    whole = weighted and x.dtype == lx.uint8
    ratios = [x.shape[i + 2] / sizes[i] if scales is None else 1 / scales[i] for i in range(n)]
    align = bool(align_corners)
    if antialias:
        weights = [_filter(x.shape[i + 2], sizes[i], ratios[i], mode == "bicubic", align) for i in range(n)]
        return _whole_numbers(x, weights) if whole else _products(x, weights)
    taps = [_taps(x.shape[i + 2], sizes[i], ratios[i], mode, align) for i in range(n)]
    dense = [_dense(x.shape[i + 2], t) for i, t in enumerate(taps)] if weighted else []
    if whole:
        return _whole_numbers(x, dense)
    if not weighted or not _pays(x, dense):
        return _reads(x, taps)
    # a product is exact but where an infinity meets its zeros
    return cond(x.detach().isfinite().all(), lambda x: _products(x, dense), lambda x: _reads(x, taps), (x,))


upsample = interpolate


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """``interpolate`` with mode 'nearest', under its older name."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """``interpolate`` with mode 'bilinear' and aligned corners, under its older name."""
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


def _filter(n: int, out: int, ratio: float, cubic: bool, align: bool) -> np.ndarray:
    """Weights [n, out] of a filter that is as wide as the step it takes, so that shrinking does not alias."""
    if align:
        ratio = (n - 1) / (out - 1) if out > 1 else 0.0
    width = max(ratio, 1.0)
    reach = (2.0 if cubic else 1.0) * width
    weights = np.zeros((n, out))
    for i in range(out):
        centre = ratio * (i + 0.5)
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), n)
        far = np.abs((np.arange(first, last) - centre + 0.5) / width)
        w = _cubic(far, -0.5) if cubic else np.clip(1 - far, 0, None)
        weights[first:last, i] = w / w.sum()
    return weights


def _dense(n: int, taps: Taps) -> np.ndarray:
    """Taps as weights [n, out]."""
    weights = np.zeros((n, len(taps[0][0])))
    for places, w in taps:
        np.add.at(weights, (places, np.arange(len(places))), 1 if w is None else w)
    return weights


LONG = 512  # places along a dim, up to which the zeros of a product cost less than scattering gradients


def _pays(x: Tensor, weights: list[np.ndarray]) -> bool:
    """Whether a resizing by products is the faster one: where there will be a gradient, which is one more product then."""
    return x.requires_grad and recording.grad and not levels.active and all(max(w.shape) <= LONG for w in weights)


def _products(x: Tensor, weights: list[np.ndarray]) -> Tensor:
    """Each spatial dim times a matrix [n, out]."""
    for d, w in enumerate(weights, 2):
        x = _dotted(x, d, constant(w, x.dtype, x.device))
    return x


def _dotted(x: Tensor, d: int, weights: Tensor) -> Tensor:
    return lx.tensordot(x, weights, ([d], [0])).movedim(-1, d)


def _whole_numbers(x: Tensor, weights: list[np.ndarray]) -> Tensor:
    for d in reversed(range(len(weights))):
        x = _rounded(x, d + 2, weights[d])
    return x


def _rounded(x: Tensor, d: int, weights: np.ndarray) -> Tensor:
    """One dim of bytes resized in fixed point, with as many bits as let the largest weight pass as an int16."""
    bits = 0
    while bits < 22 and int(weights.max(initial=0) * 2 ** (bits + 1) + 0.5) < 2**15:
        bits += 1
    fixed = np.trunc(weights * 2**bits + np.copysign(0.5, weights))
    total = _dotted(x.to(lx.int32), d, constant(fixed, lx.int32, x.device))
    return ((total + 2 ** (bits - 1)) >> bits).clamp(0, 255).to(lx.uint8)


def _sizes(input: Tensor, size: Any, scale_factor: Any, n: int) -> tuple[Ints, tuple[float, ...] | None]:
    if (size is None) == (scale_factor is None):
        raise error(
            ValueError,
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined",
        )
    if size is not None:
        if not hasattr(size, "__index__") and len(size) != n:
            raise error(
                ValueError,
                "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions "
                f"of {list(input.shape[2:])} and output size of {size}.",
            )
        return _above_zero(input, tuple_of(size, n, "size")), None
    factors = (float(scale_factor),) * n if isinstance(scale_factor, int | float) else tuple(map(float, scale_factor))
    if len(factors) != n:
        raise error(
            ValueError,
            "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
            "dimensions of "
            f"{list(input.shape[2:])} and scale_factor of shape {list(factors)}.",
        )
    return _above_zero(input, tuple(math.floor(s * f) for s, f in zip(input.shape[2:], factors))), factors


def _above_zero(input: Tensor, sizes: Ints) -> Ints:
    if min(*sizes, *input.shape[2:]) < 1:
        raise error(
            RuntimeError,
            f"Input and output sizes should be greater than 0, but got input {list(input.shape[2:])} and output {list(sizes)}",
        )
    return sizes


def _taps(n: int, out: int, ratio: float, mode: str, align: bool) -> Taps:
    """Where each of ``out`` results looks along a dim of n, and how much each place counts."""
    i = np.arange(out)
    if mode == "nearest":
        return [(np.minimum(np.floor(i * ratio).astype(np.int64), n - 1), None)]
    if mode == "nearest-exact":
        return [(np.minimum(np.floor((i + 0.5) * ratio).astype(np.int64), n - 1), None)]
    if align:
        at = i * ((n - 1) / (out - 1) if out > 1 else 0.0)
    else:
        at = (i + 0.5) * ratio - 0.5
    if mode != "bicubic":
        at = np.clip(at, 0, None)
        low = np.minimum(np.floor(at).astype(np.int64), n - 1)
        t = np.clip(at - low, 0, 1)
        return [(low, 1 - t), (np.minimum(low + 1, n - 1), t)]
    low = np.floor(at).astype(np.int64)
    t = at - low
    return [(np.clip(low + k, 0, n - 1), _cubic(np.abs(t - k))) for k in (-1, 0, 1, 2)]


def _cubic(d: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Keys' cubic convolution kernel."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _reads(x: Tensor, taps: list[Taps]) -> Tensor:
    """Each spatial dim read where its taps say."""
    for d, t in enumerate(taps, 2):
        x = _resampled(x, d, t)
    return x


def _resampled(x: Tensor, d: int, taps: Taps) -> Tensor:
    total: Any = None
    for places, weights in taps:
        times = len(places) // x.shape[d]
        if weights is None and np.array_equal(places, np.repeat(np.arange(x.shape[d]), times)):
            return lx.repeat_interleave(x, times, d)
        y = lx.index_select(x, d, constant(places, lx.int64, x.device))
        if weights is not None:
            y = y * spread(constant(weights, x.dtype, x.device), tuple(y.shape), (d,))
        total = y if total is None else total + y
    return total


def _factor(r: int, expected: str) -> int:
    if r < 1:
        raise error(RuntimeError, f"{expected}, but got {r}")
    return r


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """x [..., C r^2, H, W] as [..., C, H r, W r]."""
    *batch, c, h, w = _image(input, "pixel_shuffle")
    r = _factor(upscale_factor, "pixel_shuffle expects a positive upscale_factor")
    if c % (r * r):
        raise error(
            RuntimeError,
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            "but "
            f"input.size(-3)={c} is not divisible by {r * r}",
        )
    b = len(batch)
    x = reshaped(input, (*batch, c // (r * r), r, r, h, w))
    x = lx.ops.transpose(x, permutation=(*range(b + 1), b + 3, b + 1, b + 4, b + 2))
    return reshaped(x, (*batch, c // (r * r), h * r, w * r))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """x [N, C, *] with its channels dealt out anew: the first of each group, then the second of each..."""
    if input.ndim < 3:
        raise error(
            RuntimeError,
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}",
        )
    if groups < 1:
        raise error(RuntimeError, f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    n, c, *rest = input.shape
    if c % groups:
        raise error(RuntimeError, f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    x = reshaped(input, (n, groups, c // groups, *rest))
    x = lx.ops.transpose(x, permutation=(0, 2, 1, *range(3, x.ndim)))
    return reshaped(x, tuple(input.shape))


native_channel_shuffle = channel_shuffle


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """x [..., C, H r, W r] as [..., C r^2, H, W]."""
    *batch, c, h, w = _image(input, "pixel_unshuffle")
    r = _factor(downscale_factor, "pixel_unshuffle expects a positive downscale_factor")
    for name, dim, n in (("height", -2, h), ("width", -1, w)):
        if n % r:
            raise error(
                RuntimeError,
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({dim})={n} is not "
                f"divisible by {r}",
            )
    b = len(batch)
    x = reshaped(input, (*batch, c, h // r, r, w // r, r))
    x = lx.ops.transpose(x, permutation=(*range(b + 1), b + 2, b + 4, b + 1, b + 3))
    return reshaped(x, (*batch, c * r * r, h // r, w // r))


def _image(x: Tensor, name: str) -> Sequence[int]:
    if x.ndim < 3:
        raise error(
            RuntimeError,
            f"{name} expects input to have at least 3 dimensions, but got input with {x.ndim} dimension(s)",
        )
    return tuple(x.shape)
