"""Functions of functions, as ``torch.func``: gradients, Jacobians, and calling a module with other weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import autograd
from .autograd import functional
from .lazy import Tensor
from .lazy.record import GradNode, user_line

__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "vjp"]


def _map(f: Callable[[Tensor], Any], tree: Any) -> Any:
    """``f`` of each tensor in nested tuples, lists and dicts."""
    if isinstance(tree, Tensor):
        return f(tree)
    if isinstance(tree, Mapping):
        return type(tree)((k, _map(f, v)) for k, v in tree.items())  # type: ignore[call-arg]
    if isinstance(tree, (list, tuple)):
        found = [_map(f, v) for v in tree]
        return type(tree)(*found) if hasattr(tree, "_fields") else type(tree)(found)
    return tree


def _tensors(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _map(found.append, tree)
    return found


def _leaf(t: Tensor) -> Tensor:
    """To differentiate by: on the history of the input where it has one, so that derivatives nest."""
    return t.view_as(t) if t.requires_grad else t.detach().requires_grad_()


def grad_and_value(func: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Any:
    """A function that returns (the gradient of ``func`` by its arguments ``argnums``, its value).

    Arguments may be tensors, or tuples, lists and dicts of them. With ``has_aux`` func returns (value, more), and the
    result's second part is that pair.
    """

    @functools.wraps(func)
    def derived(*args: Any, **kwargs: Any) -> Any:
        places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        with autograd.enable_grad():
            given = list(args)
            for i in places:
                given[i] = _map(_leaf, args[i])
            out = func(*given, **kwargs)
            value, aux = out if has_aux else (out, None)
            if not isinstance(value, Tensor) or value.ndim:
                shown = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise RuntimeError(
                    f"grad expected the function to return a 0-d tensor, got {shown}  ({user_line()})"
                )
            leaves = _tensors([given[i] for i in places])
            keep = _leads_elsewhere(value, leaves)
            found = iter(autograd.grad(value, leaves, create_graph=keep, materialize_grads=True)
                if value.requires_grad else [t.new_zeros(t.shape) for t in leaves])  # fmt: skip
        grads = tuple(_map(lambda _: next(found), args[i]) for i in places)
        plain = _map(lambda t: t if keep else t.detach(), (value, aux))
        return (grads[0] if isinstance(argnums, int) else grads), (plain if has_aux else plain[0])

    return derived


def _leads_elsewhere(value: Tensor, leaves: list[Tensor]) -> bool:
    """Whether a value depends on other tensors that require gradients: then its derivative keeps its history."""
    own = {id(t._edge) for t in leaves if t.is_leaf}
    if len(own) < len({id(t) for t in leaves}):
        return True  # an argument has history itself
    seen, stack = set(own), [value._edge]
    while stack:
        edge = stack.pop()
        if edge is None or id(edge) in seen:
            continue
        if not isinstance(edge, GradNode):
            return True
        seen.add(id(edge))
        stack.extend(edge.edges)
    return False


def grad(func: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Any:
    """A function that returns the gradient of ``func`` by its arguments ``argnums``; with ``has_aux`` (gradient, more)."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def derived(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return derived


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), a function from a vector of the output's shape to the gradients by the primals[, more])."""
    with autograd.enable_grad():
        leaves = _map(_leaf, list(primals))
        out = func(*leaves)
        value, aux = out if has_aux else (out, None)
    outputs, inputs = _tensors(value), _tensors(leaves)

    def pull(cotangents: Any) -> Any:
        found = iter(
            autograd.grad(
                outputs, inputs, _tensors(cotangents), retain_graph=True, create_graph=autograd.is_grad_enabled(),
                materialize_grads=True,
            )
        )  # fmt: skip
        grads = tuple(_map(lambda _: next(found), p) for p in primals)
        return grads

    return (value, pull, aux) if has_aux else (value, pull)


def jvp(func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    """(func(*primals), the Jacobian times the tangents)."""
    return functional.jvp(func, tuple(primals), tuple(tangents), create_graph=any(t.requires_grad for t in primals))


def jacrev(func: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Any:
    """A function that returns the Jacobian of ``func`` by its arguments ``argnums``: the output's shape, the argument's."""

    @functools.wraps(func)
    def derived(*args: Any, **kwargs: Any) -> Any:
        places = (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def of(*chosen: Tensor) -> Any:
            given = list(args)
            for i, x in zip(places, chosen):
                given[i] = x
            return func(*given, **kwargs)

        wanted = tuple(args[i] for i in places)
        keep = any(t.requires_grad for t in _tensors(list(args)))
        return functional.jacobian(of, wanted[0] if isinstance(argnums, int) else wanted, create_graph=keep)

    return derived


jacfwd = jacrev  # the same numbers; there is one way to them here


def hessian(func: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Any:
    """A function that returns the second derivatives of ``func``."""
    return jacrev(jacrev(func, argnums), argnums)


def functional_call(
    module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """``module(*args, **kwargs)`` with the tensors of a dict (or several) in place of its parameters and buffers."""
    dicts = [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, Mapping) else parameter_and_buffer_dicts
    given: dict[str, Tensor] = {k: v for d in dicts for k, v in d.items()}
    known = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False))}
    unknown, missing = sorted(set(given) - set(known)), sorted(set(known) - set(given))
    if unknown or (strict and missing):
        raise RuntimeError(
            f"functional_call: unexpected key(s): {unknown}; missing key(s): {missing if strict else []}  ({user_line()})"
        )
    if tie_weights:
        by_tensor = {id(known[k]): v for k, v in given.items()}
        given = {**{k: by_tensor[id(t)] for k, t in known.items() if id(t) in by_tensor}, **given}
    saved = []
    try:
        for name, value in given.items():
            path, _, leaf = name.rpartition(".")
            owner = module.get_submodule(path) if path else module
            table = owner._parameters if leaf in owner._parameters else owner._buffers
            saved.append((table, leaf, table[leaf]))
            table[leaf] = value
        arguments = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*arguments, **(kwargs or {}))
    finally:
        for table, leaf, old in reversed(saved):
            table[leaf] = old
