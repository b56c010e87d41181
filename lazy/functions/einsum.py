"""einsum: sums of products named by letters."""

from __future__ import annotations

import operator
import string
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..record import user_line
from ..tensors import Tensor
from ._register import function
from .contraction import dot_general
from .conversion import convert, result_dtype
from .shape import raw_transpose


@function
def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sums of products named by letters ('...' too), contracted in the order that opt_einsum finds cheapest.

    Instead of an equation, each operand may be followed by the list of its dims' numbers from 0 to 51 (and ``...``), and
    the last by that of the result's: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    """
    if not isinstance(equation, str):
        equation, *operands = _from_lists([equation, *operands])  # type: ignore[assignment]
    items = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
    terms, out = _terms(equation, items)
    dtype = result_dtype(*items)
    tensors = [_diagonals(convert(x, dtype), t) for x, t in zip(items, terms)]
    if len(tensors) > 2:
        import opt_einsum

        plain = ",".join("".join(t) for _, t in tensors) + "->" + "".join(out)
        path, _ = opt_einsum.contract_path(plain, *[tuple(x.shape) for x, _ in tensors], shapes=True, optimize="auto")
    else:
        path = [tuple(range(len(tensors)))]
    for step in path:
        picked = [tensors.pop(i) for i in sorted(step, reverse=True)][::-1]
        later = set(out).union(*[t for _, t in tensors])
        product = picked[0]
        for other in picked[1:]:
            product = _pair(product, other, later)
        tensors.append(product)
    x, term = _summed(*tensors[0], set(out))
    return raw_transpose(x, tuple(term.index(c) for c in out))


Term = list[str]


def _from_lists(given: list[Any]) -> list[Any]:
    """The equation and the operands of a call that names dims by numbers."""
    paired = given[: len(given) // 2 * 2]
    lists = [*paired[1::2], *given[len(paired) :]]
    for numbers in lists:
        if not isinstance(numbers, (list, tuple)):
            raise TypeError(
                f"einsum(): an equation, or operands each followed by a list of its dims, is expected, got "
                f"{type(numbers).__name__} for a list  ({user_line()})"
            )
    terms = ["".join(map(_letter, numbers)) for numbers in lists]
    arrow = "" if len(given) == len(paired) else "->" + terms.pop()
    return [",".join(terms) + arrow, *paired[::2]]


def _letter(number: Any) -> str:
    if number is Ellipsis:
        return "..."
    number = operator.index(number)
    if not 0 <= number < len(string.ascii_letters):
        raise ValueError(f"einsum(): dims are numbered from 0 to 51, got {number}  ({user_line()})")
    return (string.ascii_uppercase + string.ascii_lowercase)[number]


def _terms(equation: str, items: Sequence[Tensor]) -> tuple[list[Term], Term]:
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(items):
        raise RuntimeError(
            f"einsum(): the equation '{equation}' has {len(parts)} operands, {len(items)} were given  ({user_line()})"
        )
    spare = [chr(c) for c in range(0x3B1, 0x3B1 + 64)]
    rank = 0
    for part, x in zip(parts, items):
        if "..." in part:
            rank = max(rank, x.ndim - len(part.replace("...", "")))
    terms = []
    for part, x in zip(parts, items):
        n = x.ndim - len(part.replace("...", ""))
        if n < 0 or (n and "..." not in part):
            raise RuntimeError(
                f"einsum(): the number of subscripts in '{part}' does not match the number of dimensions {x.ndim} of "
                "its operand"
                f"  ({user_line()})"
            )
        terms.append(list(part.replace("...", "".join(spare[rank - n : rank]))))
    if arrow:
        out = list(right.replace("...", "".join(spare[:rank])))
    else:
        letters = sorted({c for t in terms for c in t if c not in spare})
        out = spare[:rank] + [c for c in letters if sum(t.count(c) for t in terms) == 1]
    sizes: dict[str, int] = {}
    for t, x in zip(terms, items):
        for c, n in zip(t, x.shape):
            if sizes.get(c, 1) not in (1, n) and n != 1:
                raise RuntimeError(
                    f"einsum(): subscript {c} has size {n} for one operand and {sizes[c]} for another  ({user_line()})"
                )
            sizes[c] = max(sizes.get(c, 1), n)
    for c in out:
        if c not in sizes or out.count(c) > 1:
            raise RuntimeError(f"einsum(): output subscript {c} is unknown or repeated  ({user_line()})")
    return terms, out


def _diagonals(x: Tensor, term: Term) -> tuple[Tensor, Term]:
    while len(set(term)) < len(term):
        c = next(c for c in term if term.count(c) > 1)
        i = term.index(c)
        j = term.index(c, i + 1)
        x = x.diagonal(0, i, j)
        term = [t for k, t in enumerate(term) if k not in (i, j)] + [c]
    return x, term


def _summed(x: Tensor, term: Term, wanted: set[str]) -> tuple[Tensor, Term]:
    axes = tuple(i for i, c in enumerate(term) if c not in wanted)
    return (ops.reduce_sum(x, axes=axes), [c for c in term if c in wanted]) if axes else (x, term)


def _pair(a: tuple[Tensor, Term], b: tuple[Tensor, Term], later: set[str]) -> tuple[Tensor, Term]:
    (x, s), (y, t) = _summed(*a, later | set(b[1])), _summed(*b, later | set(a[1]))
    for c in set(s) & set(t):  # a size of 1 against a larger one: drop it, it broadcasts
        if x.shape[s.index(c)] != y.shape[t.index(c)]:
            if x.shape[s.index(c)] == 1:
                x, s = ops.reduce_sum(x, axes=(s.index(c),)), [k for k in s if k != c]
            else:
                y, t = ops.reduce_sum(y, axes=(t.index(c),)), [k for k in t if k != c]
    shared = [c for c in s if c in t]
    batch = [c for c in shared if c in later]
    gone = [c for c in shared if c not in later]
    z = dot_general(
        x,
        y,
        (tuple(map(s.index, gone)), tuple(map(t.index, gone))),
        (tuple(map(s.index, batch)), tuple(map(t.index, batch))),
    )
    return z, batch + [c for c in s if c not in shared] + [c for c in t if c not in shared]


