"""Derivatives of functions: Jacobians, Hessians, and their products with vectors, as ``torch.autograd.functional``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..lazy import Tensor
from ..lazy.functions.conversion import full_like_type
from ..lazy.functions.creation import eye
from ..lazy.functions.joining import stack
from ..lazy.record import user_line
from .engine import grad
from .grad_mode import enable_grad

Function = Callable[..., Any]
Tensors = tuple[Tensor, ...]


def _sequence(given: Any, what: str, name: str) -> tuple[Tensors, bool]:
    """Tensors as a tuple, and whether a tuple was given."""
    several = isinstance(given, (tuple, list))
    found = tuple(given) if several else (given,)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"The {what} {name} must be a Tensor or a tuple of Tensors, but element {i} is {type(t).__name__}"
                f"  ({user_line()})"
            )
    return found, several


def _leaves(inputs: Tensors, create_graph: bool) -> Tensors:
    """Inputs to differentiate by: their own history goes on only where the result is to be differentiated again."""
    return tuple(
        t.view_as(t) if create_graph and t.requires_grad else t.detach().requires_grad_() for t in inputs
    )


def _called(func: Function, inputs: Tensors, name: str) -> tuple[Tensors, bool]:
    return _sequence(func(*inputs), "outputs of the function given to", name)


def _derivatives(
    outputs: Tensors, inputs: Tensors, vectors: Any, create_graph: bool, strict: bool, name: str, keep: bool = False
) -> Tensors:
    """``grad`` with zeros where an output does not depend on an input (RuntimeError if ``strict``)."""
    pairs = [(t, v) for t, v in zip(outputs, vectors) if t.requires_grad]
    found: Any = (None,) * len(inputs)
    if pairs:
        found = grad(
            [t for t, _ in pairs], inputs, [v for _, v in pairs], retain_graph=keep or create_graph or None,
            create_graph=create_graph, allow_unused=True,
        )  # fmt: skip
    for i, g in enumerate(found):
        if g is None and strict:
            raise RuntimeError(
                f"The output of the function given to {name} is independent of input {i}. This is not allowed in strict "
                f"mode.  ({user_line()})"
            )
    return tuple(full_like_type(t, 0) if g is None else g for t, g in zip(inputs, found))


def _vectors(v: Any, like: Tensors, name: str, of: str) -> Tensors:
    """The vectors of a product, of the shapes of ``like``; for a single number they may be left out."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if the {of} of the function given to {name} is a single Tensor with a "
                f"single element  ({user_line()})"
            )
        return (full_like_type(like[0].detach(), 1),)
    found, _ = _sequence(v, "vector v of", name)
    if len(found) != len(like):
        raise RuntimeError(f"{name}: v has {len(found)} tensors, expected {len(like)}  ({user_line()})")
    for i, (a, b) in enumerate(zip(found, like)):
        if a.shape != b.shape:
            raise RuntimeError(f"v has invalid size: should be {b.shape} but got {a.shape}  ({name}, element {i}, at "
                f"{user_line()})")  # fmt: skip
    return found


def _plain(found: Any, create_graph: bool) -> Any:
    """Results without history, unless it is wanted."""
    if isinstance(found, tuple):
        return tuple(_plain(t, create_graph) for t in found)
    return found if create_graph else found.detach()


def _unwrapped(found: Tensors, several: bool) -> Any:
    return found if several else found[0]


def vjp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), the vector ``v`` of the outputs' shapes times the Jacobian)."""
    with enable_grad():
        given, several = _sequence(inputs, "inputs of", "vjp")
        leaves = _leaves(given, create_graph)
        outputs, several_out = _called(func, leaves, "vjp")
        vectors = _vectors(v, outputs, "vjp", "output")
        found = _derivatives(outputs, leaves, vectors, create_graph, strict, "vjp")
    return (
        _unwrapped(_plain(outputs, create_graph), several_out), _unwrapped(_plain(found, create_graph), several)
    )  # fmt: skip


def jvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), the Jacobian times the vector ``v`` of the inputs' shapes), by differentiating a ``vjp``."""
    with enable_grad():
        given, _ = _sequence(inputs, "inputs of", "jvp")
        vectors = _vectors(v, given, "jvp", "input")
        leaves = _leaves(given, create_graph)
        outputs, several_out = _called(func, leaves, "jvp")
        # the vjp is linear in its vector, so its derivative there is the Jacobian
        at = tuple(full_like_type(t.detach(), 0).requires_grad_() for t in outputs)
        back = _derivatives(outputs, leaves, at, True, strict, "jvp")
        found = _derivatives(back, at, vectors, create_graph, False, "jvp", keep=True)
    return _unwrapped(_plain(outputs, create_graph), several_out), _unwrapped(_plain(found, create_graph), several_out)


def _all_rows(y: Tensor, inputs: Tensors, create_graph: bool) -> Tensors:
    """The derivatives of each element of ``y``, as one batch."""
    found: Any = (None,) * len(inputs)
    n = y.numel()
    if n and y.requires_grad:
        units = eye(n, dtype=y.dtype, device=y.device).reshape((n, *y.shape))
        found = grad(
            y, inputs, units, retain_graph=True, create_graph=create_graph, allow_unused=True, is_grads_batched=True
        )
    shapes = [(*y.shape, *x.shape) for x in inputs]
    return tuple(x.new_zeros(s) if g is None else g.reshape(s) for g, s, x in zip(found, shapes, inputs))


def jacobian(
    func: Function, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """All derivatives: for each output, for each input, a tensor of the output's shape followed by the input's.

    One backward an output element, all recorded into one program, or with ``vectorize`` one backward for all elements of an
    output at once, which is a smaller program; ``strategy`` changes nothing.
    """
    if strict and vectorize:
        raise RuntimeError(f"jacobian: strict=True and vectorize=True are not supported together  ({user_line()})")
    with enable_grad():
        given, several = _sequence(inputs, "inputs of", "jacobian")
        leaves = _leaves(given, create_graph)
        outputs, several_out = _called(func, leaves, "jacobian")
        table = []
        for y in outputs:
            if vectorize:
                table.append(_unwrapped(_plain(_all_rows(y, leaves, create_graph), create_graph), several))
                continue
            flat = y.reshape(-1)
            rows = []
            for i in range(flat.shape[0]):
                one = (full_like_type(flat[i].detach(), 1),)
                rows.append(_derivatives((flat[i],), leaves, one, create_graph, strict, "jacobian", keep=True))
            found = []
            for k, x in enumerate(leaves):
                shape = (*y.shape, *x.shape)
                found.append(stack([r[k] for r in rows]).reshape(shape) if rows else x.new_zeros(shape))
            table.append(_unwrapped(_plain(tuple(found), create_graph), several))
    return _unwrapped(tuple(table), several_out)


def _of_number(func: Function, name: str) -> Callable[..., Tensor]:
    """The function, checked to return one number."""

    def number(*inputs: Tensor) -> Tensor:
        y = func(*inputs)
        if not isinstance(y, Tensor) or y.numel() != 1:
            raise RuntimeError(
                f"The Tensor returned by the function given to {name} should contain a single element  ({user_line()})"
            )
        return y.reshape(())

    return number


def hessian(
    func: Function, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The second derivatives of a function of one number: for each pair of inputs, the first's shape, the second's."""
    _, several = _sequence(inputs, "inputs of", "hessian")
    number = _of_number(func, "hessian")

    def gradient(*x: Tensor) -> Any:
        return _derivatives((number(*x),), x, (None,), True, strict, "hessian")

    found = jacobian(gradient, inputs, create_graph, strict, vectorize)
    return found if several else found[0]


def vhp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), a vector of the inputs' shapes times the Hessian), for a function of one number."""
    with enable_grad():
        given, several = _sequence(inputs, "inputs of", "vhp")
        vectors = _vectors(v, given, "vhp", "input")
        leaves = _leaves(given, create_graph)
        y = _of_number(func, "vhp")(*leaves)
        first = _derivatives((y,), leaves, (None,), True, strict, "vhp")
        found = _derivatives(first, leaves, vectors, create_graph, strict, "vhp")
    return _plain(y, create_graph), _unwrapped(_plain(found, create_graph), several)


def hvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), the Hessian times a vector): the same as ``vhp``, since the Hessian is symmetric."""
    return vhp(func, inputs, v, create_graph, strict)
