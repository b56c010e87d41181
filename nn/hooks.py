"""Hooks of modules: what runs before and after ``forward``, and around the backward pass of a module."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..autograd import Function
from ..lazy import Tensor
from ..lazy.hooks import RemovableHandle

# The hooks of all modules, in tables as each module has of its own; and a note of each that is called.
EVERYWHERE: dict[str, dict[int, Any]] = {
    f"_{table}": {}
    for table in """
        forward_hooks forward_pre_hooks backward_hooks backward_pre_hooks forward_hooks_with_kwargs
        forward_hooks_always_called forward_pre_hooks_with_kwargs
    """.split()
}
everywhere: dict[int, bool] = {}


def _both(module: Any, table: str) -> dict[int, Any]:
    """The hooks in force for a module: those of all modules, then its own."""
    return {**EVERYWHERE[table], **getattr(module, table)}


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """``Module.register_forward_hook`` for all modules. Such hooks come before a module's own."""
    notes = [EVERYWHERE["_forward_hooks_with_kwargs"]] * with_kwargs
    notes += [EVERYWHERE["_forward_hooks_always_called"]] * always_call
    return register(EVERYWHERE["_forward_hooks"], hook, notes=[everywhere, *notes])


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``Module.register_forward_pre_hook`` for all modules."""
    return register(EVERYWHERE["_forward_pre_hooks"], hook, notes=[everywhere])


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``Module.register_full_backward_hook`` for all modules."""
    return register(EVERYWHERE["_backward_hooks"], hook, notes=[everywhere])


register_module_backward_hook = register_module_full_backward_hook


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``Module.register_full_backward_pre_hook`` for all modules."""
    return register(EVERYWHERE["_backward_pre_hooks"], hook, notes=[everywhere])


def register(
    table: dict[int, Any], hook: Any, prepend: bool = False, notes: Sequence[dict[int, bool]] = ()
) -> RemovableHandle:
    """Put a hook at the end (or the front) of a table, and into those that note how it wants to be called."""
    handle = RemovableHandle(table, extra_dict=notes)
    for note in notes:
        note[handle.id] = True
    if prepend:
        others = dict(table)
        table.clear()
        table[handle.id] = hook
        table.update(others)
    else:
        table[handle.id] = hook
    return handle


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward`` with all its hooks around it."""
    watch = _Backward(module) if _both(module, "_backward_hooks") or _both(module, "_backward_pre_hooks") else None
    called: set[int] = set()
    try:
        for key, hook in _both(module, "_forward_pre_hooks").items():
            args, kwargs = _before(module, hook, key in _both(module, "_forward_pre_hooks_with_kwargs"), args, kwargs)
        if watch is not None:
            args = watch.inputs(args)
        result = module.forward(*args, **kwargs)
        for key, hook in _both(module, "_forward_hooks").items():
            called.add(key)
            found = _after(module, hook, key, args, kwargs, result)
            result = result if found is None else found
    except Exception:
        always = _both(module, "_forward_hooks_always_called")
        for key, hook in _both(module, "_forward_hooks").items():
            if key in always and key not in called:
                _after_failure(module, hook, key, args, kwargs)
        raise
    return result if watch is None else watch.outputs(result)


def _before(module: Any, hook: Any, with_kwargs: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not with_kwargs:
        found = hook(module, args)
        if found is None:
            return args, kwargs
        return found if isinstance(found, tuple) else (found,), kwargs
    found = hook(module, args, kwargs)
    if found is None:
        return args, kwargs
    if not isinstance(found, tuple) or len(found) != 2:
        raise RuntimeError(f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {found}.")
    return found


def _after(module: Any, hook: Any, key: int, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    if key in _both(module, "_forward_hooks_with_kwargs"):
        return hook(module, args, kwargs, result)
    return hook(module, args, result)


def _after_failure(module: Any, hook: Any, key: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A hook that is always called, with no result; its own failure must not hide the first one."""
    try:
        _after(module, hook, key, args, kwargs, None)
    except Exception as e:
        warnings.warn(f"a forward hook with always_call=True raised an exception that was silenced: {e}", stacklevel=4)


# --- backward ---------------------------------------------------------------------------------------------------


class _Watch(Function):
    """The identity on several tensors; in the backward pass their gradients go through ``meet`` together."""

    @staticmethod
    def forward(ctx: Any, meet: Callable[..., Any], *tensors: Tensor) -> Any:
        ctx.meet = meet
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (None, *ctx.meet(gradients))


class _Backward:
    """One call of a module that has backward hooks: watches its inputs and outputs."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.grad_output: tuple[Any, ...] = ()
        self.input_count = 0
        self.watches_input = False

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.input_count = len(args)
        places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        if not places:
            return args
        self.watches_input = True

        def meet(gradients: tuple[Any, ...]) -> Any:
            full: list[Any] = [None] * len(args)
            for i, g in zip(places, gradients):
                full[i] = g
            found = self._run(tuple(full))
            return tuple(found[i] for i in places)

        watched = _Watch.apply(meet, *[args[i] for i in places])
        out = list(args)
        for i, t in zip(places, watched):
            out[i] = t
        return tuple(out)

    def outputs(self, result: Any) -> Any:
        alone = isinstance(result, Tensor)
        if not alone and not isinstance(result, tuple | list):
            return result
        items = [result] if alone else list(result)
        places = [i for i, a in enumerate(items) if isinstance(a, Tensor) and a.requires_grad]
        if not places:
            return result

        def meet(gradients: tuple[Any, ...]) -> Any:
            full: list[Any] = [None] * len(items)
            for i, g in zip(places, gradients):
                full[i] = g
            self.grad_output = tuple(full)
            for hook in _both(self.module, "_backward_pre_hooks").values():
                found = hook(self.module, self.grad_output)
                if found is not None:
                    self.grad_output = found if isinstance(found, tuple) else (found,)
            if not self.watches_input:
                found = self._run((None,) * self.input_count)
                if any(g is not None for g in found):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None for "
                        "all gradients."
                    )
            return tuple(self.grad_output[i] for i in places)

        for i, t in zip(places, _Watch.apply(meet, *[items[i] for i in places])):
            items[i] = t
        return items[0] if alone else type(result)(items)

    def _run(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in _both(self.module, "_backward_hooks").values():
            found = hook(self.module, grad_input, self.grad_output)
            if found is None:
                continue
            found = found if isinstance(found, tuple) else (found,)
            if len(found) != len(grad_input):
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(found)}, but expected "
                    f"{len(grad_input)}"
                )
            grad_input = found
        return grad_input
