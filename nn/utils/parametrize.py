"""Parametrizations: a parameter that is a function of others, computed whenever it is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from ...autograd import no_grad
from ...lazy import Tensor
from ..containers import ModuleDict, ModuleList
from ..functional._common import error
from ..module import Module
from ..parameter import Parameter

_cache: dict[tuple[int, str], Tensor] = {}
_depth = [0]


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized tensor is computed once."""
    _depth[0] += 1
    try:
        yield
    finally:
        _depth[0] -= 1
        if not _depth[0]:
            _cache.clear()


def _register(module: Module, name: str, t: Tensor) -> None:
    if isinstance(t, Parameter):
        module.register_parameter(name, t)
    else:
        module.register_buffer(name, t)


class ParametrizationList(ModuleList):
    """The functions that a tensor goes through, and what they start from: ``original``, or ``original0``,
    ``original1``... where the first takes several."""

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = tuple(original.shape), original.dtype
        new: Any = original
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with contextlib.suppress(NotImplementedError):
                        new = module.right_inverse(new)
        if not isinstance(new, Tensor | Sequence):
            raise error(
                ValueError,
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got "
                f"{type(new).__name__}",
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if isinstance(new, Tensor) else len(new)
        if isinstance(new, Tensor):
            if new.dtype is not dtype:
                raise error(
                    ValueError,
                    f"When `right_inverse` outputs one tensor, it may not change the dtype.\noriginal.dtype: {dtype}\n"
                    f"right_inverse(original).dtype: {new.dtype}",
                )
            _take(original, new)
            _register(self, "original", original)
        else:
            for i, t in enumerate(new):
                if not isinstance(t, Tensor):
                    raise error(
                        ValueError,
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got element "
                        f"{i} of the sequence with type {type(t).__name__}.",
                    )
                own = Parameter(t.detach(), original.requires_grad) if isinstance(original, Parameter) else t
                _register(self, f"original{i}", own)
        if not unsafe:
            found = self()
            _same(found, dtype, shape, "Registering a parametrization may not change the {} of the tensor, unless "
                  "`unsafe` flag is enabled.\nunparametrized {}: {}\nparametrized {}: {}")  # fmt: skip

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the functions give ``value``; RuntimeError where one has no way back."""
        with no_grad():
            for module in reversed(list(self._functions())):
                if not hasattr(module, "right_inverse"):
                    raise error(
                        RuntimeError, f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            values = [value] if self.is_tensor else list(value)
            if len(values) != self.ntensors:
                raise error(
                    ValueError,
                    f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of "
                    f"length {len(values)}.",
                )
            for own, new in zip(self._originals(), values):
                if own.dtype is not new.dtype:
                    raise error(
                        ValueError,
                        f"The tensor returned by `right_inverse` has dtype {new.dtype} while `original` has dtype "
                        f"{own.dtype}",
                    )
                _take(own, new)

    def _functions(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def _originals(self) -> list[Tensor]:
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Tensor:
        values: Any = self._originals()
        for module in self._functions():
            values = [module(*values)]
        return values[0]


def _take(t: Tensor, new: Tensor) -> None:
    """A new value for a tensor that optimizers may know already."""
    if new is not t:
        t.data = new.detach().clone()


def _same(found: Any, dtype: Any, shape: tuple[int, ...], words: str) -> None:
    if not isinstance(found, Tensor):
        raise error(ValueError, f"A parametrization must return a tensor. Got {type(found).__name__}.")
    for what, new, old in (("dtype", found.dtype, dtype), ("shape", tuple(found.shape), shape)):
        if new != old:
            raise error(ValueError, words.format(what, what, old, what, new))


def _inject(module: Module, name: str) -> None:
    """Make the tensor a property of the module's own class."""

    def read(self: Any) -> Tensor:
        parametrization = self.parametrizations[name]
        if not _depth[0]:
            return parametrization()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = parametrization()
        return _cache[key]

    def write(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Have a parameter or buffer be ``parametrization(what it was)`` from now on; a second one comes after the first.

    If ``parametrization`` has a ``right_inverse``, assigning to the tensor sets what it is computed from. Unless
    ``unsafe``, ValueError where dtype or shape would change.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        own = module.parametrizations[tensor_name]
        if not unsafe:
            before = getattr(module, tensor_name)
            words = (
                "Registering a parametrization may not change the {} of the tensor, unless the `unsafe` flag is "
                f"enabled.\nmodule.{tensor_name}.{{}}: {{}}\nparametrization(module.{tensor_name}).{{}}: {{}}"
            )
            _same(parametrization(before), before.dtype, tuple(before.shape), words)
        own.append(parametrization)
        own.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        own = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            kind = type(module)
            module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), {"__module__": kind.__module__})
            module.parametrizations = ModuleDict()
        _inject(module, tensor_name)
        module.parametrizations[tensor_name] = own
    else:
        raise error(
            ValueError,
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'",
        )
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of the module (or any) is parametrized."""
    found = module.__dict__.get("_modules", {}).get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor an ordinary one again: with the value that it has, or, if ``leave_parametrized`` is false, with
    the one it was computed from."""
    if not is_parametrized(module, tensor_name):
        raise error(ValueError, f"Module {module} does not have a parametrization on {tensor_name}")
    own = module.parametrizations[tensor_name]
    if own.is_tensor:
        original = own.original
        if leave_parametrized:
            with no_grad():
                _take(original, getattr(module, tensor_name))
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value.detach().clone()) if value.requires_grad else value
    else:
        raise error(
            ValueError,
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors.",
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The module's class as it was before anything was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Give a module the parametrizations (of one tensor, or all) of another, and the tensors they start from."""
    if is_parametrized(from_module):
        for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
            theirs = from_module.parametrizations[name]
            if not hasattr(to_module, name):
                setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
            for function in theirs._functions():
                register_parametrization(to_module, name, function)
            ours = to_module.parametrizations[name]
            for key in ["original"] if theirs.is_tensor else [f"original{i}" for i in range(theirs.ntensors)]:
                setattr(ours, key, getattr(theirs, key))
    return to_module


__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip
