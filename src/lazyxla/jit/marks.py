"""What programs write for PyTorch's script compiler: true of Python, which is what runs here, and without effect on it."""

from __future__ import annotations

import builtins
import threading
import types
import typing
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Union

from ..futures import Future

__all__ = ["Attribute", "Final", "TracerWarning", "annotate", "enable_onednn_fusion", "export", "fork", "ignore",
    "interface", "is_scripting", "is_tracing", "isinstance", "onednn_fusion_enabled", "optimized_execution",
    "script_method", "set_fusion_strategy", "strict_fusion", "unused", "wait"]  # fmt: skip


class TracerWarning(Warning):
    """Said by ``jit.trace`` where a traced function did not give again what it gave."""

    @staticmethod
    def ignore_lib_warnings() -> None:
        """Hide these warnings."""
        warnings.filterwarnings("ignore", category=TracerWarning)


class Attribute(NamedTuple):
    """A value with its type; a ``ScriptModule`` that it is assigned to takes the value."""

    value: Any
    type: Any


class _Tracing(threading.local):
    depth = 0


tracing = _Tracing()


def is_scripting() -> bool:
    """False: scripts run as the Python that they are."""
    return False


def is_tracing() -> bool:
    """Whether ``jit.trace`` is recording the function that runs."""
    return tracing.depth > 0


def annotate(the_type: Any, the_value: Any) -> Any:
    """``the_value``."""
    return the_value


def export(fn: Any) -> Any:
    """``fn`` itself."""
    return fn


script_method = interface = unused = export


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A decorator, with or without arguments: the function itself."""
    return drop if callable(drop) else export


def isinstance(obj: Any, target_type: Any) -> bool:
    """``isinstance`` that looks into lists, dicts, tuples and optional values too: ``isinstance(x, list[int])``."""
    if target_type is Any:
        return True
    origin, parts = typing.get_origin(target_type), typing.get_args(target_type)
    if builtins.isinstance(target_type, tuple) or origin in (Union, types.UnionType):
        return any(isinstance(obj, t) for t in (target_type if origin is None else parts))
    if target_type is None:
        return obj is None
    if origin is None:
        return builtins.isinstance(obj, target_type)
    if not builtins.isinstance(obj, origin):
        return False
    if origin is dict:
        return all(isinstance(k, parts[0]) and isinstance(v, parts[1]) for k, v in obj.items())
    if origin is tuple and not (len(parts) == 2 and parts[1] is ...):
        return len(obj) == len(parts) and all(isinstance(x, t) for x, t in zip(obj, parts))
    return all(isinstance(x, parts[0]) for x in obj)


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
    """A future that is done: outside of a script, PyTorch's too calls ``func`` at once."""
    out = Future()
    out.set_result(func(*args, **kwargs))
    return out


def wait(future: Future) -> Any:
    """The value of a future of ``fork``."""
    return future.wait()


_onednn = {"on": False}


def enable_onednn_fusion(enabled: bool) -> None:
    """Kept, without effect: XLA fuses what pays."""
    _onednn["on"] = bool(enabled)


def onednn_fusion_enabled() -> bool:
    """What was set."""
    return _onednn["on"]


_strategy: list[list[tuple[str, int]]] = [[("STATIC", 2), ("DYNAMIC", 10)]]


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Kept, without effect; returns what was set before."""
    _strategy.append(list(strategy))
    return _strategy.pop(0)


@contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """Without effect: XLA always optimizes."""
    yield


class strict_fusion:
    """Without effect: XLA decides what it fuses."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *_: Any) -> None:
        """End."""
