"""JAX functions as this library sees them: what types they give, their StableHLO, their values, their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import jax
import numpy as np

from ._jaxlib import bytecode

Type = tuple[tuple[int, ...], np.dtype]  # shape and dtype of an array
Types = tuple[Type, ...]
_WIDE = frozenset(map(np.dtype, (np.int64, np.uint64, np.float64, np.complex128)))


class Split(NamedTuple):
    """A function taken apart for differentiation, so that nothing is computed twice.

    ``forward`` gives the function's results and after them what else ``backward`` reads. ``backward`` takes the values
    named by ``residuals`` (('operand', i) or ('result', i)), then the gradients of the floating results, and gives those of
    the wanted operands.
    """

    forward: JaxFunction
    residuals: tuple[tuple[str, int], ...]
    backward: JaxFunction


class JaxFunction:
    """A JAX function ``f(*arrays) -> sequence of arrays``. What is found out about it for given types is found once.

    Gradients follow PyTorch's convention, in which g belongs to the conjugate; JAX's is the other one. Without 64-bit
    operands, ``f`` is traced as JAX is configured; with them, under ``enable_x64``, so that nothing is truncated.
    """

    __slots__ = ("_derived", "_jitted", "_stablehlo", "_traced", "f", "name", "wide")

    def __init__(self, f: Callable[..., Sequence[Any]], name: str, wide: bool = False) -> None:
        self.f, self.name, self.wide = f, name, wide
        self._traced: dict[Types, Any] = {}
        self._stablehlo: dict[tuple[Types, str], bytes] = {}
        self._derived: dict[Any, Any] = {}
        self._jitted: Any = None

    def __repr__(self) -> str:
        return f"<JAX function {self.name}>"

    def results(self, types: Types) -> Types:
        """The types of its results; raises whatever ``f`` raises, TypeError for results that are no plain arrays,
        NotImplementedError where it calls back into Python."""
        return tuple((tuple(x.shape), x.dtype) for x in self._trace(types).out_info)

    def stablehlo(self, types: Types, platform: str) -> bytes:
        """The bytecode of a module whose public ``main`` is the function, for 'cpu', 'cuda', 'tpu'..."""
        found = self._stablehlo.get((types, platform))
        if found is None:
            with self._scope(types):
                module = self._trace(types).lower(lowering_platforms=(platform,)).compiler_ir("stablehlo")
            found = self._stablehlo[types, platform] = bytecode(module)
        return found

    def run(self, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Its values by JAX on the CPU."""
        types = tuple((a.shape, a.dtype) for a in arrays)
        with self._scope(types), jax.default_device(jax.devices("cpu")[0]):
            return tuple(np.asarray(x) for x in self._jit()(*arrays))

    def pullback(self, types: Types, wanted: tuple[int, ...], given: tuple[int, ...]) -> JaxFunction:
        """Of (operands, gradients of the ``given`` results): the gradients of the ``wanted`` operands."""
        found = self._derived.get((types, wanted, given))
        if found is None:
            found = self._derived[types, wanted, given] = JaxFunction(
                _pullback(self.f, len(types), wanted, given), f"gradient of {self.name}", self._is_wide(types)
            )
        return found

    def over_batch(self, varies: tuple[bool, ...]) -> JaxFunction:
        """For many at once: the operands that vary, and all results, with the many along a new dim 0."""
        found = self._derived.get(varies)
        if found is None:
            axes = tuple(0 if v else None for v in varies)

            def many(*operands: Any) -> Any:
                return jax.vmap(lambda *xs: tuple(self.f(*xs)), in_axes=axes)(*operands)

            found = self._derived[varies] = JaxFunction(many, self.name, self.wide)
        return found

    def split(self, types: Types, wanted: tuple[int, ...]) -> Split | None:
        """Taken apart for the gradients of the ``wanted`` operands; None where its parts do not hang together by plain
        arrays. Raises what JAX raises for a function without a derivative."""
        key = (types, wanted)
        if key not in self._derived:
            with self._scope(types):
                self._derived[key] = _split(self, types, wanted)
        return self._derived[key]

    def _is_wide(self, types: Types) -> bool:
        return self.wide or any(dtype in _WIDE for _, dtype in types)

    def _scope(self, types: Types) -> AbstractContextManager[Any]:
        return jax.enable_x64(True) if self._is_wide(types) else nullcontext()

    def _jit(self) -> Any:
        """For JAX always the same function, which it traces and compiles once for types."""
        if self._jitted is None:
            # keep_unused: the module's arguments are the operands, one by one
            self._jitted = jax.jit(lambda *xs: tuple(self.f(*xs)), keep_unused=True)
        return self._jitted

    def _trace(self, types: Types) -> Any:
        found = self._traced.get(types)
        if found is None:
            with self._scope(types):
                found = self._jit().trace(*[jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in types])
            _check(found, self.name)
            self._traced[types] = found
        return found


