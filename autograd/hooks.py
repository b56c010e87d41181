"""Hooks on the way backward: of tensors, on their gradient, and of nodes, before and after their derivative."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..lazy import Tensor
from ..lazy.graph import placeholder
from ..lazy.record import GradNode, Leaf, type_only, user_line
from ..lazy.replay.state import opaque
from ..lazy.several import Gradients
from ..lazy.tape import TapeNode


class GradientEdge(NamedTuple):
    """Where in the graph a gradient is computed: what arrives at a node, as ``get_gradient_edge`` gives it."""

    node: TapeNode
    output_nr: int
    ownership_token: TapeNode | None = None


def stand_in(edge: GradientEdge) -> Tensor:
    """A tensor without a value whose gradient is what arrives at an edge. RuntimeError where that of a tensor is gone."""
    opaque("a gradient edge")
    node: Any = edge.node
    if isinstance(node, Leaf):
        tensor = node.variable
        if tensor is None:
            raise RuntimeError(f"the tensor of this gradient edge does not exist any more  ({user_line()})")
        found = type_only(tensor._aval())
    else:
        found = type_only(node.sig.aval)
    found._edge = node
    return found  # type: ignore[no-any-return]


def is_stand_in(t: Tensor) -> bool:
    return t._node is not None and t._node.sig.op is placeholder


class Task:
    """A run of the backward pass under way: where it starts and, unless None, the edges that it is to find."""

    __slots__ = ("__weakref__", "roots", "targets")

    def __init__(self, roots: Sequence[tuple[Any, Any]], targets: set[int] | None) -> None:
        self.roots, self.targets = roots, targets


def on_tensor(edge: Any, g: Any) -> Any:
    """The gradient after the hooks of the tensor whose edge this is; what retains it is called last."""
    for hook in sorted((edge.hooks or {}).values(), key=lambda hook: getattr(hook, "retains", False)):
        opaque("a hook on a gradient")
        changed = hook(g)
        if changed is not None:
            (g,) = _changed(hook, (changed,), (g,))
    return g


def before_node(hooks: dict[int, Callable[..., Any]] | None, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The gradients of what came out of a node after its prehooks."""
    for hook in tuple((hooks or {}).values()):
        opaque("a hook on a gradient")
        given = _changed(hook, hook(given), given)
    return given


def after_node(
    hooks: dict[int, Callable[..., Any]] | None, found: tuple[Any, ...], given: tuple[Any, ...]
) -> tuple[Any, ...]:
    """The gradients of what went into a node after its hooks."""
    for hook in tuple((hooks or {}).values()):
        opaque("a hook on a gradient")
        found = _changed(hook, hook(found, given), found)
    return found


def between(entry: GradNode, g: Any, derivatives: Callable[[Any], Iterable[Any]], wanted: Sequence[bool]) -> Any:
    """The derivatives of an entry, between the hooks of its node."""
    rule: Any = entry.rule
    gate = getattr(rule.rule, "given", None)  # of a Function with a rule of its own, that holds what came
    given = g.parts() if type(g) is Gradients else (g,) if gate is None else tuple(gate)
    given = before_node(rule.before, given)
    if gate is not None:
        rule.rule.given = list(given)
    elif type(g) is Gradients:
        g = Gradients({k: x for k, x in enumerate(given) if x is not None}, g.count)
    else:
        (g,) = given
    found = tuple(dx if w else None for dx, w in zip(derivatives(g), wanted))
    return after_node(rule.after, found, given)


def _changed(hook: Any, new: Any, old: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a hook made of gradients: TypeError and RuntimeError where they cannot stand in for the ones it got."""
    if new is None:
        return old
    new = new if isinstance(new, tuple) else (new,)
    name = getattr(hook, "__name__", "hook")
    if len(new) != len(old):
        raise RuntimeError(
            f"hook '{name}' has returned an incorrect number of values (got {len(new)}, but expected {len(old)})"
            f"  ({user_line()})"
        )
    for a, b in zip(new, old):
        if a is None:
            continue
        if b is None:
            raise TypeError("can't replace a None gradient with a non-None value")
        if not isinstance(a, Tensor):
            raise TypeError(f"expected Variable, but hook returned '{type(a).__name__}'")
        if isinstance(b, Tensor):
            for what, x, y in (("type", a.dtype, b.dtype), ("size", a.shape, b.shape), ("device", a.device, b.device)):
                if x != y:
                    raise RuntimeError(f"hook '{name}' has changed the {what} of value: {y} to {x}  ({user_line()})")
    return new


__all__ = ["GradientEdge", "Task", "after_node", "before_node", "between", "is_stand_in", "on_tensor", "stand_in"]
