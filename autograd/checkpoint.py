"""Checkpointing: what a function computes between its arguments and results is not kept, but computed again going backward.

The function's tape is recorded as always. Then each entry in it forgets what it saved, and keeps copies of the
function's arguments instead. When the first gradient arrives, the function is run again on those, and each entry's
derivative is taken from its twin of that run. A barrier on the arguments, tied to the gradient, keeps the compiler from
finding that the two runs are the same.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from ..lazy import Tensor, ops
from ..lazy.autocast import state as autocast
from ..lazy.functions.random import default_generator
from ..lazy.graph import _serial as serial_numbers
from ..lazy.record import GradNode, Leaf, mode, user_line, where_text, wrap
from ..lazy.tape import HookedRule, parts_of
from .engine import derivatives

Contexts = Callable[[], tuple[Any, Any]]


class CheckpointError(RuntimeError):
    """The function did something else when it was run again."""


def noop_context_fn() -> tuple[Any, Any]:
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, context_fn: Contexts = noop_context_fn,
    determinism_check: str = "default", debug: bool = False, early_stop: bool = True, preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """``function(*args, **kwargs)``, of which backward needs only the arguments: the rest is computed again.

    Tensors among the arguments may lie in lists, tuples and dicts. With ``preserve_rng_state`` the second run draws the
    numbers of the first. ``context_fn`` gives two contexts, for the first run and for the second. ``use_reentrant``,
    ``debug`` and ``early_stop`` are taken for compatibility: there is one way here, with what PyTorch's two can do.

    Raises ValueError for an unknown ``determinism_check`` ('default' or 'none'); going backward, CheckpointError where
    the second run differs from the first, and RuntimeError where a parameter was changed in place in between.
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check must be 'default' or 'none', but got {determinism_check!r}")
    first, second = context_fn()
    before = (default_generator._seed, default_generator._count) if preserve_rng_state else None
    start = next(serial_numbers)
    with first:
        out = function(*args, **kwargs)
    if not mode.grad:
        return out
    entries, leaves = _recorded(out, start)
    if any(_forgets(e) for e in entries):
        _Region(function, args, kwargs, second, before, determinism_check, entries, leaves)
    return out


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """``functions`` (a Sequential or a list) applied in turn, in ``segments`` pieces, each but the last checkpointed."""
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(steps):
        raise ValueError(f"segments must be between 1 and the {len(steps)} functions, but got {segments}")
    size = len(steps) // segments

    def piece(some: list[Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for f in some:
                x = f(x)
            return x

        return run

    for k in range(segments - 1):
        input = checkpoint(piece(steps[k * size : (k + 1) * size]), input, use_reentrant=use_reentrant, **kwargs)
    return piece(steps[(segments - 1) * size :])(input)


# --- what was recorded ------------------------------------------------------------------------------------------


def _tensors(x: Any) -> Iterator[Tensor]:
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, (list, tuple)):
        for v in x:
            yield from _tensors(v)
    elif isinstance(x, dict):
        for v in x.values():
            yield from _tensors(v)


def _replaced(x: Any, by: Iterator[Any]) -> Any:
    """The same structure with other tensors in it, in the order of ``_tensors``."""
    if isinstance(x, Tensor):
        return next(by)
    if isinstance(x, (list, tuple)):
        found = [_replaced(v, by) for v in x]
        return type(x)(*found) if hasattr(x, "_fields") else type(x)(found)
    if isinstance(x, dict):
        return {k: _replaced(v, by) for k, v in x.items()}
    return x


def _recorded(out: Any, start: int) -> tuple[list[GradNode], list[tuple[Leaf, Any]]]:
    """The tape's entries after ``start`` that lead to ``out``, in order; and the leaves they end in, with their nodes."""
    entries: dict[int, GradNode] = {}
    leaves: dict[int, tuple[Leaf, Any]] = {}
    stack: list[Any] = [t._edge for t in _tensors(out)]
    while stack:
        e = stack.pop()
        if type(e) is Leaf:
            tensor = e.tensor()
            if tensor is not None:
                leaves[id(e)] = (e, tensor._node or tensor._refresh())
        elif type(e) is GradNode and e.serial > start and id(e) not in entries:
            entries[id(e)] = e
            stack.extend(e.edges)
    return sorted(entries.values(), key=lambda e: e.serial), list(leaves.values())


def _forgets(e: GradNode) -> bool:
    """Whether an entry keeps anything."""
    return e.rule is not None or e.out is not None or any(n is not None for n in e.saved)


class _Region:
    """One checkpointed call, referred to by the rules of its entries alone."""

    def __init__(
        self, function: Callable[..., Any], args: Any, kwargs: Any, context: Any, random: tuple[int, int] | None,
        check: str, entries: list[GradNode], leaves: list[tuple[Leaf, Any]],
    ) -> None:  # fmt: skip
        self.function, self.context, self.random, self.check = function, context, random, check
        self.regime = mode.cast
        given = list(_tensors((args, kwargs)))
        self.edges = [t._edge for t in given]
        self.arguments = _replaced((args, kwargs), iter([_Place()] * len(given)))
        self.leaves = [(leaf, weakref.ref(node), node.sig.aval) for leaf, node in leaves]  # or they could not be donated
        self.kinds = [e.sig for e in entries]
        self.twins: dict[int, GradNode] = {}
        self.line = user_line()
        # The copies lie where the engine clears what an entry saved. They are values of their own, so that a later
        # write to an argument in place is no matter.
        grad, mode.grad = mode.grad, False
        try:
            saved = tuple([ops.copy(t)._node for t in given])
        finally:
            mode.grad = grad
        self.places = [k for k, e in enumerate(entries) if _forgets(e)]
        for k, e in enumerate(entries):
            if _forgets(e):
                name = e.name()
                e.saved, e.out = saved, None
                forgotten = _Recomputed(self, k, name)
                if type(e.rule) is HookedRule:
                    e.rule.rule = forgotten
                else:
                    e.rule = forgotten
                e.settled = False

    def run_again(self, saved: tuple[Any, ...], g: Tensor) -> None:
        """Record the function once more, from where the gradient is known."""
        for leaf, node, aval in self.leaves:
            tensor = leaf.tensor()
            if tensor is not None and (tensor._node or tensor._refresh()) is not node():
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: a "
                    f"{aval!r} that the function checkpointed at {self.line} reads"
                )
        generator = default_generator
        now = generator._seed, generator._count
        flags = mode.grad, mode.site
        regime = mode.cast
        mode.grad, mode.site = True, None
        try:
            autocast.resume(self.regime)
            after = g.detach()
            inputs = [ops.optimization_barrier(wrap(n, e), after) for n, e in zip(saved, self.edges)]
            args, kwargs = _filled(self.arguments, iter(inputs))
            if self.random is not None:
                generator._seed, generator._count = self.random
            first = next(serial_numbers)
            with self.context:
                entries, _ = _recorded(self.function(*args, **kwargs), first)
        finally:
            mode.grad, mode.site = flags
            autocast.resume(regime)
            if self.random is not None:
                generator._seed, generator._count = now
        if len(entries) != len(self.kinds):
            raise CheckpointError(
                f"the function checkpointed at {self.line} recorded {len(self.kinds)} differentiable operations going forward "
                f"and {len(entries)} when it was run again going backward"
            )
        for e, kind in zip(entries, self.kinds):
            if e.sig is not kind and self.check != "none":
                raise CheckpointError(
                    f"the function checkpointed at {self.line} recorded {kind!r} going forward and {e.sig!r} when it was run "
                    f"again going backward, at {where_text(e.code, e.lasti)}"
                )
        self.twins = {k: entries[k] for k in self.places}


class _Place:
    """Where a tensor stood among the arguments."""


def _filled(x: Any, by: Iterator[Tensor]) -> Any:
    if type(x) is _Place:
        return next(by)
    if isinstance(x, (list, tuple)):
        found = [_filled(v, by) for v in x]
        return type(x)(*found) if hasattr(x, "_fields") else type(x)(found)
    if isinstance(x, dict):
        return {k: _filled(v, by) for k, v in x.items()}
    return x


class _Recomputed:
    """The rule of an entry that has forgotten what it saved: its twin's derivative."""

    def __init__(self, region: _Region, place: int, name: str) -> None:
        self.region, self.place = region, place
        self.name, self.ours = parts_of(name)

    def __call__(self, g: Tensor, entry: GradNode) -> tuple[Any, ...]:
        twins = self.region.twins
        if self.place not in twins:
            self.region.run_again(entry.saved, g)
            twins = self.region.twins
        return derivatives(twins.pop(self.place), g)


__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential", "noop_context_fn"]
