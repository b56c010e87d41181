"""Adagrad."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_rate, decayed, full_for


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer 2011)."""

    def __init__(
        self, params: Params, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked("lr_decay value", lr_decay)
        checked("weight_decay value", weight_decay)
        checked("initial_accumulator_value value", initial_accumulator_value)
        checked("epsilon value", eps)
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        first = group["initial_accumulator_value"]
        return {"step": 0, "sum": full_for(p, complex(first, first) if p.dtype.is_complex else first)}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        g = decayed(p, g, group["weight_decay"], group["maximize"])
        t = state["step"]
        total = state["sum"].add_(g * g)
        p.sub_(g / (total.sqrt() + group["eps"]) * shared.rate(p, 1 / (1 + (t - 1) * group["lr_decay"]), t=t))
