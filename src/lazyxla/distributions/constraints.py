"""Constraints: regions that a value may lie in. ``check(value)`` is true for each event that does.

The elementwise ones are written in operators that NumPy arrays have too, so that values of the host are checked there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._ops import Tensor, cholesky_ex, dtypes, eigvalsh, error, finfo, lx

__all__ = [
    "Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent", "dependent_property",
    "greater_than", "greater_than_eq", "half_open_interval", "independent", "integer_interval", "interval", "is_dependent",
    "less_than", "lower_cholesky", "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot",
    "positive", "positive_definite", "positive_integer", "positive_semidefinite", "real", "real_vector", "simplex", "square",
    "stack", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """A region. ``event_dim``: how many of the last dims of a value make one event, which ``check`` says one bool of."""

    is_discrete: Any = False
    event_dim: Any = 0

    def check(self, value: Any) -> Any:
        """Whether each event of ``value`` lies in the region."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return type(self).__name__[1:] + "()"


def _event_dims(result: Any, value: Any, dims: int, wanted: int) -> Any:
    """``result`` true where it is over its last ``dims`` dims; the value must have ``wanted`` dims."""
    if result.ndim < dims:
        raise error(ValueError, f"Expected value.dim() >= {wanted} but got {value.ndim}")
    return result.reshape(*result.shape[: result.ndim - dims], -1).all(-1)


# --- what depends on the distribution ---------------------------------------------------------------------------


