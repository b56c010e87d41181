"""Making tensors: from numbers, lists, NumPy arrays, DLPack and JAX, and from nothing."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np

from ... import devices
from ...devices import Device
from .. import dtypes, levels, ops
from .. import record as rec
from ..dtypes import DType
from ..graph import Aval, Given, leaf
from ..record import mode, number, user_line, wrap
from ..replay.inlay import Inlay
from ..replay.state import S
from ..tensors import Tensor
from ._register import function, method
from .conversion import broadcast_to, constant, convert, python_kind, transfer
from .shape import ints

SMALL = 4096  # elements up to which values made on the host are constants of the program


def from_host(array: np.ndarray, device: Device) -> Tensor:
    """A computed tensor with a copy of the array."""
    aval = Aval(array.shape, dtypes.of_numpy(array.dtype), device)
    if mode.eager is rec.HOST and device.type == "cpu":
        return wrap(leaf(aval, devices.HostArray(np.array(array, order="C"))))
    return wrap(leaf(aval, devices.put(array, device), Given))


def _finished(t: Tensor, requires_grad: bool) -> Tensor:
    return t.requires_grad_() if requires_grad else t


def _unsigned(data: Any) -> np.ndarray:
    """Whole numbers as uint64 where all are such and fit; other data as NumPy takes it."""
    exact = np.array(data, dtype=object)
    if exact.size and all(type(v) is int for v in exact.flat):
        if not all(0 <= v < 1 << 64 for v in exact.flat):
            raise RuntimeError(f"value cannot be converted to type uint64 without overflow  (tensor() at {user_line()})")
        return exact.astype(np.uint64)
    return np.array(data)


def _host_data(data: Any, dtype: DType | None) -> tuple[np.ndarray, DType]:
    """Nested sequences and numbers as an array of the type that PyTorch infers."""
    if isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
    else:
        narrow = dtype is dtypes.float8_e4m3fn
        try:
            if dtype is dtypes.uint64:  # NumPy makes floats of what int64 cannot hold
                array = _unsigned(data)
            else:
                array = np.array(data, dtype=None if dtype is None or dtype.category == dtypes.INT or narrow else dtype.numpy)
        except (ValueError, TypeError) as e:
            raise type(e)(f"tensor(): the data is not a rectangle of numbers: {e}  ({user_line()})") from None
        if array.dtype.kind == "O" and (data is None or (isinstance(data, (list, tuple)) and None in data)):
            raise RuntimeError(f"Could not infer dtype of NoneType  ({user_line()})")
        if array.dtype.kind == "O":
            raise TypeError(
                f"tensor(): cannot infer a type from {type(data).__name__} of such elements  ({user_line()})"
            )
        if array.size == 0 and array.dtype == np.float64:
            array = array.astype(dtypes.get_default_dtype().numpy)
        elif dtype is None:
            kind = {"f": float, "c": complex, "b": bool}.get(array.dtype.kind)
            if kind is not None:
                array = array.astype(dtypes.of_python(kind).numpy)
    if dtype is dtypes.float8_e4m3fn and array.dtype.kind in "fiu":
        array = np.clip(array, -448, 448).astype(dtype.numpy)  # as ``convert``
    if array.dtype.kind in "US":
        raise TypeError(f"tensor(): new(): invalid data type 'str'  ({user_line()})")
    found = dtypes.of_numpy(array.dtype)
    if (
        dtype is not None
        and dtype.category == dtypes.INT == found.category
        and not isinstance(data, np.ndarray)
        and array.size
    ):
        limits = dtypes.limits(dtype)
        lowest = limits.min or -limits.max  # a negative number wraps in an unsigned type
        if not lowest <= array.min() <= array.max() <= limits.max:
            raise RuntimeError(
                f"value cannot be converted to type {dtype.name} without overflow  (tensor() at {user_line()})"
            )
    return array, dtype or found


def _with_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.detach().cpu()._array("tensor() of tensors")
    if isinstance(data, (list, tuple)):
        return [_with_tensors(d) for d in data]
    return data


def _holds_tensor(data: Any) -> bool:
    return isinstance(data, Tensor) or (isinstance(data, (list, tuple)) and any(map(_holds_tensor, data)))


@function
def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of ``data`` (numbers, nested sequences, a NumPy array), in the type PyTorch would infer.

    Raises TypeError or ValueError for data that is no rectangle of numbers.
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than tensor(sourceTensor).",
            UserWarning, stacklevel=2,
        )  # fmt: skip
        out = data.detach().clone()
        out = out if wanted is None else convert(out, wanted)
        return _finished(transfer(out, devices.canonical(device)) if device is not None else out, requires_grad)
    if isinstance(data, (list, tuple)) and _holds_tensor(data):
        data = _with_tensors(data)
    array, found = _host_data(data, wanted)
    with np.errstate(over="ignore", invalid="ignore"):
        array = array.astype(found.numpy) if array.dtype != found.numpy else array
    return _finished(from_host(array, devices.canonical(device)), requires_grad)


@function
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, sharing memory with a tensor or NumPy array where nothing has to change."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    if isinstance(data, np.ndarray) and (device is None or Device(device).type == "cpu"):
        return from_numpy(data).to(dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


@function
def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """``as_tensor``, or with ``copy=True`` a copy without a history."""
    if copy and isinstance(obj, Tensor):
        obj = obj.detach().clone()
    make = tensor if copy and not isinstance(obj, Tensor) else as_tensor
    return _finished(make(obj, dtype=dtype, device=device), requires_grad)


@function
def from_numpy(array: np.ndarray) -> Tensor:
    """A CPU tensor on the array's memory, in constant time.

    A computation that needs the values shares the memory where it is 64-byte aligned and row-major, and otherwise
    copies it once. Do not write to ``array`` while the tensor is in use: whether the tensor sees it is not defined.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})  ({user_line()})")
    aval = Aval(array.shape, dtypes.of_numpy(array.dtype), devices.canonical("cpu"))
    return wrap(leaf(aval, devices.HostArray(array)))


