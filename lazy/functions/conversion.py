"""Types, devices and promotion: what stands between a user's mixed operands and a primitive's equal ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import devices
from ...devices import Device
from .. import dtypes, ops
from .. import record as rec
from ..dtypes import COMPLEX, DType, promote_types
from ..graph import Aval, HostValue, Node, Signature, leaf
from ..overrides import kind_of
from ..record import GradNode, mode, number, user_line, wrap
from ..replay.state import S, entry_point
from ..tensors import Tensor
from ._register import method, reads_at_the_end

Number = bool | int | float | complex
NUMBERS = (bool, int, float, complex)


def convert(x: Tensor, dtype: DType) -> Tensor:
    """The same numbers in another type (imaginary parts dropped on the way to a real one; bool: whether not 0)."""
    source = x.dtype
    if source is dtype:
        return x
    if dtype is dtypes.bool_:
        return ops.compare(x, full_like_type(x, 0), direction="NE")
    if source.category == COMPLEX and dtype.category != COMPLEX:
        x = ops.real(x)
        return x if x.dtype is dtype else ops.convert(x, dtype=dtype)
    if dtype.wide and source.is_floating_point:  # wraps, as integers do, where XLA would take the nearest there is
        x = ops.convert(x, dtype=dtypes.int32)
    if dtype is dtypes.float8_e4m3fn:  # which has no infinity: what is too large becomes the largest, as in PyTorch
        x = x if source.is_floating_point else ops.convert(x, dtype=dtypes.float32)
        if x.dtype is not dtypes.float8_e5m2:
            x = ops.maximum(ops.minimum(x, full_like_type(x, 448)), full_like_type(x, -448))
        else:
            return convert(ops.convert(x, dtype=dtypes.float32), dtype)
    return ops.convert(x, dtype=dtype)


_constants: dict[Any, Signature] = {}
_filled: dict[Any, tuple[Signature, Signature | None]] = {}


def _constant_signature(value: Any, dtype: DType, device: Device) -> Signature:
    array = np.asarray(value, dtype.numpy)
    key = (array.tobytes(), array.shape, dtype, device)
    sig = _constants.get(key)
    if sig is None:
        sig = _constants[key] = rec.signature(ops.constant, (), (key[0], Aval(array.shape, dtype, device)))
    return sig


def constant(value: Any, dtype: DType, device: Device) -> Tensor:
    """Numbers that never vary, baked into every program they occur in."""
    return wrap(Node(_constant_signature(value, dtype, device), (), None, 0))


def full_like_type(x: Tensor, value: Number) -> Tensor:
    """A constant of our own formulas, in the type of ``x``."""
    aval = (x._node or x._refresh()).sig.aval
    plan = _filled.get((aval, value))
    if plan is None:
        one = _constant_signature(value, aval.dtype, aval.device)
        wide = rec.signature(ops.broadcast_in_dim, (one.aval,), (aval.shape, ())) if aval.shape else None
        plan = (one, wide)
        if value or not math.copysign(1, value.real) < 0:  # -0.0 would be found as 0
            _filled[aval, value] = plan
    one, wide = plan
    node = Node(one, (), None, 0)
    return wrap(node if wide is None else Node(wide, (node,), None, 0))


_spread: dict[Aval, tuple[Signature, Signature | None]] = {}


def number_like(x: Tensor, value: Any) -> Tensor | None:
    """A number of the user's in the type and shape of ``x``; None unless it is one that ``x`` takes as it is."""
    aval = (x._node or x._refresh()).sig.aval
    kind: Any = value.__class__
    if not (aval.dtype.category == dtypes.FLOAT and (kind is float or kind is int)) and not (
        aval.dtype.category == dtypes.INT and kind is int
    ):
        return None
    plan = _spread.get(aval)
    if plan is None:
        one = rec.leaf_signature(rec.scalar, aval.with_shape(()))
        wide = rec.signature(ops.broadcast_in_dim, (one.aval,), (aval.shape, ())) if aval.shape else None
        plan = _spread[aval] = (one, wide)
    one, wide = plan
    node = HostValue(one, rec.host_number(value, aval.dtype), None, 0)
    return wrap(node if wide is None else Node(wide, (node,), None, 0))


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Repeated to ``shape`` by NumPy's rule; no view."""
    own = (x._node or x._refresh()).sig.aval.shape
    if own == shape:
        return x
    return ops.broadcast_in_dim(x, shape=shape, dims=tuple(range(len(shape) - len(own), len(shape))))


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape; RuntimeError in PyTorch's words where there is none."""
    out: list[int] = []
    for shape in shapes:
        for i in range(1, len(shape) + 1):
            n = shape[-i]
            if i > len(out):
                out.insert(0, n)
            elif out[-i] == 1:
                out[-i] = n
            elif n not in (1, out[-i]):
                raise RuntimeError(
                    f"The size of tensor a ({out[-i]}) must match the size of tensor b ({n}) at non-singleton "
                    "dimension "
                    f"{max(map(len, shapes)) - i}  (shapes {', '.join(str(list(s)) for s in shapes)} at {user_line()})"
                )
    return tuple(out)


