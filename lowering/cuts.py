"""Where XLA's CPU backend is kept from computing a value again in each kernel that reads it.

Its fusion puts an elementwise operation into every kernel that reads the result, as long as the operation has one operand
of its size (others broadcast), or all who read it could take it in. Where such values build on one another, as the layers
of a transformer do along their residual stream, a kernel of the last layer begins at the first: code and time grow with the
square of the depth. A call of a function that is not inlined, and returns its argument, ends that without an instruction:
what is given is computed once, in a kernel of its own, and read from memory.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from ..lazy import ops
from ..lazy.graph import Node
from .nodes import ELEMENTWISE, REDUCTIONS

DEPTH = 6  # operations on each element, from which on to read a value is better than to compute it twice
CACHED = 1 << 16  # elements of a value that is near the processor still when it is read
_MOVES = {
    ops.broadcast_in_dim, ops.reshape, ops.transpose, ops.slice_, ops.reverse, ops.pad, ops.concatenate, ops.iota,
    ops.dynamic_slice,
}  # fmt: skip
_FUSED = ELEMENTWISE | _MOVES  # part of the kernel of who reads them
_READERS = REDUCTIONS | {ops.gather, ops.dynamic_update_slice}  # what they read is part of their kernel


def shared(program: Iterable[tuple[Node, Node]], outputs: Container[Node]) -> set[Node]:
    """The values of a program that several of its kernels would compute again, though they are many operations deep.

    ``program``: nodes in order of computation, each with the one that is said in its place (what these read besides
    is there); ``outputs``: those that are wanted themselves.
    """
    said = dict(program)
    kernels: dict[Node, set[Any]] = {}  # by node: the kernels that read it, by their last node; None: as it is, from memory
    for n in reversed(said):
        readers = kernels.setdefault(n, set())
        if n in outputs:
            readers.add(None)
        op = said[n].sig.op
        if op in _FUSED:
            mine: Any = next(iter(readers)) if len(readers) == 1 and None not in readers else n
        else:
            mine = n if op in _READERS else None
        for x in said[n].inputs:
            kernels.setdefault(x, set()).add(mine)
    computed: set[Node] = set()  # in a kernel that ends there
    found = set()
    for n, there in said.items():
        if there.sig.op not in _FUSED:
            computed.add(n)
        elif len(kernels[n]) > 1 and there.sig.op in ELEMENTWISE:
            if None in kernels[n] and not _is_unary(there):
                computed.add(n)
            elif _pays(n, kernels[n], said, computed):
                computed.add(n)
                found.add(n)
    return found


def _is_unary(n: Node) -> bool:
    """Whether at most one of the operands is no broadcast: XLA takes such operations into all who read them."""
    return sum(x.sig.op not in (ops.broadcast_in_dim, ops.iota, ops.constant) for x in n.inputs) <= 1


def _pays(n: Node, kernels: set[Any], said: dict[Node, Node], computed: Container[Node]) -> bool:
    """Whether to read n costs less than to compute it in each of these kernels: always where it is in memory anyhow, else
    if it is small, and many operations or read by many."""
    if None in kernels:
        return _is_deep(n, DEPTH, said, computed)
    if not 1 < n.sig.aval.size <= CACHED:
        return False
    return _is_deep(n, DEPTH if len(kernels) > 2 else 2 * DEPTH, said, computed)


def _is_deep(n: Node, least: int, said: dict[Node, Node], computed: Container[Node]) -> bool:
    """Whether a kernel that computes n from what is in memory makes at least so many operations for it."""
    seen, waiting, depth = {n}, [n], 0
    while waiting:
        x = said[waiting.pop()]
        if x.sig.op in ELEMENTWISE and x.sig.aval.size > 1:
            depth += 1
            if depth >= least:
                return True
        for y in x.inputs:
            if y not in seen and y in said and y not in computed:
                seen.add(y)
                waiting.append(y)
    return False
