"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

from ..lazy.replay.state import entry_point
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_rate, decayed, zeros_for


class SGD(Optimizer):
    """p -= lr * (g + weight_decay * p), with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013)."""

    _in_pairs = False

    def __init__(
        self, params: Params, lr: Any = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked("momentum value", momentum)
        checked("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        buffer = momentum = None
        dampening = group["dampening"]
        if group["momentum"] != 0:
            momentum, buffer = shared("momentum", p, group["momentum"]), state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = zeros_for(p)
                dampening = 0  # the first gradient enters undamped
        options = group["weight_decay"], group["maximize"], dampening, group["nesterov"]
        _descend(p, g, buffer, momentum, shared.rate(p), *options)


@entry_point
def _descend(
    p: Any, g: Any, buffer: Any, momentum: Any, rate: Any, decay: float, maximize: bool, dampening: float, nesterov: bool
) -> None:  # fmt: skip
    g = decayed(p, g, decay, maximize)
    if buffer is not None:
        buffer.mul_(momentum).add_(g if dampening == 0 else g * (1 - dampening))
        g = g + buffer * momentum if nesterov else buffer
    p.sub_(g * rate)