@function
def from_dlpack(x: Any) -> Tensor:
    """A tensor on the memory of any object that speaks DLPack (CPU arrays and those of the same accelerator)."""
    if isinstance(x, Tensor):
        return x.detach()
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack(): an object with __dlpack__ is expected, not {type(x).__name__}  ({user_line()})")
    found = devices.from_dlpack(x)
    return from_numpy(found) if isinstance(found, np.ndarray) else from_jax(found)


@function
def from_jax(array: Any) -> Tensor:
    """A tensor on a jax.Array's buffer, in constant time; it must lie on one device."""
    placed = list(array.devices())
    if len(placed) != 1:
        raise RuntimeError(f"from_jax: the array lies on {len(placed)} devices; one is expected  ({user_line()})")
    platform = placed[0].platform
    device = next((d for d in devices.devices() if d.pjrt == placed[0]), None)
    if device is None:
        raise RuntimeError(f"from_jax: no device of this process is {placed[0]} ({platform})")
    return wrap(leaf(Aval(tuple(array.shape), dtypes.of_numpy(np.dtype(array.dtype)), device), array))


@function
def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A 1-d tensor on the memory of a Python buffer."""
    return _finished(from_numpy(np.frombuffer(buffer, dtypes.as_dtype(dtype).numpy, count, offset)), requires_grad)


@function
def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor, floating unless told otherwise."""
    return tensor(s, dtype=dtype or dtypes.get_default_dtype(), device=device, requires_grad=requires_grad)


@function
def scalar(value: Any, like_or_dtype: Any = None, device: Any = None) -> Tensor:
    """A 0-d tensor for a host number that changes from step to step: an argument of every program, never baked in."""
    if isinstance(like_or_dtype, Tensor):
        dtype, place = like_or_dtype.dtype, like_or_dtype.device
    else:
        dtype = dtypes.of_python(python_kind(value)) if like_or_dtype is None else dtypes.as_dtype(like_or_dtype)
        place = devices.canonical(device)
    made = rec.run_time_value(rec.host_number(value, dtype), dtype, place)
    if S.numbers is not None:
        S.numbers.append(made._node)
    return made


