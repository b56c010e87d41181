"""Type rules shared by the op declarations: pure functions from operand types to the result's type."""

from __future__ import annotations

from collections.abc import Callable

from ..dtypes import BOOL, COMPLEX, FLOAT, DType, bool_
from ..graph import Aval, TypeRuleError

LETTERS = {"b": "bool", "i": "integer", "f": "float", "c": "complex"}


def letter(dtype: DType) -> str:
    return {BOOL: "b", FLOAT: "f", COMPLEX: "c"}.get(dtype.category, "i")


def expect(condition: bool, message: str, kind: type[Exception] = RuntimeError) -> None:
    if not condition:
        raise TypeRuleError(message, kind)


def expect_kind(aval: Aval, kinds: str) -> None:
    expect(
        letter(aval.dtype) in kinds,
        f"not implemented for '{aval.dtype.name}': expected {' or '.join(LETTERS[k] for k in kinds)}",
        NotImplementedError,
    )


def like(kinds: str) -> Callable[..., Aval]:
    """Operands of one and the same type, of the given kinds; the result is of that type."""

    def rule(first: Aval, *others: Aval) -> Aval:
        expect_kind(first, kinds)
        for other in others:
            expect(other is first, f"operands of one type are expected, got {first!r} and {other!r}")
        return first

    return rule


def to_bool(kinds: str) -> Callable[..., Aval]:
    same = like(kinds)
    return lambda *avals, **_: same(*avals).with_dtype(bool_)


def to_real(kinds: str) -> Callable[..., Aval]:
    same = like(kinds)

    def rule(*avals: Aval) -> Aval:
        aval = same(*avals)
        return aval.with_dtype(aval.dtype.to_real())

    return rule


def normal_axes(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """Checked axes of a primitive: non-negative, without repeats."""
    expect(len(set(axes)) == len(axes), f"dim appears multiple times in {axes}")
    for axis in axes:
        expect(0 <= axis < ndim, f"axis {axis} is out of range for {ndim} dims", IndexError)
    return axes


def window_sizes(sizes: tuple[int, ...], window: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """How many windows fit along each dim."""
    return tuple(max(0, (n - k) // s + 1) if n >= k else 0 for n, k, s in zip(sizes, window, strides))
