"""RMSprop."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_rate, decayed, rms, zeros_for


class RMSprop(Optimizer):
    """RMSprop (Hinton's lecture 6e); ``centered`` after Graves 2013."""

    def __init__(
        self, params: Params, lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked("epsilon value", eps)
        checked("momentum value", momentum)
        checked("weight_decay value", weight_decay)
        checked("alpha value", alpha)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        names = ["square_avg"] + ["momentum_buffer"] * (group["momentum"] > 0) + ["grad_avg"] * group["centered"]
        return {"step": 0, **{name: zeros_for(p) for name in names}}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        g = decayed(p, g, group["weight_decay"], group["maximize"])
        square = rms(state["square_avg"], g, group["alpha"])
        if group["centered"]:
            mean = state["grad_avg"]
            mean.add_((g - mean) * (1 - group["alpha"]))
            square = square - mean * mean
        g = g / (square.sqrt() + group["eps"])
        if group["momentum"] > 0:
            g = state["momentum_buffer"].mul_(shared("momentum", p, group["momentum"])).add_(g)
        p.sub_(g * shared.rate(p))
