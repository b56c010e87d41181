"""``Optimizer``: parameter groups, state, hooks, and the step that ends with a boundary of the lazy graph."""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import lazy as lx
from ..autograd import enable_grad, no_grad
from ..lazy import Tensor
from ..lazy.replay.state import S
from ..nn.hooks import RemovableHandle, register
from .course import Course, Visit, course
from .scalars import Count, Scalars, shown

Params = Iterable[Any]
ParamsT = Params


class _Required:
    """The default of an option that must be given, in optimizers of others."""

    def __repr__(self) -> str:
        return "<required parameter>"


required: Any = _Required()

_EVERY: defaultdict[str, dict[int, Callable[..., Any]]] = defaultdict(dict)  # hooks of every optimizer

_HOST = ("step", "mu_product")  # what the state keeps as host numbers and state_dict() shows as 0-d tensors


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(optimizer, args, kwargs)`` before each step of every optimizer, before its own hooks."""
    return register(_EVERY["step_pre"], hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(optimizer, args, kwargs)`` after each step of every optimizer, after its own hooks."""
    return register(_EVERY["step_post"], hook)


class Optimizer:
    """Base of all optimizers, as ``torch.optim.Optimizer``.

    A subclass writes ``_new_state`` and ``_update`` for one parameter, or a ``step`` of its own as in PyTorch.
    ``step()`` reads no value: it records the update and dispatches it. What changes from step to step (learning rate,
    bias corrections) enters the program as an argument (``Scalars``), so a schedule never recompiles.
    """

    _hooks: defaultdict[str, dict[int, Callable[..., Any]]]
    _stepping: bool
    _opt_called: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Optimizer:
        self = super().__new__(cls)  # here, as an optimizer of one's own may leave this class's __init__ out
        self._hooks = defaultdict(dict)
        self._stepping = self._opt_called = False
        return self

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__}"
            )
        if defaults.get("differentiable"):
            raise RuntimeError("differentiable=True is not supported: updates are not recorded for autograd")
        if defaults.get("fused") and defaults.get("foreach"):
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        given = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:  # a user's own optimizer
            cls.step = _whole_step(cls.__dict__["step"])  # type: ignore[method-assign]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters (or (name, parameter) pairs) with options of their own.

        TypeError for what is not a tensor or has no order, ValueError for a tensor that is no leaf or is in two groups.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = dict(param_group)
        given = group["params"]
        if isinstance(given, (set, frozenset)):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        given = [given] if isinstance(given, Tensor) else list(given)
        names = [p[0] for p in given if isinstance(p, tuple)]
        if names and len(names) != len(given):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        if names:
            group["param_names"] = names
        group["params"] = params = [p[1] if isinstance(p, tuple) else p for p in given]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf and not p.retains_grad:
                raise ValueError("can't optimize a non-leaf Tensor")
        here = {id(p) for p in params}
        if len(here) != len(params):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        for other in self.param_groups:
            if ("param_names" in other) != ("param_names" in group):
                how = "with names" if "param_names" in group else "without names"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {how} to the optimizer"
                )
            if any(id(p) in here for p in other["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        for name, value in self.defaults.items():
            if value is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            group.setdefault(name, value)
        self.param_groups.append(group)
        if any(p._node is not None and p._node.buffer is None for p in params):
            lx.sync("an optimizer takes the parameters")  # so that the first step is the same program as the second

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or, with ``set_to_none=False``, write zeros into them)."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                else:
                    with no_grad():
                        p.grad.detach_().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update from the ``.grad`` of the parameters; with a closure, evaluate it first and return its loss."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            self._advance()
        return loss

    def _advance(self) -> None:
        """Update the parameters of all groups."""
        for group in self.param_groups:
            self._step_group(group)

    def _step_group(self, group: dict[str, Any]) -> None:
        """Update the parameters of a group that have a gradient."""
        shared = Scalars(group["lr"])
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state.update(self._new_state(p, group))
            if self._visits is None:
                self._update_one(p, state, group, shared)
            else:
                self._visits(p, state, group, shared)

    def _update_one(self, p: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        """Count the step of a parameter and update it."""
        count = state.get("step")
        if count is not None:
            state["step"] = (count if type(count) is Count else Count(count)) + 1
        if p.dtype.is_complex and self._in_pairs:
            pairs = {k: lx.view_as_real(v) if isinstance(v, Tensor) else v for k, v in state.items()}
            self._update(lx.view_as_real(p), lx.view_as_real(p.grad), pairs, group, shared)
        else:
            self._update(p, p.grad, state, group, shared)

    _visits: Callable[..., None] | None = None  # called for ``_update_one`` while a step's course is looked at

    _in_pairs = True  # whether a complex parameter is updated as pairs of real numbers (needless where all is linear)

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first step; ``step``, if it is there, is counted by the caller."""
        return {}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
        """Change ``p`` and the tensors of ``state`` in place, but not ``g``. All real if ``_in_pairs``."""
        raise NotImplementedError

    def bookkeeping(self, calls: list[Any], made: Callable[[], int]) -> Course | None:
        """A step's Python alone, for a compiled function that has the step's computations in its program: tensors are
        stand-ins meanwhile, and step counts and rates move on.

        ``calls`` are the step's calls on tensors, of which ``made()`` have been made. Gives a shorter course for the next
        steps, where there is one.
        """
        kind = type(self)
        step = inspect.unwrap(kind.step)
        if (step, kind._advance, kind._step_group) != (_STEP, Optimizer._advance, Optimizer._step_group):
            step(self)
            return None
        visits: list[Visit] = []

        def visit(p: Any, state: dict[str, Any], group: dict[str, Any], shared: Scalars) -> None:
            begin, known = made(), len(shared.made)
            self._update_one(p, state, group, shared)
            visits.append(Visit(p, state, group, len(shared.made) > known, begin, made()))

        self._visits = visit
        try:
            step(self)
        finally:
            self._visits = None
        return course(self, visits, calls)

    # --- hooks ---

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` before each step; may return new ``(args, kwargs)``."""
        return register(self._hooks["step_pre"], hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` after each step."""
        return register(self._hooks["step_post"], hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer)`` before ``state_dict()``."""
        return register(self._hooks["state_dict_pre"], hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` after ``state_dict()``; may return another dict."""
        return register(self._hooks["state_dict_post"], hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` before ``load_state_dict``; may return another dict."""
        return register(self._hooks["load_pre"], hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer)`` after ``load_state_dict``."""
        return register(self._hooks["load_post"], hook, prepend)

    # --- saving ---

    def __setstate__(self, state: dict[str, Any]) -> None:  # which optimizers of one's own may extend
        self.__dict__.update(state)

    def state_dict(self) -> dict[str, Any]:
        """Groups (parameters as numbers) and state, in PyTorch's layout; step counts as 0-d tensors."""
        for hook in list(self._hooks["state_dict_pre"].values()):
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            numbers.get(id(p), p): {k: shown(v) if k in _HOST else v for k, v in entries.items()}
            for p, entries in self.state.items()
            if entries
        }
        found: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._hooks["state_dict_post"].values()):
            found = _or(hook(self, found), found)
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a ``state_dict()``; ValueError, and nothing changed, where its groups do not fit."""
        state_dict = dict(state_dict)
        for hook in list(self._hooks["load_pre"].values()):
            state_dict = _or(hook(self, state_dict), state_dict)
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(self.param_groups, groups)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        ours = [p for group in self.param_groups for p in group["params"]]
        by_number = dict(zip((n for group in groups for n in group["params"]), ours))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for n, entries in state_dict["state"].items():
            p = by_number.get(n)
            if p is None:  # a state that belongs to no parameter is kept as it is
                state[n] = entries
            else:
                state[p] = {k: _restored(k, v, p) for k, v in entries.items()}
        options = [{k: _copied(v) for k, v in group.items() if k != "params"} for group in groups]
        for group, option in zip(self.param_groups, options):
            group.update(option)
        self.state = state
        # the copies are made now, so that the next step is the same program as any other
        kept = [v for entries in state.values() for v in entries.values() if isinstance(v, Tensor)]
        lx.sync_points.dispatch([*ours, *kept], "an optimizer loads its state")
        for hook in list(self._hooks["load_post"].values()):
            hook(self)

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(f"    {k}: {group[k]}\n" for k in sorted(group) if k != "params")
        return text + ")"


def _whole_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with the hooks around it and, outside of any other ``step``, the boundary of the graph at its end."""

    @functools.wraps(step)
    def whole(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._stepping:  # super().step()
            return step(self, *args, **kwargs)
        self._stepping = self._opt_called = True
        try:
            for hook in [*_EVERY["step_pre"].values(), *self._hooks["step_pre"].values()]:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not isinstance(changed, tuple) or len(changed) != 2:
                        raise RuntimeError(
                            f"{hook} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                        )
                    args, kwargs = changed
            if S.capture is not None:
                S.capture.step_begins(self)
            result = step(self, *args, **kwargs)
            if S.capture is not None:
                S.capture.step_ends()
            lx.step_boundary()
            for hook in [*self._hooks["step_post"].values(), *_EVERY["step_post"].values()]:
                hook(self, args, kwargs)
            return result
        finally:
            self._stepping = False

    return whole


_STEP = Optimizer.step
Optimizer.step = _whole_step(Optimizer.step)  # type: ignore[method-assign]


def _use_grad_for_differentiable(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with gradients off, unless the optimizer was made with ``differentiable=True``: a decorator."""

    @functools.wraps(step)
    def quiet(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        with enable_grad() if self.defaults["differentiable"] else no_grad():
            return step(self, *args, **kwargs)

    return quiet


def _default_to_fused_or_foreach(params: list[Tensor], differentiable: bool, use_fused: bool = False) -> tuple[bool, bool]:
    """Neither: a step is one program however it is written."""
    return False, False


def _get_value(x: Any) -> Any:
    """A step count as a number, or what it is."""
    return x.item() if isinstance(x, Tensor) else x


def _or(given: Any, otherwise: Any) -> Any:
    return otherwise if given is None else given


def _restored(name: str, value: Any, p: Any) -> Any:
    """A loaded piece of the state of ``p``, in memory of its own."""
    if name in _HOST:
        number = value.item() if isinstance(value, (Tensor, np.ndarray)) else value
        return Count(number) if name == "step" else float(number)
    if isinstance(value, np.ndarray):
        value = lx.tensor(value)
    if not isinstance(value, Tensor):
        return copy.deepcopy(value)
    moved = value.detach().to(device=p.device)
    return (moved.to(p.dtype) if p.dtype.is_inexact else moved).clone()


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)
