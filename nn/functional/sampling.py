"""Reading images between their pixels: ``grid_sample``, and the grids of affine maps."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ... import lazy as lx
from ...lazy import Tensor
from ...lazy.functions.indexing import gather_points
from ._common import choose, constant, error, reshaped, spread

_KINDS = {"bilinear": 0, "nearest": 1, "bicubic": 2}


def _pixels(c: Tensor, n: int, align: bool) -> Tensor:
    """From -1..1 to pixels: the ends are the corner pixels' centres if aligned, else their outer edges."""
    return (c + 1) * ((n - 1) / 2) if align else ((c + 1) * n - 1) / 2


def _reflected(c: Tensor, n: int, align: bool) -> Tensor:
    """Mirrored at the image's edges (or at the centres of its edge pixels), as often as needed."""
    low, span = (0.0, float(n - 1)) if align else (-0.5, float(n))
    if span == 0:
        return lx.zeros_like(c)
    away = (c - low).abs()
    times = lx.floor(away.detach() / span)
    rest = away - times * span
    return lx.where(times % 2 == 0, rest, span - rest) + low


def _padded(c: Tensor, n: int, padding_mode: str, align: bool) -> Tensor:
    if padding_mode == "zeros":
        return c
    if padding_mode == "reflection":
        c = _reflected(c, n, align)
    return c.clamp(0, n - 1)


def _look_up(flat: Tensor, at: list[Tensor], spatial: tuple[int, ...], zeros: bool) -> Tensor:
    """Pixels at whole places, one tensor [N, Q] a dim, of images [N, C, P]: [N, Q, C], 0 outside where so wanted."""
    inside: Any = None
    place: Any = None
    for p, n in zip(at, spatial):
        real = (p >= 0) & (p <= n - 1)
        inside = real if inside is None else inside & real
        whole = choose(real, p, 0.0).long().clamp(0, n - 1)
        place = whole if place is None else place * n + whole
    rows = lx.arange(flat.shape[0], device=flat.device).unsqueeze(1)
    found = gather_points(flat, [rows, None, place])
    if not zeros:
        return found
    return choose(spread(inside, tuple(found.shape), (0, 1)), found, 0.0)


def _linear(flat: Tensor, at: list[Tensor], spatial: tuple[int, ...], zeros: bool) -> Tensor:
    low = [lx.floor(c.detach()) for c in at]
    total: Any = None
    for corner in itertools.product((0, 1), repeat=len(at)):
        weight: Any = None
        for c, lo, up in zip(at, low, corner):
            share = c - lo if up else lo + 1 - c
            weight = share if weight is None else weight * share
        value = _look_up(flat, [lo + up if up else lo for lo, up in zip(low, corner)], spatial, zeros)
        value = value * spread(weight, tuple(value.shape), (0, 1))
        total = value if total is None else total + value
    return total


def _cubic_weights(t: Tensor) -> list[Tensor]:
    """Keys' cubic convolution with a = -0.75, for the places -1, 0, 1 and 2 from the one before."""
    a = -0.75

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _cubic(
    flat: Tensor, at: list[Tensor], spatial: tuple[int, ...], padding_mode: str, align: bool
) -> Tensor:
    low = [lx.floor(c.detach()) for c in at]
    weights = [_cubic_weights(c - lo) for c, lo in zip(at, low)]
    total: Any = None
    for i, j in itertools.product(range(4), repeat=2):
        places = [_padded(lo + (k - 1), n, padding_mode, align) for lo, k, n in zip(low, (i, j), spatial)]
        value = _look_up(flat, places, spatial, padding_mode == "zeros")
        value = value * spread(weights[0][i] * weights[1][j], tuple(value.shape), (0, 1))
        total = value if total is None else total + value
    return total


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """x [N, C, H, W] (or [N, C, D, H, W]) read at the places (x, y(, z)) of ``grid`` [N, *out, 2 (or 3)]: [N, C, *out].

    Places run from -1 to 1 over the image. Modes: 'bilinear' (linear in all dims), 'nearest', 'bicubic' (4-D only);
    outside the image: 'zeros', 'border' or 'reflection'.
    """
    n = input.ndim - 2
    if mode not in _KINDS:
        raise error(ValueError, f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'")  # fmt: skip
    if padding_mode not in ("zeros", "border", "reflection"):
        raise error(
            ValueError,
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'",
        )
    if n not in (2, 3) or grid.ndim != input.ndim or grid.shape[-1] != n or grid.shape[0] != input.shape[0]:
        raise error(
            RuntimeError,
            f"grid_sampler(): expected a 4D or 5D input and a grid of as many dims, batch size and a last dim of size "
            f"{n}, but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}",
        )
    if mode == "bicubic" and n != 2:
        raise error(RuntimeError, "grid_sampler(): bicubic interpolation only supports 4D input")
    if input.dtype is not grid.dtype:
        raise error(RuntimeError, f"grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{input.dtype.name} and grid has {grid.dtype.name}")  # fmt: skip
    align = bool(align_corners)
    spatial, out = tuple(input.shape[2:]), tuple(grid.shape[1:-1])
    flat = reshaped(input, (*input.shape[:2], math.prod(spatial)))
    points = reshaped(grid, (grid.shape[0], math.prod(out), n))
    # the grid's first number runs along the last dim
    at = [_pixels(points.select(-1, n - 1 - d), spatial[d], align) for d in range(n)]
    if mode == "bicubic":
        found = _cubic(flat, at, spatial, padding_mode, align)
    else:
        at = [_padded(c, s, padding_mode, align) for c, s in zip(at, spatial)]
        if mode == "bilinear":
            found = _linear(flat, at, spatial, padding_mode == "zeros")
        else:
            found = _look_up(flat, [lx.round(c) for c in at], spatial, padding_mode == "zeros")
    return reshaped(lx.ops.transpose(found, permutation=(0, 2, 1)), (*input.shape[:2], *out))


def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The places [N, H, W, 2] (or [N, D, H, W, 3]) that affine maps theta [N, 2, 3] ([N, 3, 4]) take an image's to."""
    sizes = tuple(int(s) for s in size)
    n = len(sizes) - 2
    if n not in (2, 3) or tuple(theta.shape) != (sizes[0], n, n + 1):
        raise error(
            ValueError,
            f"Expected a batch of affine matrices of shape {sizes[0]}x{n}x{n + 1} for size {list(sizes)}. Got "
            f"{list(theta.shape)}.",
        )
    if not theta.dtype.is_floating_point:
        raise error(ValueError, f"Expected theta to have floating point type, but got {theta.dtype.name}")
    lines = []
    for m in sizes[2:]:
        line = np.linspace(-1, 1, m) if m > 1 else np.zeros(1)
        lines.append(line if align_corners else line * (m - 1) / m)
    grid = np.stack([*reversed(np.meshgrid(*lines, indexing="ij")), np.ones(sizes[2:])], -1).reshape(-1, n + 1)
    base = constant(grid, theta.dtype, theta.device)
    return reshaped(lx.matmul(base, theta.transpose(1, 2)), (sizes[0], *sizes[2:], n))
