"""RAdam: Adam whose adaptive rate is rectified while its variance is large."""

from __future__ import annotations

from typing import Any

from .adam import averaging, first_moment
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_betas, checked_rate, rms, zeros_for


class RAdam(Optimizer):
    """RAdam (Liu et al. 2020)."""

    def __init__(
        self, params: Params, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked("epsilon value", eps)
        checked_betas(betas)
        checked("weight_decay value", weight_decay)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        g = first_moment(p, g, state["exp_avg"], *averaging(p, group, shared))
        v = rms(state["exp_avg_sq"], g, group["betas"][1])
        plain, adaptive = rectified(state["step"], *group["betas"])
        # one program for the plain first steps and the adaptive later ones: the part that is off has the rate 0
        rate = shared.rate(p, adaptive, "adaptive", state["step"]) / (v.sqrt() + group["eps"])
        p.sub_(state["exp_avg"] * (rate + shared.rate(p, plain, "plain", state["step"])))


def rectified(t: int, beta1: float, beta2: float) -> tuple[float, float]:
    """The factors of m and of m / sqrt(v) at step t: one of them is 0."""
    unbias1, unbias2 = 1 - beta1**t, 1 - beta2**t
    most = 2 / (1 - beta2) - 1
    length = most - 2 * t * beta2**t / unbias2  # of the approximated simple moving average
    if length <= 5:
        return 1 / unbias1, 0.0
    rectification = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
    return 0.0, (rectification * unbias2) ** 0.5 / unbias1
