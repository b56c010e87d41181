"""What the functions of all families share: sizes, reductions, in-place results and errors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ...lazy.functions._register import store

Ints = tuple[int, ...]
Size = int | Sequence[int]


def error(kind: type[Exception], message: str) -> Exception:
    """An error with the user's line at its end."""
    return kind(f"{message}  ({lx.record.user_line()})")


def tuple_of(value: Size, n: int, name: str) -> Ints:
    """One number an axis: a single one is repeated."""
    if hasattr(value, "__index__"):
        return (operator.index(value),) * n
    found = tuple(int(v) for v in value)
    if len(found) == 1:
        return found * n
    if len(found) != n:
        raise error(
            RuntimeError, f"expected {name} to be a single integer value or a list of {n} values, but got {list(found)}"
        )
    return found


def spread(v: Tensor, shape: Ints, dims: Ints) -> Tensor:
    """``v`` repeated to ``shape``; its dims become ``dims`` there."""
    return lx.ops.broadcast_in_dim(v, shape=shape, dims=dims)


def per_channel(v: Tensor, x: Tensor) -> Tensor:
    """A value a channel, repeated to the shape of x [N, C, ...]."""
    return lx.ops.broadcast_in_dim(v, shape=tuple(x.shape), dims=(1,))


def reshaped(x: Tensor, shape: Ints) -> Tensor:
    """Another shape, without making a view of it."""
    return x if tuple(x.shape) == shape else lx.ops.reshape(x, shape=shape)


def part(x: Tensor, dim: int, start: int, stop: int, stride: int = 1) -> Tensor:
    """A piece of one dim, without making a view of it."""
    shape = tuple(x.shape)
    if start == 0 and stop == shape[dim] and stride == 1:
        return x
    return lx.ops.slice_(
        x,
        start=tuple([start if d == dim else 0 for d in range(len(shape))]),
        limit=tuple([stop if d == dim else n for d, n in enumerate(shape)]),
        strides=tuple([stride if d == dim else 1 for d in range(len(shape))]),
    )


def edged(x: Tensor, value: Any, low: Sequence[int], high: Sequence[int]) -> Tensor:
    """x with edges of a constant; negative ones crop."""
    if not any(low) and not any(high):
        return x
    fill = constant(value, x.dtype, x.device)
    return lx.ops.pad(x, fill, low=tuple(low), high=tuple(high), interior=(0,) * x.ndim)


def constant(value: Any, dtype: Any, device: Any) -> Tensor:
    """A number or NumPy array that never varies."""
    return lx.functions.conversion.constant(value, dtype, device)


def choose(condition: Tensor, x: Any, y: Any) -> Tensor:
    """x where the condition holds, else y: both of the condition's shape and of one type, or one a fixed number.

    ``where`` without its promotion and broadcasting, which cost more than recording the op.
    """
    if not isinstance(x, Tensor):
        x = lx.functions.conversion.full_like_type(y, x)
    elif not isinstance(y, Tensor):
        y = lx.functions.conversion.full_like_type(x, y)
    return lx.ops.select(condition, x, y)


def in_place(x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """``f(x)`` written to ``x``; what f keeps for its derivative is a copy, so the write does not harm it."""
    return x.copy_(f(x.clone()))


def stored(out: Tensor | None, result: Tensor, name: str) -> Tensor:
    """The result, written to ``out`` where one is given: of the result's type, resized with a warning if need be."""
    return result if out is None else store(out, result, name, exact=True)  # type: ignore[no-any-return]


def check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise error(ValueError, f"{reduction} is not a valid value for reduction")


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """A loss an element, as 'none', 'mean' or 'sum'."""
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    check_reduction(reduction)
    return loss


def inexact(x: Tensor, name: str) -> Tensor:
    """x itself; NotImplementedError, as PyTorch's, where it holds whole numbers or bools."""
    if not x.dtype.is_inexact:
        raise error(NotImplementedError, f"{name} not implemented for {x.dtype}; give it floating point numbers")
    return x


def wide(x: Tensor, name: str) -> Tensor:
    """16-bit numbers as float32, in which their statistics are computed."""
    inexact(x, name)
    return x.float() if x.dtype is lx.float16 or x.dtype is lx.bfloat16 else x