def _check(traced: Any, name: str) -> None:
    for x in traced.out_info:
        if not isinstance(x.dtype, np.dtype):
            raise TypeError(f"{name} returns {x.dtype} of JAX's own, which is no element type here")
    called = next(_callbacks(traced.jaxpr.jaxpr), None)
    if called is not None:
        raise NotImplementedError(f"{name} calls back into Python ({called}), which a compiled program cannot")


def _callbacks(jaxpr: Any) -> Iterator[str]:
    for equation in jaxpr.eqns:
        if "callback" in equation.primitive.name:
            yield equation.primitive.name
        for value in equation.params.values():
            for part in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from _callbacks(inner)


# --- derivatives ------------------------------------------------------------------------------------------------


def _conj(x: Any) -> Any:
    return x.conj() if np.issubdtype(x.dtype, np.complexfloating) else x


def _inexact(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and bool(jax.numpy.issubdtype(dtype, np.inexact))


def _moving(f: Any, operands: Sequence[Any], wanted: tuple[int, ...]) -> Callable[..., Any]:
    """``f`` as a function of the wanted operands alone."""

    def part(*moving: Any) -> Any:
        whole = list(operands)
        for i, x in zip(wanted, moving):
            whole[i] = x
        return tuple(f(*whole))

    return part


def _pullback(f: Any, count: int, wanted: tuple[int, ...], given: tuple[int, ...]) -> Callable[..., Any]:
    def gradients(*values: Any) -> Any:
        operands, cotangents = values[:count], values[count:]
        part = _moving(f, operands, wanted)
        _, back = jax.vjp(lambda *xs: tuple(part(*xs)[i] for i in given), *[operands[i] for i in wanted])
        return tuple(map(_conj, back(tuple(map(_conj, cotangents)))))

    return gradients


def _split(function: JaxFunction, types: Types, wanted: tuple[int, ...]) -> Split | None:
    structure: list[Any] = []

    def whole(*operands: Any) -> Any:
        results, back = jax.vjp(_moving(function.f, operands, wanted), *[operands[i] for i in wanted])
        leaves, tree = jax.tree_util.tree_flatten(back)
        structure.append((tree, [(x.shape, x.dtype) for x in results]))
        return (*results, *leaves)

    structs = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in types]
    closed = jax.make_jaxpr(whole)(*structs)
    tree, results = structure[-1]
    outs, ins = closed.jaxpr.outvars, closed.jaxpr.invars
    if not all(isinstance(v.aval.dtype, np.dtype) and v.aval.dtype != jax.dtypes.float0 for v in outs):
        return None
    count = len(results)
    kept = list(range(count))
    residuals: list[tuple[str, int]] = []
    place: dict[int, tuple[str, int]] = {id(v): ("operand", i) for i, v in reversed(list(enumerate(ins)))}
    for k, v in enumerate(outs):
        if k >= count:
            if id(v) not in place:
                kept.append(k)
            residuals.append(place.setdefault(id(v), ("result", len(kept) - 1)))
        elif id(v) not in place:
            place[id(v)] = ("result", k)
    from jax.extend.core import jaxpr_as_fun  # here, since the package imports Pallas

    everything = jaxpr_as_fun(closed)

    def forward(*operands: Any) -> Any:
        values = everything(*operands)
        return tuple(values[k] for k in kept)

    def backward(*values: Any) -> Any:
        saved, cotangents = values[: len(residuals)], iter(values[len(residuals) :])
        back = jax.tree_util.tree_unflatten(tree, saved)
        all_of_them = tuple(
            _conj(next(cotangents)) if _inexact(dtype) else np.zeros(shape, jax.dtypes.float0) for shape, dtype in results
        )
        return tuple(map(_conj, back(all_of_them)))

    wide = function._is_wide(types)
    return Split(
        JaxFunction(forward, function.name, wide), tuple(residuals), JaxFunction(backward, f"gradient of {function.name}", wide)
    )


# --- trees ------------------------------------------------------------------------------------------------------


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """The leaves of nested tuples, lists, dicts and whatever JAX knows as a tree; and its structure, which is hashable."""
    return jax.tree_util.tree_flatten(tree)


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    return jax.tree_util.tree_unflatten(structure, leaves)


def is_jax_array(x: Any) -> bool:
    return isinstance(x, jax.Array)


__all__ = ["JaxFunction", "Split", "flatten", "is_jax_array", "unflatten"]
