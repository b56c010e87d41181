"""Which transform leads from unconstrained numbers to a constraint: ``biject_to`` and ``transform_to``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import constraints, transforms
from ._ops import Number, error

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Called with a constraint, gives a transform to it from unconstrained numbers."""

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], Any]] = {}

    def register(self, constraint: Any, factory: Callable[[Any], Any] | None = None) -> Any:
        """Let ``factory(constraint)`` make the transform for constraints of this class (or of an instance's)."""
        if factory is None:
            return lambda f: self.register(constraint, f)
        if isinstance(constraint, constraints.Constraint):
            constraint = type(constraint)
        if not (isinstance(constraint, type) and issubclass(constraint, constraints.Constraint)):
            raise error(
                TypeError, f"Expected constraint to be either a Constraint subclass or instance, but got {constraint}"
            )
        self._registry[constraint] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        factory = self._registry.get(type(constraint))
        if factory is None:
            raise error(NotImplementedError, f"Cannot transform {type(constraint).__name__} constraints")
        return factory(constraint)


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _beyond(bound: Any, side: int) -> Any:
    return transforms.ComposeTransform([transforms.ExpTransform(), transforms.AffineTransform(bound, side)])


def _between(c: Any) -> Any:
    low, high = c.lower_bound, c.upper_bound
    if isinstance(low, Number) and isinstance(high, Number) and (low, high) == (0, 1):
        return transforms.SigmoidTransform()
    return transforms.ComposeTransform([transforms.SigmoidTransform(), transforms.AffineTransform(low, high - low)])


for _to in (biject_to, transform_to):
    _to.register(constraints.real, lambda c: transforms.identity_transform)
    _to.register(
        constraints.independent,
        lambda c, to=_to: transforms.IndependentTransform(to(c.base_constraint), c.reinterpreted_batch_ndims),  # type: ignore[misc]
    )
    for _c in (constraints.greater_than, constraints.greater_than_eq):
        _to.register(
            _c,
            lambda c: (
                transforms.ExpTransform()
                if isinstance(c.lower_bound, Number) and c.lower_bound == 0
                else _beyond(c.lower_bound, 1)
            ),
        )
    _to.register(constraints.less_than, lambda c: _beyond(c.upper_bound, -1))
    for _c in (constraints.interval, constraints.half_open_interval):
        _to.register(_c, _between)
    _to.register(constraints.corr_cholesky, lambda c: transforms.CorrCholeskyTransform())
    _to.register(constraints.cat, lambda c, to=_to: transforms.CatTransform([to(x) for x in c.cseq], c.dim, c.lengths))  # type: ignore[misc]
    _to.register(constraints.stack, lambda c, to=_to: transforms.StackTransform([to(x) for x in c.cseq], c.dim))  # type: ignore[misc]
biject_to.register(constraints.simplex, lambda c: transforms.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda c: transforms.SoftmaxTransform())
transform_to.register(constraints.lower_cholesky, lambda c: transforms.LowerCholeskyTransform())
for _c in (constraints.positive_definite, constraints.positive_semidefinite):
    transform_to.register(_c, lambda c: transforms.PositiveDefiniteTransform())
