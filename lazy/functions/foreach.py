"""PyTorch's functions of lists of tensors (``_foreach_add`` and its kin), of which many optimizers are made.

Each is its own function tensor by tensor: XLA makes one program of a whole step in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..record import user_line
from ..tensors import Tensor
from ._register import public

_UNARY = (
    "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "lgamma", "log",
    "log10", "log1p", "log2", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan",
    "tanh", "trunc",
)  # fmt: skip
_BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "clamp_min", "clamp_max", "pow")
_METHODS = {"maximum": "clamp_min", "minimum": "clamp_max"}  # which take numbers too, and are there in place
Each = tuple[tuple[Any, ...], dict[str, Any]]  # what a tensor's own function takes beside the tensor


def _tensors(given: Any, name: str) -> Sequence[Tensor]:
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'self' (position 1) must be tuple of Tensors, not {type(given).__name__}"
            f"  ({user_line()})"
        )
    if not given:
        raise RuntimeError(f"Tensor list must have at least one tensor.  ({user_line()})")
    return given


def _spread(operand: Any, n: int) -> Sequence[Any]:
    """What each of ``n`` tensors takes of an operand: a list has one for each, a number or a 0-d tensor is for all."""
    if not isinstance(operand, (list, tuple)):
        if isinstance(operand, Tensor) and operand.ndim:
            raise RuntimeError(
                f"scalar tensor expected to be 0 dim but it has {operand.ndim} dimensions and {operand.numel()} "
                f"elements.  ({user_line()})"
            )
        return [operand] * n
    if len(operand) == n:
        return operand
    if operand and isinstance(operand[0], Tensor):
        raise RuntimeError(
            f"Tensor lists must have the same number of tensors, got {n} and {len(operand)}  ({user_line()})"
        )
    raise RuntimeError(f"Tensor list must have same number of elements as scalar list.  ({user_line()})")


def _unary(n: int) -> list[Each]:
    return [((), {})] * n


def _binary(n: int, other: Any = None, *, alpha: Any = None, **named: Any) -> list[Each]:
    for name in ("scalar", "scalars", "exponent"):
        other = named.pop(name, other)
    if named or other is None:
        raise TypeError(f"takes a second operand, and 'alpha', but got {[*named] or None}")
    options = {} if alpha is None else {"alpha": alpha}
    return [((o,), options) for o in _spread(other, n)]


def _ternary(n: int, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None) -> list[Each]:
    values = value if scalars is None else scalars
    if isinstance(values, Tensor) and values.ndim == 1:
        values = values.unbind()
    three = zip(_spread(tensor1, n), _spread(tensor2, n), _spread(values, n))
    return [((a, b), {"value": v}) for a, b, v in three]


def _lerp(n: int, tensors1: Any, weight: Any = None, *, weights: Any = None) -> list[Each]:
    return [((t, w), {}) for t, w in zip(_spread(tensors1, n), _spread(weight if weights is None else weights, n))]


def _offer(name: str, each: Callable[..., list[Each]]) -> None:
    """Make ``_foreach_name`` public. One that ends in ``_`` hands back the list that it changed, the others a tuple."""
    full, plain = f"_foreach_{name}", name.removesuffix("_")
    method = name.replace(plain, _METHODS.get(plain, plain))

    def f(self: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = _tensors(self, full)
        try:
            rests = each(len(tensors), *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{full}(): {error}  ({user_line()})") from None
        results = [getattr(t, method)(*rest, **options) for t, (rest, options) in zip(tensors, rests)]
        return self if name.endswith("_") else tuple(results)

    _public(full, f)


def _public(full: str, f: Callable[..., Any]) -> None:
    f.__name__ = f.__qualname__ = full
    f.__doc__ = f"``{full.removeprefix('_foreach_')}`` of each tensor of a list."
    public[full] = f


for _names, _each in ((_UNARY, _unary), (_BINARY, _binary), (("addcmul", "addcdiv"), _ternary), (("lerp",), _lerp)):
    for _name in _names:
        _offer(_name, _each)
        _offer(_name + "_", _each)
for _name, _each in (("clone", _unary), ("max", _unary), ("zero_", _unary)):
    _offer(_name, _each)


def _norm(n: int, ord: Any = 2, dtype: Any = None) -> list[Each]:
    return [((ord,), {"dtype": dtype})] * n


def _copy(n: int, src: Any, non_blocking: bool = False) -> list[Each]:
    return [((s,), {}) for s in _spread(src, n)]


_offer("norm", _norm)
_offer("copy_", _copy)
_pow_of_lists = public["_foreach_pow"]


def _pow(self: Any, exponent: Any) -> tuple[Tensor, ...]:
    if isinstance(self, (list, tuple)):
        return _pow_of_lists(self, exponent)
    return tuple([self**e for e in _tensors(exponent, "_foreach_pow")])  # one number to many powers


_public("_foreach_pow", _pow)
