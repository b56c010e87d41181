"""Orthogonal polynomials by their recurrences: Chebyshev's four kinds (shifted too), Hermite's two, Laguerre's, Legendre's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import from_jax_function
from ..devices import jax_special
from ..lazy import Tensor
from ..lazy.functions.conversion import promote
from ..lazy.record import user_line
from .families import real, through_float32

_of_one_degree = from_jax_function(jax_special.polynomial)
_of_degrees = from_jax_function(jax_special.polynomials)


def _family(name: str, shifted: bool, doc: str) -> Callable[[Any, Any], Tensor]:
    full = f"shifted_{name}" if shifted else name

    def f(input: Any, n: Any) -> Tensor:
        if not isinstance(input, Tensor) and not isinstance(n, Tensor):
            raise TypeError(f"{full}(): a Tensor is expected for input or n  ({user_line()})")
        if isinstance(n, Tensor):
            x, degrees = (real(full, v) for v in promote(input, n))
            x = 2 * x - 1 if shifted else x
            return through_float32(lambda x, d: _of_degrees(x, d, name=name), x, degrees.detach())
        x = real(full, input)
        x = 2 * x - 1 if shifted else x
        return through_float32(lambda x: _of_one_degree(x, name=name, degree=int(n)), x)

    f.__name__ = f.__qualname__ = full
    f.__doc__ = f"""{doc} of degree n, at input{" times 2, less 1" if shifted else ""}; 0 for negative n.

    With one degree for all, differentiable; a tensor of degrees makes the recurrence run to the highest, without derivative.
    """
    return f


_KINDS = (("t", "first"), ("u", "second"), ("v", "third"), ("w", "fourth"))
OFFERED = (
    *[
        _family(f"chebyshev_polynomial_{k}", shifted, f"Chebyshev's polynomial of the {which} kind,")
        for shifted in (False, True) for k, which in _KINDS
    ],
    _family("hermite_polynomial_h", False, "Hermite's polynomial, as in physics,"),
    _family("hermite_polynomial_he", False, "Hermite's polynomial, as in probability,"),
    _family("laguerre_polynomial_l", False, "Laguerre's polynomial"),
    _family("legendre_polynomial_p", False, "Legendre's polynomial"),
)  # fmt: skip
__all__ = ["OFFERED"]
