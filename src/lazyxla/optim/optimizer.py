"""``Optimizer``: parameter groups, state, and the step that ends with a boundary of the lazy graph."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import lazy as lx
from ..autograd import enable_grad, no_grad
from ..lazy import Tensor

Params = Iterable[Any]


class Optimizer:
    """Base of all optimizers, as ``torch.optim.Optimizer``. A subclass writes ``_update(group, scalars)``.

    ``step()`` reads no value: it records the update and dispatches it. What changes from step to step (learning rate,
    bias corrections) enters the program as an argument, so a schedule never recompiles.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got Tensor"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        given = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own; ValueError where an option is missing or a parameter is twice."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will change between runs. Please use a list instead.")
        if isinstance(params, Tensor):
            params = [params]
        group["params"] = params = [p[1] if isinstance(p, tuple) else p for p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        if len({id(p) for p in params}) != len(params):
            raise ValueError("some parameters appear more than once in a parameter group")
        known = {id(p) for g in self.param_groups for p in g["params"]}
        if any(id(p) in known for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or, with ``set_to_none=False``, make them zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    if p.grad is not None:
                        p.grad = None
                elif p.grad is not None:
                    p.grad = lx.zeros_like(p.grad)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update from the ``.grad`` of the parameters; with a closure, evaluate it first and return its loss."""
        for hook in self._pre_hooks.values():
            hook(self, (closure,) if closure else (), {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                self._step_group(group)
        lx.step_boundary()
        for hook in self._post_hooks.values():
            hook(self, (closure,) if closure else (), {})
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        """Update the parameters of a group that have a gradient."""
        shared = Scalars()
        for p in group["params"]:
            if p.grad is not None:
                if p.grad.device is not p.device:
                    raise RuntimeError(f"the gradient of a parameter is on {p.grad.device}, the parameter on {p.device}")
                self._update(p, p.grad, self.state[p], group, shared)

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        raise NotImplementedError

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> Any:
        return _Registration(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> Any:
        return _Registration(self._post_hooks, hook)

    def state_dict(self) -> dict[str, Any]:
        """Groups (parameters as numbers) and state, in PyTorch's layout; step counts as 0-d tensors."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            numbers[id(p)]: {k: lx.tensor(float(v)) if k == "step" else v for k, v in s.items()}
            for p, s in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a ``state_dict()``; ValueError, and nothing changed, where its groups do not fit."""
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        for ours, theirs in zip(self.param_groups, groups):
            if len(ours["params"]) != len(theirs["params"]):
                raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
        params = [p for g in self.param_groups for p in g["params"]]
        numbers = [n for g in groups for n in g["params"]]
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        by_number = dict(zip(numbers, params))
        for n, entries in state_dict["state"].items():
            p = by_number[n]
            state[p] = {k: _restored(k, v, p) for k, v in entries.items()}
        for ours, theirs in zip(self.param_groups, groups):
            ours.update({k: v for k, v in theirs.items() if k != "params"})
        self.state = state

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return "\n".join([*lines, ")"])


def _restored(name: str, value: Any, p: Any) -> Any:
    if name == "step":
        return int(value.item() if isinstance(value, Tensor) else value)
    if isinstance(value, (Tensor, np.ndarray)):
        value = value if isinstance(value, Tensor) else lx.tensor(value)
        moved = value.detach().to(device=p.device)
        return (moved.to(p.dtype) if p.dtype.is_inexact else moved).clone()
    return value


class _Registration:
    def __init__(self, table: OrderedDict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self.table, self.key = table, max(table, default=-1) + 1
        table[self.key] = hook

    def remove(self) -> None:
        self.table.pop(self.key, None)


class Scalars:
    """The numbers of one group's step, each recorded once and shared by all parameters of a type and device."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def __call__(self, name: str, value: Any, p: Any) -> Any:
        """``value`` (a number or a 0-d tensor) as an argument of the program, in the real type of ``p``."""
        if isinstance(value, Tensor):
            return value.detach()
        dtype = p.dtype.to_real()
        key = (name, value, dtype, p.device)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = lx.scalar(value, dtype, p.device)
        return found


def zeros_for(p: Any) -> Any:
    """Zeros like ``p`` that are computed already, so that the first step is the same program as the second."""
    return lx.tensor(np.zeros(tuple(p.shape), p.dtype.numpy), dtype=p.dtype, device=p.device)


def checked(name: str, value: Any, low: float = 0.0, high: float | None = None) -> None:
    """ValueError for an option outside [low, high)."""
    if isinstance(value, Tensor):
        return
    if not value >= low or (high is not None and not value < high):
        raise ValueError(f"Invalid {name}: {value}")


def decayed(p: Any, g: Any, group: dict[str, Any]) -> Any:
    """The gradient to descend: its sign for ``maximize``, the weight decay added."""
    if group.get("maximize"):
        g = -g
    decay = group["weight_decay"]
    return g + p * decay if decay != 0 else g
