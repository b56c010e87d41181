"""Going backward: gradients of scalar functions, products of cotangents with Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

from ..autograd.engine import leads_out
from ..lazy import Tensor
from ..lazy.record import user_line
from ._common import Argnums, closed, pulled, tensors_of, traced, unflatten


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function of the same arguments that gives the gradient of ``func``, which returns a scalar, with respect to the
    arguments in ``argnums``. With ``has_aux``, ``func`` returns (scalar, aux), and the result is (gradient, aux).

    >>> lazyxla.func.grad(lazyxla.func.grad(lazyxla.sin))(lazyxla.tensor(1.0)) + lazyxla.sin(lazyxla.tensor(1.0))
    tensor(0.)
    """
    both = _with_value("grad", func, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """(gradient, value) of a scalar function; (gradient, (value, aux)) with ``has_aux``."""
    return _with_value("grad_and_value", func, argnums, has_aux)


def value_and_grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """``grad_and_value`` in the other order, as elsewhere: (value, gradient)."""
    both = _with_value("value_and_grad", func, argnums, has_aux)

    def f(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return value, found

    return f


def _with_value(name: str, func: Callable[..., Any], argnums: Argnums, has_aux: bool) -> Callable[..., Any]:
    def f(*args: Any, **kwargs: Any) -> Any:
        run = traced(name, func, args, kwargs, argnums, has_aux)
        y = run.output
        if not isinstance(y, Tensor):
            raise RuntimeError(f"{name}: expected the function to return a tensor, got {type(y).__name__}  ({user_line()})")
        if y.ndim:
            raise RuntimeError(
                f"{name}: expected the function to return a scalar tensor, but got tensor with {y.ndim} dims. "
                f"Maybe you meant to use vjp or jacrev?  ({user_line()})"
            )
        higher = run.outer and leads_out([y], run.inputs)
        found = pulled([y], run.inputs, [None], higher)
        gradient = closed(unflatten(run.structure, found), run.inputs, higher)
        value, aux = closed((y, run.aux), run.inputs, higher)
        return gradient, ((value, aux) if has_aux else value)

    return f


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """(output, pull) of ``func`` at the primals: ``pull(cotangents)`` gives a tuple of gradients, one a primal.

    With ``has_aux``, ``func`` returns (output, aux), and the result is (output, pull, aux).
    """
    run = traced("vjp", func, primals, {}, tuple(range(len(primals))), has_aux)
    outputs, structure = tensors_of("vjp", run.output, "the outputs")

    def pull(cotangents: Any, *more: Any) -> Any:
        given, shape = tensors_of("vjp", (cotangents, *more) if more else cotangents, "the cotangents")
        if shape != structure:
            want, got = (unflatten(s, repeat("*")) for s in (structure, shape))
            raise RuntimeError(
                f"vjp: expected cotangents with the structure of the output, {want}, got {got}  ({user_line()})"
            )
        # how it depends on the cotangents may be asked for, too
        higher = run.outer and (leads_out(outputs, run.inputs) or any(t.requires_grad for t in given))
        found = pulled(outputs, run.inputs, given, higher)
        return closed(unflatten(run.structure, found), run.inputs, higher)

    output, aux = closed((run.output, run.aux), run.inputs, run.outer)
    return (output, pull, aux) if has_aux else (output, pull)


__all__ = ["grad", "grad_and_value", "value_and_grad", "vjp"]
