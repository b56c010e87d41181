"""What linalg refuses, in PyTorch's words, at the user's line."""

import pytest

import lazyxla as lx

LA = lx.linalg
SQUARE, TALL = lx.ones(3, 3), lx.ones(3, 2)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: LA.det(TALL), "linalg.det: A must be batches of square matrices, but they are 3 by 2 matrices"),
        (lambda: LA.inv(lx.ones(3)), "linalg.inv: The input tensor A must have at least 2 dimensions"),
        (lambda: LA.eigh(lx.eye(2, dtype=lx.int64)), "linalg.eigh: Expected a floating point or complex tensor"),
        (lambda: LA.svd(TALL.half()), "linalg.svd: Low precision dtypes not supported. Got float16"),
        (lambda: LA.solve(SQUARE, SQUARE.double()), "linalg.solve: Expected A and B to have the same dtype"),
        (lambda: LA.solve(SQUARE, lx.ones(2, 2)), r"shapes of A and B for the equation AX = B \(3x3 and 2x2\)"),
        (lambda: LA.solve(SQUARE, lx.ones(3), left=False), "linalg.solve: Vector broadcasting of the left hand side"),
        (
            lambda: LA.solve_triangular(SQUARE, lx.ones(2, 3), upper=True),
            r"linalg.solve_triangular: Incompatible shapes of A and B for the equation AX = B \(3x3 and 2x3\)",
        ),
        (lambda: LA.eigh(SQUARE, UPLO="X"), "Expected UPLO argument to be 'L' or 'U', but got X"),
        (lambda: LA.qr(TALL, "raw"), "qr received unrecognized mode 'raw'"),
        (lambda: LA.svd(TALL, driver="gesvd"), "keyword argument `driver=` is only supported on CUDA inputs"),
        (lambda: LA.lu(SQUARE, pivot=False), "linalg.lu: LU without pivoting is not implemented on the CPU"),
        (lambda: lx.lu_unpack(SQUARE, lx.ones(3)), "LU_pivots is expected to be a contiguous tensor of torch.int32"),
        (lambda: LA.lu_solve(SQUARE, lx.ones(3, dtype=lx.int32), lx.ones(2, 2)), "linalg.lu_solve: Incompatible shapes"),
        (lambda: LA.lstsq(TALL, lx.ones(2, 2)), r"input.size\(-2\) should match other.size\(-2\), got 3 and 2"),
        (lambda: LA.lstsq(TALL, SQUARE, driver="qr"), "parameter `driver` should be one of"),
        (lambda: LA.householder_product(TALL.mT, lx.ones(2)), "must be greater than or equal to input.shape"),
        (lambda: LA.householder_product(TALL, lx.ones(3)), "must be greater than or equal to tau.shape"),
        (lambda: LA.matrix_norm(SQUARE, 3), "linalg.matrix_norm: Order 3 not supported"),
        (lambda: LA.matrix_norm(SQUARE, dim=0), "linalg.matrix_norm: dim must be a 2-tuple. Got 0"),
        (lambda: LA.matrix_norm(SQUARE, dim=(0, -2)), "linalg.matrix_norm: dims must be different"),
        (lambda: LA.matrix_norm(lx.ones(2)), "linalg.matrix_norm: The input tensor A must have at least 2 dimensions"),
        (lambda: LA.vector_norm(SQUARE, "fro"), "linalg.vector_norm: ord is expected to be a number, not 'fro'"),
        (lambda: LA.vector_norm(lx.arange(3)), "linalg.vector_norm: Expected a floating point or complex tensor"),
        (lambda: LA.norm(lx.ones(2, 2, 2), 1), "If dim is not specified but ord is, the input must be 1D or 2D. Got 3D"),
        (lambda: LA.norm(lx.ones(2, 2, 2), 1, (0, 1, 2)), "it must be of length 1 or 2"),
        (lambda: LA.norm(lx.ones(2), "nuc"), "linalg.norm: Order nuc is only for matrices"),
        (lambda: LA.multi_dot([SQUARE]), r"multi_dot\(\): expected at least 2 tensors but got 1"),
        (lambda: LA.multi_dot([SQUARE, lx.ones(3), SQUARE]), r"multi_dot\(\): tensor 1 must be 2D but got 1D"),
        (lambda: LA.matrix_power(TALL, 2), "linalg.matrix_power: A must be batches of square matrices"),
        (lambda: LA.cross(lx.ones(3), lx.ones(2, 3)), "linalg.cross: inputs must have the same number of dimensions"),
        (lambda: LA.cross(lx.ones(2), lx.ones(2)), "linalg.cross: inputs dimension -1 must have length 3"),
        (lambda: lx.vander(SQUARE), "x must be a one-dimensional tensor"),
        (lambda: LA.tensorinv(lx.ones(2, 3, 4)), r"prod\(self.shape\[ind:\]\) == prod\(self.shape\[:ind\]\), but got 4 != 6"),
        (lambda: LA.tensorinv(SQUARE, ind=0), "Expected a strictly positive integer for 'ind', but got 0"),
        (lambda: LA.tensorsolve(lx.ones(2, 3, 5), lx.ones(2, 3)), "but got 5 != 6"),
        (lambda: lx.cdist(TALL, SQUARE), "X1 and X2 must have the same number of columns. X1: 2 X2: 3"),
        (lambda: lx.cdist(lx.ones(2), TALL), "cdist only supports at least 2D tensors, X1 got: 1D"),
        (lambda: lx.cdist(TALL, TALL, -1), "cdist only supports non-negative p values"),
        (lambda: LA.vector_norm(lx.ones(2, 0), float("inf"), dim=1), "cannot compute the inf norm on the dimension 1"),
        (lambda: LA.vector_norm(lx.ones(2, 0), -1), "cannot compute the -1 norm on an empty tensor"),
        (lambda: lx.triangular_solve(lx.ones(2), SQUARE), "Expected b and A to have at least 2 dimensions"),
    ],
)  # fmt: skip
def test_refused(call, words):
    with pytest.raises(RuntimeError, match=rf"{words}.*test_errors.py:\d+"):
        call()


