"""``jit.script``: functions and modules that PyTorch would translate run here as they stand, and compute the same."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

from ..compiling import SharingModule
from ..lazy.record import user_line
from ..nn import Module
from .marks import Attribute

_ARCHIVES = (
    "a TorchScript archive holds PyTorch's own program, which only PyTorch runs; keep the weights with "
    "save(module.state_dict(), file), and make the module by its Python"
)


class ScriptFunction:
    """A function with the face of a script: called, it calls the function."""

    def __init__(self, fn: Callable[..., Any], run: Callable[..., Any] | None = None) -> None:
        functools.update_wrapper(self, fn)
        self.name, self._fn, self._run = getattr(fn, "__name__", type(fn).__name__), fn, run or fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)

    @property
    def code(self) -> str:
        """The function's Python."""
        return inspect.getsource(self._fn)

    def save(self, f: Any, **options: Any) -> NoReturn:
        """NotImplementedError, as ``jit.save``."""
        save(self, f)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class ScriptModule(Module):
    """A ``Module`` that takes the value of a ``jit.Attribute``; the base of what ``jit.script`` makes of modules."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.value if isinstance(value, Attribute) else value)

    @property
    def original_name(self) -> str:
        """The name of the module's class."""
        return type(self.__dict__.get("_orig_mod", self)).__name__

    @property
    def code(self) -> str:
        """The Python of ``forward``."""
        return inspect.getsource(type(self.__dict__.get("_orig_mod", self)).forward)

    def save(self, f: Any, **options: Any) -> NoReturn:
        """NotImplementedError, as ``jit.save``."""
        save(self, f)


class StandIn(SharingModule, ScriptModule):
    """A module in whose place another goes into a model: it has its parameters and children under their own names."""

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        del self._modules["_orig_mod"]
        self.__dict__["_orig_mod"] = module
        for table in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
            self.__dict__[table] = module.__dict__[table]

    def train(self, mode: bool = True) -> Any:
        """Training mode for the module that it shares, and for itself."""
        self._orig_mod.train(mode)
        return super().train(mode)


class RecursiveScriptModule(StandIn):
    """What ``jit.script`` makes of a module: one that shares all of it."""

    def extra_repr(self) -> str:
        return f"original_name={self.original_name}"


def script(
    obj: Any, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None
) -> Any:
    """``obj`` with the face of a script, computing what it computes: it runs as the Python that it is.

    A function comes back as a ``ScriptFunction``, a module as a ``ScriptModule`` that shares its parameters and modes, a
    class, list or dict as it is. Nothing is translated, so no Python is refused, and nothing runs faster by it: the
    recorded graph is compiled in any case, and ``lazyxla.compile`` saves the Python too. TypeError for anything else.
    """
    if isinstance(obj, (ScriptFunction, ScriptModule)) or isinstance(obj, (type, list, dict, enum.Enum)):
        return obj
    if isinstance(obj, Module):
        return RecursiveScriptModule(obj)
    if inspect.isroutine(obj) or isinstance(obj, functools.partial):
        return ScriptFunction(obj)
    raise TypeError(f"jit.script(): a function, module or class is expected, not {type(obj).__name__}  ({user_line()})")


def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn`` itself, which a trace records as any other."""
    return fn


def freeze(
    mod: Any, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True, **options: Any
) -> Any:
    """The module itself, whose values XLA's programs are given each time. RuntimeError outside of eval mode."""
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(
            f"Freezing expects a ScriptModule as input, not {type(mod).__name__}: jit.script(module)  ({user_line()})"
        )
    if mod.training:
        raise RuntimeError(f"Freezing is only for modules in eval mode: module.eval()  ({user_line()})")
    return mod


def optimize_for_inference(mod: Any, other_methods: list[str] | None = None) -> Any:
    """The module in eval mode: XLA optimizes every program."""
    return mod.eval()


def save(m: Any, f: Any, _extra_files: Any = None) -> NoReturn:
    """NotImplementedError: TorchScript archives hold PyTorch's own program. Save ``m.state_dict()``."""
    raise NotImplementedError(f"jit.save(): {_ARCHIVES}  ({user_line()})")


def load(f: Any, map_location: Any = None, _extra_files: Any = None, _restore_shapes: bool = False) -> NoReturn:
    """NotImplementedError: TorchScript archives hold PyTorch's own program. Make the module, and load its weights."""
    raise NotImplementedError(f"jit.load(): {_ARCHIVES}  ({user_line()})")


for _f in (save, load):
    _f.refused = "TorchScript archives"  # type: ignore[attr-defined, union-attr]  # tests/coverage.py reads it

__all__ = ["RecursiveScriptModule", "ScriptFunction", "ScriptModule", "StandIn", "freeze", "load",
    "optimize_for_inference", "save", "script", "script_if_tracing"]  # fmt: skip