class _Dependent(Constraint):
    """Stands for a constraint that only an instance knows."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> None:
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def _known(self, name: str) -> Any:
        found = getattr(self, "_" + name)
        if found is NotImplemented:
            raise NotImplementedError(f".{name} cannot be determined statically")
        return found

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self._known("is_discrete")  # type: ignore[no-any-return]

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self._known("event_dim")  # type: ignore[no-any-return]

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> Any:
        """The same with what is known of it."""
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, value: Any) -> Any:
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint only stands for one that an instance knows."""
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property of distributions that on the class is a ``dependent`` constraint."""

    def __init__(
        self, fn: Callable[..., Any] | None = None, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ) -> None:
        property.__init__(self, fn)
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, fn: Callable[..., Any]) -> _DependentProperty:  # type: ignore[override]
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


# --- made of others ---------------------------------------------------------------------------------------------


def _all_constraints(cseq: Sequence[Any]) -> list[Constraint]:
    if not all(isinstance(c, Constraint) for c in cseq):
        raise AssertionError("All elements of cseq must be Constraint instances")
    return list(cseq)


class _IndependentConstraint(Constraint):
    """Another constraint, of events with so many dims more."""

    def __init__(self, base_constraint: Any, reinterpreted_batch_ndims: int) -> None:
        if not isinstance(base_constraint, Constraint):
            raise AssertionError(f"base_constraint must be a Constraint, got {type(base_constraint).__name__}")
        if not isinstance(reinterpreted_batch_ndims, int) or reinterpreted_batch_ndims < 0:
            raise AssertionError(f"reinterpreted_batch_ndims must be >= 0, got {reinterpreted_batch_ndims}")
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Any) -> Any:
        return _event_dims(self.base_constraint.check(value), value, self.reinterpreted_batch_ndims, self.event_dim)

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """The constraint of the components of a mixture, for values without the dim of the components."""

    def __init__(self, base_constraint: Any) -> None:
        if not isinstance(base_constraint, Constraint):
            raise AssertionError(f"base_constraint must be a Constraint, got {type(base_constraint).__name__}")
        self.base_constraint = base_constraint

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self.base_constraint.event_dim

    def check(self, value: Any) -> Any:
        if value.ndim < self.event_dim:
            raise error(ValueError, f"Expected value.dim() >= {self.event_dim} but got {value.ndim}")
        result = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return result.reshape(*result.shape[: value.ndim - self.event_dim], -1).all(-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r})"


class _Cat(Constraint):
    """Constraints of the pieces, of the given lengths, of a value along ``dim``."""

    def __init__(self, cseq: Sequence[Any], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        self.cseq = _all_constraints(cseq)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(f"lengths ({len(self.lengths)}) must match cseq ({len(self.cseq)})")
        self.dim = dim

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return max(c.event_dim for c in self.cseq)

    def check(self, value: Any) -> Any:
        _in_range(self.dim, value)
        return lx.cat([c.check(v) for c, v in zip(self.cseq, value.split(self.lengths, self.dim))], self.dim)


class _Stack(Constraint):
    """A constraint for each place of a value along ``dim``."""

    def __init__(self, cseq: Sequence[Any], dim: int = 0) -> None:
        self.cseq, self.dim = _all_constraints(cseq), dim

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        found = max(c.event_dim for c in self.cseq)
        return found + 1 if self.dim + found < 0 else found

    def check(self, value: Any) -> Any:
        _in_range(self.dim, value)
        return lx.stack([c.check(v) for c, v in zip(self.cseq, value.unbind(self.dim))], self.dim)


def _in_range(dim: int, value: Any) -> None:
    if not -value.ndim <= dim < value.ndim:
        raise AssertionError(f"dim {dim} out of range for value with {value.ndim} dimensions")


# --- of single numbers ------------------------------------------------------------------------------------------


def _bounded(name: str, check: Callable[..., Any], *bounds: str, discrete: bool = False) -> type[Constraint]:
    """A class of constraints with bounds (``lower_bound``, ``upper_bound``)."""

    def __init__(self: Any, *values: Any, **named: Any) -> None:
        given = dict(zip(bounds, values)) | named
        if len(values) > len(bounds) or given.keys() != set(bounds):
            raise TypeError(f"{name[1:]}() takes {' and '.join(bounds)}")
        self.__dict__.update(given)

    def __repr__(self: Any) -> str:
        return f"{name[1:]}({', '.join(f'{b}={getattr(self, b)}' for b in bounds)})"

    members = {
        "__init__": __init__, "__repr__": __repr__, "is_discrete": discrete, "__module__": __name__,
        "check": lambda self, value: check(value, *[getattr(self, b) for b in bounds]),
        "__doc__": f"Numbers with {' and '.join(bounds)}.",
    }  # fmt: skip
    return type(name, (Constraint,), members)


_GreaterThan: Any = _bounded("_GreaterThan", lambda x, low: x > low, "lower_bound")
_GreaterThanEq: Any = _bounded("_GreaterThanEq", lambda x, low: x >= low, "lower_bound")
_LessThan: Any = _bounded("_LessThan", lambda x, high: x < high, "upper_bound")
_Interval: Any = _bounded("_Interval", lambda x, low, high: (x >= low) & (x <= high), "lower_bound", "upper_bound")
_HalfOpenInterval: Any = _bounded(
    "_HalfOpenInterval", lambda x, low, high: (x >= low) & (x < high), "lower_bound", "upper_bound"
)
_IntegerInterval: Any = _bounded(
    "_IntegerInterval", lambda x, low, high: (x % 1 == 0) & (x >= low) & (x <= high), "lower_bound", "upper_bound",
    discrete=True,
)  # fmt: skip
_IntegerLessThan: Any = _bounded(
    "_IntegerLessThan", lambda x, high: (x % 1 == 0) & (x <= high), "upper_bound", discrete=True
)
_IntegerGreaterThan: Any = _bounded(
    "_IntegerGreaterThan", lambda x, low: (x % 1 == 0) & (x >= low), "lower_bound", discrete=True
)


class _Boolean(Constraint):
    """0 and 1."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value == 0) | (value == 1)


class _Real(Constraint):
    """All numbers but NaN."""

    def check(self, value: Any) -> Any:
        return value == value


_ELEMENTWISE = (
    _GreaterThan, _GreaterThanEq, _LessThan, _Interval, _HalfOpenInterval, _IntegerInterval, _IntegerLessThan,
    _IntegerGreaterThan, _Boolean, _Real,
)  # fmt: skip


