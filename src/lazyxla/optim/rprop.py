"""Resilient backpropagation."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked_rate, full_for, zeros_for


class Rprop(Optimizer):
    """Rprop (Riedmiller and Braun 1993): only the sign of the gradient counts, and each element has its own step size,
    which grows while the sign stays and shrinks where it changes."""

    def __init__(
        self, params: Params, lr: Any = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        lr = float(group["lr"])
        sizes = full_for(p, complex(lr, lr) if p.is_complex() else lr)
        return {"step": 0, "prev": zeros_for(p), "step_size": sizes}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        if group["maximize"]:
            g = -g
        (less, more), (smallest, largest), before = group["etas"], group["step_sizes"], state["prev"]
        product = g * before
        factor = lx.where(product > 0, more, lx.where(product < 0, less, 1.0)).to(p.dtype)
        sizes = state["step_size"]
        sizes.copy_((sizes * factor).clamp(smallest, largest))
        g = lx.where(product < 0, 0.0, g)
        p.sub_(g.sign() * sizes)
        before.copy_(g)
