"""``LRScheduler``, the base of the schedules, and how a rate is read from a group and written to it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ...autograd import no_grad
from ...lazy import Tensor
from ..optimizer import Optimizer


class LRScheduler:
    """Sets ``lr`` of every group of an optimizer at each ``step()``, once an epoch or once a batch.

    A subclass gives ``_next(lr, base)``, the rate at ``last_epoch`` from the rate before it and the initial one (so
    that schedules can be chained), and where there is one the closed form ``_closed(base)``; or it overrides
    ``get_lr()``, as in PyTorch.
    """

    _starting = False  # whether step() is being called by the constructor

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0: load the optimizer's state first"
                )
        self.base_lrs = [_copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._start()

    def _start(self) -> None:
        """The first step, which the constructor takes."""
        self._step_count = 0
        self._starting = True
        try:
            self.step()
        finally:
            del self._starting

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch, or to the one given (by the closed form of the schedule, where it has one)."""
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: the first value of the schedule is "
                "skipped. Call `optimizer.step()` first.",
                stacklevel=2,
            )
        self._step_count += 1
        self._go_to(epoch)

    def _go_to(self, epoch: int | None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed = epoch is not None and type(self)._closed is not LRScheduler._closed
        self._set([self._closed(base) for base in self.base_lrs] if closed else self.get_lr())

    def get_lr(self) -> list[Any]:
        """The rates at ``last_epoch``; ``get_last_lr()`` is the one to look at."""
        return [self._next(lr, base) for lr, base in zip(rates(self.optimizer), self.base_lrs)]

    def _next(self, lr: Any, base: Any) -> Any:
        raise NotImplementedError

    def _closed(self, base: Any) -> Any:
        raise NotImplementedError

    def _set(self, new: Sequence[Any]) -> None:
        for group, lr in zip(self.optimizer.param_groups, new):
            set_rate(group, lr)
        self._last_lr = rates(self.optimizer)

    def get_last_lr(self) -> list[Any]:
        """The rate of each group as this schedule left it."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Numbers and lists; the optimizer is not part of it."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a ``state_dict()``."""
        self.__dict__.update(state_dict)


def checked_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer; TypeError if it is none."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def one_a_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A list with a value for each group; ValueError for a list of another length."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, param_groups "
            f"has {n}."
        )
    return list(value)


def rates(optimizer: Optimizer) -> list[Any]:
    """The rate of each group; a tensor's is a copy."""
    return [_copied(group["lr"]) for group in optimizer.param_groups]


def set_rate(group: dict[str, Any], lr: Any) -> None:
    """Give a group a new rate; a rate that is a tensor stays that tensor."""
    if not isinstance(group["lr"], Tensor):
        group["lr"] = lr
        return
    with no_grad():
        group["lr"].copy_(lr) if isinstance(lr, Tensor) else group["lr"].fill_(lr)


def set_momentum(group: dict[str, Any], value: float) -> None:
    """Give a group a new momentum, or a new beta1."""
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def check_momentum(optimizer: Optimizer) -> None:
    """ValueError for an optimizer that has no momentum to cycle."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")


def _copied(lr: Any) -> Any:
    return lr.detach().clone() if isinstance(lr, Tensor) else lr
