"""The pending part of a graph, in order, and the key that says what it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..lazy import ops
from ..lazy.graph import HostValue, Node

MANY = 4  # operands of one concatenation, from which on they count as a list of values


def structure(roots: list[Node]) -> tuple[list[Node], list[Any]]:
    """The pending nodes as recorded, then the leaves in the order of their first use; and the key of all that.

    Each node's ``mark`` is left at its place in the order.
    """
    order: list[Node] = []
    stack = list(roots)
    token = object()
    while stack:
        n = stack.pop()
        if n.mark is not token:
            n.mark = token
            if n.buffer is None or type(n) is HostValue:
                order.append(n)
                stack.extend(n.inputs)
    order.sort(key=_serial)
    lists = [n for n in order if n.sig.op is ops.concatenate and len(n.inputs) >= MANY]
    if lists:
        _apart(order, lists, token)
    for i, n in enumerate(order):
        n.mark = i
    pending = len(order)
    key: list[Any] = []
    append = key.append
    for n in order[:]:
        append(n.sig)
        for x in n.inputs:
            place = x.mark
            if place is token:
                place = x.mark = len(order)
                order.append(x)
            append(place)
    append(None)
    key.extend([n.sig.aval for n in order[pending:]])
    append(None)
    return order, key


def _apart(order: list[Node], lists: list[Node], token: object) -> None:
    """Give a computed value in a list that is also used elsewhere a node of its own there.

    Which samples of a batch are one and the same tensor (a state, and the next state of the sample before it) is chance:
    it must not decide the program.
    """
    uses = Counter(id(x) for n in order for x in n.inputs if x.buffer is not None)
    for n in lists:
        if any(uses[id(x)] > 1 for x in n.inputs):
            n.inputs = tuple([_twin(x, token) if uses[id(x)] > 1 and type(x) is not HostValue else x for x in n.inputs])


def _twin(x: Node, token: object) -> Node:
    twin = Node(x.sig, (), x.code, x.lasti)
    twin.buffer, twin.mark = x.buffer, token
    return twin


def _serial(n: Node) -> int:
    return n.serial
