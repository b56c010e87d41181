"""Functions whose results exist for some operands alone: an error for the others, when a value is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from . import checks, levels
from .record import mode, user_line
from .replay.state import S
from .tensors import Tensor

F = TypeVar("F", bound=Callable[..., Any])
Fine = Callable[..., Tensor]
Error = Callable[[int, str], Exception]
When = Callable[..., bool]
demands: dict[Any, tuple[Fine, Error, When | None]] = {}


def demanding(fine: Fine, error: Error, when: When | None = None) -> Callable[[F], F]:
    """Say of a function that ``fine(its result, *its tensors)`` is to hold, a vector of bools; of several results it gets the
    first. With ``when``, of those calls alone for whose arguments it is true.

    The check is made where users call the function, each time, and runs with what is pending; the next read of a value
    raises ``error(the first place that is false, the user's line)``. In eager mode it is looked at at once; in captured
    and in mapped functions, and of a result of no elements, it is not made.
    """

    def mark(f: F) -> F:
        demands[f] = fine, error, when
        return f

    return mark


def holding(f: Callable[..., Any], fine: Fine, error: Error, when: When | None) -> Callable[..., Any]:
    """``f``, whose results are checked."""

    def found(*args: Any, **kwargs: Any) -> Any:
        out = f(*args, **kwargs)
        if S.capture is not None or S.inside or levels.active or mode.eager not in (False, True):
            return out
        if when is not None and not when(*args, **{k: v for k, v in kwargs.items() if k != "out"}):
            return out
        given = [x for x in (*args, *[kwargs[k] for k in kwargs if k != "out"]) if isinstance(x, Tensor)]
        first = out[0] if isinstance(out, tuple) else out
        if isinstance(first, Tensor) and not first.is_meta and first.numel():
            grad, mode.grad = mode.grad, False
            try:
                ok = fine(first, *given)
            finally:
                mode.grad = grad
            if mode.eager:
                bad = [i for i, good in enumerate(ok.tolist()) if not good]
                if bad:
                    raise error(bad[0], user_line())
            else:
                checks.defer(ok, error)
        return out

    return found


__all__ = ["demanding", "demands", "holding"]
