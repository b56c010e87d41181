"""What all functions of the namespace share: what class a result has, operands of one type, axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..lazy import Tensor
from ..lazy import public as lx
from ..lazy.dtypes import COMPLEX, FLOAT, DType, get_default_dtype
from ..lazy.record import user_line
from ._dtypes import SCALARS, fits, promoted, with_scalar

Axes = int | tuple[int, ...] | None


def as_array(x: Any) -> Any:
    """A tensor that nobody else holds, made an ``Array``."""
    from ._array import Array

    if type(x) is Tensor:
        x.__class__ = Array  # the same slots: only what its operators mean changes
    return x


def like(out: Any, *inputs: Any) -> Any:
    """A result as an ``Array`` where one of the inputs is one; where all are plain tensors it is a plain tensor."""
    from ._array import Array

    if not any(isinstance(x, Array) for x in inputs):
        return out
    if isinstance(out, tuple):
        parts = [like(o, *inputs) for o in out]
        return type(out)(*parts) if hasattr(out, "_fields") else tuple(parts)
    if any(out is x for x in inputs) and type(out) is Tensor:
        out = out[...]  # the user's own tensor stays what it is
    return as_array(out)


def tensor(name: str, x: Any) -> Tensor:
    """``x``, which must be an array."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): an array is expected, not {type(x).__name__}  ({user_line()})")
    return x


def floating(name: str, x: Any) -> Tensor:
    """``x`` as a floating or complex array: integers (on which the standard is silent) in the default type."""
    x = tensor(name, x)
    return x if x.dtype.category >= FLOAT else x.to(get_default_dtype())


def operand(x: Any) -> Any:
    """An operand of a function of two: NumPy's numbers as Python's, NumPy's arrays as tensors."""
    if isinstance(x, np.generic):
        return x.item()
    return lx["tensor"](x) if isinstance(x, np.ndarray) else x


def pair(name: str, x1: Any, x2: Any, numbers: bool = False) -> tuple[Any, Any]:
    """Two operands in their common type; a Python number becomes a 0-d tensor, or stays one where ``numbers``.

    Raises TypeError where none is an array or there is no common type, OverflowError for a number beyond an integer type.
    """
    x1, x2 = operand(x1), operand(x2)
    arrays = [x for x in (x1, x2) if isinstance(x, Tensor)]
    if len(arrays) == 2:
        if x1.dtype is x2.dtype:
            return x1, x2
        d = promoted(x1.dtype, x2.dtype)
        return x1.to(d), x2.to(d)
    if not arrays or not all(isinstance(x, (Tensor, *SCALARS)) for x in (x1, x2)):
        raise TypeError(
            f"{name}(): two arrays, or an array and a number, are expected, not {type(x1).__name__} and "
            f"{type(x2).__name__}  ({user_line()})"
        )
    (x,) = arrays
    first = x is x1
    value = x2 if first else x1
    d = with_scalar(x.dtype, value)
    if not fits(d, value):
        raise OverflowError(f"{name}(): {value} is out of bounds for {d.name}  ({user_line()})")
    x = x.to(d)
    if not numbers:
        value = lx["full"]((), value, dtype=d, device=x.device)
    return (x, value) if first else (value, x)


def each_axis(name: str, x: Tensor, axis: Any) -> tuple[int, ...]:
    """The axes named, all for None, counted from the front. IndexError for one that is not there."""
    given = range(x.ndim) if axis is None else (axis,) if hasattr(axis, "__index__") else axis
    found = []
    for a in given:
        if not -x.ndim <= a < x.ndim:
            raise IndexError(f"{name}(): axis {a} is out of bounds for an array of {x.ndim} axes  ({user_line()})")
        found.append(int(a) % x.ndim)
    if len(set(found)) != len(found):
        raise ValueError(f"{name}(): an axis is named twice in {axis}  ({user_line()})")
    return tuple(found)


def one_axis(name: str, x: Tensor, axis: Any) -> int:
    """One axis, counted from the front."""
    return each_axis(name, x, (axis,))[0]


def sizes(shape: int | Sequence[int]) -> tuple[int, ...]:
    """A shape given as a number or a sequence."""
    return (int(shape),) if hasattr(shape, "__index__") else tuple(int(n) for n in shape)


def wide(d: DType) -> DType:
    """The type in which elements of ``d`` are added up or multiplied."""
    from ..lazy import dtypes

    if d.category >= FLOAT:
        return d
    return dtypes.int64 if d.is_signed or d.category < 1 else dtypes.uint64


def is_complex(x: Tensor) -> bool:
    return x.dtype.category == COMPLEX
