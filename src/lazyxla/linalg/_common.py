"""What the functions of matrices share: checks in PyTorch's words, batches made equal, results with names."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from ..autograd import from_jax_function
from ..devices import jax_linalg
from ..lazy import Tensor
from ..lazy.functions.conversion import broadcast_shape, broadcast_to, promote, to_inexact
from ..lazy.record import user_line


class LinAlgError(RuntimeError):
    """A matrix for which the result does not exist."""


def finite(out: Tensor, *given: Tensor) -> Tensor:
    """bool [number of matrices]: whether they are finite, or what they come from was not (all together, where there are
    several operands, whose batches may differ)."""
    fine = [_rows(x, len(given) > 1).isfinite().all(-1) for x in (out, *given)]
    return fine[0] | ~functools.reduce(operator.and_, fine[1:])


def finite_together(out: Tensor, given: Tensor) -> Tensor:
    """bool [1]: ``finite``, of tensors that stand for one matrix."""
    return _rows(out, True).isfinite().all(-1) | ~_rows(given, True).isfinite().all(-1)


def given_finite(out: Tensor, A: Tensor, *_: Tensor) -> Tensor:
    """bool [number of matrices]: whether what is given is finite."""
    return A.detach().isfinite().all(-1).all(-1).reshape(-1)


def no_zero(A: Tensor, *_: Tensor) -> Tensor:
    """bool [number of matrices]: whether their diagonals have none."""
    return (A.detach().diagonal(0, -2, -1) != 0).all(-1).reshape(-1)


def _rows(x: Tensor, one: bool) -> Tensor:
    return x.detach().reshape(1 if one else -1, x.numel() if one else x.shape[-1] * x.shape[-2])


def refusal(name: str, words: str, kind: type[Exception] = LinAlgError) -> Callable[[int, str], Exception]:
    """The error for a matrix of a batch."""
    return lambda i, line: kind(f"{name}: {f'(Batch element {i}): ' if i else ''}{words}  (at {line})")


def jax_op(name: str) -> Callable[..., Any]:
    """A function of ``devices/jax_linalg.py`` as an operation on tensors."""
    return from_jax_function(getattr(jax_linalg, name))


def matrix(name: str, *given: Any) -> None:
    """Floating or complex matrices of at least single precision, or an error in PyTorch's words."""
    for x in given:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: a Tensor is expected, not {type(x).__name__}  ({user_line()})")
        if x.ndim < 2:
            raise RuntimeError(
                f"{name}: The input tensor A must have at least 2 dimensions, got {list(x.shape)}  ({user_line()})"
            )
        inexact(name, x)


def inexact(name: str, x: Tensor) -> None:
    if not x.dtype.is_inexact:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {x.dtype.name}  ({user_line()})"
        )
    if x.dtype.to_real().itemsize < 4:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {x.dtype.name}  ({user_line()})")


def square(name: str, a: Any) -> None:
    matrix(name, a)
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices"
            f"  ({user_line()})"
        )


def same_type(name: str, a: Tensor, b: Tensor) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but got A of type {a.dtype.name} and B of type "
            f"{b.dtype.name}  ({user_line()})"
        )


def one_batch(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two batches of matrices, repeated to one common batch."""
    batch = broadcast_shape(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    return broadcast_to(a, (*batch, *a.shape[-2:])), broadcast_to(b, (*batch, *b.shape[-2:]))


def adjoint(x: Tensor) -> Tensor:
    return x.mT.conj() if x.dtype.is_complex else x.mT


def checked(name: str, info: Tensor, what: str) -> None:
    """Read ``info`` (0 for success); LinAlgError where it says otherwise."""
    for i, code in enumerate(info.reshape(-1).tolist()):
        if code:
            where = f"(Batch element {i}): " if info.ndim else ""
            raise LinAlgError(f"{name}: {where}{what.format(code=code)}  ({user_line()})")


__all__ = [
    "LinAlgError", "adjoint", "checked", "finite", "finite_together", "given_finite", "inexact", "jax_op", "matrix",
    "no_zero", "one_batch", "promote", "refusal", "same_type", "square", "to_inexact",
]  # fmt: skip
