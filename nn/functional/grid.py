"""Images read at points of a grid: ``affine_grid`` makes one, ``grid_sample`` reads along it."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import lazy as lx
from ...lazy import Tensor, ops
from ...lazy.functions.spaced import evenly
from ._common import constant, error, reshaped


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The points [N, H, W, 2] (or [N, D, H, W, 3]) that affine maps theta [N, 2, 3] (or [N, 3, 4]) take a grid of
    ``size`` [N, C, H, W] (or [N, C, D, H, W]) to; -1 and 1 are the borders of the image."""
    if align_corners is None:
        _warn_corners("affine_grid")
        align_corners = False
    n = len(size) - 2
    if n not in (2, 3):
        raise error(
            NotImplementedError,
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {tuple(size)}.",
        )
    if not theta.is_floating_point():
        raise error(ValueError, f"Expected theta to have floating point type, but got {theta.dtype}")
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (n, n + 1):
        raise error(
            ValueError,
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {tuple(size)}. "
            f"Got {theta.shape}.",
        )
    if min(size) <= 0:
        raise error(ValueError, f"Expected non-zero, positive output size. Got {tuple(size)}")
    spatial = tuple(int(s) for s in size[2:])
    lines = []
    for d in reversed(range(n)):  # x is the last dim
        steps = spatial[d]
        line = evenly(-1, 1, steps, theta.dtype) if steps > 1 else np.zeros(1, theta.dtype.numpy)
        if not align_corners:  # two roundings, as PyTorch's
            line = line * line.dtype.type(steps - 1) / line.dtype.type(steps)
        line = line.reshape([steps if i == d else 1 for i in range(n)])
        lines.append(constant(line, theta.dtype, theta.device).expand(spatial))
    lines.append(lx.ones(spatial, dtype=theta.dtype, device=theta.device))
    points = lx.stack(lines, -1).reshape(1, -1, n + 1).expand(theta.shape[0], -1, -1)
    return lx.matmul(points, theta.transpose(1, 2)).reshape(theta.shape[0], *spatial, n)


def _warn_corners(name: str) -> None:
    warnings.warn(
        f"Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
        f"align_corners=True if the old behavior is desired. See the documentation of {name} for details.",
        stacklevel=4,
    )


