"""Products summed over dims: dot_general and convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Aval, define
from .rules import expect, expect_kind

Ints = tuple[int, ...]


def _dot(x: Aval, y: Aval, *, contract: tuple[Ints, Ints], batch: tuple[Ints, Ints]) -> Aval:
    """Result dims: batch, the other dims of x, the other dims of y."""
    expect_kind(x, "ifc")
    expect(x.dtype is y.dtype, f"expected both operands to have the same dtype, but got {x.dtype.name} and {y.dtype.name}")
    for name, (dims_x, dims_y) in (("contracting", contract), ("batch", batch)):
        for i, j in zip(dims_x, dims_y, strict=True):
            expect(x.shape[i] == y.shape[j], f"{name} sizes {x.shape[i]} and {y.shape[j]} differ")
    rest_x = [n for i, n in enumerate(x.shape) if i not in contract[0] + batch[0]]
    rest_y = [n for i, n in enumerate(y.shape) if i not in contract[1] + batch[1]]
    return x.with_shape((*[x.shape[i] for i in batch[0]], *rest_x, *rest_y))


def _wide(x: Any) -> Any:
    """The type to add products up in: NumPy has no einsum for the narrow floats."""
    return np.float32 if x.dtype.itemsize <= 2 and x.dtype.kind not in "iu" else x.dtype


def _dot_meaning(x: Any, y: Any, *, contract: tuple[Ints, Ints], batch: tuple[Ints, Ints]) -> Any:
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    names_x: list[str] = [next(letters) for _ in x.shape]
    names_y: list[str] = [next(letters) for _ in y.shape]
    for i, j in (*zip(*contract), *zip(*batch)):
        names_y[j] = names_x[i]
    shared = set(contract[0] + batch[0])
    out = [names_x[i] for i in batch[0]] + [c for i, c in enumerate(names_x) if i not in shared]
    out += [c for j, c in enumerate(names_y) if j not in contract[1] + batch[1]]
    wide = _wide(x)
    product = np.einsum(f"{''.join(names_x)},{''.join(names_y)}->{''.join(out)}", x.astype(wide), y.astype(wide))
    return np.asarray(product).astype(x.dtype)


dot_general = define(
    "dot_general", _dot, _dot_meaning, "Sum of products over contracting dims, batch dims kept.", ("contract", "batch")
)


def conv_sizes(sizes: Ints, kernel: Ints, strides: Ints, padding: Any, lhs_dilation: Ints, rhs_dilation: Ints) -> Ints:
    """The spatial sizes of a convolution's result."""
    found = []
    for n, k, s, (lo, hi), a, b in zip(sizes, kernel, strides, padding, lhs_dilation, rhs_dilation):
        spread = (n - 1) * a + 1 if n else 0
        found.append(max(0, (spread + lo + hi - ((k - 1) * b + 1)) // s + 1))
    return tuple(found)


def _convolution(
    x: Aval, w: Aval, *, strides: Ints, padding: tuple[tuple[int, int], ...], lhs_dilation: Ints, rhs_dilation: Ints,
    groups: int,
) -> Aval:  # fmt: skip
    """x: [N, C, *spatial]; w: [O, C / groups, *kernel]; result: [N, O, *spatial]."""
    expect_kind(x, "ifc")
    expect(x.dtype is w.dtype, f"Input type ({x.dtype.name}) and weight type ({w.dtype.name}) should be the same")
    expect(x.ndim == w.ndim >= 2, f"expected operands of equal rank, got {x!r} and {w!r}")
    channels = x.shape[1]
    expect(
        channels == w.shape[1] * groups,
        f"Given groups={groups}, weight of size {list(w.shape)}, expected input{list(x.shape)} to have "
        f"{w.shape[1] * groups} channels, but got {channels} channels instead",
    )
    expect(w.shape[0] % groups == 0, f"{w.shape[0]} output channels do not divide into {groups} groups")
    spatial = conv_sizes(x.shape[2:], w.shape[2:], strides, padding, lhs_dilation, rhs_dilation)
    return x.with_shape((x.shape[0], w.shape[0], *spatial))


def _convolution_meaning(
    x: Any, w: Any, *, strides: Ints, padding: Any, lhs_dilation: Ints, rhs_dilation: Ints, groups: int
) -> Any:
    spatial, narrow = range(2, x.ndim), x.dtype
    x, w = x.astype(_wide(x)), w.astype(_wide(w))
    spread = np.zeros([*x.shape[:2], *[(n - 1) * a + 1 if n else 0 for n, a in zip(x.shape[2:], lhs_dilation)]], x.dtype)
    spread[(slice(None), slice(None), *[slice(None, None, a) for a in lhs_dilation])] = x
    spread = np.pad(spread, [(0, 0), (0, 0), *[(max(lo, 0), max(hi, 0)) for lo, hi in padding]])
    crop = [slice(max(-lo, 0), spread.shape[d] - max(-hi, 0)) for d, (lo, hi) in zip(spatial, padding)]
    spread = spread[(slice(None), slice(None), *crop)]
    sizes = conv_sizes(x.shape[2:], w.shape[2:], strides, padding, lhs_dilation, rhs_dilation)
    out = np.zeros((x.shape[0], w.shape[0], *sizes), x.dtype)
    per_in, per_out = w.shape[1], w.shape[0] // groups
    for offset in np.ndindex(*w.shape[2:]):
        box = [slice(o * b, o * b + (n - 1) * s + 1, s) for o, b, n, s in zip(offset, rhs_dilation, sizes, strides)]
        if 0 in sizes:
            break
        part = spread[(slice(None), slice(None), *box)]
        for g in range(groups):
            weight = w[(slice(g * per_out, (g + 1) * per_out), slice(None), *offset)]
            out[:, g * per_out : (g + 1) * per_out] += np.einsum(
                "nc...,oc->no...", part[:, g * per_in : (g + 1) * per_in], weight
            )
    return out.astype(narrow)


convolution = define(
    "convolution", _convolution, _convolution_meaning, "Sums of products of w with windows of x, channels second.",
    ("strides", "padding", "lhs_dilation", "rhs_dilation", "groups"),
)  # fmt: skip
