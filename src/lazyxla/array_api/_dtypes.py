"""Element types as the standard sees them: promotion that looks at types alone, and questions about types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..lazy import Tensor, dtypes
from ..lazy.dtypes import BOOL, COMPLEX, FLOAT, INT, DType
from ..lazy.record import user_line

#: The element types that the standard names, in its order.
NAMED = (
    dtypes.bool_, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.uint8, dtypes.uint16, dtypes.uint32,
    dtypes.uint64, dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128,
)  # fmt: skip
SCALARS = (bool, int, float, complex)
_SIGNED = {1: dtypes.int8, 2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}
_KINDS = {
    "bool": lambda d: d.category == BOOL,
    "signed integer": lambda d: d.category == INT and d.is_signed,
    "unsigned integer": lambda d: d.category == INT and not d.is_signed,
    "integral": lambda d: d.category == INT,
    "real floating": lambda d: d.category == FLOAT,
    "complex floating": lambda d: d.category == COMPLEX,
    "numeric": lambda d: d.category != BOOL,
}


def promoted(a: DType, b: DType) -> DType:
    """The type of a result of two types. Where the standard leaves it open (other kinds), PyTorch's.

    Raises TypeError where there is none (uint64 with a signed type).
    """
    if a is b:
        return a
    if a.category == b.category == INT:
        if a.is_signed == b.is_signed:
            return a if a.itemsize > b.itemsize else b
        signed, unsigned = (a, b) if a.is_signed else (b, a)
        if unsigned is dtypes.uint64:
            raise TypeError(f"{a.name} and {b.name} have no common integer type: convert one of them  ({user_line()})")
        return _SIGNED[max(signed.itemsize, 2 * unsigned.itemsize)]
    try:
        return dtypes.promote_types(a, b)
    except RuntimeError:
        if INT in (a.category, b.category) and a.category != b.category:
            return a if a.category > b.category else b  # PyTorch refuses the wide unsigned ones
        raise TypeError(f"{a.name} and {b.name} have no common type: convert one of them  ({user_line()})") from None


def with_scalar(d: DType, value: Any) -> DType:
    """The type of a result of an array of type ``d`` and a Python number, which is no wider than it must be."""
    kind = BOOL if isinstance(value, bool) else INT if isinstance(value, int) else FLOAT
    kind = COMPLEX if isinstance(value, complex) else kind
    if kind == COMPLEX and d.category < COMPLEX:
        return (d if d.category == FLOAT else dtypes.get_default_dtype()).to_complex()
    if kind > d.category:
        return dtypes.of_python(type(value) if type(value) in SCALARS else float)
    return d


def result_type(*arrays_and_dtypes: Tensor | DType | complex) -> DType:
    """The type that an operation on arrays, types and Python numbers has; at least one is no number.

    Raises ValueError where all are numbers, TypeError where types do not promote together.
    """
    found, numbers = None, []
    for a in arrays_and_dtypes:
        if isinstance(a, SCALARS):
            numbers.append(a)
            continue
        d = a.dtype if isinstance(a, Tensor) else a
        if not isinstance(d, DType):
            raise TypeError(
                f"result_type() takes arrays, element types and numbers, not {type(a).__name__}  ({user_line()})"
            )
        found = d if found is None else promoted(found, d)
    if found is None:
        raise ValueError(f"result_type() needs at least one array or element type  ({user_line()})")
    for n in numbers:
        found = with_scalar(found, n)
    return found


def can_cast(from_: DType | Tensor, to: DType, /) -> bool:
    """Whether all values of one type are values of the other, by the standard's promotion."""
    source = from_.dtype if isinstance(from_, Tensor) else from_
    for d in (source, to):
        if not isinstance(d, DType):
            raise TypeError(f"can_cast() takes an array or element types, not {type(d).__name__}  ({user_line()})")
    if source.category != to.category and not (source.category == FLOAT and to.category == COMPLEX):
        return False
    try:
        return promoted(source, to) is to
    except TypeError:
        return False


@dataclass(frozen=True)
class finfo_object:
    """Limits of a floating type (of the parts, for a complex one)."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class iinfo_object:
    """Limits of an integer type."""

    bits: int
    max: int
    min: int
    dtype: DType


def finfo(type: DType | Tensor, /) -> finfo_object:
    """Limits of a floating or complex type, or of an array's; TypeError for another type."""
    d = (type.dtype if isinstance(type, Tensor) else dtypes.as_dtype(type)).to_real()
    i = dtypes.finfo(d)
    return finfo_object(i.bits, i.eps, i.max, i.min, i.smallest_normal, d)


def iinfo(type: DType | Tensor, /) -> iinfo_object:
    """Limits of an integer type, or of an array's; TypeError for another type."""
    d = type.dtype if isinstance(type, Tensor) else dtypes.as_dtype(type)
    i = dtypes.iinfo(d)
    return iinfo_object(i.bits, i.max, i.min, d)


def isdtype(dtype: DType, kind: DType | str | tuple[DType | str, ...]) -> bool:
    """Whether a type is another, of a kind ('bool', 'integral', 'numeric', ...), or any of several."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"isdtype(): kind is one of {', '.join(map(repr, _KINDS))}, not {kind!r}  ({user_line()})")
        return _KINDS[kind](dtype)
    if not isinstance(kind, DType):
        raise TypeError(f"isdtype(): kind is an element type or a name, not {type(kind).__name__}  ({user_line()})")
    return dtype is kind


def fits(d: DType, value: Any) -> bool:
    """Whether a Python number lies within an integer type (other types take any)."""
    if d.category != INT or not isinstance(value, int):
        return True
    limits = np.iinfo(d.numpy)
    return bool(limits.min <= value <= limits.max)


__all__ = ["can_cast", "finfo", "finfo_object", "iinfo", "iinfo_object", "isdtype", "result_type"]
