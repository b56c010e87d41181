"""Going forward, by going backward twice; and whole Jacobians and Hessians."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from ..autograd.engine import leads_out
from ..lazy import Tensor
from ..lazy import public as lx
from ..lazy.record import user_line
from ._common import Argnums, closed, pulled, tensors_of, traced, unflatten


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """(output, tangent of the output) of ``func`` at a tuple of primals along a tuple of tangents.

    The gradient is linear in its cotangent; its derivative with respect to that is the tangent. With ``has_aux``, ``func``
    returns (output, aux), and aux comes third.
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise RuntimeError(f"jvp: expected primals and tangents to be tuples  ({user_line()})")
    given, shape = tensors_of("jvp", tangents, "the tangents")
    at, primal_shape = tensors_of("jvp", primals, "the primals")
    if shape != primal_shape or [tuple(t.shape) for t in given] != [tuple(x.shape) for x in at]:
        raise RuntimeError(f"jvp: expected tangents of the primals' structure and shapes  ({user_line()})")
    run = traced("jvp", func, primals, {}, tuple(range(len(primals))), has_aux)
    outputs, structure = tensors_of("jvp", run.output, "the outputs")
    higher = run.outer and (leads_out(outputs, run.inputs) or any(t.requires_grad for t in given))
    moved = _pushed(outputs, run.inputs, given, higher)
    output, tangent, aux = closed((run.output, unflatten(structure, moved), run.aux), run.inputs, higher)
    return (output, tangent, aux) if has_aux else (output, tangent)


def _pushed(outputs: list[Tensor], inputs: list[Tensor], tangents: list[Tensor], higher: bool) -> list[Tensor]:
    from ..autograd import enable_grad

    with enable_grad():
        dummies = [lx["zeros_like"](o.detach()).requires_grad_() for o in outputs]
        gradients = pulled(outputs, inputs, dummies, True)
        found = pulled(gradients, dummies, tangents, higher)
    own = [*inputs, *dummies]
    return [closed(t, own, higher) for t in found]


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(output, push) of ``func`` at the primals: ``push(*tangents)`` gives the tangent of the output."""
    run = traced("linearize", func, primals, {}, tuple(range(len(primals))), False)
    outputs, structure = tensors_of("linearize", run.output, "the outputs")

    def push(*tangents: Any) -> Any:
        given, _ = tensors_of("linearize", tangents, "the tangents")
        return unflatten(structure, _pushed(outputs, run.inputs, given, False))

    return closed(run.output, run.inputs, run.outer), push


def _units(x: Tensor) -> list[Tensor]:
    """Each basis vector of the space that x lies in."""
    n = math.prod(x.shape)
    rows = lx["eye"](n, dtype=x.dtype, device=x.device)
    return [rows[i].reshape(x.shape) for i in range(n)]


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Callable[..., Any]:
    """The function that gives the Jacobian of ``func``, by going backward once for each element of the output.

    For outputs [*m] and an input [*n] it is [*m, *n]; trees of outputs give trees of trees of inputs.
    """

    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = traced("jacrev", func, args, kwargs, argnums, has_aux)
        outputs, structure = tensors_of("jacrev", run.output, "the outputs")
        higher = run.outer and leads_out(outputs, run.inputs)
        blocks = []
        for o in outputs:
            rows = [pulled([o], run.inputs, [unit], higher) for unit in _units(o.detach())]
            parts = [
                lx["stack"]([r[i] for r in rows]).reshape((*o.shape, *x.shape)) if rows
                else x.new_zeros((*o.shape, *x.shape))
                for i, x in enumerate(run.inputs)
            ]  # fmt: skip
            blocks.append(unflatten(run.structure, parts))
        found, aux = closed((unflatten(structure, blocks), run.aux), run.inputs, higher)
        return (found, aux) if has_aux else found

    return jacobian


def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, chunk_size: int | None = None,
    randomness: str = "error",
) -> Callable[..., Any]:  # fmt: skip
    """The function that gives the Jacobian of ``func``, by going forward once for each element of the inputs."""

    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = traced("jacfwd", func, args, kwargs, argnums, has_aux)
        outputs, structure = tensors_of("jacfwd", run.output, "the outputs")
        higher = run.outer and leads_out(outputs, run.inputs)
        parts: list[list[Tensor]] = [[] for _ in outputs]  # of each output, by inputs
        for i, x in enumerate(run.inputs):
            columns = []
            for unit in _units(x.detach()):
                along = [unit if j == i else lx["zeros_like"](y.detach()) for j, y in enumerate(run.inputs)]
                columns.append(_pushed(outputs, run.inputs, along, higher))
            for k, o in enumerate(outputs):
                whole = lx["stack"]([c[k] for c in columns], -1) if columns else o.new_zeros((*o.shape, 0))
                parts[k].append(whole.reshape((*o.shape, *x.shape)))
        blocks = [unflatten(run.structure, p) for p in parts]
        found, aux = closed((unflatten(structure, blocks), run.aux), run.inputs, higher)
        return (found, aux) if has_aux else found

    return jacobian


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that gives the second derivatives of ``func``, the Jacobian of its Jacobian."""
    return jacfwd(jacrev(func, argnums), argnums)


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """``func`` without writes in place (and without views, where ``remove='mutations_and_views'``): as the graph has neither in
    any case, the function as it is. RuntimeError for another ``remove``."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove=. Valid options are: "
            f'"mutations", "mutations_and_views". Got: {remove}  ({user_line()})'
        )

    @functools.wraps(func)
    def functionalized(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return functionalized


__all__ = ["functionalize", "hessian", "jacfwd", "jacrev", "jvp", "linearize"]
