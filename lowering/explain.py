"""Words for people: why a graph was compiled, and which op and line a failure belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from ..lazy.graph import Node, Signature
from ..lazy.record import where_text


def _site(node: Node) -> str:
    return where_text(node.code, node.lasti)


def difference(graph: Any, order: list[Node], known: dict[Any, Any]) -> str:
    """What the graph has that the nearest known one has not, with the user's line."""
    best, common = None, -1
    key = graph.key
    for other in islice(reversed(known.values()), 1, 65):
        if not other.variants:
            continue
        shared = _prefix(key, other.key)
        if shared > common:
            best, common = other, shared
    first = _first_site(order)
    if best is None or common < 1:
        return f"first seen, at {first}"
    if common >= len(key) - len(graph.roots) - 1 and common >= len(best.key) - len(best.roots) - 1:
        return f"other results are wanted of a known graph, at {first}"
    at = sum(1 for k in key[: common + 1] if not isinstance(k, int)) - 1
    node = order[min(at, len(order) - 1)]
    ours, theirs = (_word(k, common) for k in (key, best.key))
    return f"differs from the nearest known graph at op {at}: {ours} where it has {theirs}, at {_site(node)}"


def _prefix(a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
    n = 0
    for x, y in zip(a, b):
        if x is not y and x != y:
            break
        n += 1
    return n


def _word(key: tuple[Any, ...], at: int) -> str:
    if at >= len(key) or key[at] is None:
        return "its end"
    k = key[at]
    if isinstance(k, int):
        while at and isinstance(key[at], int):
            at -= 1
        return f"{key[at]!r} on other operands"
    return f"an input {k!r}" if not isinstance(k, Signature) else repr(k)


def _first_site(order: Iterable[Node]) -> str:
    return next((_site(n) for n in order if n.code is not None), "an unknown line")


def _largest(order: list[Node]) -> Node:
    def size(n: Node) -> int:
        aval = n.sig.aval
        return aval.size * aval.dtype.itemsize if hasattr(aval, "size") else 0

    return max(order, key=size)


def compile_failure(error: Exception, plan: Any) -> RuntimeError:
    """XLA refused a module: name the op that it refuses by itself, or else the largest."""
    node, certain = _culprit(plan), True
    if node is None:
        node, certain = _largest(plan.order), False
    return RuntimeError(
        f"XLA cannot compile {'' if certain else 'a graph whose largest result is '}{node.sig!r}, recorded at {_site(node)}: "
        f"{_short(error)}"
    )


def _culprit(plan: Any) -> Node | None:
    from ..devices import RuntimeFailure, compiler
    from ..lazy.graph import HostValue
    from .emit import Plan, module_of

    tried: set[Any] = set()
    for node in plan.order:
        if node.buffer is not None or isinstance(node, HostValue) or not hasattr(node.sig.aval, "size"):
            continue
        if node.sig in tried or len(tried) > 200 or any(not hasattr(x.sig.aval, "size") for x in node.inputs):
            continue
        tried.add(node.sig)
        marks = [n.mark for n in (*node.inputs, node)]
        inputs = list(dict.fromkeys(node.inputs))
        order = [*inputs, node]
        for i, n in enumerate(order):
            n.mark = i
        leaves = [i for i, n in enumerate(inputs) if not isinstance(n, HostValue)]
        try:
            module = module_of(Plan(order, [len(order) - 1], leaves, {}, {}))
            compiler.compile_module(module, node.sig.aval.device.pjrt, [(node.sig.aval.shape, node.sig.aval.dtype.numpy)])
        except RuntimeFailure:
            return node
        finally:
            for n, m in zip((*node.inputs, node), marks):
                n.mark = m
    return None


def execution_failure(error: Exception, graph: Any, order: list[Node], variant: Any) -> RuntimeError:
    """An execution failed: name the largest op, and the arguments that were given away and are lost."""
    node = _largest([n for n in order if n.buffer is None] or order)
    lost = [
        repr(order[graph.leaves[k]].sig.aval) for k in variant.donated
        if getattr(order[graph.leaves[k]].buffer, "is_deleted", lambda: False)()
    ]  # fmt: skip
    consumed = f"; consumed by the attempt: {', '.join(lost)}" if lost else ""
    return RuntimeError(
        f"the execution of {len(order)} ops recorded from {_first_site(order)} on failed; "
        f"the largest result is {node.sig!r} -> "
        f"{node.sig.aval!r}, recorded at {_site(node)}{consumed}: {_short(error)}"
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:600]
