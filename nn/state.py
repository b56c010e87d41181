"""State dicts: a module's tensors by name, and loading them back with everything checked before anything changes."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..lazy import Tensor
from ..lazy.functions.creation import tensor as tensor_of
from ..lazy.overrides import ANY_TENSOR
from .parameter import Parameter, is_lazy

EXTRA = "_extra_state"


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What ``load_state_dict`` found that did not match."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def _own(module: Any) -> Iterator[tuple[str, Tensor]]:
    """A module's parameters and persistent buffers."""
    for name, p in module._parameters.items():
        if p is not None:
            yield name, p
    for name, b in module._buffers.items():
        if b is not None and name not in module._non_persistent_buffers_set:
            yield name, b


def _has_extra(module: Any, method: str) -> bool:
    """Whether the module's class says what its extra state is."""
    from .module import Module

    return getattr(type(module), method) is not getattr(Module, method)


def save(module: Any, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """The state of a module and its children, into ``destination`` (a new OrderedDict for None)."""
    if destination is None:
        destination = OrderedDict()
    for hook in list(module._state_dict_pre_hooks.values()):
        hook(module, prefix, keep_vars)
    for name, t in _own(module):
        destination[prefix + name] = t if keep_vars else t.detach()
    if _has_extra(module, "get_extra_state"):
        destination[prefix + EXTRA] = module.get_extra_state()
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in list(module._state_dict_hooks.values()):
        found = hook(module, destination, prefix, {})
        if found is not None:
            destination = found
    return destination


def load(module: Any, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy a state dict into a module; RuntimeError, with nothing changed, where the two do not fit."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    state = OrderedDict(state_dict)
    writes: list[tuple[Any, str, Tensor, Tensor]] = []
    extras: list[tuple[Any, Any]] = []
    known: set[str] = set()
    missing: list[str] = []
    errors: list[str] = []
    modules = list(_walk(module, ""))
    for prefix, m in modules:
        for hook in list(m._load_state_dict_pre_hooks.values()):
            hook(m, state, prefix, {}, strict, missing, [], errors)
    for prefix, m in modules:
        for name, t in _own(m):
            key = prefix + name
            known.add(key)
            if key not in state:
                if name not in m._state_of_later or _version(state_dict, prefix) >= m._version:
                    missing.append(key)
                continue
            value = _checked(key, state[key], t, errors)
            if value is not None:
                writes.append((m, name, t, value))
        if _has_extra(m, "set_extra_state") or _has_extra(m, "get_extra_state"):
            known.add(prefix + EXTRA)
            if prefix + EXTRA in state:
                extras.append((m, state[prefix + EXTRA]))
            else:
                missing.append(prefix + EXTRA)
    unexpected = [key for key in state if key not in known]
    if strict:
        if unexpected:
            errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        if missing:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    if errors:
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(errors))
    _write(writes, assign)
    for m, extra in extras:
        m.set_extra_state(extra)
    found = IncompatibleKeys(missing, unexpected)
    for _, m in reversed(modules):
        for hook in list(m._load_state_dict_post_hooks.values()):
            hook(m, found)
    return found


def _version(state_dict: Any, prefix: str) -> int:
    """That of the module which wrote this part of a state dict, where PyTorch noted it."""
    notes = getattr(state_dict, "_metadata", None) or {}
    return notes.get(prefix[:-1], {}).get("version") or 0


def _walk(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Each module with its prefix; one that is held twice comes twice, as its names do."""
    yield prefix, module
    for name, child in module._modules.items():
        if child is not None:
            yield from _walk(child, f"{prefix}{name}.")


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{k}"' for k in keys)


def _checked(key: str, value: Any, t: Tensor, errors: list[str]) -> Tensor | None:
    """The value as a tensor that fits ``t``; None, with a line in ``errors``, where it does not."""
    if isinstance(value, np.ndarray | np.generic):
        try:
            value = tensor_of(value)
        except (TypeError, ValueError) as e:
            errors.append(f'While copying the parameter named "{key}", an exception occurred : {e}.')
            return None
    if not isinstance(value, ANY_TENSOR):
        errors.append(
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint '
            "but "
            f"received {type(value)}"
        )
        return None
    if is_lazy(value) and is_lazy(t):
        return None
    if tuple(value.shape) != tuple(t.shape):
        errors.append(
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in current "
            "model "
            f"is {t.shape}."
        )
        return None
    if value.is_complex() and not t.is_complex():
        errors.append(f"type mismatch for {key}: copying a {value.dtype} from checkpoint into a {t.dtype}.")
        return None
    return value


def _write(writes: list[tuple[Any, str, Tensor, Tensor]], assign: bool) -> None:
    with no_grad():
        for module, name, t, value in writes:
            if not assign:
                t.copy_(value)
            elif name in module._parameters:
                requires = t.requires_grad and (value.is_floating_point() or value.is_complex())
                module._parameters[name] = value if isinstance(value, Parameter) else Parameter(value, requires)
            else:
                module._buffers[name] = value
