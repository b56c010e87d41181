"""What stands for a tensor or array of a checkpoint until it is wanted, and making tensors of it that share memory."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..devices import canonical
from ..lazy import Tensor
from ..lazy.functions.creation import from_host, from_numpy
from ..nn.parameter import Buffer, Parameter
from ..nn.state import NOTES
from .source import DamagedFileError


class Data:
    """Values of a file that tensors share: how they are read, and where the tensors were."""

    def __init__(self, name: str, read: Callable[[], np.ndarray], device: str = "cpu") -> None:
        self.name, self.read, self.device = name, read, device


class Stored:
    """A tensor (or NumPy array) that is not read yet.

    ``view`` is (shape, offset, strides) in elements of its data, None for all of it as it is; ``kind`` 'tensor',
    'parameter', 'buffer' or 'array'; ``attributes`` what hangs on the tensor besides.
    """

    def __init__(self, data: Data, view: Any = None, kind: str = "tensor", requires_grad: bool = False) -> None:
        self.data, self.view, self.kind, self.requires_grad = data, view, kind, requires_grad
        self.dtype: np.dtype | None = None  # of an array
        self.shape: tuple[int, ...] = ()
        self.attributes: dict[str, Any] = {}


# --- views ------------------------------------------------------------------------------------------------------


def span(view: Any) -> tuple[int, int]:
    """The first element of a view and the one after its last; ValueError for sizes that are none."""
    shape, offset, strides = view
    if len(shape) != len(strides) or not all(type(n) is int and n >= 0 for n in (*shape, offset, *strides)):
        raise ValueError(f"sizes {list(shape)}, strides {list(strides)} and offset {offset} are no view")
    if 0 in shape:
        return offset, offset
    return offset, offset + sum((n - 1) * s for n, s in zip(shape, strides)) + 1


def components(views: list[Any]) -> list[list[int]]:
    """The numbers of the views that overlap, directly or through others, together."""
    spans = [span(v) for v in views]
    found: list[list[int]] = []
    end = -1
    for i in sorted(range(len(views)), key=lambda i: spans[i]):
        if found and spans[i][0] < end:
            found[-1].append(i)
        else:
            found.append([i])
        end = max(end, spans[i][1])
    return found


def row_major(shape: Iterable[int]) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(tuple(shape)):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def _cut(array: np.ndarray, view: Any, name: str) -> np.ndarray:
    """A view of an array's elements in NumPy, within its bounds."""
    shape, offset, strides = view
    first, end = span(view)
    if end > array.size:
        raise DamagedFileError(f"'{name}': sizes {list(shape)} at {offset} need {end} elements of {array.size}")
    flat = np.asarray(array, order="C").reshape(-1)
    if strides == row_major(shape):
        return flat[first:end].reshape(shape)
    size = flat.itemsize
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, [s * size for s in strides], writeable=False)


# --- making tensors ---------------------------------------------------------------------------------------------


class Builder:
    """Makes tensors and arrays of ``Stored``, each once; those of overlapping memory stay tied."""

    def __init__(self, map_location: Any = None) -> None:
        self.map_location = map_location
        self._made: dict[int, Any] = {}
        self._kept: list[Stored] = []  # so that ids stay theirs
        self._values: dict[int, np.ndarray] = {}
        self._roots: dict[tuple[int, int], Tensor] = {}
        self._shared: dict[int, int] = {}  # id of a Stored -> number of its component, where it is not alone in it
        self._left: Counter[int] = Counter()

    def plan(self, wanted: list[Stored]) -> None:
        """Say what will be asked for, so that what overlaps nothing is read as a tensor of its own."""
        by_data: dict[int, list[Stored]] = {}
        for s in {id(s): s for s in wanted}.values():
            by_data.setdefault(id(s.data), []).append(s)
            self._left[id(s.data)] += 1
        for group in by_data.values():
            if len(group) == 1:
                continue
            whole = any(s.view is None for s in group)
            parts = [list(range(len(group)))] if whole else components([s.view for s in group])
            for number, part in enumerate(parts):
                for i in part if len(part) > 1 else ():
                    self._shared[id(group[i])] = number

    def make(self, s: Stored) -> Any:
        """The tensor or array."""
        if id(s) not in self._made:
            self._kept.append(s)
            self._made[id(s)] = self._array(s) if s.kind == "array" else self._tensor(s)
            self._left[id(s.data)] -= 1
            if not self._left[id(s.data)]:
                self._values.pop(id(s.data), None)
        return self._made[id(s)]

    def _read(self, data: Data) -> np.ndarray:
        if id(data) not in self._values:
            self._values[id(data)] = data.read()
        return self._values[id(data)]

    def _array(self, s: Stored) -> np.ndarray:
        found = self._read(s.data)
        if s.view is not None:
            found = _cut(found, s.view, s.data.name)
        if s.dtype is not None and found.dtype != s.dtype:
            found = found.view(s.dtype)
        return found.reshape(s.shape) if s.view is None else np.array(found)

    def _tensor(self, s: Stored) -> Any:
        part = self._shared.get(id(s))
        if part is None:
            values = self._read(s.data)
            values = values if s.view is None else _cut(values, s.view, s.data.name)
            t = self._placed(np.asarray(values, order="C"), s.data)
        else:
            key = id(s.data), part
            if key not in self._roots:
                self._roots[key] = self._placed(self._read(s.data), s.data)
            t = _seen(self._roots[key], s)
        if s.kind == "parameter":
            t = Parameter(t, s.requires_grad)
        elif s.kind == "buffer":
            t = Buffer(t)
        if s.requires_grad and not t.requires_grad:
            t.requires_grad_()
        for name, value in s.attributes.items():
            if not hasattr(type(t), name):
                t.__dict__[name] = self.replace(value)
        return t

    def _placed(self, values: np.ndarray, data: Data) -> Tensor:
        where = self._place(values, data)
        if isinstance(where, Tensor):
            return where
        return from_numpy(values) if where.type == "cpu" and not where.index else from_host(values, where)

    def _place(self, values: np.ndarray, data: Data) -> Any:
        """The device for values that were on another; a tensor where ``map_location`` is a function that gives one."""
        wanted, given = data.device, self.map_location
        if callable(given):
            found = given(from_numpy(values), wanted)
            if isinstance(found, Tensor):
                return found
            given = found
        elif isinstance(given, dict):
            given = next((v for k, v in given.items() if str(k) == wanted), None)
        if given is not None:
            return canonical(given)
        try:
            return canonical(wanted)
        except RuntimeError as e:
            raise RuntimeError(
                f"load(): '{data.name}' was saved on device '{wanted}', which is not to be had here: pass "
                f"map_location='cpu' or another device's name ({e})"
            ) from None

    # --- whole structures ---

    def replace(self, obj: Any) -> Any:
        """A structure with tensors in the place of all that is stored."""
        return replaced(obj, self.make)


