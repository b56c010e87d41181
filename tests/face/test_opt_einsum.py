"""opt_einsum contracts tensors as it does NumPy's arrays."""

import numpy as np
import opt_einsum
import pytest

import lazyxla as lx

RNG = np.random.default_rng(0)
A, B, C, D, E = (RNG.normal(size=s) for s in ((3, 4), (4, 5), (5, 3), (3, 4, 5), (3, 3)))


@pytest.mark.parametrize(("equation", "operands"), [
    ("ij,jk->ik", [A, B]), ("ij,jk,kl->il", [A, B, C]), ("ij,jk,ki->", [A, B, C]), ("ijk,ij->ki", [D, A]), ("ii->i", [E]),
    ("ij->ji", [A]), ("ijk,kl,jm->lmi", [D, C, B]), ("ij,ij->ij", [A, A]), ("ij,kl->ijkl", [A, B]),
])  # fmt: skip
def test_contract(equation, operands):
    got = opt_einsum.contract(equation, *map(lx.tensor, operands))
    assert isinstance(got, lx.Tensor)
    np.testing.assert_allclose(got.numpy(), opt_einsum.contract(equation, *operands), rtol=1e-9)


def test_gradients_and_expressions():
    a = lx.tensor(A, requires_grad=True)
    opt_einsum.contract("ij,jk->", a, lx.tensor(B)).backward()
    np.testing.assert_allclose(a.grad.numpy(), np.broadcast_to(B.sum(1), A.shape))
    chain = opt_einsum.contract_expression("ij,jk,kl->il", A.shape, B.shape, C.shape)
    np.testing.assert_allclose(chain(*map(lx.tensor, (A, B, C))).numpy(), A @ B @ C)


def test_transpose_takes_an_order_or_two_dims():
    np.testing.assert_array_equal(lx.transpose(lx.tensor(D), (2, 0, 1)).numpy(), D.transpose(2, 0, 1))
    with pytest.raises(TypeError, match="missing a required argument: 'dim1'"):
        lx.tensor(D).transpose(1)
