"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lazy as lx
from ..lazy import Tensor
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_rate, decayed, zeros_for

_NUMBERS = ("eta", "mu")  # host numbers that state dicts show as 0-d tensors


class ASGD(Optimizer):
    """Averaged SGD (Polyak and Juditsky 1992): ``ax`` in the state is the mean of the parameters since step ``t0``."""

    _in_pairs = False

    def __init__(
        self, params: Params, lr: Any = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked("weight_decay value", weight_decay)
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "eta": float(np.float32(group["lr"])), "mu": 1.0, "ax": zeros_for(p)}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        g, t = decayed(p, g, group["weight_decay"], group["maximize"]), state["step"]
        p.mul_(shared("1 - lambd * eta", p, 1 - group["lambd"] * state["eta"], t))
        p.sub_(g * shared("eta", p, state["eta"], t))
        average = state["ax"]
        average.add_((p - average) * shared("mu", p, state["mu"], t))
        lr = float(group["lr"])
        # rounded as the float32 that state_dict() shows, so that a resumed run is the same run
        state["eta"] = float(np.float32(lr / (1 + group["lambd"] * lr * t) ** group["alpha"]))
        state["mu"] = float(np.float32(1 / max(1, t - group["t0"])))

    def state_dict(self) -> dict[str, Any]:
        found = super().state_dict()
        for entries in found["state"].values():
            for name in _NUMBERS:
                if name in entries:
                    entries[name] = lx.tensor(float(entries[name]))
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for entries in self.state.values():
            for name in _NUMBERS:
                if isinstance(entries.get(name), Tensor):
                    entries[name] = float(entries[name])
