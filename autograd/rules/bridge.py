"""Derivatives of JAX functions: by ``jax.vjp``, as other functions of the same kind, so they are differentiable too."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from ...lazy import ops
from ...lazy.dtypes import of_numpy
from ...lazy.graph import Node
from ...lazy.ops.bridge import JaxFunction, types_of
from ...lazy.record import GradNode, mode, user_line, where_text, wrap
from ...lazy.several import Gradients, port, taken, tie
from ..table import not_differentiable

not_differentiable(ops.jax_function)  # on the tape, `call` puts a rule for all results at once


def call(function: JaxFunction, operands: tuple[Any, ...]) -> list[Any]:
    """The results of a JAX function, each differentiable with respect to the floating operands that require it."""
    nodes = [t._node or t._refresh() for t in operands]  # a view written to through another takes its history anew here
    wanted: tuple[int, ...] = ()
    if mode.grad:
        wanted = tuple([i for i, t in enumerate(operands) if t._edge is not None and t.dtype.is_inexact])
    if not wanted:
        return taken(ops.jax_function, operands, function=function)
    plan = _plan(function, tuple([n.sig.aval for n in nodes]), wanted)
    results = taken(ops.jax_function, operands, function=plan.forward)
    known = [*nodes, *[t._node for t in results]]
    del results[plan.visible :]
    tie(results, operands, [n if k in plan.places else None for k, n in enumerate(known)], _Rule(plan, nodes))
    return results


class _Plan(NamedTuple):
    """How a function is differentiated for operands of given types, of which the ``wanted`` require gradients."""

    function: JaxFunction
    forward: JaxFunction  # the same, and what its derivative reads
    backward: JaxFunction | None
    places: tuple[int, ...]  # what ``backward`` reads, among operands and then results
    types: Any
    wanted: tuple[int, ...]
    visible: int  # how many results the caller sees
    inexact: tuple[int, ...]  # which of them are floating
    missing: str  # why there is no derivative, or ''


@functools.cache
def _plan(function: JaxFunction, avals: tuple[Any, ...], wanted: tuple[int, ...]) -> _Plan:
    types = types_of(avals)
    try:
        results = function.results(types)
    except Exception:  # to be reported by who records it
        return _Plan(function, function, None, (), types, wanted, 0, (), "")
    inexact = tuple([k for k, (_, dtype) in enumerate(results) if of_numpy(dtype).is_inexact])
    split, missing = None, ""
    try:
        split = function.split(types, wanted)
    except Exception as e:  # forward may work all the same; the error belongs to who asks for the derivative
        missing = _words(e)
    if split is None:
        return _Plan(function, function, None, (), types, wanted, len(results), inexact, missing)
    places = tuple([i if kind == "operand" else len(avals) + i for kind, i in split.residuals])
    return _Plan(function, split.forward, split.backward, places, types, wanted, len(results), inexact, "")


class _Rule:
    """The gradients of the wanted operands from those of the results.

    Where all floating results have one, from what the forward pass left, which is what the tape saves; else by a function
    of the operands that computes again what it needs, which XLA merges with the forward pass where both are in one program.
    """

    __slots__ = ("operands", "plan")

    def __init__(self, plan: _Plan, operands: list[Node]) -> None:
        self.plan, self.operands = plan, operands

    @property
    def name(self) -> str:
        return "".join(w.capitalize() for w in self.plan.function.name.replace(" ", "_").split("_"))

    def __call__(self, g: Gradients, entry: GradNode) -> list[Any]:
        plan = self.plan
        if plan.missing:
            raise self.refusal(plan.missing, entry)
        count = len(entry.edges)
        given = tuple(sorted(g.by_number))
        cotangents = [g.by_number[k] for k in given]
        if given == plan.inexact and plan.backward is not None:
            nodes: tuple[Node, ...] = entry.saved  # type: ignore[assignment]
            values = [
                wrap(nodes[k], entry.edges[k] if k < count else _edge(entry, nodes[k], k - count)) for k in plan.places
            ]
            found = self.derived(plan.backward, (*values, *cotangents), entry)
        else:
            operands = [wrap(n, e) for n, e in zip(self.operands, entry.edges)]
            # a residual may have a gradient, too, where gradients are differentiated
            source = plan.forward if given[-1] >= plan.visible else plan.function
            found = self.derived(source.pullback(plan.types, plan.wanted, given), (*operands, *cotangents), entry)
        out: list[Any] = [None] * count
        for i, dx in zip(plan.wanted, found):
            out[i] = dx
        return out

    def release(self) -> None:
        """When the graph is freed."""
        self.operands = []

    def derived(self, function: JaxFunction, operands: tuple[Any, ...], entry: GradNode) -> list[Any]:
        try:
            function.results(types_of(tuple([(t._node or t._refresh()).sig.aval for t in operands])))
        except Exception as e:
            raise self.refusal(_words(e), entry) from None
        return call(function, operands)

    def refusal(self, words: str, entry: GradNode) -> NotImplementedError:
        return NotImplementedError(
            f"the derivative of {self.name} cannot be had from JAX: {words}  "
            f"(recorded at {where_text(entry.code, entry.lasti)}; {user_line()})"
        )


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


def _edge(entry: GradNode, node: Node, number: int) -> Any:
    return port(entry, node, number, number + 1) if node.sig.aval.dtype.is_inexact else None


__all__ = ["call"]