# --- from nothing -----------------------------------------------------------------------------------------------


def _filled(value: Any, shape: tuple[int, ...], dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension in {list(shape)}  ({user_line()})")
    d = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    return _finished(rec.track(broadcast_to(constant(value, d, devices.canonical(device)), shape)), requires_grad)


STATE = 1 << 18  # elements up to which zeros of numbers with a fraction are values that are there already


def _state(shape: tuple[int, ...], dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """Zeros that a program asks for by name: a buffer where they may be a first state (hidden values, running sums), so
    that what is computed from it is the same program as what is computed from a later state."""
    if len(shape) < 2 or mode.eager or levels.active or S.capture is not None or isinstance(S.player, Inlay):
        return _filled(0, shape, dtype, device, requires_grad)
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if not kind.is_inexact or not 0 < math.prod(shape) <= STATE or min(shape) < 0:
        return _filled(0, shape, kind, device, requires_grad)
    return _finished(from_host(np.zeros(shape, kind.numpy), devices.canonical(device)), requires_grad)


def _creator(name: str, value: float, doc: str) -> Any:
    make = _state if name == "zeros" else functools.partial(_filled, value)

    def f(
        *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
        memory_format: Any = None, pin_memory: bool = False, names: Any = None,
    ) -> Tensor:  # fmt: skip
        if not size:
            raise TypeError(f"{name}() missing 1 required positional arguments: \"size\"  ({user_line()})")
        return make(ints(size), dtype, device, requires_grad)

    def like(
        input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
        memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        return make(tuple(input.shape), dtype or input.dtype, device or input.device, requires_grad)

    def new(
        self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False,
        layout: Any = None, pin_memory: bool = False,
    ) -> Tensor:  # fmt: skip
        return make(ints(size), dtype or self.dtype, device or self.device, requires_grad)

    f.__name__, like.__name__, new.__name__ = name, f"{name}_like", f"new_{name}"
    f.__doc__ = doc
    function(like)
    method(new)
    return function(f), like


zeros, zeros_like = _creator("zeros", 0, "Zeros.")
ones, ones_like = _creator("ones", 1, "Ones.")
empty, empty_like = _creator(
    "empty", 0, "A tensor whose values do not matter (zeros, so that programs are reproducible)."
)


def _strided(name: str) -> None:
    # XLA chooses its own memory layout: what strides are asked for changes nothing that a program can compute.
    def f(
        size: Any, stride: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
        layout: Any = None, pin_memory: bool = False,
    ) -> Tensor:  # fmt: skip
        if len(ints((size,))) != len(ints((stride,))):
            raise RuntimeError(
                f"{name}(): the order of dims, {stride}, has another length than the size, {size}  ({user_line()})"
            )
        if name == "empty_permuted" and sorted(ints((stride,))) != list(range(len(ints((size,))))):
            raise RuntimeError(f"{name}(): each dim once is expected, none negative, not {stride}  ({user_line()})")
        return _filled(0, ints((size,)), dtype, device, requires_grad)

    f.__name__, f.__doc__ = name, "``empty``; the memory layout asked for is checked and left to XLA."
    function(f)


_strided("empty_strided")
_strided("empty_permuted")


@method
def new_empty_strided(self: Tensor, size: Any, stride: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``new_empty``; the memory layout is XLA's."""
    return _filled(0, ints((size,)), dtype or self.dtype, device or self.device, False)


def _fill_type(value: Any, dtype: Any) -> DType:
    if dtype is not None:
        return dtypes.as_dtype(dtype)
    return value.dtype if isinstance(value, Tensor) else dtypes.of_python(python_kind(value))


def _number(value: Any) -> Any:
    python_kind(value)  # TypeError for what is none
    return value.item() if isinstance(value, np.generic) else value


def _full(shape: tuple[int, ...], value: Any, dtype: DType, device: Any, requires_grad: bool) -> Tensor:
    place = devices.canonical(device)
    one = convert(value, dtype) if isinstance(value, Tensor) else number(_number(value), dtype, place)
    return _finished(broadcast_to(one, shape), requires_grad)


@function
def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None
) -> Tensor:
    """One number everywhere; its type is the number's unless given."""
    return _full(ints((size,)), fill_value, _fill_type(fill_value, dtype), device, requires_grad)


@function
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    return _full(
        tuple(input.shape), fill_value, dtypes.as_dtype(dtype or input.dtype), device or input.device, requires_grad
    )


@method
def new_full(
    self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    return _full(ints((size,)), fill_value, dtypes.as_dtype(dtype or self.dtype), device or self.device, requires_grad)


def line(aval: Aval, axis: int = 0) -> Tensor:
    """0, 1, 2... along an axis."""
    return rec.record(rec.signature(ops.iota, (), (aval, axis)), ())


@function
def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:  # fmt: skip
    """start, start + step, ... below ``end``; integers unless a number is fractional."""
    if end is None:
        start, end = 0, start
    given = [x.item() if isinstance(x, (Tensor, np.generic)) else x for x in (start, end, step)]
    if dtype is not None and dtypes.as_dtype(dtype) is dtypes.int64:
        given = [int(x) for x in given]  # as PyTorch does
    start, end, step = given
    if step == 0:
        raise RuntimeError(f"step must be nonzero  ({user_line()})")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}  ({user_line()})")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}  ({user_line()})"
        )
    if dtype is None:
        dtype = dtypes.get_default_dtype() if any(isinstance(x, float) for x in given) else dtypes.int64
    d, place = dtypes.as_dtype(dtype), devices.canonical(device)
    count = max(0, math.ceil((end - start) / step))
    if all(isinstance(x, int) for x in given) and d.category == dtypes.INT:
        out = line(Aval((count,), d, place))
        out = out if step == 1 else out * step
        return out if start == 0 else out + start
    # in double precision, as PyTorch does
    if d is dtypes.bool_ or count <= SMALL:
        return _finished(constant((start + step * np.arange(count)), d, place), requires_grad)
    at = line(Aval((count,), dtypes.int64, place))
    if float(start).is_integer() and float(step).is_integer():
        return _finished(convert(at * int(step) + int(start), d), requires_grad)
    return _finished(convert(convert(at, dtypes.float64) * float(step) + float(start), d), requires_grad)


def _range(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``arange`` with the end included (PyTorch keeps it for old programs); floating unless told otherwise."""
    if end is None:
        start, end = 0, start
    return arange(start, end + step * 0.5, step, dtype=dtype or dtypes.get_default_dtype(), device=device)


_range.__name__ = "range"
function(_range)


@function
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:
    """Ones on the diagonal."""
    for size in (n, m):
        if size is not None and size < 0:
            raise RuntimeError(f"n must be greater or equal to 0, got {size}  (eye at {user_line()})")
    shape = (n, n if m is None else m)
    d, place = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype), devices.canonical(device)
    rows, columns = (line(Aval(shape, dtypes.int32, place), axis) for axis in (0, 1))
    return _finished(convert(ops.compare(rows, columns, direction="EQ"), d), requires_grad)


def _triangle_indices(name: str, places: Any) -> None:
    def f(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None) -> Tensor:
        if row < 0 or col < 0:
            raise RuntimeError(f"row and col must be non-negative, got {row} and {col}  ({user_line()})")
        return tensor(np.stack(places(row, offset, col)), dtype=dtype or dtypes.int64, device=device)

    f.__name__, f.__doc__ = name, f"Rows and columns of a {_SIDES[name]} triangle, as two rows."
    function(f)


_SIDES = {"tril_indices": "lower", "triu_indices": "upper"}
_triangle_indices("tril_indices", np.tril_indices)
_triangle_indices("triu_indices", np.triu_indices)


@function
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid, one tensor a dim."""
    items = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else list(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in items:
        if x.ndim > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got {list(x.shape)}  ({user_line()})"
            )
    shape = tuple(x.numel() for x in items)
    out = [ops.broadcast_in_dim(x.reshape(-1), shape=shape, dims=(i,)) for i, x in enumerate(items)]
    if indexing == "xy" and len(items) >= 2:
        out = [x.transpose(0, 1) for x in out]
    return tuple(out)
