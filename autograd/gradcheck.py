"""Checking derivatives against finite differences, as ``torch.autograd.gradcheck``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..lazy import Tensor
from ..lazy.functions.creation import from_host
from .engine import grad
from .grad_mode import no_grad


class GradcheckError(RuntimeError):
    """The derivative and the finite difference disagree."""


def _outputs(value: Any) -> list[Tensor]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return [t for t in items if isinstance(t, Tensor) and t.dtype.is_inexact]


def _parts(array: np.ndarray) -> list[tuple[complex, str]]:
    return [(1.0, ""), (1j, "i")] if np.iscomplexobj(array) else [(1.0, "")]


def _values(f: Callable[..., Any], inputs: Sequence[Any]) -> list[np.ndarray]:
    with no_grad():
        return [np.array(t.detach().cpu()._array("gradcheck")) for t in _outputs(f(*inputs))]


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True, fast_mode: bool = False,
    check_grad_dtypes: bool = False,
) -> bool:  # fmt: skip
    """Compare the derivatives of ``func`` at ``inputs`` (float64 or complex128, requiring grad) with central differences.

    Every input element is moved by ``eps`` (real and imaginary part), every output's derivative compared. With
    ``fast_mode``, one random direction of all inputs and one random cotangent. Raises GradcheckError naming the worst
    element, or returns False with ``raise_exception=False``.
    """
    items = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    try:
        _check(func, items, eps, atol, rtol, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check(func: Callable[..., Any], items: list[Any], eps: float, atol: float, rtol: float, fast: bool) -> None:
    chosen = [i for i, t in enumerate(items) if isinstance(t, Tensor) and t.requires_grad]
    if not chosen:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, "
            "but none of them have requires_grad=True."
        )
    for i in chosen:
        if items[i].dtype.itemsize // (2 if items[i].dtype.is_complex else 1) < 8:
            raise ValueError(f"gradcheck: input {i} is {items[i].dtype.name}; finite differences need double precision")
    outputs = _outputs(func(*items))
    rng = np.random.default_rng(0)
    arrays = {i: np.array(items[i].detach().cpu()._array("gradcheck")) for i in chosen}

    def moved(steps: dict[int, np.ndarray]) -> list[np.ndarray]:
        fresh = list(items)
        for i, step in steps.items():
            fresh[i] = from_host(arrays[i] + step, items[i].device).requires_grad_()
        return _values(func, fresh)

    def difference(steps: dict[int, np.ndarray]) -> list[np.ndarray]:
        ahead = moved({i: eps * s for i, s in steps.items()})
        behind = moved({i: -eps * s for i, s in steps.items()})
        return [(a - b) / (2 * eps) for a, b in zip(ahead, behind)]

    for k, out in enumerate(outputs):
        if not out.requires_grad:
            continue
        size = int(np.prod(out.shape))
        if fast:
            cotangents = [_random(rng, tuple(out.shape), out.dtype.is_complex)]
        else:
            cotangents = []
            for j in range(size):
                for unit in (1.0, 1j) if out.dtype.is_complex else (1.0,):
                    c = np.zeros(size, out.dtype.numpy)
                    c[j] = unit
                    cotangents.append(c.reshape(tuple(out.shape)))
        columns = [_vjp(out, [items[i] for i in chosen], c) for c in cotangents]
        if fast:
            steps = {i: _random(rng, arrays[i].shape, np.iscomplexobj(arrays[i])) for i in chosen}
            numeric = _inner(cotangents[0], difference(steps)[k])
            analytic = sum(_inner(g, steps[i]) for i, g in zip(chosen, columns[0]))
            _compare(numeric, analytic, atol * max(1.0, size), rtol, f"output {k} along a random direction")
            continue
        for n, i in enumerate(chosen):
            for at in np.ndindex(*arrays[i].shape):
                for unit, name in _parts(arrays[i]):
                    step = np.zeros(arrays[i].shape, arrays[i].dtype)
                    step[at] = unit
                    change = difference({i: step})[k]
                    for c, column in zip(cotangents, columns):
                        label = f"output {k}, input {i}{list(at)}{name}"
                        _compare(_inner(c, change), _inner(column[n], step), atol, rtol, label)


def _random(rng: np.random.Generator, shape: tuple[int, ...], is_complex: bool) -> np.ndarray:
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if is_complex else x


def _inner(a: np.ndarray, b: np.ndarray) -> float:
    """The real inner product, in which a gradient is the direction of steepest ascent (complex numbers as pairs)."""
    return float(np.real(np.sum(np.conj(a) * b)))


def _vjp(out: Tensor, inputs: list[Tensor], cotangent: np.ndarray) -> list[np.ndarray]:
    g = from_host(np.asarray(cotangent, out.dtype.numpy), out.device)
    found = grad(out, inputs, g, retain_graph=True, allow_unused=True)
    return [
        np.zeros(tuple(t.shape), t.dtype.numpy) if d is None else np.array(d.detach().cpu()._array("gradcheck"))
        for t, d in zip(inputs, found)
    ]


def _compare(numeric: float, analytic: float, atol: float, rtol: float, label: str) -> None:
    if not abs(numeric - analytic) <= atol + rtol * abs(numeric):
        raise GradcheckError(
            f"Jacobian mismatch for {label}: finite differences give {numeric:.8g}, the derivative is {analytic:.8g}"
        )


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, raise_exception: bool = True, fast_mode: bool = False, **ignored: Any,
) -> bool:  # fmt: skip
    """``gradcheck`` of the gradients of ``func``, as functions of its inputs and of the cotangents."""
    items = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    rng = np.random.default_rng(1)
    outputs = [t for t in _outputs(func(*items)) if t.requires_grad]
    if grad_outputs is None:
        given = [
            from_host(np.asarray(_random(rng, tuple(t.shape), t.dtype.is_complex), t.dtype.numpy), t.device).requires_grad_()
            for t in outputs
        ]
    else:
        given = list(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else [grad_outputs]
    n = len(items)

    def first(*args: Any) -> tuple[Any, ...]:
        from .grad_mode import enable_grad

        inner, cotangents = list(args[:n]), args[n:]
        chosen = [t for t in inner if isinstance(t, Tensor) and t.requires_grad]
        with enable_grad():
            outs = [t for t in _outputs(func(*inner)) if t.requires_grad]
            found = grad(outs, chosen, cotangents, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    if not first(*items, *given):
        return True
    return gradcheck(
        first, [*items, *given], eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, fast_mode=fast_mode
    )
