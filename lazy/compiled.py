"""``compile``: a function recorded once for each kind of arguments, and from then on run without running its Python."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import devices
from . import dtypes, levels, metrics, precision
from .record import mode, user_line
from .replay import starts
from .replay.capture import Capture, settle
from .replay.guards import guards_of
from .replay.inlay import Inlay
from .replay.linker import Linker, is_live
from .replay.state import S
from .replay.trace import Stale, Trace
from .replay.trees import flatten, rebuild
from .sync_points import lock, run_compiled, run_recorded, sync
from .tensors import Tensor

SIGNATURES = 16  # kept for each function, those used last
CHURN = 8  # recordings of one function after which it is said that there are many


class Compiled:
    """A function as a program. See ``compile``."""

    def __init__(self, fn: Callable[..., Any], dynamic: Mapping[str, int] | None = None) -> None:
        functools.update_wrapper(self, fn)
        self.fn, self.dynamic = fn, dict(dynamic or {})
        self.name = getattr(fn, "__qualname__", type(fn).__name__)
        self.traces: OrderedDict[Any, list[Trace]] = OrderedDict()
        self.plain: set[Any] = set()  # signatures whose results are differentiated from outside
        self.recordings = 0
        self._padding = Padding(fn, self.dynamic) if self.dynamic else None

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else functools.partial(self, owner)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """A decorated function by its name; else another of the same function, with nothing recorded."""
        found: Any = sys.modules.get(getattr(self.fn, "__module__", ""))
        for name in self.name.split("."):
            found = getattr(found, name, None)
        return self.name if found is self else (Compiled, (self.fn, self.dynamic))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(S.player, (Capture, Inlay)) or mode.eager or S.inside or levels.active:
            return self.fn(*args, **kwargs)  # part of another recording, or to be looked at op by op
        if not starts.enabled[0]:
            return self.fn(*args, **kwargs)
        if getattr(S.player, "owner", None) not in (None, threading.get_ident()):
            return self.fn(*args, **kwargs)  # another thread is in the middle of a segment
        with lock:
            if self._padding is not None:
                return self._padding.call(self._call, args, kwargs)
            return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves: list[Any] = []
        structure = flatten((args, kwargs), leaves)
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        defaults = dtypes.get_default_dtype(), devices.get_default_device()
        key = (structure, tuple(self._described(leaves)), mode.grad, mode.cast, *defaults, precision.current[0])
        if key in self.plain:
            return self.fn(*args, **kwargs)
        for t in tensors:
            settle(t)
        sync(f"call of {self.name}, which is compiled")
        known = self.traces.get(key, ())
        why = ""
        for trace in known:
            try:
                out = run_compiled(functools.partial(trace.run, tensors))
            except Stale as e:
                why = why or str(e)
                continue
            self.traces.move_to_end(key)
            metrics.count("compiled_calls")
            return out
        return self._record(key, args, kwargs, leaves, why)

    def _described(self, leaves: list[Any]) -> list[Any]:
        """What makes one argument the same kind as another. TypeError for what cannot be part of a signature."""
        found: list[Any] = []
        first: dict[int, int] = {}
        for i, x in enumerate(leaves):
            if isinstance(x, Tensor):
                found.append((x._aval(), x.requires_grad, first.setdefault(id(x), i)))
            elif isinstance(x, np.ndarray):
                raise TypeError(
                    f"{self.name} is compiled: a NumPy array among its arguments is neither a tensor nor a static value. Make "
                    f"it a tensor first  ({user_line()})"
                )
            else:
                try:
                    hash(x)
                except TypeError:
                    raise TypeError(
                        f"{self.name} is compiled: an argument of type {type(x).__name__} cannot be part of its signature; "
                        f"tensors and hashable values can  ({user_line()})"
                    ) from None
                found.append((type(x), x))
        return found

    def _record(self, key: Any, args: Any, kwargs: Any, leaves: list[Any], why: str) -> Any:
        why = why or self._difference(key)
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        static = [x for x in leaves if not isinstance(x, Tensor)]
        before = [(g.what, g.contents) for g in guards_of(self.fn, static)]
        capture = Capture(self.name)
        for t in tensors:
            capture.meets(t)
        for x in (*static, getattr(self.fn, "__self__", None)):
            if hasattr(x, "_modules"):
                capture.uses(x)
        S.set_player(capture)
        try:
            out = self.fn(*args, **kwargs)
        except BaseException:
            capture.take_back()
            raise
        finally:
            capture.closes()
            S.set_player(None)  # what is pending belongs to no script
        results: list[Any] = []
        structure = flatten(out, results)
        changed = [t for seen in capture.seen.values() if (t := seen.tensor()) is not None]
        if any(is_live(t) for t in (*results, *changed)):
            self.plain.add(key)
            return out
        linker = Linker(capture, tensors, structure, results)
        if linker.entangled:
            self.plain.add(key)
            return out
        # what the function itself changes says nothing about another call
        guards = [g for g in guards_of(self.fn, static) if (g.what, g.contents) in before]
        trace = linker.after(run_recorded([n for n in linker.wanted if n.buffer is None]))
        trace.guards = guards
        self.traces[key] = [trace, *self.traces.get(key, [])][:SIGNATURES]
        self.traces.move_to_end(key)
        while len(self.traces) > SIGNATURES:
            self.traces.popitem(last=False)
        self._told(why)
        return out

    def _told(self, why: str) -> None:
        self.recordings += 1
        metrics.recorded(self.name, why)
        if self.recordings == CHURN:
            warnings.warn(
                f"{self.name} was recorded {CHURN} times, last because {why}. Each recording runs its Python and may compile: "
                "pass what varies as a tensor (a number too), keep shapes equal, or allow `dynamic=`.",
                RuntimeWarning, stacklevel=5,
            )  # fmt: skip

    def _difference(self, key: Any) -> str:
        if not self.traces:
            return "first call"
        other = next(reversed(self.traces))
        if other[0] != key[0]:
            return "the arguments have another structure"
        for i, (a, b) in enumerate(zip(key[1], other[1])):
            if a != b:
                if isinstance(b[0], type) and not isinstance(a[0], type):
                    return f"argument {i} is a tensor now"
                if isinstance(a[0], type):
                    return f"argument {i} is {a[1]!r}, was {b[1]!r}"
                if a[0] is not b[0]:
                    return f"argument {i} is {a[0]!r} on {a[0].device}, was {b[0]!r} on {b[0].device}"
                return f"argument {i} requires grad or not, or is another argument too"
        return "grad mode, autocast, default dtype, default device or precision of products is another"


class Padding:
    """Arguments padded with zeros to the next power of two along the dims that may vary, and results cut back."""

    def __init__(self, fn: Callable[..., Any], dims: dict[str, int]) -> None:
        import inspect

        self.signature, self.dims = inspect.signature(fn), dims
        unknown = [name for name in dims if name not in self.signature.parameters]
        if unknown:
            raise TypeError(f"dynamic= names {unknown[0]!r}, which is no argument of {fn.__qualname__}{self.signature}")

    def call(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from .functions.joining import cat

        bound = self.signature.bind(*args, **kwargs)
        sizes: dict[tuple[int, int], int] = {}  # dim and padded size -> size
        for name, dim in self.dims.items():
            x = bound.arguments.get(name)
            if not isinstance(x, Tensor):
                raise TypeError(f"dynamic= names {name!r}, which is no tensor but {type(x).__name__}  ({user_line()})")
            n = x.shape[dim]
            size = 1 << max(n - 1, 0).bit_length()
            sizes[dim % x.ndim, size] = n
            if size != n:
                shape = list(x.shape)
                shape[dim] = size - n
                bound.arguments[name] = cat([x, x.new_zeros(shape)], dim)
        out = f(bound.args, bound.kwargs)
        leaves: list[Any] = []
        structure = flatten(out, leaves)
        cut = iter([self._cut(x, sizes) for x in leaves])
        return rebuild(structure, lambda: next(cut))

    def _cut(self, x: Any, sizes: dict[tuple[int, int], int]) -> Any:
        if isinstance(x, Tensor):
            for (dim, padded), n in sizes.items():
                if dim < x.ndim and x.shape[dim] == padded != n:
                    x = x.narrow(dim, 0, n)
        return x


def compile(
    fn: Callable[..., Any] | None = None, *, dynamic: Mapping[str, int] | None = None
) -> Any:
    """``fn`` as a program: recorded once for each kind of arguments, then run without running its Python.

    A decorator and a call, for functions and bound methods (modules: ``lazyxla.compile``). Tensors among the arguments
    (in tuples, lists and dicts) may have other values at each call; other shapes, dtypes, devices, static values, train or
    eval modes record anew, and ``lx.metrics`` says why. Parameters, buffers, ``.grad``s, optimizer state and random state
    that the function reads or changes are found by watching the recording; old values are given to XLA for the new.

    ``dynamic={"x": 0}`` pads argument ``x`` with zeros along dim 0 to the next power of two, and cuts results whose dim 0
    has that size: for functions whose rows do not influence each other.

    Raises RuntimeError, with everything as it was, where the function reads a value or does what cannot be done again
    without Python. PyTorch's other options are accepted by ``lazyxla.compile``
    and mean nothing here.
    """
    if fn is None:
        return lambda f: compile(f, dynamic=dynamic)
    if isinstance(fn, Compiled):
        return fn
    if not callable(fn):
        raise TypeError(f"compile() takes a function, not {type(fn).__name__}  ({user_line()})")
    return Compiled(fn, dynamic)


__all__ = ["Compiled", "compile"]
