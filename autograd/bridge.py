"""``from_jax_function``: any function written in JAX, a Pallas kernel among them, as an operation on tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..lazy import Tensor
from ..lazy.functions.creation import tensor
from ..lazy.ops.bridge import JaxFunction, flatten, is_jax_array, unflatten
from ..lazy.record import user_line
from .rules.bridge import call

_wrapped: dict[Any, Callable[..., Any]] = {}


class _Place:
    """Where a tensor stood among the arguments."""

    def __repr__(self) -> str:
        return "Tensor"


_TENSOR = _Place()


def from_jax_function(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn``, a function of JAX arrays, as a function of tensors: recorded as one op, compiled with all the rest.

    Arguments and results may be nested tuples, lists, dicts and other trees that JAX knows. Tensors among the arguments
    become JAX arrays; NumPy and JAX arrays become tensors first; everything else (numbers, strings, functions) is static:
    ``fn`` sees it as it is, and is traced again for another value. Derivatives of all orders are JAX's own, in PyTorch's
    convention for complex numbers; integers have none. ``fn`` is traced once for each signature, so it must not depend
    on anything but its arguments, and a new function object is a new op: make it once, outside the loop.

    Operands of 64 bits stay so: with one of them ``fn`` is traced under ``jax.enable_x64``, where JAX's own default types
    are wide, too. Errors of ``fn`` come at the line that calls it; TypeError for a static argument that cannot be hashed
    and where there is no tensor, NotImplementedError where ``fn`` calls back into Python.

    >>> import jax.numpy as jnp
    >>> softplus = from_jax_function(lambda x, *, beta=1.0: jnp.logaddexp(beta * x, 0.0) / beta)
    >>> x = lazyxla.tensor([0.0], requires_grad=True)
    >>> softplus(x, beta=2.0).backward()
    >>> x.grad
    tensor([0.5000])
    """
    if not callable(fn):
        raise TypeError(f"from_jax_function(): a function is expected, not {type(fn).__name__}  ({user_line()})")
    if _unhashable(fn):
        return _wrapper(fn)
    found = _wrapped.get(fn)
    if found is None:
        found = _wrapped[fn] = _wrapper(fn)
    return found


def _wrapper(fn: Callable[..., Any]) -> Callable[..., Any]:
    name = getattr(fn, "__name__", type(fn).__name__)
    name = "jax_lambda" if name == "<lambda>" else name
    forms: dict[Any, _Form] = {}
    plain: dict[int, _Form] = {}  # for so many tensors and nothing else

    def on_tensors(*args: Any, **kwargs: Any) -> Any:
        if args and not kwargs and all([isinstance(x, Tensor) for x in args]):
            form = plain.get(len(args))
            if form is not None:
                return form(args)
        leaves, structure = flatten((args, kwargs))
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        if any(isinstance(x, np.ndarray) or is_jax_array(x) for x in leaves):
            leaves = [_lifted(x, tensors) for x in leaves]
            tensors = [x for x in leaves if isinstance(x, Tensor)]
        if not tensors:
            raise TypeError(f"{name}(): at least one tensor is expected among the arguments  ({user_line()})")
        static = tuple([_TENSOR if isinstance(x, Tensor) else x for x in leaves])
        key = (structure, static, tuple(map(type, static)))
        try:
            form = forms.get(key)
        except TypeError:
            wrong = next(x for x in static if _unhashable(x))
            raise TypeError(
                f"{name}(): what is no tensor is a static argument and must be hashable, but {type(wrong).__name__} is not"
                f"  ({user_line()})"
            ) from None
        if form is None:
            form = forms[key] = _Form(fn, name, structure, static)
            if len(static) == len(args) and not kwargs and all([isinstance(x, Tensor) for x in args]):
                plain[len(args)] = form
        return form(tuple(tensors))

    try:
        functools.update_wrapper(on_tensors, fn)
    except AttributeError:
        on_tensors.__name__ = name
    return on_tensors


class _Form:
    """The function for one structure of arguments and one set of static ones: flat, as the bridge wants it."""

    def __init__(self, fn: Callable[..., Any], name: str, structure: Any, static: tuple[Any, ...]) -> None:
        self.results: dict[Any, Any] = {}  # their structure, by the operands' types

        def flat(*arrays: Any) -> Any:
            given = iter(arrays)
            args, kwargs = unflatten(structure, [next(given) if x is _TENSOR else x for x in static])
            leaves, self.results[tuple([(tuple(a.shape), a.dtype) for a in arrays])] = flatten(fn(*args, **kwargs))
            return leaves

        self.function = JaxFunction(flat, name)

    def __call__(self, tensors: tuple[Tensor, ...]) -> Any:
        found = call(self.function, tensors)
        return unflatten(self.results[tuple([(tuple(t.shape), t.dtype.numpy) for t in tensors])], found)


def _lifted(x: Any, tensors: list[Any]) -> Any:
    if isinstance(x, np.ndarray) or is_jax_array(x):
        return tensor(np.array(x), device=tensors[0].device if tensors else None)
    return x


def _unhashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return True
    return False


__all__ = ["from_jax_function"]
