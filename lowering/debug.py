"""Looking at what would be run: the StableHLO of a pending tensor, the HLO that XLA makes of it."""

from __future__ import annotations

from typing import Any

from ..lazy import Tensor
from ..lazy.graph import HostValue, argument
from .cache import made
from .emit import Plan
from .passes import lowered
from .pieces import Memory, memory_of
from .structure import structure


def plan_for(*tensors: Tensor) -> Plan:
    """The plan that computes these tensors and nothing else, nothing donated."""
    roots = [t._node or t._refresh() for t in tensors]
    order, _ = structure(roots)
    packed: dict[Any, list[int]] = {}
    leaves = []
    for i, n in enumerate(order):
        if isinstance(n, HostValue):
            if n.sig.op is argument:
                packed.setdefault(n.sig.aval.dtype, []).append(i)
        elif n.buffer is not None:
            leaves.append(i)
    return Plan(order, [n.mark for n in roots], leaves, packed, {})


def stablehlo(*tensors: Tensor, locations: bool = True) -> str:
    """The StableHLO module for pending tensors, with each op's source line; runs nothing."""
    return lowered(plan_for(*tensors)).operation.get_asm(enable_debug_info=locations)


def _compiled(tensors: tuple[Tensor, ...]) -> Any:
    return made(plan_for(*tensors), tensors[0].device)[0]


def hlo(*tensors: Tensor) -> str:
    """What XLA makes of it: the optimised HLO; compiles, runs nothing."""
    return _compiled(tensors).hlo_text()


def cost(*tensors: Tensor) -> dict[str, float]:
    """XLA's estimate of flops and bytes for computing the tensors."""
    return _compiled(tensors).cost_analysis()


def memory(*tensors: Tensor) -> Memory:
    """The bytes that computing the tensors takes on their device; compiles, runs nothing."""
    return memory_of(_compiled(tensors))
