"""Linear algebra, as ``torch.linalg``: batches of matrices in the last two dims, real or complex, differentiable.

The decompositions are those that JAX lowers for the platform (LAPACK's on the CPU), taken in through the bridge. Nothing
is read from the device unless ``check_errors`` asks for it: where inverses, solutions and factors do not exist, the next
read of a value raises.
"""

from typing import TYPE_CHECKING, Any

from ..lazy.functions._register import offered
from . import factors, lowrank, names, norms, products, spectra, systems
from ._common import LinAlgError

_OFFERED = (
    factors.cholesky, factors.cholesky_ex, spectra.cond, products.cross, systems.det, products.diagonal, spectra.eig,
    spectra.eigh, spectra.eigvals, spectra.eigvalsh, factors.householder_product, systems.inv, systems.inv_ex, spectra.lstsq,
    factors.ldl_factor, factors.ldl_factor_ex, factors.ldl_solve, factors.lu, factors.lu_factor, factors.lu_factor_ex,
    factors.lu_solve, products.matrix_exp, norms.matrix_norm,
    products.matrix_power, spectra.matrix_rank, products.multi_dot, norms.norm, spectra.pinv, factors.qr, systems.slogdet,
    systems.solve, systems.solve_ex, systems.solve_triangular, spectra.svd, spectra.svdvals, systems.tensorinv,
    systems.tensorsolve, products.vander, products.vecdot, norms.vector_norm,
)  # fmt: skip
globals().update({f.__name__: offered(f) for f in _OFFERED})
matmul = products.matmul

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = ["LinAlgError", "factors", "lowrank", "matmul", "names", "norms", "products", "spectra", "systems"]
__all__ += [f.__name__ for f in _OFFERED]
