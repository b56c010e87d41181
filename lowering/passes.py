"""From a plan to its module: the passes, in their order."""

from __future__ import annotations

from typing import Any

from . import layouts, sums
from .emit import Plan, module_of
from .rolling import Analysis, plan_of, rolled


def lowered(plan: Plan, platform: str | None = None, repeats: Analysis | None = None) -> Any:
    """The verified module for a plan: its repeated pieces made loops, sums of small products merged, its convolutions
    laid out as ``platform`` likes it.

    The platform is that of the plan's device, unless it is to be compiled for another; ``repeats`` is what is known already
    of how the plan repeats itself.
    """
    return finished(rolled(plan, repeats), platform)


def finished(plan: Plan, platform: str | None = None) -> Any:
    """The same of a plan that has its loops already."""
    plan = sums.merged(plan)
    if platform is None:
        platform = plan.order[plan.roots[0]].sig.aval.device.pjrt.platform
    values = layouts.turned(plan, platform)
    if values is not None:
        plan = plan_of(plan, {plan.order[i] for places in plan.packed.values() for i in places}, values)
    return module_of(plan, platform)
