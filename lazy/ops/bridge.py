"""The bridge: any function of JAX's as one op with several results."""

from __future__ import annotations

from typing import Any

from ...devices.jax_functions import JaxFunction, flatten, is_jax_array, unflatten
from ..dtypes import of_numpy
from ..graph import Aval, Several, TypeRuleError, define
from .rules import expect

_KINDS = (TypeError, ValueError, NotImplementedError, IndexError)


def types_of(avals: tuple[Aval, ...]) -> Any:
    """Types as the room below knows them."""
    return tuple([(a.shape, a.dtype.numpy) for a in avals])


def _jax_function(*operands: Aval, function: JaxFunction) -> Several:
    expect(bool(operands), f"{function.name}: at least one tensor is expected", TypeError)
    try:
        results = function.results(types_of(operands))
    except Exception as e:
        kind = next((k for k in _KINDS if isinstance(e, k)), RuntimeError)
        raise TypeRuleError(f"{function.name} cannot be traced: {type(e).__name__}: {_short(e)}", kind) from None
    expect(bool(results), f"{function.name} returns no array", TypeError)
    return Several(tuple([Aval(shape, of_numpy(dtype), operands[0].device) for shape, dtype in results]))


def _short(error: Exception) -> str:
    return " ".join(str(error).split("--------------------")[0].split())[:600]


jax_function = define(
    "jax_function", _jax_function, lambda *arrays, function: function.run(arrays), "A function written in JAX.", ("function",)
)
__all__ = ["JaxFunction", "flatten", "is_jax_array", "jax_function", "types_of", "unflatten"]