def test_other_kinds_of_errors():
    with pytest.raises(ValueError, match=r"fast is not a valid value for compute_mode.*test_errors.py"):
        lx.cdist(TALL, TALL, compute_mode="fast")
    with pytest.raises(TypeError, match=r"det\(\): argument 'A' \(position 1\) must be Tensor, not list.*test_errors.py"):
        LA.det([[1.0]])


SINGULAR = lx.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]]])


def test_nothing_is_read_unless_asked(metrics):
    info = LA.inv_ex(SINGULAR).info
    LA.cholesky_ex(SINGULAR)
    assert metrics.report(as_dict=True)["syncs"] == 0
    assert info.tolist() == [0, 2]
    assert LA.inv_ex(SINGULAR).inverse[0].tolist() == [[1.0, 0.0], [0.0, 1.0]]


INDEFINITE = lx.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: LA.inv(SINGULAR), r"linalg.inv: \(Batch element 1\): .* the input matrix is singular"),
        (lambda: SINGULAR[1].inverse(), "linalg.inv: The inversion could not be completed"),
        (lambda: LA.solve(SINGULAR, lx.ones(2)), "torch.linalg.solve: The solver failed because the input matrix is singular"),
        (lambda: LA.cholesky(INDEFINITE), r"linalg.cholesky: \(Batch element 1\): .* not positive-definite"),
        (lambda: lx.cholesky(INDEFINITE[1]), "cholesky: The factorization could not be completed"),
        (lambda: LA.tensorinv(SINGULAR[1], 1), "inv: The inversion could not be completed"),
        (lambda: LA.tensorsolve(SINGULAR[1], lx.ones(2)), "torch.linalg.solve: The solver failed"),
        (lambda: lx.cholesky_inverse(lx.tensor([[2.0, 0.0], [1.0, 0.0]])), "cholesky_inverse: The inversion could not"),
        (lambda: LA.matrix_power(SINGULAR, -2), r"linalg.inv: \(Batch element 1\): The inversion could not"),
        (lambda: lx.svd(SINGULAR / 0.0), "svd: The algorithm failed to converge"),
        (lambda: LA.svdvals(SINGULAR / 0.0), "linalg.svd: The algorithm failed to converge"),
    ],
)  # fmt: skip
def test_what_has_no_result_is_an_error_at_the_next_read(call, words, metrics):
    found = call()
    found = found[0] if isinstance(found, tuple) else found
    assert metrics.report(as_dict=True)["syncs"] == 0
    with pytest.raises(LA.LinAlgError, match=rf"{words}.*test_errors.py:\d+"):
        found.sum().item()
    assert lx.ones(2).sum().item() == 2  # said once
    with lx.eager(True), pytest.raises(LA.LinAlgError, match=words):
        call()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: LA.lu_factor(SINGULAR), r"torch.linalg.lu_factor: \(Batch element 1\): U has a zero on its diagonal"),
        (lambda: LA.eig(SINGULAR[1] / 0.0), "torch.linalg.eig: input tensor should not contain infs or NaNs"),
        (lambda: LA.eigvals(SINGULAR[1] / 0.0), "torch.linalg.eigvals: input tensor should not contain infs or NaNs"),
    ],
)  # fmt: skip
def test_some_of_which_are_no_errors_of_linear_algebra(call, words):
    found = call()
    with pytest.raises(RuntimeError, match=rf"{words}.*test_errors.py:\d+") as caught:
        (found[0] if isinstance(found, tuple) else found).abs().sum().item()
    assert type(caught.value) is RuntimeError


def test_results_that_are_not_finite_for_other_reasons():
    assert lx.isinf(LA.matrix_power(lx.full((1, 1), 1e30), 3)).all() and LA.lu_factor_ex(SINGULAR).info.tolist() == [0, 2]
    assert lx.lu(SINGULAR)[0].isfinite().all() and LA.solve_triangular(SINGULAR[1] * 0, lx.ones(2, 1), upper=True).isinf().any()
    assert LA.inv(SINGULAR[0] * float("nan")).isnan().all()
    assert LA.solve(SINGULAR[0], lx.full((2,), float("inf"))).isnan().any()
    assert LA.cholesky(lx.zeros(2, 0, 0)).shape == LA.inv(lx.zeros(2, 0, 0)).shape == (2, 0, 0)
    assert LA.solve(A=lx.eye(2), B=lx.ones(2)).tolist() == [1.0, 1.0]
    assert lx.func.vmap(LA.inv)(SINGULAR).shape == (2, 2, 2)
    assert not lx.compile(lambda a: LA.inv(a).isfinite().all())(SINGULAR[1])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: LA.inv_ex(SINGULAR, check_errors=True), r"linalg.inv: \(Batch element 1\): The diagonal element 2 is zero"),
        (
            lambda: LA.cholesky_ex(SINGULAR, check_errors=True),
            r"linalg.cholesky: \(Batch element 1\): .*the leading minor of order 2 is not positive-definite",
        ),
        (lambda: LA.solve_ex(SINGULAR[1], lx.ones(2), check_errors=True), "linalg.solve: The solver failed because"),
        (lambda: LA.lu_factor_ex(SINGULAR[1], check_errors=True), r"linalg.lu_factor: U\[2,2\] is zero"),
    ],
)  # fmt: skip
def test_checked_errors(call, words):
    with pytest.raises(LA.LinAlgError, match=rf"{words}.*test_errors.py:\d+"):
        call()