def expands(shape: Sequence[int], to: Sequence[int]) -> bool:
    """Whether a value of one shape broadcasts to another."""
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(to)))


def _combine(higher: DType | None, lower: DType | None) -> DType | None:
    if higher is None or lower is None:
        return higher or lower
    if higher.category == COMPLEX:
        return higher
    if higher.is_floating_point:
        return higher.to_complex() if lower.is_complex else higher
    if lower.is_complex:
        return lower
    return promote_types(higher, lower) if higher is dtypes.bool_ or lower.is_inexact else higher


def result_dtype(*operands: Any) -> DType:
    """PyTorch's result type: dimensioned tensors first, then 0-d tensors, then Python numbers."""
    dimensioned = zero_dim = plain = None
    for x in operands:
        if isinstance(x, Tensor):
            if x.ndim:
                dimensioned = x.dtype if dimensioned is None else promote_types(dimensioned, x.dtype)
            else:
                zero_dim = x.dtype if zero_dim is None else promote_types(zero_dim, x.dtype)
        else:
            kind = dtypes.of_python(python_kind(x))
            plain = kind if plain is None else promote_types(plain, kind)
    found = _combine(_combine(dimensioned, zero_dim), plain)
    assert found is not None
    return found


def tensors_only(*operands: Any) -> None:
    """TypeError unless all are tensors: for the functions that PyTorch has of tensors alone."""
    for x in operands:
        if not isinstance(x, Tensor):
            raise TypeError(f"a tensor is expected, not {kind_of(x)}  ({user_line()})")


def result_type(a: Any, b: Any) -> DType:
    return result_dtype(a, b)


def python_kind(x: Any) -> type:
    """bool, int, float or complex for any Python or NumPy number; TypeError for anything else."""
    for kind in NUMBERS:
        if isinstance(x, kind):
            return kind
    if isinstance(x, np.generic):
        return type(x.item())
    raise TypeError(f"a tensor or a number is expected, not {kind_of(x)}  ({user_line()})")


def as_tensor_like(x: Any, like: Tensor) -> Any:
    """NumPy arrays and lists that meet a tensor go to its device; the rest stays."""
    if isinstance(x, np.ndarray):
        from .creation import from_host

        return from_host(x.copy(), like.device)
    return x


def common_device(*operands: Any) -> Device:
    """The device of the tensors; a 0-d CPU tensor goes along with another device's, as in PyTorch."""
    found: dict[Device, Tensor] = {}
    for x in operands:
        if isinstance(x, Tensor):
            known = found.get(x.device)
            if known is None or known.ndim == 0:
                found[x.device] = x
    if len(found) == 1:
        return next(iter(found))
    others = [d for d, x in found.items() if not (x.ndim == 0 and d.type == "cpu")]
    if len(others) != 1:
        names = " and ".join(sorted(map(str, found)))
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {names}!  ({user_line()})"
        )
    return others[0]


