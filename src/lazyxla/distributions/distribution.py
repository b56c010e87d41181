"""``Distribution``: what all distributions have."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, error, no_grad
from ._validation import Check, on_host, require
from .utils import lazy_property

__all__ = ["Distribution"]

_GIVEN = {"probs": constraints.nonnegative, "logits": constraints.real}  # before they are normalised


class Distribution:
    """A distribution over events of shape ``event_shape``, a batch of them of shape ``batch_shape``.

    ``arg_constraints`` and ``support`` say what parameters and values may be. Whether they are is checked unless
    ``validate_args=False``; when, is told in docs/distributions.md.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Turn checks on or off for distributions that are made without ``validate_args``."""
        if value not in (True, False):
            raise error(ValueError, f"set_default_validate_args() takes True or False, not {value!r}")
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Sequence[int] = Size(), event_shape: Sequence[int] = Size(), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            require(self._parameter_checks(), now=validate_args is True)
        for value in self.__dict__.values():
            if isinstance(value, Tensor):
                value.__dict__.pop("_made_of", None)
        super().__init__()

    def _parameter_checks(self) -> list[Check]:
        try:
            wanted = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize the "
                "distribution with `validate_args=False` to turn off validation.", stacklevel=3,
            )  # fmt: skip
            return []
        lasting = isinstance(getattr(type(self), "arg_constraints", None), dict)
        found = []
        for name, constraint in wanted.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue
            found.append(Check(self, name, getattr(self, name), constraint, lasting))
            given = self.__dict__.get("_given", {}).get(name)  # what the host may have, to be normalised
            if given is not None and on_host(given):
                found.append(Check(self, name, given, _GIVEN[name], lasting))
        return found

    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    @property
    def arg_constraints(self) -> Any:
        """The constraint of each parameter, by name."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """The constraint of values."""
        raise NotImplementedError

    @property
    def mean(self) -> Any:
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Any:
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        return self.variance.sqrt()

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distribution with a larger batch shape."""
        raise NotImplementedError

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """A draw of shape sample_shape + batch_shape + event_shape, without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """A draw that is differentiable with respect to the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """``sample((n,))``; deprecated."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", category=FutureWarning, stacklevel=2
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at ``value``."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most ``value``."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of ``cdf``."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along a new first dim, of a discrete distribution that has finitely many."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """The exponential of the entropy."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape: Sequence[int] = Size()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _validate_sample(self, value: Any) -> None:
        """ValueError for what is no tensor, of another shape, or (see ``require``) outside of the support."""
        if not isinstance(value, Tensor):
            raise error(ValueError, "The value argument to log_prob must be a Tensor")
        events = len(self._event_shape)
        if value.shape[value.ndim - events :] != self._event_shape:
            raise error(
                ValueError, f"The right-most size of value must match event_shape: {value.shape} vs {self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(value.shape), reversed(expected)):
            if i != 1 and j != 1 and i != j:
                raise error(
                    ValueError, f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs {expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please initialize the distribution with "
                "`validate_args=False` to turn off validation.", stacklevel=3,
            )  # fmt: skip
            return
        require([Check(self, None, value, support)], now=self.__dict__.get("_validate_args") is True)

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        if _instance is not None:
            return _instance
        if type(self).__init__ is not cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ method must also define a "
                "custom .expand() method."
            )
        return type(self).__new__(type(self))

    def _expanded(
        self, cls: type, batch_shape: Sequence[int], _instance: Any, names: Sequence[str], event_shape: Sequence[int] = Size()
    ) -> Any:
        """``expand`` of a distribution whose parameters, of which those there are expanded, have these names."""
        new = self._get_checked_instance(cls, _instance)
        for name in names:
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name].expand(Size(batch_shape) + Size(event_shape))
        return self._completed(new, batch_shape, self._event_shape)

    def _completed(self, new: Any, batch_shape: Sequence[int], event_shape: Sequence[int]) -> Any:
        Distribution.__init__(new, batch_shape, event_shape, validate_args=False)
        del new._validate_args
        if "_validate_args" in self.__dict__:
            new._validate_args = self._validate_args
        return new

    def __repr__(self) -> str:
        found = [(k, self.__dict__[k]) for k in self.arg_constraints if k in self.__dict__]
        return f"{type(self).__name__}({', '.join(f'{k}: {v if v.numel() == 1 else v.size()}' for k, v in found)})"


