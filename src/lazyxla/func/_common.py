"""What the transformations share: inputs of their own, and results that lead back only where an outer derivative looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..autograd import enable_grad
from ..autograd import grad as gradients_of
from ..autograd.engine import leads_out
from ..lazy import Tensor
from ..lazy.record import mode, user_line
from ..lazy.replay import trees

Argnums = int | tuple[int, ...]


class Traced(NamedTuple):
    """A function's run on inputs of its own."""

    output: Any
    aux: Any
    inputs: list[Tensor]  # the differentiated ones
    structure: Any  # of them, as a tree
    outer: bool  # whether derivatives from outside may come this way


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Leaves, and the structure: dicts keep the order of their keys, as PyTorch's trees do and JAX's do not."""
    leaves: list[Any] = []
    structure = trees.flatten(tree, leaves)
    return leaves, structure


def unflatten(structure: Any, leaves: Iterable[Any]) -> Any:
    return trees.rebuild(structure, iter(leaves).__next__)


def fresh(x: Tensor, outer: bool) -> Tensor:
    """The same value, beginning a derivative of its own; an outer one flows through it."""
    return x.clone() if outer and x.requires_grad else x.detach().requires_grad_()


def traced(name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: Any, argnums: Argnums, has_aux: bool) -> Traced:
    places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for k in places:
        if not -len(args) <= k < len(args):
            raise RuntimeError(f"{name}: got argnum={k}, but only {len(args)} positional inputs  ({user_line()})")
    outer = mode.grad
    chosen = [args[k] for k in places]
    leaves, structure = flatten(chosen[0] if isinstance(argnums, int) else tuple(chosen))
    for t in leaves:
        if not isinstance(t, Tensor):
            raise RuntimeError(
                f"{name}: expected the differentiated inputs to be tensors, got {type(t).__name__}  ({user_line()})"
            )
        if not t.dtype.is_inexact:
            raise RuntimeError(
                f"{name}: only floating-point and complex tensors can require gradients, got {t.dtype.name}  ({user_line()})"
            )
    inputs = [fresh(t, outer) for t in leaves]
    given = unflatten(structure, inputs)
    whole = list(args)
    for k, x in zip(places, (given,) if isinstance(argnums, int) else given):
        whole[k] = x
    with enable_grad():
        output = func(*whole, **kwargs)
    aux = None
    if has_aux:
        if not isinstance(output, tuple) or len(output) != 2:
            raise RuntimeError(
                f"{name}: with has_aux=True the function must return a tuple (output, aux), not {type(output).__name__}"
                f"  ({user_line()})"
            )
        output, aux = output
    return Traced(output, aux, inputs, structure, outer)


def closed(tree: Any, own: Sequence[Tensor], keep: bool) -> Any:
    """The tree's tensors, without history unless they lead out and ``keep``."""
    leaves, structure = flatten(tree)
    return unflatten(
        structure,
        [
            t.detach() if isinstance(t, Tensor) and t.requires_grad and not (keep and leads_out([t], own)) else t
            for t in leaves
        ],
    )


def pulled(outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Any], create_graph: bool) -> list[Tensor]:
    """Gradients, zeros where there is no way from an input to the outputs."""
    zeros = [x.detach() * 0 for x in inputs]
    pairs = [(o, c) for o, c in zip(outputs, cotangents) if o.requires_grad]
    if not pairs:
        return zeros
    found = gradients_of(
        [o for o, _ in pairs], list(inputs), [c for _, c in pairs], retain_graph=True, create_graph=create_graph,
        allow_unused=True,
    )  # fmt: skip
    return [z if g is None else g for z, g in zip(zeros, found)]


def tensors_of(name: str, tree: Any, what: str) -> tuple[list[Tensor], Any]:
    leaves, structure = flatten(tree)
    for t in leaves:
        if not isinstance(t, Tensor):
            raise RuntimeError(f"{name}: expected {what} to be tensors, got {type(t).__name__}  ({user_line()})")
    return leaves, structure
