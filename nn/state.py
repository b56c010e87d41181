"""State dicts: a module's tensors by name, and loading them back with everything checked before anything changes."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..lazy import Tensor
from ..lazy.functions.creation import tensor as tensor_of
from ..lazy.overrides import ANY_TENSOR
from .parameter import Parameter, is_lazy

EXTRA = "_extra_state"
NOTES = "_metadata"  # an attribute of state dicts: by module, the version that wrote it


class IncompatibleKeys(namedtuple("_IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
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


class Stateful:
    """What modules have of a state. A subclass says what more is in it (``get_extra_state``), or how it reads what was written
    before it changed (``_load_from_state_dict``)."""

    _version = 1  # of what ``state_dict`` holds
    _state_of_later: tuple[str, ...] = ()  # names that state dicts of before ``_version`` may lack

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers by name, detached unless ``keep_vars``; they share the module's memory."""
        return _saved(self, destination, prefix, keep_vars)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy tensors (or NumPy arrays) in by name; with ``assign``, take them over.

        Raises RuntimeError for shapes that differ and, if ``strict``, for missing and unexpected names; then nothing
        has changed.
        """
        return _loaded(self, state_dict, strict, assign)

    def get_extra_state(self) -> Any:
        """What a subclass wants in its state dict beside tensors."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: Any) -> None:
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be called.")

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Put what is this module's own, not its children's, into ``destination``."""
        for name, t in _own(self):
            destination[prefix + name] = t if keep_vars else t.detach()
        if _has_extra(self, "get_extra_state"):
            destination[prefix + EXTRA] = self.get_extra_state()

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Find what is this module's own in ``state_dict``, which a subclass may have changed before. It is written when all
        modules have found theirs. ``local_metadata`` has the ``_version`` that wrote it, as 'version', where it is known."""
        under_way = _under_way.get()
        loading = under_way or _Loading()
        for name, t in _own(self):
            key = prefix + name
            loading.known.add(key)
            if key not in state_dict:
                if name not in self._state_of_later or (local_metadata.get("version") or 0) >= self._version:
                    missing_keys.append(key)
                continue
            value = _checked(key, state_dict[key], t, error_msgs, bool(local_metadata.get("assign_to_params_buffers")))
            if value is not None:
                loading.writes.append((self, name, t, value))
        if _has_extra(self, "set_extra_state") or _has_extra(self, "get_extra_state"):
            loading.known.add(prefix + EXTRA)
            if prefix + EXTRA in state_dict:
                loading.extras.append((self, state_dict[prefix + EXTRA]))
            else:
                missing_keys.append(prefix + EXTRA)
        if under_way is None:
            loading.write(bool(local_metadata.get("assign_to_params_buffers")))


class _Loading:
    """What a ``load_state_dict`` has found so far."""

    def __init__(self) -> None:
        self.writes: list[tuple[Any, str, Tensor, Tensor]] = []
        self.extras: list[tuple[Any, Any]] = []
        self.known: set[str] = set()  # names that belong to a module

    def write(self, assign: bool) -> None:
        _write(self.writes, assign)
        for module, extra in self.extras:
            module.set_extra_state(extra)


_under_way: ContextVar[_Loading | None] = ContextVar("_under_way", default=None)


def _has_extra(module: Any, method: str) -> bool:
    """Whether the module's class says what its extra state is."""
    return getattr(type(module), method) is not getattr(Stateful, method)


def _saved(module: Any, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """The state of a module and its children, into ``destination`` (a new OrderedDict for None)."""
    if destination is None:
        destination = OrderedDict()
        setattr(destination, NOTES, OrderedDict())
    notes = {"version": module._version}
    if hasattr(destination, NOTES):
        getattr(destination, NOTES)[prefix[:-1]] = notes
    for hook in list(module._state_dict_pre_hooks.values()):
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in list(module._state_dict_hooks.values()):
        found = hook(module, destination, prefix, notes)
        if found is not None:
            destination = found
    return destination


def _loaded(module: Any, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy a state dict into a module; RuntimeError, with nothing changed, where the two do not fit."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    state = OrderedDict(state_dict)
    notes = getattr(state_dict, NOTES, None) or {}
    loading, missing, errors = _Loading(), list[str](), list[str]()
    unexpected: list[str] = []
    modules = [(prefix, m, dict(notes.get(prefix[:-1], {}))) for prefix, m in _walk(module, "")]
    outer = _under_way.set(loading)
    try:
        for prefix, m, note in modules:
            if assign:
                note["assign_to_params_buffers"] = True
            for hook in list(m._load_state_dict_pre_hooks.values()):
                hook(m, state, prefix, note, strict, missing, unexpected, errors)
        for prefix, m, note in modules:
            m._load_from_state_dict(state, prefix, note, strict, missing, unexpected, errors)
    finally:
        _under_way.reset(outer)
    unexpected += [key for key in state if key not in loading.known and key not in unexpected]
    if strict:
        if unexpected:
            errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        if missing:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    if errors:
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(errors))
    loading.write(assign)
    found = IncompatibleKeys(missing, unexpected)
    for _, m, _ in reversed(modules):
        for hook in list(m._load_state_dict_post_hooks.values()):
            hook(m, found)
    return found


def _walk(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Each module with its prefix; one that is held twice comes twice, as its names do."""
    yield prefix, module
    for name, child in module._modules.items():
        if child is not None:
            yield from _walk(child, f"{prefix}{name}.")


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{k}"' for k in keys)


def _checked(key: str, value: Any, t: Tensor, errors: list[str], assign: bool) -> Tensor | None:
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
    if value.is_meta and not t.is_meta and not assign:
        errors.append(
            f'While copying the parameter named "{key}", whose dimensions in the model are {t.shape} and whose dimensions in '
            f"the checkpoint are {value.shape}, an exception occurred : Cannot copy out of meta tensor; no data!"
        )
        return None
    if t.is_meta and not value.is_meta and not assign:
        warnings.warn(
            f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the current model, which "
            "is a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to their corresponding "
            "key in the module instead of copying them in place?)",
            UserWarning, stacklevel=5,
        )  # fmt: skip
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
