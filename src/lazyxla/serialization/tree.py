"""Nested state as JSON: what holds the tensors, written so that every value comes back as what it was."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..devices import Device
from ..lazy import Generator, Size, Tensor, dtypes
from ..lazy.dtypes import DType
from ..nn import Module
from ..nn.parameter import Buffer, Parameter, is_lazy
from ..nn.state import NOTES
from .source import DamagedFileError
from .stored import Stored

_SIMPLE = (str, bool, type(None))
_KINDS = {Tensor: "tensor", Parameter: "parameter", Buffer: "buffer"}
_SEQUENCES = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}
_FACTORIES: dict[str, Any] = {"list": list, "dict": dict, "set": set, "int": int, "float": float, "str": str, "None": None}
_DTYPES = {d.name: d for d in dtypes.ALL}
_LARGE = 1 << 63
_RAW = "SUmMgV"  # kinds of NumPy arrays that are kept as bytes with their type's name


class Encoder:
    """The JSON form of an object; ``tensors`` and ``arrays`` are what it refers to, with the path of each."""

    def __init__(self) -> None:
        self.tensors: list[tuple[str, Tensor]] = []
        self.arrays: list[tuple[str, np.ndarray]] = []
        self._numbers: dict[int, int] = {}
        self._open: set[int] = set()

    def encode(self, obj: Any, where: str = "state", path: str = "") -> Any:
        """JSON for ``obj``; TypeError names the place of what cannot be saved."""
        kind = type(obj)
        if kind in _SIMPLE:
            return obj
        if kind is int:
            return obj if -_LARGE <= obj < _LARGE else {"int": hex(obj)}
        if kind is float:
            return obj if math.isfinite(obj) else {"float": np.float64(obj).tobytes().hex()}
        if kind in _KINDS or is_lazy(obj):
            return self._tensor(obj, where, path)
        leaf = _leaf(obj, kind)
        if leaf is not None:
            return leaf
        if isinstance(obj, (np.ndarray, np.generic)):
            return self._array(obj, where, path)
        if id(obj) in self._open:
            raise ValueError(f"save(): {where} contains itself")
        self._open.add(id(obj))
        try:
            return self._container(obj, kind, where, path)
        finally:
            self._open.discard(id(obj))

    def _container(self, obj: Any, kind: type, where: str, path: str) -> Any:
        if kind is Size:
            return {"size": list(obj)}
        if kind in _SEQUENCES:
            items = [self.encode(v, f"{where}[{i}]", _join(path, i)) for i, v in enumerate(obj)]
            return items if kind is list else {_SEQUENCES[kind]: items}
        if kind is defaultdict:
            factory = next((n for n, f in _FACTORIES.items() if f is obj.default_factory), None)
            if factory is None:
                raise TypeError(f"save(): {where} is a defaultdict of {obj.default_factory!r}: save dict() of it")
            return {"defaultdict": [factory, self._items(obj, where, path)]}
        if kind is dict and all(type(k) is str for k in obj):
            return {"dict": {k: self.encode(v, f"{where}[{k!r}]", _join(path, k)) for k, v in obj.items()}}
        if kind is OrderedDict and isinstance(getattr(obj, NOTES, None), dict):  # the state of a module
            notes = self.encode(getattr(obj, NOTES), f"{where}.{NOTES}")
            return {"state": [self._items(obj, where, path), notes]}
        if kind in (dict, OrderedDict, Counter):
            return {{dict: "items", OrderedDict: "ordered", Counter: "counter"}[kind]: self._items(obj, where, path)}
        raise TypeError(f"save(): {where} is {_advice(obj)}")

    def _items(self, obj: Any, where: str, path: str) -> list[Any]:
        out = []
        for k, v in obj.items():
            if isinstance(k, (Tensor, np.ndarray)):
                raise TypeError(f"save(): a key of {where} is a {type(k).__name__}: use a name or a number")
            out.append([self.encode(k, f"a key of {where}"), self.encode(v, f"{where}[{k!r}]", _join(path, k))])
        return out

    def _tensor(self, t: Tensor, where: str, path: str) -> Any:
        if is_lazy(t):
            raise TypeError(f"save(): {where} has no shape yet: call the module once before saving it")
        number = self._numbers.get(id(t))
        if number is None:
            number = self._numbers[id(t)] = len(self.tensors)
            self.tensors.append((path, t))
        return {"tensor": number}

    def _array(self, a: Any, where: str, path: str) -> Any:
        if a.dtype.hasobject:
            raise TypeError(f"save(): {where} is an array of Python objects, which are not saved: save a list of them")
        if a.dtype.names is not None:
            raise TypeError(f"save(): {where} is a structured array: save its fields in a dict")
        if isinstance(a, np.generic):
            return {"scalar": [_dtype_name(a.dtype), np.asarray(a).tobytes().hex()]}
        kept = a
        if (a.dtype.kind in _RAW and a.dtype not in dtypes._BY_NUMPY) or not a.dtype.isnative:
            kept = np.frombuffer(np.asarray(a, order="C").tobytes(), np.uint8)
        elif a.dtype not in dtypes._BY_NUMPY:
            raise TypeError(f"save(): {where} is an array of type {a.dtype}, which is not saved")
        self.arrays.append((path, kept))
        return {"array": [len(self.arrays) - 1, _dtype_name(a.dtype), list(a.shape)]}


def _leaf(obj: Any, kind: type) -> Any:
    if kind is complex:
        return {"complex": [np.float64(obj.real).tobytes().hex(), np.float64(obj.imag).tobytes().hex()]}
    if kind in (bytes, bytearray):
        return {kind.__name__: base64.b64encode(obj).decode()}
    if kind is DType:
        return {"dtype": obj.name}
    if kind is Device:
        return {"device": str(obj)}
    if isinstance(obj, np.dtype) and not obj.hasobject and obj.names is None:
        return {"numpy dtype": _dtype_name(obj)}
    if kind in (slice, range):
        return {kind.__name__: [obj.start, obj.stop, obj.step]} if _whole(obj) else None
    return None


def _whole(obj: Any) -> bool:
    return all(v is None or type(v) is int for v in (obj.start, obj.stop, obj.step))


def _dtype_name(dtype: np.dtype) -> str:
    return dtype.name if dtype.isnative and dtype in dtypes._BY_NUMPY else dtype.str


def _numpy_dtype(name: str) -> np.dtype:
    return _DTYPES[name].numpy if name in _DTYPES else np.dtype(name)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _advice(obj: Any) -> str:
    name = type(obj).__name__
    article = "an" if name[:1] in "AEIOUaeiou" else "a"
    if isinstance(obj, Module) or callable(getattr(obj, "state_dict", None)):
        return f"{article} {name}, not a state: save its state_dict()"
    if isinstance(obj, Generator):
        return f"{article} {name}: save its get_state()"
    if isinstance(obj, Tensor):
        return f"{article} {name}, a class of its own: save it as_subclass(Tensor)"
    if isinstance(obj, type) or callable(obj):
        return f"{getattr(obj, '__name__', name)}, code, which is never saved: save its name"
    for base in (dict, list, tuple, set, str, int, float):
        if isinstance(obj, base):
            return f"{article} {name}, a class of its own: save {base.__name__}() of it"
    if hasattr(obj, "__dict__"):
        return f"{article} {name}, an object of its own class, which is not saved: save vars() of it"
    return f"{article} {name}, which is not saved"


# --- back -------------------------------------------------------------------------------------------------------


def decode(form: Any, tensor: Callable[[int], Stored], array: Callable[[int], Stored]) -> Any:
    """The object of a JSON form, with ``Stored`` where its tensors and arrays go."""

    def back(x: Any) -> Any:
        if type(x) is list:
            return [back(v) for v in x]
        if type(x) is not dict:
            return x
        ((tag, value),) = x.items()
        return _BACK[tag](value, back)

    def back_array(value: Any, back: Any) -> Any:
        number, name, shape = value
        found = array(number)
        found.dtype, found.shape = _numpy_dtype(name), tuple(shape)
        return found

    _BACK: dict[str, Callable[[Any, Any], Any]] = {
        **_PLAIN, "tensor": lambda v, back: tensor(v), "array": back_array
    }  # fmt: skip
    try:
        return back(form)
    except (KeyError, ValueError, TypeError, IndexError, RecursionError) as e:
        raise DamagedFileError(f"a checkpoint's structure cannot be read: {type(e).__name__}: {e}") from None


def _number(text: str) -> float:
    return float(np.frombuffer(bytes.fromhex(text), np.float64)[0])


def _pairs(items: Any, back: Any) -> list[tuple[Any, Any]]:
    return [(back(k), back(v)) for k, v in items]


def _state(items: Any, notes: Any, back: Any) -> OrderedDict[Any, Any]:
    found = OrderedDict(_pairs(items, back))
    setattr(found, NOTES, back(notes))
    return found


_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "int": lambda v, back: int(v, 16),
    "float": lambda v, back: _number(v),
    "complex": lambda v, back: complex(_number(v[0]), _number(v[1])),
    "bytes": lambda v, back: base64.b64decode(v),
    "bytearray": lambda v, back: bytearray(base64.b64decode(v)),
    "dtype": lambda v, back: _DTYPES[v],
    "device": lambda v, back: Device(v),
    "numpy dtype": lambda v, back: _numpy_dtype(v),
    "scalar": lambda v, back: np.frombuffer(bytes.fromhex(v[1]), _numpy_dtype(v[0]))[0],
    "slice": lambda v, back: slice(*v),
    "range": lambda v, back: range(*v),
    "size": lambda v, back: Size(v),
    "tuple": lambda v, back: tuple([back(x) for x in v]),
    "set": lambda v, back: {back(x) for x in v},
    "frozenset": lambda v, back: frozenset([back(x) for x in v]),
    "dict": lambda v, back: {k: back(x) for k, x in v.items()},
    "items": lambda v, back: dict(_pairs(v, back)),
    "ordered": lambda v, back: OrderedDict(_pairs(v, back)),
    "state": lambda v, back: _state(v[0], v[1], back),
    "counter": lambda v, back: Counter(dict(_pairs(v, back))),
    "defaultdict": lambda v, back: defaultdict(_FACTORIES[v[0]], _pairs(v[1], back)),
}


def text_of(form: Any) -> str:
    """JSON on one line."""
    return json.dumps(form, separators=(",", ":"), allow_nan=False)