def _seen(root: Tensor, s: Stored) -> Tensor:
    """A view of the values that several tensors share."""
    if s.view is None:
        return root.detach()
    shape, offset, strides = s.view
    first, end = span(s.view)
    if end > root.numel():
        raise DamagedFileError(f"'{s.data.name}': sizes {list(shape)} at {offset} need {end} of {root.numel()} elements")
    if strides != row_major(shape):
        return root.detach().as_strided(shape, strides, offset)
    if (first, end) == (0, root.numel()):
        return root.detach().view(*shape) if tuple(root.shape) != tuple(shape) else root.detach()
    return root.detach().view(-1)[first:end].view(*shape)


class Held:
    """A value that is known only after others refer to it."""

    def __init__(self, value: Any = None) -> None:
        self.value = value


def replaced(obj: Any, make: Callable[[Stored], Any]) -> Any:
    """A copy of a structure with ``make(s)`` for each ``Stored``; what is the same in it stays the same."""
    done: dict[int, Any] = {}
    busy: set[int] = set()

    def go(x: Any) -> Any:
        kind = type(x)
        if kind is Stored:
            return make(x)
        if isinstance(x, Held):
            return go(x.value)
        if kind not in _CONTAINERS:
            return x
        if id(x) in done:
            return done[id(x)]
        if id(x) in busy:
            raise DamagedFileError("a checkpoint's structure contains itself")
        busy.add(id(x))
        if kind in _MAPPINGS:
            items = [(go(k), go(v)) for k, v in x.items()]
            out: Any = defaultdict(x.default_factory, items) if kind is defaultdict else kind(dict(items))  # type: ignore[call-overload]
            if kind is OrderedDict and hasattr(x, NOTES):
                setattr(out, NOTES, getattr(x, NOTES))
        else:
            out = kind([go(v) for v in x])
        done[id(x)] = out
        return out

    return go(obj)


_MAPPINGS = (dict, OrderedDict, Counter, defaultdict)
_CONTAINERS = (*_MAPPINGS, list, tuple, set, frozenset)
_NOTHING: Any = object()


def collect(obj: Any) -> list[Stored]:
    """All that is stored in a structure."""
    found: list[Stored] = []
    replaced(obj, found.append)
    return found


def chosen(obj: Any, only: Any) -> Any:
    """The part of nested dicts whose paths ``only`` takes: a prefix, several, or a function of 'key.key'.

    KeyError where that is nothing.
    """
    if callable(only):
        takes = only
    else:
        prefixes = (only,) if isinstance(only, str) else tuple(only)
        takes = lambda path: any(path == p or path.startswith(p if p.endswith(".") else p + ".") for p in prefixes)

    def go(x: Any, path: str) -> Any:
        if path and takes(path):
            return x
        if type(x) not in _MAPPINGS:
            return _NOTHING
        parts = {k: go(v, f"{path}.{k}" if path else str(k)) for k, v in x.items()}
        parts = {k: v for k, v in parts.items() if v is not _NOTHING}
        return (parts if type(x) is not OrderedDict else OrderedDict(parts)) if parts else _NOTHING

    found = go(obj, "")
    if found is _NOTHING:
        top = ", ".join(map(str, list(obj)[:12])) if isinstance(obj, dict) else type(obj).__name__
        raise KeyError(f"load(): only={only!r} is no part of this checkpoint, which has: {top}")
    return found

