"""NAdam: Adam with Nesterov momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from .adam import averaging, first_moment
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_betas, checked_rate, rms, zeros_for


class NAdam(Optimizer):
    """NAdam (Dozat 2016); the momentum of step t is beta1 * (1 - 0.96^(t * momentum_decay) / 2)."""

    def __init__(
        self, params: Params, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked("epsilon value", eps)
        checked_betas(betas)
        checked("weight_decay value", weight_decay)
        checked("momentum_decay value", momentum_decay)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "mu_product": 1.0, "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}

    def _step_group(self, group: dict[str, Any]) -> None:
        # The products are moved on before the updates, which see a copy of the state where numbers are complex.
        for p in group["params"]:
            if p.grad is not None:
                state = self.state[p]
                if not state:
                    state.update(self._new_state(p, group))
                # rounded as the float32 that state_dict() shows, so that a resumed run is the same run
                state["mu_product"] = float(np.float32(state["mu_product"] * self._mu(state["step"] + 1, group)))
        super()._step_group(group)

    @staticmethod
    def _mu(t: int, group: dict[str, Any]) -> float:
        return group["betas"][0] * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"]))

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        g = first_moment(p, g, state["exp_avg"], *averaging(p, group, shared))
        t, beta2, product = state["step"], group["betas"][1], state["mu_product"]
        v = rms(state["exp_avg_sq"], g, beta2)
        mu, following = self._mu(t, group), self._mu(t + 1, group)
        root = v.sqrt() * shared("1 / sqrt(1 - beta2^t)", p, (1 - beta2**t) ** -0.5, t) + group["eps"]
        now = g * shared.rate(p, (1 - mu) / (1 - product), "rate of g", t)
        ahead = state["exp_avg"] * shared.rate(p, following / (1 - product * following), "rate of m", t)
        p.sub_((now + ahead) / root)
