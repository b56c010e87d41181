"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from .optimizer import Optimizer, Params, Scalars, checked, zeros_for


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); with ``amsgrad`` the variant of Reddi et al. 2018.

    Weight decay is added to the gradient; ``AdamW`` and ``decoupled_weight_decay`` take it from the parameter.
    """

    _decoupled = False

    def __init__(
        self, params: Params, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: Any = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: Any = None,
        decoupled_weight_decay: bool | None = None,
    ) -> None:  # fmt: skip
        checked("learning rate", lr)
        checked("epsilon value", eps)
        for i, beta in enumerate(betas):
            checked(f"beta parameter at index {i}", beta, 0.0, 1.0)
        checked("weight_decay value", weight_decay)
        decoupled = self._decoupled if decoupled_weight_decay is None else decoupled_weight_decay
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled,
        })  # fmt: skip

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        if "step" not in state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = zeros_for(p), zeros_for(p)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = zeros_for(p)
        state["step"] += 1
        t, lr, decay = state["step"], group["lr"], group["weight_decay"]
        beta1, beta2 = group["betas"]
        if group["maximize"]:
            g = -g
        if decay != 0 and group["decoupled_weight_decay"]:
            p.mul_(1 - shared("lr", lr, p) * decay)
        elif decay != 0:
            g = g + p * decay
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.mul_(beta1).add_(g * (1 - beta1))
        square = g * g if not g.dtype.is_complex else lx.complex(g.real * g.real, g.imag * g.imag)
        v.mul_(beta2).add_(square * (1 - beta2))
        # p -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps), with what depends on t computed on the host
        if group["amsgrad"]:
            v = state["max_exp_avg_sq"].copy_(lx.maximum(state["max_exp_avg_sq"], v))
        step_size = shared("lr", lr, p) * shared("1 / (1 - beta1^t)", 1 / (1 - beta1**t), p)
        correction = shared("1 / sqrt(1 - beta2^t)", (1 - beta2**t) ** -0.5, p)
        if g.dtype.is_complex:
            root = lx.complex(v.real.sqrt() * correction + group["eps"], v.imag.sqrt() * correction + group["eps"])
            p.sub_(lx.complex(m.real / root.real, m.imag / root.imag) * step_size)
        else:
            p.sub_(m / (v.sqrt() * correction + group["eps"]) * step_size)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    _decoupled = True

    def __init__(
        self, params: Params, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options)
