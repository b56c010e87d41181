"""Averages of weights over training: of the last epochs (Izmailov et al. 2018), or exponential ones."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from .. import lazy as lx
from ..autograd import no_grad
from ..nn import Module
from ..nn.layers.normalization import _BatchNorm
from .lr_scheduler.base import LRScheduler, rates
from .optimizer import Optimizer


def _checked_decay(decay: float) -> float:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")
    return decay


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """The exponential moving average: decay * average + (1 - decay) * current."""
    _checked_decay(decay)
    return lambda average, current, n: average * decay + current * (1 - decay)


def get_swa_avg_fn() -> Callable[..., Any]:
    """The equal average of all models so far."""
    return lambda average, current, n: average + (current - average) / (n + 1)


def _several(f: Callable[..., Any]) -> Callable[..., Any]:
    def update(averages: list[Any], currents: list[Any], n: Any) -> None:
        with no_grad():
            for average, current in zip(averages, currents):
                average.copy_(f(average, current, n))

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """``get_ema_avg_fn`` for lists of tensors, in place."""
    return _several(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[..., Any]:
    """``get_swa_avg_fn`` for lists of tensors, in place."""
    return _several(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of ``model`` whose parameters (and buffers, with ``use_buffers``) are averages of the model's.

    ``avg_fn(average, current, n)`` gives the next average, ``multi_avg_fn(averages, currents, n)`` moves lists in
    place, where ``n``, a tensor, says how many were averaged; the equal average by default. The first update copies.
    """

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: Callable[..., Any] | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", lx.zeros((), dtype=lx.int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model as it is now into the average. Reads nothing."""

        def tensors(m: Module) -> Iterable[Any]:
            return chain(m.parameters(), m.buffers()) if self.use_buffers else m.parameters()

        with no_grad():
            pairs = [(a, c.detach().to(a.device)) for a, c in zip(tensors(self.module), tensors(model))]
            averages = [a.detach().clone() for a, _ in pairs]
            currents = [c for _, c in pairs]
            counts = {a.device: self.n_averaged.to(a.device) for a in averages}
            if self.multi_avg_fn is not None:
                for device, n in counts.items():
                    here = [(a, c) for a, c in zip(averages, currents) if a.device is device]
                    self.multi_avg_fn([a for a, _ in here], [c for _, c in here], n)
            else:
                f = get_swa_avg_fn() if self.avg_fn is None else self.avg_fn
                averages = [f(a, c, counts[a.device]) for a, c in zip(averages, currents)]
            for (own, current), average in zip(pairs, averages):
                own.copy_(lx.where(counts[own.device] == 0, current, average.to(own.dtype)))
            if not self.use_buffers:
                for own, current in zip(self.module.buffers(), model.buffers()):
                    own.copy_(current.detach().to(own.device))
            self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of all batch normalisations anew, from a pass over ``loader`` (of inputs, or of
    tuples that begin with one)."""
    norms = {m: m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    if not norms:
        return
    was_training = model.training
    model.train()
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    with no_grad():
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    for m, momentum in norms.items():
        m.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the rate of each group to ``swa_lr`` over ``anneal_epochs``, along a cosine or a line, and constant then."""

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        groups = optimizer.param_groups
        given = list(swa_lr) if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(groups)
        if len(given) != len(groups):
            raise ValueError(f"swa_lr must have the same length as optimizer.param_groups: swa_lr has {len(given)}, "
                             f"optimizer.param_groups has {len(groups)}.")  # fmt: skip
        for group, lr in zip(groups, given):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        found = []
        for lr, group in zip(rates(self.optimizer), self.optimizer.param_groups):
            swa = group["swa_lr"]
            initial = swa if before == 1 else (lr - before * swa) / (1 - before)
            found.append(swa * now + initial * (1 - now))
        return found