def lift(x: Any, dtype: DType, device: Device) -> Tensor:
    """An operand as a tensor of the type on the device."""
    if not isinstance(x, Tensor):
        if type(x) not in NUMBERS:
            python_kind(x)  # TypeError for what is no number
            x = x.item() if isinstance(x, np.generic) else x
        return number(x, dtype, device)
    if x.device is not device:
        x = transfer(x, device)
    return convert(x, dtype) if x.dtype is not dtype else x


def wrapped(value: Any, numpy: np.dtype) -> np.ndarray:
    """A number of an arithmetic expression in an element type; integers too large for it lose their high bits."""
    if numpy.kind in "iu" and isinstance(value, int):
        bits = numpy.itemsize * 8
        return np.array(value & ((1 << bits) - 1), f"u{numpy.itemsize}").view(numpy)
    return np.asarray(value, numpy)


def promote(*operands: Any, dtype: DType | None = None) -> list[Tensor]:
    """Operands of one type and shape, by PyTorch's promotion and NumPy's broadcasting."""
    if dtype is None and len(operands) == 2 and isinstance(operands[0], Tensor) and isinstance(operands[1], Tensor):
        x, y = operands
        if (x._node or x._refresh()).sig.aval is (y._node or y._refresh()).sig.aval:
            return [x, y]
    first = next((x for x in operands if isinstance(x, Tensor)), None)
    if first is None:
        raise TypeError(f"a tensor is expected among {', '.join(type(x).__name__ for x in operands)}  ({user_line()})")
    operands = tuple(as_tensor_like(x, first) for x in operands)
    dtype = dtype or result_dtype(*operands)
    device = common_device(*operands)
    if dtype.category == dtypes.INT:
        operands = tuple([int(wrapped(x, dtype.numpy)) if type(x) is int else x for x in operands])
    lifted = [lift(x, dtype, device) for x in operands]
    shape = broadcast_shape(*[tuple(x.shape) for x in lifted])
    return [broadcast_to(x, shape) for x in lifted]


def to_inexact(x: Tensor) -> Tensor:
    """Integers and bools as the default floating type."""
    return x if x.dtype.is_inexact else convert(x, dtypes.get_default_dtype())


class _Flat:
    """The backward rule of a function that is constant almost everywhere: zeros."""

    name, keeps = "Flat", False

    def __init__(self, avals: tuple[Aval, ...]) -> None:
        self.avals = avals

    def __call__(self, g: Tensor, node: GradNode) -> tuple[Tensor, ...]:
        return tuple([full_like_type(rec.type_only(a), 0) for a in self.avals])


def flat(value: Any, *inputs: Tensor) -> Tensor:
    """``value(*inputs)``, whose gradient is zero: it is there, as in PyTorch, so ``backward`` runs."""
    return rec.with_rule(value, inputs, _Flat(tuple([(x._node or x._refresh()).sig.aval for x in inputs])))


class _Transfer:
    """The backward rule of a move between devices: the gradient moves back."""

    name, keeps = "ToCopy", False

    def __init__(self, source: Device) -> None:
        self.source = source

    def __call__(self, g: Tensor, node: GradNode) -> tuple[Tensor]:
        return (transfer(g, self.source),)


def _dispatched(x: Tensor, device: Device) -> Tensor:
    from ..sync_points import settle, sync_for

    cause = f"to('{device}')"
    if not settle(x, cause):
        sync_for(x, cause)
    return x


def transfer(x: Tensor, device: Device) -> Tensor:
    """The same values on another device; what is pending is dispatched first (of constants: they alone), nothing is waited
    for. To 'meta' goes the type alone; NotImplementedError for a tensor from there."""
    if x.device is device:
        return x
    if S.capture is not None:
        S.capture.moves(x, device)
    if x.device.is_meta:
        devices.NO_VALUES.read()
    if device.is_meta:
        return _moved(x, leaf(Aval(tuple(x.shape), x.dtype, device), devices.NO_VALUES))
    node = x._node
    if node is None or node.buffer is None:
        x = x if isinstance(node, rec.HostValue) else _dispatched(x, device)
        node = x._node
    if isinstance(node, rec.HostValue):
        return wrap(
            rec.HostValue(rec.leaf_signature(node.sig.op, Aval(tuple(x.shape), x.dtype, device)), node.value, None, 0)
        )
    return _moved(x, leaf(Aval(tuple(x.shape), x.dtype, device), devices.move(node.buffer, device)))


