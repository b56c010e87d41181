"""Connectionist temporal classification (Graves et al. 2006): a loss for sequences without alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import lazy as lx
from ...autograd.control import scan
from ...lazy import Tensor, levels
from ._common import check_reduction, choose, edged, error, part, reshaped, spread

_NEVER = -1e30  # the logarithm of what cannot be; finite, so that no gradient is NaN


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """-log of the probability of ``targets`` over all alignments with log_probs [T, N, C] (or [T, C]).

    Targets [N, S] padded, or one after another in one dim; then their lengths decide the program and a tensor of them
    is read. 'mean' divides by the target lengths. As in PyTorch, the gradient is that of
    logits under ``log_softmax``: exp(log_probs) less the share of the alignments.
    """
    check_reduction(reduction)
    batched = log_probs.ndim == 3
    if not batched:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.reshape(1, -1)
    steps, batch, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise error(RuntimeError, "blank must be in label range")
    device = log_probs.device
    lengths = _lengths(input_lengths, steps, batch, "input_lengths", device)
    if targets.ndim == 1:
        targets = _padded(targets, target_lengths)
    if targets.ndim != 2 or targets.shape[0] != batch:
        raise error(RuntimeError, f"Expected targets of {batch} sequences, but got {list(targets.shape)}")
    wanted = _lengths(target_lengths, targets.shape[1], batch, "target_lengths", device)
    loss = _losses(log_probs, targets.to(lx.int64), lengths, wanted, blank)
    # the part of PyTorch's gradient that belongs to log_softmax, which takes it away again; its value is 0
    line = spread(lx.arange(steps, device=device), (steps, batch), (0,)) < spread(lengths, (steps, batch), (1,))
    own = choose(line, lx.exp(log_probs).sum(2), 0.0).sum(0)
    loss = loss + (own - own.detach())
    loss = choose(loss > -_NEVER / 2, 0.0 if zero_infinity else math.inf, loss)
    if reduction == "mean":
        return (loss / wanted.clamp_min(1).to(loss.dtype)).mean()
    if reduction == "sum":
        return loss.sum()
    return loss if batched else loss.squeeze(0)


def _lengths(given: Any, most: int, batch: int, name: str, device: Any) -> Tensor:
    if not isinstance(given, Tensor):
        given = np.asarray(given, np.int64)
        if given.max(initial=0) > most or given.min(initial=0) < 0:
            raise error(RuntimeError, f"Expected {name} to be within 0 and {most}, but got {given.tolist()}")
    t = given if isinstance(given, Tensor) else lx.tensor(given)
    t = t.reshape(-1).to(device=device, dtype=lx.int64)
    if t.numel() != batch:
        raise error(RuntimeError, f"{name} must be of size batch_size")
    return t


def _padded(targets: Tensor, target_lengths: Any) -> Tensor:
    """Targets that lie one after another, as rows."""
    known = target_lengths.tolist() if isinstance(target_lengths, Tensor) else target_lengths
    known = [int(n) for n in (known if isinstance(known, Sequence) else [known])]
    ends = np.cumsum([0, *known])
    if ends[-1] != targets.numel():
        raise error(
            RuntimeError, f"Expected targets to have {ends[-1]} elements, the sum of target_lengths, but got "
            f"{targets.numel()}",
        )  # fmt: skip
    longest = max(max(known), 1)
    places = np.minimum(ends[:-1, None] + np.arange(longest), max(targets.numel() - 1, 0))
    if not targets.numel():
        return lx.zeros(len(known), 1, dtype=targets.dtype, device=targets.device)
    return lx.index_select(targets, 0, lx.tensor(places.ravel(), device=targets.device)).reshape(len(known), longest)


def _losses(logp: Tensor, targets: Tensor, lengths: Tensor, wanted: Tensor, blank: int) -> Tensor:
    """A loss a sequence, by the forward recursion over 2 S + 1 states: the labels with blanks around each."""
    steps, batch, _ = logp.shape
    count = targets.shape[1]
    states = 2 * count + 1
    blanks = lx.full((batch, count, 1), blank, dtype=lx.int64, device=logp.device)
    labels = lx.cat([blanks, targets.unsqueeze(2)], 2).reshape(batch, 2 * count)
    labels = lx.cat([labels, blanks[:, :1, 0]], 1) if count else lx.full(
        (batch, 1), blank, dtype=lx.int64, device=logp.device
    )  # fmt: skip
    # a state may be reached from two before, if it is a label other than that one
    skips = lx.zeros(batch, states, dtype=lx.bool, device=logp.device)
    if count > 1:
        skips = lx.cat([skips[:, :2], (labels[:, 2:] != labels[:, :-2]) & (labels[:, 2:] != blank)], 1)
    index = spread(labels, (steps, batch, states), (1, 2))
    emitted = lx.gather(logp, 2, index)  # [T, N, states]
    first = spread(lx.arange(states, device=logp.device) < 2, (batch, states), (1,))
    alpha = choose(first, reshaped(part(emitted, 0, 0, 1), (batch, states)), _NEVER)

    def step(alpha: Tensor, given: tuple[Tensor, Any]) -> tuple[Tensor, None]:
        emission, t = given
        one, two = (edged(alpha, _NEVER, (0, k), (0, -k)) for k in (1, 2))
        two = lx.where(skips, two, _NEVER)
        top = lx.maximum(lx.maximum(alpha, one), two).detach()
        total = lx.exp(alpha - top) + lx.exp(one - top) + lx.exp(two - top)
        going = spread(lengths > t, (batch, states), (0,))
        return choose(going, top + lx.log(total) + emission, alpha), None

    if levels.active:  # a loop of the device's cannot be said for a batch
        for t in range(1, steps):
            alpha, _ = step(alpha, (reshaped(part(emitted, 0, t, t + 1), (batch, states)), t))
    else:
        alpha, _ = scan(step, alpha, (part(emitted, 0, 1, steps), lx.arange(1, steps, device=logp.device)))
    line = spread(lx.arange(states, device=logp.device), (batch, states), (1,))
    last = spread(2 * wanted, (batch, states), (0,))
    ends = choose((line == last) | (line == last - 1), alpha, _NEVER)
    return -lx.logsumexp(ends, 1)
