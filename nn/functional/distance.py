"""Distances and similarities of vectors."""

from __future__ import annotations

import numpy as np

from ... import lazy as lx
from ...lazy import Tensor
from ._common import constant, error


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dim."""
    return lx.norm(x1 - x2 + eps, p, -1, keepdim)


def cosine_distance_parts(x1: Tensor, x2: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """The dot product along a dim, and the two squared lengths."""
    return (x1 * x2).sum(dim), (x1 * x1).sum(dim), (x2 * x2).sum(dim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 over the product of their lengths along a dim; each length counts as at least eps."""
    x1, x2 = lx.broadcast_tensors(x1, x2)
    n1, n2 = (lx.norm(x, 2, dim, keepdim=True).clamp_min(eps) for x in (x1, x2))
    return ((x1 / n1) * (x2 / n2)).sum(dim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances of all pairs of rows of x [N, M]: (0, 1), (0, 2), ..., (N - 2, N - 1)."""
    if input.ndim != 2:
        raise error(RuntimeError, f"pdist only supports 2D tensors, got: {input.ndim}D")
    first, second = np.triu_indices(input.shape[0], 1)
    places = [constant(i, lx.int64, input.device) for i in (first, second)]

    def distances(x: Tensor) -> Tensor:
        return lx.norm(lx.index_select(x, 0, places[0]) - lx.index_select(x, 0, places[1]), p, -1)

    # where the gradient is zero it is said here: XLA would add up zeros at constant places while it compiles, one by one
    return lx.functions.conversion.flat(distances, input) if p == 0 else distances(input)
