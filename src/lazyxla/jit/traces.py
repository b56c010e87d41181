"""``jit.trace``: a function recorded on examples, checked against its Python, and run as ``lazyxla.compile`` runs it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import lazy as lx
from ..lazy import Tensor
from ..lazy.record import user_line
from ..nn import Module
from ..testing import assert_close
from .marks import TracerWarning, tracing
from .scripts import ScriptFunction, ScriptModule, StandIn


class _Recorded:
    """A function during whose recording ``is_tracing`` is true."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fn.forward if isinstance(fn, Module) else fn)
        # compile() looks here for the names that the function reads
        self.__wrapped__ = getattr(self.__wrapped__, "__func__", self.__wrapped__)  # type: ignore[has-type]
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tracing.depth += 1
        try:
            return self.fn(*args, **kwargs)
        finally:
            tracing.depth -= 1


class TracedModule(StandIn):
    """What ``jit.trace`` makes of a module: it shares all of it, and its methods that were traced run as programs."""

    def __init__(self, module: Module, names: Sequence[str] = ("forward",)) -> None:
        super().__init__(module)
        for name in names:
            if name != "forward":
                setattr(self, name, lx.compile(_Recorded(getattr(module, name))))
        self.__dict__["_program"] = lx.compile(_Recorded(module)) if "forward" in names else module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._program(*args, **kwargs)

    def extra_repr(self) -> str:
        return f"original_name={self.original_name}"


def _arguments(given: Any) -> tuple[Any, ...]:
    if isinstance(given, (Tensor, Mapping)):
        return (given,)
    if not isinstance(given, Sequence):
        raise TypeError(
            f"jit.trace(): example_inputs must be a tensor or a tuple of arguments, not {type(given).__name__}  "
            f"({user_line()})"
        )
    return tuple(given)


def _check(
    fn: Callable[..., Any], program: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], tolerance: float
) -> None:
    """Both with the same random numbers, which the program that is traced does not use up."""
    state = lx.public["get_rng_state"]()
    try:
        expected = fn(*args, **kwargs)
        lx.public["set_rng_state"](state)
        found = program(*args, **kwargs)
    finally:
        lx.public["set_rng_state"](state)
    try:
        assert_close(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    except AssertionError as e:
        warnings.warn(
            f"the traced function's results are not those of its Python, which computes something else each time: {e}  "
            f"({user_line()})", TracerWarning, stacklevel=3,
        )  # fmt: skip


def trace(
    func: Any, example_inputs: Any = None, optimize: Any = None, check_trace: bool = True, check_inputs: Any = None,
    check_tolerance: float = 1e-5, strict: bool = True, *, example_kwarg_inputs: Mapping[str, Any] | None = None,
    **ignored: Any,
) -> Any:  # fmt: skip
    """``func`` (a function or module) as the program that it records, as ``lazyxla.compile`` makes it.

    ``example_inputs`` are a tensor or a tuple of arguments, or ``example_kwarg_inputs`` a dict of them: the first
    signature. Other shapes, dtypes or modes are recorded when they come, where PyTorch's trace would go on with the old
    program. With ``check_trace`` the program's results on the examples, and on each tuple of ``check_inputs``, are held
    against the Python's: a ``TracerWarning`` where they differ.

    RuntimeError, with the line, where the function reads a value of a tensor: a program cannot decide by it.
    """
    if isinstance(func, (ScriptFunction, ScriptModule)):
        return func
    if (example_inputs is None) == (example_kwarg_inputs is None):
        raise RuntimeError(f"jit.trace(): example_inputs or example_kwarg_inputs must be given  ({user_line()})")
    if not callable(func):
        raise TypeError(f"jit.trace(): a function or module is expected, not {type(func).__name__}  ({user_line()})")
    made = TracedModule(func) if isinstance(func, Module) else ScriptFunction(func, lx.compile(_Recorded(func)))
    examples = [((), dict(example_kwarg_inputs))] if example_kwarg_inputs is not None else []
    examples += [(_arguments(a), {}) for a in ([] if example_inputs is None else [example_inputs, *(check_inputs or ())])]
    for args, kwargs in examples:
        _check(func, made, args, kwargs, check_tolerance) if check_trace else made(*args, **kwargs)
    return made


def trace_module(
    mod: Module, inputs: Mapping[str, Any], optimize: Any = None, check_trace: bool = True, check_inputs: Any = None,
    check_tolerance: float = 1e-5, strict: bool = True, **ignored: Any,
) -> Any:  # fmt: skip
    """``trace`` of several methods of a module: ``inputs`` has the example arguments of each by name."""
    if not isinstance(mod, Module):
        raise AttributeError(f"jit.trace_module(): expected a Module, not {type(mod).__name__}  ({user_line()})")
    if not isinstance(inputs, Mapping):
        raise AttributeError(f"jit.trace_module(): expected a dict of (method name, arguments)  ({user_line()})")
    made = TracedModule(mod, tuple(inputs))
    for examples in (inputs, *(check_inputs or ())):
        for name, given in examples.items():
            pair = (mod, made) if name == "forward" else (getattr(mod, name), getattr(made, name))
            args = _arguments(given)
            _check(*pair, args, {}, check_tolerance) if check_trace else pair[1](*args)  # type: ignore[call-arg]
    return made
