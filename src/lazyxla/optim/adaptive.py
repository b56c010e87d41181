"""Optimizers with a learning rate an element: Adagrad, RMSprop, Adadelta."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lazy as lx
from .optimizer import Optimizer, Params, Scalars, checked, decayed, zeros_for


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer 2011)."""

    def __init__(
        self, params: Params, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: Any = None, *, maximize: bool = False,
        differentiable: bool = False, fused: Any = None,
    ) -> None:  # fmt: skip
        for name, value in (
            ("learning rate", lr), ("lr_decay value", lr_decay), ("weight_decay value", weight_decay),
            ("initial_accumulator_value value", initial_accumulator_value), ("epsilon value", eps),
        ):  # fmt: skip
            checked(name, value)
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        if "step" not in state:
            first = np.full(tuple(p.shape), group["initial_accumulator_value"], p.dtype.numpy)
            state["step"], state["sum"] = 0, lx.tensor(first, dtype=p.dtype, device=p.device)
        state["step"] += 1
        g = decayed(p, g, group)
        rate = group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        total = state["sum"].add_(g * g)
        p.sub_(g / (total.sqrt() + group["eps"]) * shared("lr", rate, p))


class RMSprop(Optimizer):
    """RMSprop (Hinton's lecture 6e), centered after Graves 2013 if asked."""

    def __init__(
        self, params: Params, lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: Any = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        for name, value in (
            ("learning rate", lr), ("epsilon value", eps), ("momentum value", momentum),
            ("weight_decay value", weight_decay), ("alpha value", alpha),
        ):  # fmt: skip
            checked(name, value)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable,
        })  # fmt: skip

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        if "step" not in state:
            state["step"], state["square_avg"] = 0, zeros_for(p)
            if group["momentum"] > 0:
                state["momentum_buffer"] = zeros_for(p)
            if group["centered"]:
                state["grad_avg"] = zeros_for(p)
        state["step"] += 1
        g = decayed(p, g, group)
        alpha, lr = group["alpha"], shared("lr", group["lr"], p)
        square = state["square_avg"].mul_(alpha).add_(g * g * (1 - alpha))
        if group["centered"]:
            mean = state["grad_avg"].mul_(alpha).add_(g * (1 - alpha))
            square = square - mean * mean
        step = g / (square.sqrt() + group["eps"])
        if group["momentum"] > 0:
            step = state["momentum_buffer"].mul_(group["momentum"]).add_(step)
        p.sub_(step * lr)


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012)."""

    def __init__(
        self, params: Params, lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: Any = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        checked("learning rate", lr)
        checked("rho value", rho, 0.0, 1.0 + 1e-12)
        checked("epsilon value", eps)
        checked("weight_decay value", weight_decay)
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })  # fmt: skip

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        if "step" not in state:
            state["step"], state["square_avg"], state["acc_delta"] = 0, zeros_for(p), zeros_for(p)
        state["step"] += 1
        g = decayed(p, g, group)
        rho, eps = group["rho"], group["eps"]
        square = state["square_avg"].mul_(rho).add_(g * g * (1 - rho))
        delta = (state["acc_delta"] + eps).sqrt() / (square + eps).sqrt() * g
        state["acc_delta"].mul_(rho).add_(delta * delta * (1 - rho))
        p.sub_(delta * shared("lr", group["lr"], p))
