"""Adafactor: Adam's second moment from its row and column means."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked_rate, zeros_for


class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern 2018): of a matrix's second moment only the means of rows and columns are kept, and
    steps are in proportion to the parameter's size and limited in their own."""

    def __init__(
        self, params: Params, lr: Any = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        for ok, message in (
            (beta2_decay <= 0, f"beta2_decay should be <= 0 but is: {beta2_decay}"),
            (eps[0] is None or eps[0] >= 0, f"epsilon1 should be >= 0 but is: {eps[0]}"),
            (eps[1] >= 0, f"epsilon2 should be >= 0 but is: {eps[1]}"),
            (d >= 1, f"Clipping threshold d should be >= 1 but is: {d}"),
            (weight_decay >= 0, f"weight_decay should be >= 0 but is: {weight_decay}"),
        ):
            if not ok:
                raise ValueError(message)
        super().__init__(params, {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize,
        })  # fmt: skip
        if any(p.is_complex() for group in self.param_groups for p in group["params"]):
            raise RuntimeError("Adafactor does not support complex parameters")

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        if p.ndim < 2:
            return {"step": 0, "variance": zeros_for(p)}
        *rest, rows, columns = p.shape
        return {
            "step": 0, "row_var": lx.zeros(*rest, rows, 1, dtype=p.dtype, device=p.device),
            "col_var": lx.zeros(*rest, 1, columns, dtype=p.dtype, device=p.device),
        }  # fmt: skip

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        if group["maximize"]:
            g = -g
        t, (eps1, eps2) = state["step"], group["eps"]
        if eps1 is None:
            eps1 = float(lx.finfo(p.dtype).eps)
        share = shared("t^beta2_decay", p, t ** group["beta2_decay"], t)
        ceiling = shared("1 / sqrt(t)", p, t**-0.5, t)
        rho = lx.minimum(shared.rate(p), ceiling)
        count = p.numel() ** 0.5
        alpha = (p.norm() / count).clamp(min=eps2) * rho
        if group["weight_decay"] != 0:
            p.mul_(shared.kept(p, group["weight_decay"]))
        if g.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            rows.add_(((g * g).mean(-1, keepdim=True) - rows) * share)
            columns.add_(((g * g).mean(-2, keepdim=True) - columns) * share)
            variance = rows * columns / rows.mean(-2, keepdim=True).clamp(min=eps1)
        else:
            state["variance"].add_((g * g - state["variance"]) * share)
            variance = state["variance"]
        update = g * variance.clamp(min=eps1 * eps1).rsqrt()
        size = (update.norm() / (count * group["d"])).clamp(min=1.0)
        p.sub_(update * (alpha / size))
