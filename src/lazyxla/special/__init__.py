"""Special functions, as ``torch.special``: element by element, differentiable; float16 and bfloat16 by way of float32.

Those that JAX has are JAX's; Bessel and Airy functions are Cephes' approximations; orthogonal polynomials come by their
recurrences. Functions of complex numbers are only those of ``lazyxla`` itself.
"""

from typing import TYPE_CHECKING, Any

from ..lazy import public as _public
from ..lazy.functions._register import offered
from . import families, names, polynomials

_ALIASES = {
    "digamma": "digamma", "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "exp2": "exp2", "expit": "sigmoid",
    "expm1": "expm1", "gammaln": "lgamma", "log1p": "log1p", "logit": "logit", "log_softmax": "log_softmax",
    "logsumexp": "logsumexp", "polygamma": "polygamma", "psi": "digamma", "round": "round", "sinc": "sinc",
    "softmax": "softmax", "xlogy": "xlogy",
}  # fmt: skip
globals().update({name: _public[own] for name, own in _ALIASES.items()})
_OFFERED = {f.__name__: offered(f) for module in (families, polynomials) for f in module.OFFERED}
globals().update(_OFFERED)
modified_bessel_i0, modified_bessel_i1 = _OFFERED["i0"], _OFFERED["i1"]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = ["families", "modified_bessel_i0", "modified_bessel_i1", "names", "polynomials"]
__all__ += [*_ALIASES, *_OFFERED]