def is_elementwise(constraint: Any) -> bool:
    """Whether ``check`` understands NumPy arrays."""
    while type(constraint) is _IndependentConstraint:
        constraint = constraint.base_constraint
    return type(constraint) in _ELEMENTWISE


# --- of vectors -------------------------------------------------------------------------------------------------


class _OneHot(Constraint):
    """Vectors of 0 but for one 1."""

    is_discrete, event_dim = True, 1

    def check(self, value: Any) -> Any:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class _Simplex(Constraint):
    """Vectors of numbers that are not negative, with sum 1 (up to 1e-6)."""

    event_dim = 1

    def check(self, value: Any) -> Any:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _Multinomial(Constraint):
    """Vectors of numbers that are not negative, with a sum of at most ``upper_bound``."""

    is_discrete, event_dim = True, 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, x: Any) -> Any:
        return (x >= 0).all(-1) & (x.sum(-1) <= self.upper_bound)


# --- of matrices ------------------------------------------------------------------------------------------------


def _whole(ok: Tensor) -> Tensor:
    return ok.all(-1).all(-1)


class _LowerTriangular(Constraint):
    """Square matrices that are 0 above the diagonal."""

    event_dim = 2

    def check(self, value: Tensor) -> Any:
        return _whole(value.tril() == value)


class _LowerCholesky(Constraint):
    """The same with a positive diagonal."""

    event_dim = 2

    def check(self, value: Tensor) -> Any:
        return _whole(value.tril() == value) & (value.diagonal(0, -2, -1) > 0).all(-1)


class _CorrCholesky(Constraint):
    """The same with rows of length 1."""

    event_dim = 2

    def check(self, value: Tensor) -> Any:
        tolerance = finfo(value.dtype).eps * value.shape[-1] * 10
        length = (value * value).sum(-1).sqrt()
        return _LowerCholesky().check(value) & ((length - 1.0).abs() <= tolerance).all(-1)


class _Square(Constraint):
    """Square matrices."""

    event_dim = 2

    def check(self, value: Tensor) -> Any:
        return lx.full(value.shape[:-2], value.shape[-2] == value.shape[-1], dtype=dtypes.bool_, device=value.device)


class _Symmetric(_Square):
    """Symmetric matrices."""

    def check(self, value: Tensor) -> Any:
        if value.shape[-2] != value.shape[-1]:
            return super().check(value)
        return _whole(lx.isclose(value, value.mT, atol=1e-6))


class _PositiveSemidefinite(_Symmetric):
    """Symmetric matrices without negative eigenvalues."""

    def check(self, value: Tensor) -> Any:
        if value.shape[-2] != value.shape[-1]:
            return super().check(value)
        return super().check(value) & (eigvalsh(value) >= 0).all(-1)  # type: ignore[misc]


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices that have a Cholesky factor."""

    def check(self, value: Tensor) -> Any:
        if value.shape[-2] != value.shape[-1]:
            return super().check(value)
        return super().check(value) & (cholesky_ex(value).info == 0)  # type: ignore[misc]


dependent, dependent_property = _Dependent(), _DependentProperty
independent, cat, stack, multinomial = _IndependentConstraint, _Cat, _Stack, _Multinomial
boolean, one_hot = _Boolean(), _OneHot()
nonnegative_integer, positive_integer, integer_interval = _IntegerGreaterThan(0), _IntegerGreaterThan(1), _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive, nonnegative = _GreaterThan(0.0), _GreaterThanEq(0.0)
greater_than, greater_than_eq, less_than = _GreaterThan, _GreaterThanEq, _LessThan
interval, half_open_interval = _Interval, _HalfOpenInterval
unit_interval = _Interval(0.0, 1.0)
simplex = _Simplex()
lower_triangular, lower_cholesky, corr_cholesky = _LowerTriangular(), _LowerCholesky(), _CorrCholesky()
square, symmetric = _Square(), _Symmetric()
positive_semidefinite, positive_definite = _PositiveSemidefinite(), _PositiveDefinite()
