"""What the names in PyTorch's checkpoints stand for here: the whole list of what a file may name."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..devices import Device
from ..lazy import Size, dtypes
from .source import DamagedFileError
from .stored import Data, Stored, span
from .unpickle import Built, Global, UnsafeFileError

_D: Any = dtypes
STORAGES = {
    "Float": _D.float32, "Double": _D.float64, "Half": _D.float16, "BFloat16": _D.bfloat16, "Long": _D.int64,
    "Int": _D.int32, "Short": _D.int16, "Char": _D.int8, "Byte": _D.uint8, "Bool": _D.bool_,
    "ComplexFloat": _D.complex64, "ComplexDouble": _D.complex128, "Untyped": _D.uint8,
}  # fmt: skip


class StorageRef:
    """A storage of the file, as a type of elements sees it."""

    def __init__(self, key: str, dtype: Any, device: str, count: int, typed: Callable[[Any], Data]) -> None:
        self.key, self.dtype, self.device, self.count, self.typed = key, dtype, device, count, typed


def _tensor(
    storage: StorageRef, offset: int, size: Any, stride: Any, requires_grad: bool = False, hooks: Any = None,
    metadata: Any = None,
) -> Stored:  # fmt: skip
    return _tensor_of_type(storage, offset, size, stride, requires_grad, hooks, storage.dtype, metadata)


def _tensor_of_type(
    storage: StorageRef, offset: int, size: Any, stride: Any, requires_grad: bool, hooks: Any, dtype: Any,
    metadata: Any = None,
) -> Stored:  # fmt: skip
    if type(storage) is not StorageRef:
        raise ValueError(f"a tensor on a {type(storage).__name__}")
    if metadata:
        raise UnsafeFileError(f"a tensor with {metadata}: conjugate and negative views are not read: save a clone()")
    if hooks:
        raise UnsafeFileError("a tensor with hooks: they are code")
    view = (tuple(size), offset, tuple(stride))
    _, end = span(view)
    whole = storage.count if dtype is storage.dtype else storage.count * storage.dtype.itemsize // dtype.itemsize
    if end > whole:
        raise DamagedFileError(f"a tensor needs {end} elements of storage '{storage.key}', which has {whole}")
    return Stored(storage.typed(dtype), view, "tensor", bool(requires_grad))


def _parameter(data: Stored, requires_grad: bool, hooks: Any = None, state: Any = None) -> Stored:
    if hooks:
        raise UnsafeFileError("a parameter with hooks: they are code")
    found = Stored(data.data, data.view, "parameter", bool(requires_grad))
    found.attributes = _attributes(state)
    return found


def _attributes(state: Any) -> dict[str, Any]:
    state = state[0] if isinstance(state, tuple) else state
    return {k: v for k, v in (state or {}).items() if type(k) is str}


def _of_type(f: Global, kind: Global, args: Any, state: Any) -> Stored:
    if type(f) is not Global or f.call is None or type(kind) is not Global or kind.name not in _CLASSES:
        raise UnsafeFileError(f"a tensor of class {kind!r}, made by {f!r}")
    found: Stored = f.call(*args)
    made = Stored(found.data, found.view, found.kind, found.requires_grad)
    made.kind = _CLASSES[kind.name] if kind.name != "torch.Tensor" else found.kind
    made.attributes = _attributes(state)
    return made


_CLASSES = {
    "torch.Tensor": "tensor", "torch.nn.parameter.Parameter": "parameter", "torch.nn.parameter.Buffer": "buffer"
}  # fmt: skip


# --- NumPy ------------------------------------------------------------------------------------------------------


class _DType(Built):
    """A NumPy type; its byte order comes later."""

    def __init__(self, name: Any, *_: Any) -> None:
        super().__init__()
        found = np.dtype(name) if type(name) is str and len(name) < 8 else None
        if found is None or found.hasobject or found.names is not None:
            raise UnsafeFileError(f"a NumPy type {name!r}: only plain ones are read")
        self.value = found

    def build(self, state: Any) -> None:
        if state[2:5] not in ((None, None, None), (None,) * 3):
            raise UnsafeFileError("a structured NumPy type: only plain ones are read")
        if state[1] == ">":
            self.value = self.value.newbyteorder(">")


class _Array(Built):
    """A NumPy array; its values come later."""

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        values = np.frombuffer(_latin(data), dtype.value)
        self.value = np.array(values.reshape(tuple(shape), order="F" if fortran else "C"))


def _latin(data: Any) -> bytes:
    return data.encode("latin1") if type(data) is str else bytes(data)


def _encode(text: str, encoding: str = "utf-8") -> bytes:
    if encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise UnsafeFileError(f"a text in {encoding!r}")
    return text.encode(encoding)


def _scalar(dtype: Any, data: Any) -> Any:
    return np.frombuffer(_latin(data), dtype.value)[0]


def _from_buffer(data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    return np.array(np.frombuffer(data, dtype.value).reshape(tuple(shape), order=order))  # type: ignore[call-overload]


# --- the table --------------------------------------------------------------------------------------------------


def _bytearray(data: Any = b"", encoding: str = "latin1") -> bytearray:
    return bytearray(_encode(data, encoding) if type(data) is str else bytes(data))


def _bytes(data: Any = b"", encoding: str = "latin1") -> bytes:
    if type(data) is int:  # would be as many zeros
        raise ValueError("bytes of a number")
    return _encode(data, encoding) if type(data) is str else bytes(data)


def _range(*bounds: int) -> range:
    return range(*bounds)


def _ordered(*items: Any) -> OrderedDict[Any, Any]:
    return OrderedDict(*items)


def _default(factory: Any = None, *items: Any) -> defaultdict[Any, Any]:
    kinds: dict[Any, Any] = {"list": list, "dict": dict, "set": set, "int": int, "float": float, "str": str}
    name = factory.name.rpartition(".")[2] if type(factory) is Global else None
    if factory is not None and name not in kinds:
        raise UnsafeFileError(f"a defaultdict of {factory!r}")
    return defaultdict(kinds.get(name), *items)


def _device(kind: str, index: int | None = None) -> Any:
    try:
        return Device(kind, index)
    except RuntimeError:  # a kind of device that is not known here
        return kind if index is None else f"{kind}:{index}"


TABLE: dict[str, dict[str, Any]] = {
    "torch._utils._rebuild_tensor": {"call": _tensor},
    "torch._utils._rebuild_tensor_v2": {"call": _tensor},
    "torch._utils._rebuild_tensor_v3": {"call": _tensor_of_type},
    "torch._utils._rebuild_parameter": {"call": _parameter},
    "torch._utils._rebuild_parameter_with_state": {"call": _parameter},
    "torch._tensor._rebuild_from_type_v2": {"call": _of_type},
    "torch.Size": {"call": lambda sizes: Size(sizes), "new": lambda sizes: Size(sizes)},
    "torch.device": {"call": _device},
    "torch.serialization._get_layout": {"call": lambda name: "strided"},
    **{name: {} for name in _CLASSES},
    **{f"torch.{kind}Storage": {} for kind in STORAGES if kind != "Untyped"},
    "torch.storage.UntypedStorage": {}, "torch.UntypedStorage": {},
    "collections.OrderedDict": {"call": _ordered, "new": _ordered},
    "collections.Counter": {"call": lambda *items: Counter(*items), "new": lambda *items: Counter(*items)},
    "collections.defaultdict": {"call": _default},
    "_codecs.encode": {"call": _encode},
    **{
        f"{module}.{name}": {"call": f}
        for module in ("builtins", "__builtin__")
        for name, f in {
            "set": lambda items=(): set(items), "frozenset": lambda items=(): frozenset(items), "bytearray": _bytearray,
            "bytes": _bytes, "complex": lambda a, b=0.0: complex(a, b), "slice": lambda *a: slice(*a), "range": _range,
            "xrange": _range, "list": None, "dict": None, "int": None, "float": None, "str": None,
        }.items()
    },
    "numpy.dtype": {"call": _DType}, "numpy.ndarray": {},
    **{
        f"numpy.{core}.{name}": {"call": f}
        for core in ("core", "_core")
        for name, f in {
            "multiarray._reconstruct": lambda *_: _Array(), "multiarray.scalar": _scalar, "numeric._frombuffer": _from_buffer
        }.items()
    },
}  # fmt: skip
# PyTorch pickles its element types by name, and NumPy (since version 1.25) the classes of its own.
_OTHER_NAMES = {"half": "float16", "float": "float32", "double": "float64", "long": "int64", "int": "int32"}
ELEMENTS = {d.name: d for d in dtypes.ALL} | {k: getattr(dtypes, v) for k, v in _OTHER_NAMES.items()}


def lookup(name: str) -> Any:
    """What a name stands for: a Global or an element type; None for what is not in the list."""
    if name in TABLE:
        return Global(name, **TABLE[name])
    if name.startswith("torch."):
        return ELEMENTS.get(name.removeprefix("torch."))
    if name.startswith("numpy.dtypes.") and name.endswith("DType"):
        code = name.removeprefix("numpy.dtypes.").removesuffix("DType").lower()
        if code in _NUMPY:
            return Global(name, call=lambda *_: _DType(_NUMPY[code]))
    return None


_NUMPY = {
    "bool": "?", "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8", "uint8": "u1", "uint16": "u2", "uint32": "u4",
    "uint64": "u8", "float16": "f2", "float32": "f4", "float64": "f8", "complex64": "c8", "complex128": "c16",
}  # fmt: skip
