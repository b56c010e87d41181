"""Adadelta."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_rate, decayed, rms, zeros_for


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012)."""

    def __init__(
        self, params: Params, lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        if not 0 <= rho <= 1:
            raise ValueError(f"Invalid rho value: {rho}")
        checked("epsilon value", eps)
        checked("weight_decay value", weight_decay)
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "square_avg": zeros_for(p), "acc_delta": zeros_for(p)}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        g = decayed(p, g, group["weight_decay"], group["maximize"])
        rho, eps, moved = group["rho"], group["eps"], state["acc_delta"]
        square = rms(state["square_avg"], g, rho)
        delta = (moved + eps).sqrt() / (square + eps).sqrt() * g
        rms(moved, delta, rho)
        p.sub_(delta * shared.rate(p))
