"""Adam for gradients of which most rows are zero."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked_betas, checked_rate, zeros_for


class SparseAdam(Optimizer):
    """Adam that leaves alone what a step did not touch: where the gradient of a whole row (dim 0) is zero, neither the
    row nor its moments change.

    Gradients are dense here, so PyTorch's sparse rows are the ones that are not zero throughout.
    """

    def __init__(
        self, params: Params, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        if not isinstance(lr, lx.Tensor) and not lr > 0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        checked_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        places = [[i, j] for i, group in enumerate(self.param_groups) for j, p in enumerate(group["params"]) if p.is_complex()]
        if places:
            raise ValueError(
                f"Complex params at indices {places}: SparseAdam does not support complex parameters"
            )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        if group["maximize"]:
            g = -g
        touched = g != 0
        if g.ndim > 1:
            touched = touched.flatten(1).any(1).reshape(-1, *[1] * (g.ndim - 1))
        t, (beta1, beta2) = state["step"], group["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.copy_(lx.where(touched, m + (g - m) * (1 - beta1), m))
        v.copy_(lx.where(touched, v + (g * g - v) * (1 - beta2), v))
        factor = (1 - beta2**t) ** 0.5 / (1 - beta1**t)
        rate = shared.rate(p, factor, "lr * sqrt(1 - beta2^t) / (1 - beta1^t)", t)
        p.sub_(lx.where(touched, m / (v.sqrt() + group["eps"]) * rate, 0.0))
