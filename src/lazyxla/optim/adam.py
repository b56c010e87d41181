"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from ..lazy.replay.state import entry_point
from .optimizer import Optimizer, Params
from .scalars import Scalars, checked, checked_betas, checked_rate, decayed, rms, zeros_for


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); with ``amsgrad`` the variant of Reddi et al. 2018.

    Weight decay is added to the gradient; ``AdamW`` and ``decoupled_weight_decay`` take it from the parameter.
    """

    def __init__(
        self, params: Params, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        checked("epsilon value", eps)
        checked_betas(betas)
        checked("weight_decay value", weight_decay)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
        })  # fmt: skip

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": 0, "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}
        return {**state, "max_exp_avg_sq": zeros_for(p)} if group["amsgrad"] else state

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        t, (beta1, beta2) = state["step"], group["betas"]
        # p -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps), with what depends on t computed on the host
        _descend(
            p, g, state["exp_avg"], state["exp_avg_sq"], state["max_exp_avg_sq"] if group["amsgrad"] else None,
            shared("1 / sqrt(1 - beta2^t)", p, (1 - beta2**t) ** -0.5, t),
            shared.rate(p, 1 / (1 - beta1**t), "lr / (1 - beta1^t)", t), beta2, group["eps"], *averaging(p, group, shared),
        )  # fmt: skip


@entry_point
def _descend(
    p: Any, g: Any, m: Any, v: Any, top: Any, unbias: Any, rate: Any, beta2: float, eps: float, *averaging: Any
) -> None:
    v = rms(v, first_moment(p, g, m, *averaging), beta2)
    if top is not None:
        v = top.copy_(lx.maximum(top, v))
    p.sub_(m / (v.sqrt() * unbias + eps) * rate)


def averaging(p: Any, group: dict[str, Any], shared: Scalars) -> tuple[Any, Any, float, bool]:
    """What ``first_moment`` takes besides tensors of the parameter's own: numbers of this step, and options."""
    weight = shared("1 - beta1", p, 1 - group["betas"][0])  # a schedule may move beta1, so it is an argument
    decay = group["weight_decay"]
    if decay != 0 and group.get("decoupled_weight_decay"):
        return weight, shared.kept(p, decay), 0, group["maximize"]
    return weight, None, decay, group["maximize"]


def first_moment(p: Any, g: Any, m: Any, weight: Any, kept: Any, decay: float, maximize: bool) -> Any:
    """How an update of Adam's kind begins: sign, weight decay, and the mean ``m`` of the gradients moved on. Gives g."""
    if kept is not None:
        p.mul_(kept)
    g = decayed(p, g, decay, maximize)
    m.add_((g - m) * weight)
    return g


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def __init__(
        self, params: Params, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As ``Optimizer.load_state_dict``; the decay stays decoupled, whatever a dict of another version says."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
