"""Products of transposed operands as products of the operands themselves, and products of int8 numbers."""

from __future__ import annotations

from collections.abc import Container

from ...lazy import dtypes, ops
from ...lazy.graph import Node, signature
from ..nodes import DOT_INTO_INT32, make, zero_of

PAGE, LINE = 4096, 64  # bytes


def without_transposes(n: Node, given: Container[Node]) -> Node | None:
    """The product ``n`` of what its operands are transposes of; None where neither is one that can be left out.

    XLA leaves out most of them itself, but not in the product of a vector: that becomes a slow loop over a copy.
    """
    contract, batch = n.sig.keyword["contract"], n.sig.keyword["batch"]
    inputs, contracts, batches, changed = [], [], [], False
    for x, contracted, batched in zip(n.inputs, contract, batch):
        while x.sig.op is ops.transpose and x not in given:
            places = x.sig.keyword["permutation"]
            free = [places[d] for d in range(len(places)) if d not in contracted and d not in batched]
            if free != sorted(free):  # the dims of the result would stand in another order
                break
            x, changed = x.inputs[0], True
            contracted, batched = (tuple(places[d] for d in dims) for dims in (contracted, batched))
        inputs.append(x)
        contracts.append(contracted)
        batches.append(batched)
    if not changed:
        return None
    return _product(n, inputs, tuple(contracts), tuple(batches))


def of_int8(n: Node, given: Container[Node]) -> Node | None:
    """The int32 product ``n`` of what are both int8 numbers as one that takes them as they are: backends have units for it."""
    inputs = []
    for x in n.inputs:
        if x.sig.op is not ops.convert or x in given or x.sig.aval.dtype is not dtypes.int32:
            return None
        if x.inputs[0].sig.aval.dtype is not dtypes.int8:
            return None
        inputs.append(x.inputs[0])
    return make(DOT_INTO_INT32, inputs, n, **n.sig.keyword)


def contracted_otherwise(n: Node, which: int, transposed: Node) -> Node:
    """The product ``n`` of two matrices, of which operand ``which`` is given transposed."""
    contract = list(n.sig.keyword["contract"])
    contract[which] = (1 - contract[which][0],)
    inputs = list(n.inputs)
    inputs[which] = transposed
    return _product(n, inputs, tuple(contract), n.sig.keyword["batch"])


def reads_a_page_apart(n: Node) -> bool:
    """Whether ``n`` is a CPU's product of a few rows, which reads a second operand whose rows lie whole pages apart.

    Of each of these rows it takes a few numbers at a time, which then fall into one set of the first cache. With many rows
    on the left it pays to copy the second operand first, which the CPU's product does itself.
    """
    at = n.sig.keyword if n.sig.op is ops.dot_general else {}
    if not at or at["batch"][0] or at["contract"] != ((1,), (0,)) or n.sig.aval.device.platform != "cpu":
        return False
    x, y = n.sig.inputs
    if x.ndim != 2 or y.ndim != 2 or not y.dtype.is_floating_point:
        return False
    return 4 <= x.shape[0] <= 48 <= y.shape[0] and y.shape[1] * y.dtype.itemsize % PAGE == 0


def with_longer_rows(matrix: Node) -> Node:
    """The matrix with rows longer by a cache line."""
    more = LINE // matrix.sig.aval.dtype.itemsize
    return make(ops.pad, [matrix, zero_of(matrix)], matrix, low=(0, 0), high=(0, more), interior=(0, 0))


def by_longer_rows(n: Node, longer: Node) -> Node:
    """The product ``n`` as a part of that by its second operand with longer rows."""
    product = _product(n, [n.inputs[0], longer], n.sig.keyword["contract"], n.sig.keyword["batch"])
    return make(ops.slice_, [product], n, start=(0, 0), limit=n.sig.aval.shape, strides=(1, 1))


def _product(n: Node, inputs: list[Node], contract: object, batch: object) -> Node:
    sig = signature(n.sig.op, tuple(x.sig.aval for x in inputs), (contract, batch))
    return Node(sig, tuple(inputs), n.code, n.lasti)
