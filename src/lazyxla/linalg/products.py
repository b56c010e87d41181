"""Products and powers of matrices, and small things between vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..lazy import Tensor
from ..lazy import public as lx
from ..lazy.demands import demanding
from ..lazy.dtypes import float32, int64
from ..lazy.functions.conversion import flat, promote, to_inexact
from ..lazy.record import user_line
from ._common import finite, jax_op, refusal, square
from .systems import NOT_INVERTED, inv

_matrix_exp = jax_op("matrix_exp")
matmul = lx["matmul"]


def matrix_exp(A: Tensor) -> Tensor:
    """e to the power of square matrices, by scaling and squaring (to a 1-norm of about 300,000; NaN beyond)."""
    if A.ndim >= 2 and A.dtype.is_floating_point and A.dtype.itemsize == 2:
        return matrix_exp(A.to(float32)).to(A.dtype)
    square("linalg.matrix_exp", A)
    return _matrix_exp(A) if A.numel() else A.clone()


@demanding(finite, refusal("linalg.inv", NOT_INVERTED), when=lambda A, n: n < 0)
def matrix_power(A: Tensor, n: int) -> Tensor:
    """A times itself, n times, by squaring; of the inverse for negative n, which is a LinAlgError at the next read of a value
    where there is none."""
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"linalg.matrix_power: A must be batches of square matrices, but they are {list(A.shape)}  ({user_line()})"
        )
    if n == 0:
        one = lx["eye"](A.shape[-1], dtype=A.dtype, device=A.device).expand(A.shape).clone()
        return flat(lambda _: one, A)
    base, out = inv(A) if n < 0 else A, None
    for bit in reversed(bin(abs(n))[2:]):
        if bit == "1":
            out = base if out is None else out @ base
        last = base
        base = base @ base
    del last
    return out.clone() if abs(n) == 1 and n > 0 else out  # type: ignore[union-attr,return-value]


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two or more matrices, in the order that takes the fewest operations; first and last may be vectors."""
    factors = list(tensors)
    if len(factors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(factors)}  ({user_line()})")
    for i, t in enumerate(factors):
        if t.ndim != 2 and not (t.ndim == 1 and i in (0, len(factors) - 1)):
            raise RuntimeError(
                f"multi_dot(): tensor {i} must be {'1D or 2D' if i in (0, len(factors) - 1) else '2D'} but got {t.ndim}D"
                f"  ({user_line()})"
            )
    row, column = factors[0].ndim == 1, factors[-1].ndim == 1
    if row:
        factors[0] = factors[0].unsqueeze(0)
    if column:
        factors[-1] = factors[-1].unsqueeze(1)
    out = _in_order(factors, _best_split([*[t.shape[0] for t in factors], factors[-1].shape[1]]), 0, len(factors) - 1)
    if row:
        out = out.squeeze(0)
    return out.squeeze(-1) if column else out


def _best_split(sizes: list[int]) -> dict[tuple[int, int], int]:
    """For each run of matrices, after which one to split it (Cormen et al., Introduction to Algorithms, 15.2)."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            found = [(cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i, j], split[i, j] = min(found)
    return split


def _in_order(factors: list[Tensor], split: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return factors[i]
    k = split[i, j]
    return _in_order(factors, split, i, k) @ _in_order(factors, split, k + 1, j)


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of three along a dim; shapes broadcast, numbers of dims are equal."""
    if input.ndim != other.ndim:
        raise RuntimeError(
            f"linalg.cross: inputs must have the same number of dimensions. Got {input.ndim} and {other.ndim}  ({user_line()})"
        )
    return lx["cross"](input, other, dim)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum of conj(x) y along a dim; shapes broadcast."""
    x, y = promote(x, y)
    return (x.conj() * y).sum(dim) if x.dtype.is_complex else (x * y).sum(dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of the matrices in two dims, the last two unless given; a view."""
    return A.diagonal(offset, dim1, dim2)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 (n - 1, for x: [..., n]) of the elements, [..., n, N]; a number is a vector of one."""
    x = x if x.ndim else x.unsqueeze(0)
    count = x.shape[-1] if N is None else N
    if count <= 1 and N is not None and count < 1:
        raise RuntimeError(f"N must be greater than 1, got {N}  ({user_line()})")
    column = (x.to(int64) if x.dtype.category < 2 else x).unsqueeze(-1)
    powers = [lx["ones_like"](column)]
    for _ in range(count - 1):
        powers.append(powers[-1] * column)
    return lx["cat"](powers[:count], -1)


def vandermonde(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector's elements, [n, N], the highest first unless ``increasing``."""
    if x.ndim != 1:
        raise RuntimeError(f"x must be a one-dimensional tensor.  ({user_line()})")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError(f"N must be non-negative.  ({user_line()})")
    if x.dtype.category < 2:
        x = x.to(int64)  # also where there are no powers
    out = vander(x, N=count) if count else x.new_empty((x.shape[0], 0))
    return out if increasing else out.flip(-1)


_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


def cdist(
    x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary"
) -> Tensor:
    """The p-norms of the differences of all pairs of rows, [..., m, n] for [..., m, k] and [..., n, k].

    With many rows (over 25), 2-norms come from products of matrices, as in PyTorch, and lose digits for near rows.
    """
    if compute_mode is not None and compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode  ({user_line()})")
    for k, x in enumerate((x1, x2), 1):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, X{k} got: {x.ndim}D  ({user_line()})")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}  ({user_line()})"
        )
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values  ({user_line()})")
    x1, x2 = to_inexact(x1), to_inexact(x2)
    many = x1.shape[-2] > 25 or x2.shape[-2] > 25
    if p == 2 and (compute_mode == _MODES[1] or (many and compute_mode != _MODES[2])):
        return _euclidean(x1, x2)
    return lx["norm"](x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


def _euclidean(x1: Tensor, x2: Tensor) -> Tensor:
    squares = [(x * x).sum(-1, keepdim=True) for x in (x1, x2)]
    far = squares[0] + squares[1].mT - 2 * (x1 @ x2.mT)
    still = far <= 0
    return lx["where"](still, far * 0, lx["where"](still, 1, far).sqrt())


__all__ = [
    "cdist", "cross", "diagonal", "matmul", "matrix_exp", "matrix_power", "multi_dot", "vander", "vandermonde", "vecdot",
]  # fmt: skip
