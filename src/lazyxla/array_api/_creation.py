"""Making arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import devices
from ..lazy import Tensor, dtypes
from ..lazy import public as lx
from ..lazy.dtypes import DType
from ..lazy.record import user_line
from ._common import as_array, like, sizes, tensor
from ._dtypes import result_type

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid", "ones",
    "ones_like", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip


def _holds_arrays(obj: Any) -> bool:
    return isinstance(obj, Tensor) or (isinstance(obj, (list, tuple)) and any(map(_holds_arrays, obj)))


def _on_host(obj: Any) -> Any:
    if isinstance(obj, Tensor):
        return obj.detach().numpy(force=True)
    return [_on_host(o) for o in obj] if isinstance(obj, (list, tuple)) else obj


def _inferred(obj: Any) -> np.ndarray:
    """Numbers without a type, in the default one of their kind."""
    if isinstance(obj, (np.ndarray, np.generic)):
        return np.asarray(obj)
    given_types = _holds_arrays(obj)
    array = np.asarray(_on_host(obj) if given_types else obj)
    if given_types or array.dtype.kind not in "fc" or isinstance(obj, memoryview) or hasattr(obj, "__array__"):
        return array
    return array.astype(dtypes.of_python(float if array.dtype.kind == "f" else complex).numpy)


def _within(obj: Any, dtype: DType) -> np.ndarray:
    try:
        return np.asarray(obj, dtype.numpy)
    except OverflowError as e:
        raise OverflowError(f"asarray(): {e}  ({user_line()})") from None


def asarray(
    obj: Any, /, *, dtype: DType | None = None, device: Any = None, copy: bool | None = None
) -> Tensor:
    """An array of what is given: an array, numbers, nested sequences of either, or an object with a buffer or DLPack.

    An array is shared unless its type or device changes or ``copy`` is true; NumPy's memory only with ``copy=False``.
    ValueError where ``copy=False`` and it cannot be shared, TypeError for what is no rectangle of numbers, OverflowError
    for Python's integers beyond the type.
    """
    if isinstance(obj, Tensor):
        out = obj.to(dtype=dtype, device=device)
        if copy is False and out is not obj:
            raise ValueError(f"asarray(): copy=False, and another type or device needs a copy  ({user_line()})")
        return like(out.clone() if copy else out, obj)
    if copy is False:
        if isinstance(obj, np.ndarray) and dtype in (None, dtypes.of_numpy(obj.dtype)):
            return as_array(lx["from_numpy"](obj))  # type: ignore[no-any-return]
        raise ValueError(f"asarray(): copy=False, and {type(obj).__name__} needs a copy  ({user_line()})")
    if not isinstance(obj, (np.ndarray, list, tuple)) and hasattr(obj, "__dlpack__") and not hasattr(obj, "__array__"):
        out = lx["from_dlpack"](obj)
        return as_array(out.to(dtype=dtype, device=device).clone())  # type: ignore[no-any-return]
    if dtype is None:
        array = _inferred(obj)
    else:
        array = np.asarray(_on_host(obj) if _holds_arrays(obj) else obj)
        if isinstance(obj, (int, list, tuple)) and array.dtype.kind in "iuO" and dtypes.as_dtype(dtype).category == dtypes.INT:
            array = _within(_on_host(obj), dtypes.as_dtype(dtype))
        elif array.dtype.kind not in "O" and dtypes.as_dtype(dtype).category == dtypes.INT and array.dtype.kind == "f":
            array = np.asarray(obj if not _holds_arrays(obj) else _on_host(obj), dtypes.as_dtype(dtype).numpy)
        with np.errstate(all="ignore"):
            array = array.astype(dtypes.as_dtype(dtype).numpy)
    if array.dtype.kind not in "biufcV":
        if array.size and all(isinstance(v, int) for v in array.ravel()):
            raise OverflowError(f"asarray(): an integer is out of bounds for 64 bits  ({user_line()})")
        raise TypeError(f"asarray(): an array of numbers is expected, not {type(obj).__name__}  ({user_line()})")
    return as_array(lx["tensor"](np.array(array), device=device))  # type: ignore[no-any-return]


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """An array on the memory of any object that speaks DLPack; a copy where ``copy``, or for another device."""
    out = lx["from_dlpack"](x)
    if device is not None and devices.canonical(device) is not out.device:
        if copy is False:
            raise BufferError(f"from_dlpack(): copy=False, and a move to {device} needs a copy  ({user_line()})")
        out = out.to(device)
    return as_array(out.clone() if copy else out)  # type: ignore[no-any-return]


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """start, start + step, ... before ``stop``; integers unless a number is fractional."""
    if stop is None:
        start, stop = 0, start
    numbers = [n.item() if isinstance(n, (Tensor, np.generic)) else n for n in (start, stop, step)]
    if numbers[2] == 0:
        raise ValueError(f"arange(): step must not be 0  ({user_line()})")
    whole = all(isinstance(n, int) for n in numbers)
    d = dtype or (dtypes.int64 if whole else dtypes.get_default_dtype())
    first, last, by = numbers
    if (last - first) * by <= 0:
        return zeros(0, dtype=d, device=device)
    count = -((first - last) // by) if whole else math.ceil((last - first) / by)
    if count <= 4096 or not whole:
        return asarray((first + by * np.arange(count)).astype(d.numpy), device=device)
    return as_array(lx["arange"](*numbers, dtype=d, device=device))  # type: ignore[no-any-return]


def linspace(
    start: complex, stop: complex, /, num: int, *, dtype: DType | None = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """``num`` evenly spaced numbers from start to stop, which is the last of them unless ``endpoint`` is false."""
    if num < 0:
        raise ValueError(f"linspace(): num must not be negative, got {num}  ({user_line()})")
    numbers = [n.item() if isinstance(n, (Tensor, np.generic)) else n for n in (start, stop)]
    kind = complex if any(isinstance(n, complex) for n in numbers) else float
    d = dtypes.of_python(kind) if dtype is None else dtype
    with np.errstate(all="ignore"):
        values = np.linspace(*numbers, num, endpoint=endpoint).astype(d.numpy)  # type: ignore[call-overload]
    return asarray(values, device=device)


def empty(shape: int | Sequence[int], *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """An array whose values do not matter."""
    return as_array(lx["empty"](sizes(shape), dtype=dtype, device=device))  # type: ignore[no-any-return]


def zeros(shape: int | Sequence[int], *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Zeros."""
    return as_array(lx["zeros"](sizes(shape), dtype=dtype, device=device))  # type: ignore[no-any-return]


