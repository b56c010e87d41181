"""The pending part of a graph, in order, and the key that says what it is."""

from __future__ import annotations

from typing import Any

from ..lazy.graph import HostValue, Node


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


def _serial(n: Node) -> int:
    return n.serial
