"""What comes over the bridge, through the real TPU compiler: a Pallas kernel, decompositions and their gradients."""

import jax
import pytest

import lazyxla as lx
from lazyxla.lowering import aot

pytestmark = [
    pytest.mark.tpu_aot,
    pytest.mark.skipif(not aot.tpu_compiler_is_there(), reason='libtpu is not installed (pip install "jax[tpu]")'),
]
LA, S = lx.linalg, lx.special


def square():
    x = lx.randn(4, 4).requires_grad_()
    lx.sync()
    return x


def positive(x):
    return x @ x.mT + 4 * lx.eye(4)


def test_a_pallas_kernel():
    from jax.experimental import pallas as pl

    def kernel(x, out):
        out[...] = x[...] * 2

    f = lx.from_jax_function(lambda x: pl.pallas_call(kernel, out_shape=jax.ShapeDtypeStruct(x.shape, x.dtype))(x))
    assert aot.compile_for("v5e:2x2", f(lx.ones(8, 128)) + 1).output_bytes == 8 * 128 * 4


FUNCTIONS = {
    "inv": LA.inv, "slogdet": lambda x: LA.slogdet(x).logabsdet, "lu": lambda x: LA.lu(x).U,
    "cholesky": lambda x: LA.cholesky(positive(x)), "qr": lambda x: LA.qr(x).Q, "eigh": lambda x: LA.eigh(x).eigenvectors,
    "svd": lambda x: LA.svd(x).Vh, "matrix_exp": LA.matrix_exp, "bessel_y1": lambda x: S.bessel_y1(x.exp()),
    "gammaincc": lambda x: S.gammaincc(x.exp(), x.detach().exp()),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_their_gradients(name):
    x = square()
    y = FUNCTIONS[name](x)
    (g,) = lx.autograd.grad(y.sum(), x)
    assert aot.compile_for("v5e:2x2", y, g).output_bytes > 0


def test_what_is_not_there_on_a_tpu_says_so():
    with pytest.raises(RuntimeError, match=r"eig cannot be lowered for tpu.*'eig' not found.*test_tpu_bridge.py:\d+"):
        aot.compile_for("v5e:2x2", LA.eig(square()).eigenvalues)