def _moved(x: Tensor, moved: Node) -> Tensor:
    """The tensor of a moved value, differentiable as ``x`` is."""
    out = wrap(moved)
    if x._edge is not None and mode.grad:
        entry = GradNode(moved.sig, (x._edge,), (), None, moved.serial, *rec.user_site(3))
        entry.rule = _Transfer(x.device)
        out._edge = entry
    return out


@method
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """``to(dtype)``, ``to(device)``, ``to(device, dtype)``, ``to(other)``, with ``copy=``; itself if nothing changes.

    Raises RuntimeError for an unknown or absent device, TypeError for arguments of other kinds.
    """
    dtype, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
    copy = kwargs.pop("copy", False)
    kwargs.pop("non_blocking", None)
    kwargs.pop("memory_format", None)
    kwargs.pop("other", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for i, a in enumerate(args):
        if isinstance(a, DType):
            dtype = a
        elif isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, str | Device) or (type(a) is int and i == 0):
            device = a
        elif isinstance(a, bool):
            copy = copy or (a and i >= len(args) - 1 and len(args) > 2)
        elif a is not None:
            raise TypeError(f"to() received an invalid argument of type {type(a).__name__}: {a!r}")
    out = self
    if dtype is not None and dtype is not self.dtype:
        out = convert(out, dtypes.as_dtype(dtype))
    if device is not None:
        out = transfer(out, devices.canonical(device))
    return out.clone() if copy and out is self else out


@method
def cpu(self: Tensor) -> Tensor:
    return transfer(self, devices.canonical("cpu"))


@method
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    return transfer(self, devices.canonical("cuda" if device is None else device))


@method
def xla(self: Tensor, device: Any = None) -> Tensor:
    return transfer(self, devices.canonical("xla" if device is None else device))


reads_at_the_end(to, cpu, cuda, xla)


def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The type's name in PyTorch's old style; with ``dtype`` (old names too), the tensor in that type."""
    if dtype is None:
        where = "cuda." if self.device.type == "cuda" else ""
        return f"torch.{where}{_OLD_NAMES.get(self.dtype.name, self.dtype.name.capitalize())}Tensor"
    if isinstance(dtype, str):
        name = dtype.removeprefix("torch.").removeprefix("cuda.").removesuffix("Tensor")
        found = next((k for k, old in _OLD_NAMES.items() if old == name), None)
        if found is None:
            raise ValueError(f"invalid type: '{dtype}'  ({user_line()})")
        if dtype.startswith("torch.cuda."):
            self = transfer(self, devices.canonical("cuda"))
        return convert(self, getattr(dtypes, found if found != "bool" else "bool_"))
    if dtype is Tensor:  # PyTorch's name of the default tensor type
        return convert(self, dtypes.get_default_dtype())
    place = getattr(dtype, "place", None)
    self = self if place is None else transfer(self, devices.canonical(place))
    return convert(self, dtypes.as_dtype(getattr(dtype, "dtype", dtype)))


_type.__name__ = "type"
Tensor.type = entry_point(_type)
_OLD_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip


@method
def type_as(self: Tensor, other: Tensor) -> Tensor:
    return to(self, other)


def _typed(name: str, dtype: DType) -> None:
    def f(self: Tensor) -> Tensor:
        return convert(self, dtype)

    f.__name__ = name
    f.__doc__ = f"The same numbers as {dtype.name}."
    method(f)


for _name, _dtype in (*dtypes.ALIASES.items(), ("byte", dtypes.uint8), ("char", dtypes.int8), ("bool", dtypes.bool_)):
    _typed(_name, _dtype)
_typed("bfloat16", dtypes.bfloat16)


@method
def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    from .creation import tensor

    return tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)
