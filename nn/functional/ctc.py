"""Connectionist temporal classification: the likelihood of a label sequence under every alignment to a longer input."""

from __future__ import annotations

import math
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ._common import check_reduction, choose, error, reduced, reshaped, spread

_NEVER = -1e30  # the logarithm of a probability of 0: finite, so that gradients stay numbers


def _lengths(given: Any, n: int, device: Any, name: str) -> Tensor:
    """Lengths as an int64 tensor [N]."""
    found = given if isinstance(given, Tensor) else lx.tensor([int(v) for v in given], device=device)
    if found.dtype.category != lx.dtypes.INT:
        raise error(RuntimeError, f"ctc_loss: {name} must be integral, not {found.dtype.name}")
    if found.numel() != n:
        raise error(RuntimeError, f"ctc_loss: {name} must be of size batch_size ({n}), got {found.numel()}")
    return reshaped(found.long(), (n,))


def _rows(targets: Tensor, lengths: Tensor, given: Any, n: int) -> Tensor:
    """Labels as rows [N, S]; a single row of all labels is cut by their lengths."""
    if targets.ndim == 2:
        if targets.shape[0] != n:
            raise error(RuntimeError, f"ctc_loss: expected targets for {n} sequences, got {list(targets.shape)}")
        return targets.long()
    if targets.ndim != 1:
        raise error(RuntimeError, f"ctc_loss: targets must be 1-D or 2-D, got {targets.ndim}-D")
    total = targets.numel()
    longest = total if isinstance(given, Tensor) else max((int(v) for v in given), default=0)
    if not total:
        return lx.zeros(n, 0, dtype=lx.int64, device=targets.device)
    first = lengths.cumsum(0) - lengths
    at = spread(first, (n, longest), (0,)) + spread(lx.arange(longest, device=targets.device), (n, longest), (1,))
    return targets.long().take(at.clamp(max=total - 1))


def _log_sum(parts: list[Tensor]) -> Tensor:
    """log of the sum of exp of several, none of them infinite."""
    top = parts[0].detach()
    for p in parts[1:]:
        top = lx.maximum(top, p.detach())
    total = lx.exp(parts[0] - top)
    for p in parts[1:]:
        total = total + lx.exp(p - top)
    return lx.log(total) + top


def _delayed(a: Tensor, by: int) -> Tensor:
    """One column [N, by] of probability 0 before, so many off the end."""
    edge = lx.full((a.shape[0], by), _NEVER, dtype=a.dtype, device=a.device)
    return lx.cat([edge, a[:, :-by]], 1) if a.shape[1] > by else edge[:, : a.shape[1]]


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """-log of the probability of ``targets`` [N, S] (or [sum of lengths]) under log-probabilities [T, N, C] (or [T, C]).

    'mean' divides each loss by its target's length first. A target that no alignment fits has an infinite loss, or 0
    and no gradient with ``zero_infinity``. As in PyTorch the gradient is that of logits under ``log_softmax``: it holds
    exp(log_probs) less the share of alignments. Graves et al. 2006, Connectionist temporal classification.
    """
    check_reduction(reduction)
    if log_probs.ndim not in (2, 3) or not log_probs.dtype.is_floating_point:
        raise error(RuntimeError, f"ctc_loss: expected floating log_probs [T, N, C] or [T, C], got {log_probs.dtype.name}"
            f"{list(log_probs.shape)}")  # fmt: skip
    batched = log_probs.ndim == 3
    lp = log_probs if batched else log_probs.unsqueeze(1)
    steps, n, classes = lp.shape
    if not 0 <= blank < classes:
        raise error(RuntimeError, f"ctc_loss: blank must be in label range, got {blank} of {classes}")
    times = _lengths(input_lengths, n, lp.device, "input_lengths")
    sizes = _lengths(target_lengths, n, lp.device, "target_lengths")
    labels = targets if batched or targets.ndim == 2 else targets.unsqueeze(0)
    given = target_lengths
    labels = _rows(labels, sizes, [given] if isinstance(given, int) else given, n)
    loss = _alignments(lp, labels, times, sizes, blank)
    # the part of PyTorch's gradient that belongs to log_softmax; its value is 0
    line = spread(lx.arange(steps, device=lp.device), (steps, n), (0,)) < spread(times, (steps, n), (1,))
    own = choose(line, lx.exp(lp).sum(2), 0.0).sum(0)
    loss = loss + (own - own.detach())
    if zero_infinity:
        loss = choose(loss.detach() == math.inf, 0.0, loss)
    if not batched:
        loss, sizes = reshaped(loss, ()), reshaped(sizes, ())
    if reduction == "mean":
        return (loss / sizes.clamp(min=1).to(loss.dtype)).mean()
    return reduced(loss, reduction)


def _alignments(lp: Tensor, labels: Tensor, times: Tensor, sizes: Tensor, blank: int) -> Tensor:
    """-log of the summed probability of all alignments [N]: labels with blanks between, each held for some steps."""
    steps, n, _ = lp.shape
    s = labels.shape[1]
    width = 2 * s + 1
    blanks = lx.full((n, s + 1), blank, dtype=lx.int64, device=lp.device)
    states = lx.cat([lx.stack([blanks[:, :s], labels], 2).reshape(n, 2 * s), blanks[:, s:]], 1)
    before = lx.cat([blanks[:, :1], blanks[:, :1], states], 1)[:, :width] if s else states
    may_skip = (states != blank) & (states != before)
    at = spread(states.clamp(0, lp.shape[2] - 1), (steps, n, width), (1, 2))
    scores = lp.gather(2, at)  # [T, N, width]
    scores = scores.clamp(min=_NEVER)
    begins = spread(lx.arange(width, device=lp.device) < 2, (n, width), (1,))
    reach = choose(begins, scores[0], _NEVER)
    for t in range(1, steps):
        skipped = choose(may_skip, _delayed(reach, 2), _NEVER)
        moved = _log_sum([reach, _delayed(reach, 1), skipped]) + scores[t]
        running = spread(times > t, (n, width), (0,))
        reach = lx.ops.select(running, moved.clamp(min=_NEVER), reach)
    end = reach.gather(1, (2 * sizes).unsqueeze(1))
    label = reach.gather(1, (2 * sizes - 1).clamp(min=0).unsqueeze(1))
    label = choose((sizes > 0).unsqueeze(1), label, _NEVER)
    loss = -_log_sum([end, label]).squeeze(1)
    none = (loss > -_NEVER / 10) | ((times == 0) & (sizes > 0))
    return choose(none, math.inf, loss)
