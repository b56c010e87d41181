"""``lazyxla.compile`` for functions, bound methods and modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import lazy
from .nn import Module


class SharingModule(Module):
    """A module that shares all of ``_orig_mod``: parameters, buffers, modes, attributes, state dict."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._orig_mod = module
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        module = own["_orig_mod"] if "_orig_mod" in own else own.get("_modules", {}).get("_orig_mod")
        if module is None:  # while it is copied or unpickled
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}' yet")
        return module if name == "_orig_mod" else getattr(module, name)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        return self._orig_mod.named_parameters(*args, **kwargs)

    def named_buffers(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        return self._orig_mod.named_buffers(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self._orig_mod.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self._orig_mod.load_state_dict(*args, **kwargs)


class CompiledModule(SharingModule):
    """A module whose calls run as a program."""

    def __init__(self, module: Module, dynamic: Mapping[str, int] | None = None) -> None:
        super().__init__(module)
        module.compile(dynamic=dynamic)


def compile(
    model: Module | Callable[..., Any] | None = None, *, dynamic: Mapping[str, int] | bool | None = None,
    fullgraph: bool = False, backend: Any = None, mode: Any = None, options: Any = None, disable: bool = False,
) -> Any:  # fmt: skip
    dims = dynamic if isinstance(dynamic, Mapping) else None
    if model is None:
        return lambda f: compile(f, dynamic=dims, disable=disable)
    if disable:
        return model
    if isinstance(model, Module):
        return CompiledModule(model, dims)
    return lazy.compile(model, dynamic=dims)


compile.__doc__ = (lazy.compile.__doc__ or "") + """
    A module comes back as one that shares all of it and runs as a program when it is called.
    """
