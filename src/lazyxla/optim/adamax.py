"""Adamax: Adam with the infinity norm."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from .adam import averaging, first_moment
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_betas, checked_rate, zeros_for


class Adamax(Optimizer):
    """Adamax (Kingma and Ba 2015, section 7)."""

    def __init__(
        self, params: Params, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked("epsilon value", eps)
        checked_betas(betas)
        checked("weight_decay value", weight_decay)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": zeros_for(p), "exp_inf": zeros_for(p)}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        g = first_moment(p, g, state["exp_avg"], *averaging(p, group, shared))
        t, (beta1, beta2), norm = state["step"], group["betas"], state["exp_inf"]
        norm.copy_(lx.maximum(norm * beta2, g.abs() + group["eps"]))
        p.sub_(state["exp_avg"] / norm * shared.rate(p, 1 / (1 - beta1**t), "lr / (1 - beta1^t)", t))
