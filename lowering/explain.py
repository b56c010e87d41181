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
    ours = _signatures(graph.key)
    our_ops = [s.op for s in ours]
    nearest: list[Signature] = []
    best = (0, 0)
    for other in islice(reversed(known.values()), 1, 65):
        if other.variants:
            theirs = _signatures(other.key)
            score = _ends_shared(our_ops, [s.op for s in theirs]), _ends_shared(ours, theirs)
            if score > best:
                nearest, best = theirs, score
    if 3 * best[0] < len(ours):
        return f"first seen, at {_first_site(order)}"
    at = _common(ours, nearest)
    if at == len(ours) == len(nearest):
        return f"known ops on other operands, or with other results wanted, at {_first_site(order)}"
    if at == len(ours):
        return f"ends before the nearest known graph, which goes on with {_short(nearest[at])}, at {_site(order[at - 1])}"
    text = _short(ours[at])
    theirs_text = _short(nearest[at]) if at < len(nearest) else "its end"
    if at < len(nearest) and ours[at].op is nearest[at].op:
        text, theirs_text = _contrast(ours[at], nearest[at])
    return f"differs from the nearest known graph at op {at}: {text} where it has {theirs_text}, at {_site(order[at])}"


def _signatures(key: tuple[Any, ...]) -> list[Signature]:
    return [k for k in key if type(k) is Signature]


def _ends_shared(a: list[Any], b: list[Any]) -> int:
    first = _common(a, b)
    return first + _common(a[first:][::-1], b[first:][::-1])


def _common(a: list[Any], b: list[Any]) -> int:
    n = 0
    for x, y in zip(a, b):
        if x is not y:
            break
        n += 1
    return n


def _contrast(ours: Signature, theirs: Signature) -> tuple[str, str]:
    """Two signatures of one op, in the operand types and attributes that differ."""
    differing = [i for i, (x, y) in enumerate(zip(ours.attributes, theirs.attributes)) if x != y]

    def text(s: Signature) -> str:
        attributes = [f"{s.op.attributes[i]}={s.attributes[i]!r}" for i in differing]
        operands = [repr(a) for a in s.inputs] if ours.inputs != theirs.inputs or not differing else ["..."]
        return f"{s.op.name}({_short(', '.join(operands + attributes))})"

    return text(ours), text(theirs)


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
        f"{_short(error, 600)}"
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
            outputs = [(node.sig.aval.shape, node.sig.aval.dtype.numpy)]
            compiler.compile_module(compiler.bytecode(module), node.sig.aval.device.pjrt, outputs)
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
        f"{node.sig.aval!r}, recorded at {_site(node)}{consumed}: {_short(error, 600)}"
    )


def replay_failure(error: Exception, made: list[Any], arguments: list[Any], variant: Any) -> RuntimeError:
    """A program that ran before failed this time: the same, from what is kept of it."""
    sig, code, lasti = max(made, key=lambda m: m[0].aval.size * m[0].aval.dtype.itemsize)
    lost = [a for a in arguments if getattr(a, "is_deleted", lambda: False)()]
    consumed = f"; consumed by the attempt: {', '.join(f'{a.dtype}{list(a.shape)}' for a in lost)}" if lost else ""
    return RuntimeError(
        f"the execution of a program that ran before failed; its largest result is {sig!r} -> {sig.aval!r}, recorded at "
        f"{where_text(code, lasti)}{consumed}: {_short(error, 600)}"
    )


def _short(what: Any, limit: int = 160) -> str:
    text = " ".join(str(what).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
