"""Derivatives of JAX functions: by ``jax.vjp``, as other functions of the same kind, so they are differentiable too."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
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
    rule = _Rule(function, nodes, wanted)
    results = taken(ops.jax_function, operands, function=rule.function)
    visible = results[: rule.count]
    rule.places = [(i if kind == "operand" else len(nodes) + i) for kind, i in rule.residuals]
    rule.inexact = tuple([k for k, t in enumerate(visible) if t.dtype.is_inexact])
    known = [*nodes, *[t._node for t in results]]
    tie(visible, operands, [n if k in rule.places else None for k, n in enumerate(known)], rule)
    return visible


class _Rule:
    """The gradients of the wanted operands from those of the results.

    Where all floating results have one, from what the forward pass left, which is what the tape saves; else by a function
    of the operands that computes again what it needs, which XLA merges with the forward pass where both are in one program.
    """

    def __init__(self, function: JaxFunction, operands: list[Node], wanted: tuple[int, ...]) -> None:
        self.name = "".join(w.capitalize() for w in function.name.replace(" ", "_").split("_"))
        self.wanted, self.original, self.operands = wanted, function, operands
        self.types = types_of(tuple([n.sig.aval for n in operands]))
        taken_apart = self.missing = None
        self.count = 0  # of the results that the caller sees
        try:
            self.count = len(function.results(self.types))
            taken_apart = function.split(self.types, wanted)
        except Exception as e:  # forward may work all the same; the error belongs to who asks for the derivative
            self.missing = _words(e)
        self.function = function if taken_apart is None else taken_apart.forward
        self.backward = None if taken_apart is None else taken_apart.backward
        self.residuals: Any = () if taken_apart is None else taken_apart.residuals
        self.places: list[int] = []
        self.inexact: tuple[int, ...] = ()

    def __call__(self, g: Gradients, entry: GradNode) -> list[Any]:
        if self.missing is not None:
            raise self.refusal(self.missing, entry)
        count = len(entry.edges)
        nodes: tuple[Node, ...] = entry.saved  # type: ignore[assignment]
        given = tuple(sorted(g.by_number))
        cotangents = [g.by_number[k] for k in given]
        if given == self.inexact and self.backward is not None:
            values = [
                wrap(nodes[k], entry.edges[k] if k < count else _edge(entry, nodes[k], k - count)) for k in self.places
            ]
            found = self.derived(self.backward, (*values, *cotangents), entry)
        else:
            operands = [wrap(n, e) for n, e in zip(self.operands, entry.edges)]
            # a residual may have a gradient, too, where gradients are differentiated
            source = self.function if given[-1] >= self.count else self.original
            found = self.derived(source.pullback(self.types, self.wanted, given), (*operands, *cotangents), entry)
        out: list[Any] = [None] * count
        for i, dx in zip(self.wanted, found):
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
    return port(entry, node, number) if node.sig.aval.dtype.is_inexact else None


__all__ = ["call"]