# --- reading ----------------------------------------------------------------------------------------------------


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """x [N, C, H, W] at the points of grid [N, h, w, 2]: [N, C, h, w]; or the same with three spatial dims.

    Modes: 'bilinear', 'nearest', 'bicubic' (4-D only). Outside the image: 'zeros', the 'border', or its 'reflection'.
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise error(
            ValueError,
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'",
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise error(
            ValueError,
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'",
        )
    if align_corners is None:
        _warn_corners("grid_sample")
        align_corners = False
    _check(input, grid, mode)
    n = input.ndim - 2
    places = []
    for d in range(n):
        size, at = input.shape[d + 2], grid[..., n - 1 - d]
        places.append((at + 1) / 2 * (size - 1) if align_corners else ((at + 1) * size - 1) / 2)
    image = _Image(input, padding_mode, align_corners)
    if mode == "bicubic":
        floors = [p.detach().floor() for p in places]
        taps = [
            image.inside(lx.stack([f + k for k in (-1, 0, 1, 2)], 1), d).round() for d, f in enumerate(floors)
        ]  # fmt: skip
        return image.mean(taps, [_cubic_weights(p - f) for p, f in zip(places, floors)])
    places = [image.inside(p, d) for d, p in enumerate(places)]
    if mode == "nearest":
        return image.mean([p.round().unsqueeze(1) for p in places], None)
    floors = [p.detach().floor() for p in places]
    taps = [lx.stack([f, f + 1], 1) for f in floors]
    return image.mean(taps, [lx.stack([1 - (p - f), p - f], 1) for p, f in zip(places, floors)])


FEW = 4  # combinations of neighbours that are read one by one; of more the program would be long


class _Image:
    """What is read: x [N, C, *S], and what lies outside of it."""

    def __init__(self, x: Tensor, padding_mode: str, align_corners: bool) -> None:
        self.x, self.padding_mode, self.align_corners = x, padding_mode, align_corners
        self.sizes = tuple(x.shape[2:])
        self.rows = reshaped(x, (x.shape[0], x.shape[1], x[0, 0].numel())).transpose(1, 2)  # [N, S, C]

    def inside(self, place: Tensor, d: int) -> Tensor:
        """A coordinate moved into the image, unless zeros lie outside. On the border it has no gradient, as in PyTorch."""
        size = self.sizes[d]
        if self.padding_mode == "reflection":
            low, high = (0.0, size - 1.0) if self.align_corners else (-0.5, size - 0.5)
            place = _reflected(place, low, high)
        if self.padding_mode == "zeros":
            return place
        return lx.where((place > 0) & (place < size - 1), place, place.detach().clamp(0, size - 1))

    def mean(self, taps: list[Tensor], weights: list[Tensor] | None) -> Tensor:
        """The elements at whole coordinates, zero outside, weighted and added up: [N, C, *s].

        Of taps [N, T, *s] a dim every combination counts, with the product of its weights. All are read at once: a program
        for each of them would be long.
        """
        batch, channels = self.x.shape[:2]
        n, points = len(taps), tuple(taps[0].shape[2:])
        if math.prod(t.shape[1] for t in taps) <= FEW:
            return self._one_by_one(taps, weights)

        def apart(t: Tensor, d: int) -> Tensor:  # [N, T, 1, P], with as many ones as there are other dims
            return t.reshape(batch, *[t.shape[1] if e == d else 1 for e in range(n)], -1)

        def joined(f: Any, whole: Tensor, part: Tensor) -> Tensor:
            """f of all combinations. What is joined of parts XLA computes once a point, and not once a channel."""
            return lx.cat([f(whole, part.narrow(n, t, 1)) for t in range(part.shape[n])], n)

        index: Any = None
        seen: Any = None
        for d, (p, size) in enumerate(zip(taps, self.sizes)):
            within = apart((p >= 0) & (p <= size - 1), d)
            at = apart(p.detach().clamp(0, size - 1).nan_to_num(0.0).to(lx.int64), d)
            if index is None:
                index, seen = at, within
            elif d < n - 1:
                index, seen = index * size + at, seen & within
            else:
                index = joined(lambda i, a: i * size + a, index, at)  # noqa: B023
                seen = joined(lambda i, a: i & a, seen, within)
        # the channels of a point are read, and their gradients added up, as one row
        first = lx.arange(batch, device=index.device).reshape(batch, *[1] * (index.ndim - 1)) * self.rows.shape[1]
        found = self.rows.flatten(0, 1)[(index + first).flatten()].reshape(batch, -1, index.shape[-1], channels)
        found = lx.where(seen.reshape(batch, -1, index.shape[-1], 1), found, 0.0)
        if weights is not None:
            weight: Any = None
            for d, w in enumerate(weights):
                weight = apart(w, d) if weight is None else weight * apart(w, d)
            found = found * weight.reshape(batch, -1, index.shape[-1], 1)
        return found.sum(1).transpose(1, 2).reshape(batch, channels, *points)

    def _one_by_one(self, taps: list[Tensor], weights: list[Tensor] | None) -> Tensor:
        """The same, a combination after another: one pass over memory, where all at once are written and read again."""
        batch, channels = self.x.shape[:2]
        points = tuple(taps[0].shape[2:])
        rows = self.rows.flatten(0, 1)
        whole = lx.int32 if rows.shape[0] < 2**31 else lx.int64
        first = lx.arange(batch, dtype=whole, device=rows.device).reshape(batch, *[1] * len(points))
        out: Any = None
        for choice in itertools.product(*[range(t.shape[1]) for t in taps]):
            index: Any = first
            seen: Any = None
            weight: Any = None
            for d, (k, size) in enumerate(zip(choice, self.sizes)):
                p = taps[d][:, k]
                index = index * size + p.detach().clamp(0, size - 1).nan_to_num(0.0).to(whole)
                within = (p >= 0) & (p <= size - 1)
                seen = within if seen is None else seen & within
                if weights is not None:
                    weight = weights[d][:, k] if weight is None else weight * weights[d][:, k]
            found = ops.gather(
                rows, index.reshape(-1, 1), offset_dims=(1,), collapsed=(0,), index_map=(0,), sizes=(1, channels)
            )
            found = lx.where(seen.reshape(-1, 1), found, 0.0)
            found = found if weight is None else found * weight.reshape(-1, 1)
            out = found if out is None else out + found
        return out.reshape(batch, -1, channels).transpose(1, 2).reshape(batch, channels, *points)


def _reflected(place: Tensor, low: float, high: float) -> Tensor:
    span = high - low
    if span == 0:
        return place * 0
    away = place - low
    away = lx.where(away < 0, -away, away)
    flips = (away / span).detach().floor()
    rest = away - flips * span
    return lx.where(flips % 2 == 0, rest + low, span - rest + low)


def _cubic_weights(t: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.75, for the four neighbours of a fraction t [N, *s]: [N, 4, *s]."""
    a = -0.75

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return lx.stack([far(t + 1), near(t), near(1 - t), far(2 - t)], 1)


def _check(input: Tensor, grid: Tensor, mode: str) -> None:
    sizes = f"but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
    if input.shape[0] != grid.shape[0]:
        raise error(RuntimeError, f"grid_sampler(): expected grid and input to have same batch size, {sizes}")
    if input.ndim not in (4, 5) or input.ndim != grid.ndim:
        raise error(
            RuntimeError, f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, {sizes}"
        )
    if grid.shape[-1] != input.ndim - 2:
        raise error(
            RuntimeError,
            f"grid_sampler(): expected grid to have size {input.ndim - 2} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}",
        )
    if input.dtype is not grid.dtype:
        raise error(
            RuntimeError,
            f"grid_sampler(): expected input and grid to have same dtype, but got {input.dtype.name} and {grid.dtype.name}",
        )
    if mode == "bicubic" and input.ndim == 5:
        raise error(RuntimeError, "grid_sampler(): bicubic interpolation only supports 4D input")