def ones(shape: int | Sequence[int], *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Ones."""
    return as_array(lx["ones"](sizes(shape), dtype=dtype, device=device))  # type: ignore[no-any-return]


def full(
    shape: int | Sequence[int], fill_value: complex | Tensor, *, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """One number, or a 0-d array's, everywhere."""
    return as_array(lx["full"](sizes(shape), fill_value, dtype=dtype, device=device))  # type: ignore[no-any-return]


def empty_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """``empty`` in the shape, type and device of x."""
    return like(lx["empty_like"](tensor("empty_like", x), dtype=dtype, device=device), x)  # type: ignore[no-any-return]


def zeros_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Zeros in the shape, type and device of x."""
    return like(lx["zeros_like"](tensor("zeros_like", x), dtype=dtype, device=device), x)  # type: ignore[no-any-return]


def ones_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Ones in the shape, type and device of x."""
    return like(lx["ones_like"](tensor("ones_like", x), dtype=dtype, device=device), x)  # type: ignore[no-any-return]


def full_like(
    x: Tensor, /, fill_value: complex | Tensor, *, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """One number everywhere, in the shape, type and device of x."""
    x = tensor("full_like", x)
    return like(lx["full_like"](x, fill_value, dtype=dtype, device=device), x)  # type: ignore[no-any-return]


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """Ones on the k-th diagonal."""
    columns = n_rows if n_cols is None else n_cols
    if k == 0:
        return as_array(lx["eye"](n_rows, columns, dtype=dtype, device=device))  # type: ignore[no-any-return]
    row, column = lx["arange"](n_rows, device=device), lx["arange"](columns, device=device)
    on = column == row[:, None] + k
    return as_array(on.to(dtype or dtypes.get_default_dtype()))  # type: ignore[no-any-return]


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinates of a grid, one array for each given; 'xy' for columns first, 'ij' for rows."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid(): indexing is 'xy' or 'ij', not {indexing!r}  ({user_line()})")
    for x in arrays:
        tensor("meshgrid", x)
    if len({x.dtype for x in arrays}) > 1:
        result_type(*arrays)  # TypeError for types that do not go together
    if not arrays:
        return ()
    return like(lx["meshgrid"](*arrays, indexing=indexing), *arrays)  # type: ignore[no-any-return]


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The lower triangle up to the k-th diagonal, zeros above."""
    return like(lx["tril"](tensor("tril", x), k), x)  # type: ignore[no-any-return]


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The upper triangle from the k-th diagonal on, zeros below."""
    return like(lx["triu"](tensor("triu", x), k), x)  # type: ignore[no-any-return]
