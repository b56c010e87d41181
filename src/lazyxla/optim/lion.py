"""Lion: the sign of a momentum."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_betas, checked_rate, zeros_for


class Lion(Optimizer):
    """Lion (Chen et al. 2023): each element moves by lr, in the direction of the interpolated momentum's sign.

    PyTorch has none; names and defaults are those of the paper's own code. Rates want to be 3 to 10 times smaller, and
    weight decay as much larger, than for AdamW.
    """

    def __init__(
        self, params: Params, lr: Any = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked_betas(betas)
        checked("weight_decay value", weight_decay)
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"exp_avg": zeros_for(p)}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        if group["maximize"]:
            g = -g
        beta1, beta2 = group["betas"]
        m = state["exp_avg"]
        if group["weight_decay"] != 0:
            p.mul_(shared.kept(p, group["weight_decay"]))
        p.sub_((m * beta1 + g * (1 - beta1)).sign() * shared.rate(p))
        m.mul_(beta2).add_(g * (1 - beta2))
