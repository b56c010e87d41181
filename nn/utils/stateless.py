"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...lazy import Tensor
from ...lazy import public as lx
from ...lazy.record import user_line
from ..module import Module


def functional_call(
    module: Module, parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]], args: Any = None,
    kwargs: Mapping[str, Any] | None = None, *, tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """``module(*args, **kwargs)`` with these tensors in place of its parameters and buffers of the same names.

    ``args`` that are no tuple are one argument. What is not named stays the module's own, unless ``strict``; with
    ``tie_weights`` a tensor given for one name of a shared parameter stands for its other names, too.
    """
    given: dict[str, Tensor] = {}
    for part in (
        [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, Mapping) else parameter_and_buffer_dicts
    ):
        for name, t in part.items():
            if name in given:
                raise ValueError(f"{name} appears in multiple dictionaries; behavior of functional call is ambiguous"
                                 f"  ({user_line()})")  # fmt: skip
            given[name] = t
    own = {
        **dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False)),
    }  # fmt: skip
    unexpected = [n for n in given if n not in own]
    missing = [n for n in own if n not in given] if strict else []
    if unexpected or missing:
        kind, names = ("unexpected", unexpected) if unexpected else ("missing", missing)
        raise RuntimeError(f"functional_call: {kind} key(s) in the given tensors: {', '.join(names)}  ({user_line()})")
    if tie_weights:
        by_tensor = {id(own[n]): t for n, t in given.items()}
        given = {**{n: by_tensor[id(t)] for n, t in own.items() if id(t) in by_tensor}, **given}
    saved: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for name, t in given.items():
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path) if path else module
            table = owner._parameters if last in owner._parameters else owner._buffers
            saved.append((table, last, table[last]))
            table[last] = t
        arguments = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*arguments, **(kwargs or {}))
    finally:
        for table, last, t in reversed(saved):
            table[last] = t


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(parameters, buffers) of modules of one class, by name, each stacked along a new dim 0: what ``vmap`` over
    ``functional_call`` takes for an ensemble. The parameters are new leaves.

    Raises RuntimeError for no models, models of several classes, and some in training mode and some not.
    """
    if not models:
        raise RuntimeError(f"stack_module_state: Expected at least one model, got 0.  ({user_line()})")
    if len({m.training for m in models}) != 1:
        raise RuntimeError(
            f"stack_module_state: Expected all models to have the same training/eval mode.  ({user_line()})"
        )
    if len({type(m) for m in models}) != 1:
        raise RuntimeError(f"stack_module_state: Expected all models to be of the same class.  ({user_line()})")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {k: _stacked(k, [p[k] for p in parameters]) for k in parameters[0]},
        {k: _stacked(k, [b[k] for b in buffers]) for k in buffers[0]},
    )


def _stacked(name: str, tensors: Sequence[Tensor]) -> Tensor:
    needs = {t.requires_grad for t in tensors}
    if len(needs) != 1:
        raise RuntimeError(
            f"stack_module_state: Expected {name} from each model to have the same .requires_grad  ({user_line()})"
        )
    return lx["stack"]([t.detach() for t in tensors]).requires_grad_(needs.pop())  # type: ignore[no-any-return]


__all__ = ["functional_call", "stack_module_state"]
