"""Distributions with a probability that is given as such or by its logarithmic odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, error
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits


def one_of(probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise error(ValueError, "Either `probs` or `logits` must be specified, but not both.")


class Odds:
    """``probs`` and ``logits``, of which one is given and the other computed when asked for."""

    arg_constraints: Any = {"probs": constraints.unit_interval, "logits": constraints.real}

    def _take(self, probs: Any, logits: Any, *more: Any) -> tuple[Tensor, ...]:
        """Set the one that is given; the other parameters, broadcast with it."""
        one_of(probs, logits)
        name = "logits" if probs is None else "probs"
        *others, given = broadcast_all(*more, logits if probs is None else probs)
        self.__dict__[name] = given
        return tuple(others)

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs" if "probs" in self.__dict__ and not self._by_logits else "logits"]  # type: ignore[no-any-return]

    @property
    def _by_logits(self) -> bool:
        """Whether the logits were given: they then stand before the probabilities among the attributes."""
        return next(k for k in self.__dict__ if k in ("probs", "logits")) == "logits"

    @property
    def param_shape(self) -> Size:
        return self._param.shape

    def _new(self, *args: Any, **kwargs: Any) -> Any:
        return self._param.new(*args, **kwargs)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)


def along(values: Tensor, batch_shape: Sequence[int], expand: bool) -> Tensor:
    """Values [n] as an enumeration of the support: [n, 1...], or expanded over the batch."""
    values = values.view(-1, *[1] * len(batch_shape))
    return values.expand(-1, *batch_shape) if expand else values


__all__ = ["Odds", "along", "one_of"]
