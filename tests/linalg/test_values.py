"""linalg against NumPy and SciPy, real and complex, single matrices and batches; shapes, dtypes, names of results."""

import math

import numpy as np
import pytest
import scipy.linalg

import lazyxla as lx
from lazyxla.lowering.debug import stablehlo
from tests.tolerances import assert_close, compare

LA = lx.linalg
DTYPES = (np.float64, np.complex128)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def numbers(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed + sum(shape))
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def adjoint(x):
    return np.swapaxes(x, -1, -2).conj()


def positive(*shape, dtype=np.float64):
    x = numbers(*shape, dtype=dtype)
    return x @ adjoint(x) + shape[-1] * np.eye(shape[-1])


def each(f, x):
    """A function of one matrix, of each in a batch."""
    return np.stack([f(m) for m in x])


@by_dtype
def test_determinants_inverses_and_systems(dtype):
    a, b, v = numbers(2, 4, 4, dtype=dtype), numbers(2, 4, 3, dtype=dtype), numbers(2, 4, dtype=dtype)
    t, tb, tv = map(lx.tensor, (a, b, v))
    sign, size = np.linalg.slogdet(a)
    x = np.linalg.solve(a, b)
    compare({
        "det": (LA.det(t), np.linalg.det(a)), "slogdet": (tuple(LA.slogdet(t)), (sign, size)),
        "inv": (LA.inv(t), np.linalg.inv(a)), "inv_ex": (LA.inv_ex(t).inverse, np.linalg.inv(a)),
        "solve": (LA.solve(t, tb), x), "solve_ex": (LA.solve_ex(t, tb).result, x),
        "vectors": (LA.solve(t, tv), np.linalg.solve(a, v[..., None])[..., 0]),
        "one vector": (LA.solve(t[0], tv[0]), np.linalg.solve(a[0], v[0])),
        "from the right": (LA.solve(t, tb.mT, left=False), np.swapaxes(np.linalg.solve(np.swapaxes(a, 1, 2), b), 1, 2)),
        "one matrix, many right sides": (LA.solve(t[0], tb), np.linalg.solve(a[0], b)),
        "tensorsolve": (LA.tensorsolve(lx.tensor(numbers(2, 3, 6, dtype=dtype)), tb[0, :2]),
                        np.linalg.tensorsolve(numbers(2, 3, 6, dtype=dtype), b[0, :2])),
        "tensorinv": (LA.tensorinv(lx.tensor(numbers(6, 2, 3, dtype=dtype)), ind=1),
                      np.linalg.tensorinv(numbers(6, 2, 3, dtype=dtype), ind=1)),
    }, factor=1000)  # fmt: skip


@by_dtype
@pytest.mark.parametrize("upper", [False, True])
def test_triangular_systems_read_one_triangle(dtype, upper):
    a, b = numbers(3, 3, dtype=dtype) + 3 * np.eye(3), numbers(2, 3, 2, dtype=dtype)
    part = np.triu(a) if upper else np.tril(a)
    unit = part - np.diag(np.diag(part)) + np.eye(3)
    t, tb = lx.tensor(a), lx.tensor(b)
    compare({
        "left": (LA.solve_triangular(t, tb, upper=upper), np.linalg.solve(part, b)),
        "unit": (LA.solve_triangular(t, tb, upper=upper, unitriangular=True), np.linalg.solve(unit, b)),
        "right": (LA.solve_triangular(t, tb.mT, upper=upper, left=False), adjoint(np.linalg.solve(adjoint(part), b.conj()))),
        "the old name": (lx.triangular_solve(tb[0], t, upper=upper).solution, np.linalg.solve(part, b[0])),
    }, factor=1000)  # fmt: skip


@by_dtype
def test_cholesky(dtype):
    a = positive(2, 4, 4, dtype=dtype)
    low = np.linalg.cholesky(a)
    b = numbers(2, 4, 3, dtype=dtype)
    t = lx.tensor(a)
    noise = lx.tensor(np.triu(numbers(4, 4, seed=3), 1))  # in the triangle that is not read
    compare({
        "L": (LA.cholesky(t + noise), low), "U": (LA.cholesky(t + noise.mT, upper=True), adjoint(low)),
        "ex": (LA.cholesky_ex(t).L, low), "method": (t.cholesky(), low),
        "solve": (lx.cholesky_solve(lx.tensor(b), lx.tensor(low)), np.linalg.solve(a, b)),
        "solve U": (lx.cholesky_solve(lx.tensor(b), lx.tensor(adjoint(low)), upper=True), np.linalg.solve(a, b)),
        "inverse": (lx.cholesky_inverse(lx.tensor(low)), np.linalg.inv(a)),
    }, factor=1000)  # fmt: skip


@by_dtype
def test_what_is_not_positive_definite(dtype):
    a = np.stack([positive(4, 4, dtype=dtype)] * 3)
    a[1, 2, 2] = -1
    a[2, 0, 0] = 0
    L, info = LA.cholesky_ex(lx.tensor(a))
    assert info.dtype is lx.int32 and info.tolist() == [0, 3, 1]
    assert np.isfinite(L[0].numpy()).all() and np.isnan(L[1].numpy()).any()


@by_dtype
@pytest.mark.parametrize("shape", [(2, 4, 4), (5, 3), (3, 5)], ids=str)
def test_lu(dtype, shape):
    a = numbers(*shape, dtype=dtype)
    t = lx.tensor(a)
    P, L, U = LA.lu(t)
    packed, pivots, info = LA.lu_factor_ex(t)
    p, low, up = scipy.linalg.lu(a)
    compare({"P": (P, p), "L": (L, low), "U": (U, up), "PLU": (P @ L @ U, a)}, factor=1000)
    assert pivots.dtype is lx.int32 and not info.numpy().any()
    assert P.dtype is t.dtype and packed.shape == t.shape
    only = lx.lu_unpack(packed, pivots, unpack_data=False)
    assert only.L.numel() == 0 and only.P.tolist() == P.tolist()
    if a.ndim == 2:
        found, places = scipy.linalg.lu_factor(a)
        assert_close(packed.numpy(), found, factor=1000)
        assert pivots.tolist() == (places + 1).tolist()


@by_dtype
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adj", [True, False])
def test_lu_solve(dtype, left, adj):
    a = numbers(2, 4, 4, dtype=dtype)
    b = numbers(2, 4, 3, dtype=dtype) if left else numbers(2, 3, 4, dtype=dtype)
    x = LA.lu_solve(*LA.lu_factor(lx.tensor(a)), lx.tensor(b), left=left, adjoint=adj)
    m = adjoint(a) if adj else a
    assert_close((m @ x.numpy() if left else x.numpy() @ m), b, factor=1000)


@by_dtype
@pytest.mark.parametrize("shape", [(2, 4, 4), (5, 3), (2, 3, 5)], ids=str)
def test_qr(dtype, shape):
    a = numbers(*shape, dtype=dtype)
    t = lx.tensor(a)
    (Q, R), (Qc, Rc), (Qr, Rr) = LA.qr(t), LA.qr(t, "complete"), LA.qr(t, mode="r")
    m, n = shape[-2:]
    k = min(m, n)
    assert tuple(Q.shape[-2:]) == (m, k) and tuple(Qc.shape[-2:]) == (m, m) and tuple(Rc.shape[-2:]) == (m, n)
    assert Qr.numel() == 0
    packed, tau = lx.geqrf(t)
    H = adjoint(Qc.numpy())
    compare({
        "QR": (Q @ R, a), "complete": (Qc @ Rc, a), "r": (Rr, R.numpy()),
        "orthonormal": (Qc.mT.conj() @ Qc, np.broadcast_to(np.eye(m), (*shape[:-2], m, m)).astype(dtype)),
        "upper": (R.tril(-1), np.zeros_like(R.numpy())),
        "old": (lx.qr(t).R, R.numpy()),
        "geqrf": (packed.triu()[..., :k, :], R.numpy()),
        "ormqr": (lx.ormqr(packed[..., :k], tau, t, transpose=True), H @ a),
        **({"reflections": (LA.householder_product(packed, tau), Q.numpy())} if m >= n else {}),
    }, factor=1000)  # fmt: skip


@by_dtype
@pytest.mark.parametrize("uplo", ["L", "U"])
def test_eigenvalues_of_hermitian_matrices(dtype, uplo):
    a = numbers(2, 4, 4, dtype=dtype)  # one triangle is read
    w, v = LA.eigh(lx.tensor(a), UPLO=uplo)
    expected = np.linalg.eigvalsh(a, uplo)
    whole = np.tril(a, -1) if uplo == "L" else np.triu(a, 1)
    whole = whole + adjoint(whole) + np.real(a) * np.eye(4)
    assert w.dtype is lx.float64
    compare({
        "values": (w, expected), "eigvalsh": (LA.eigvalsh(lx.tensor(a), uplo), expected),
        "vectors": ((v * w.unsqueeze(-2)) @ v.mT.conj(), whole),
        "orthonormal": (v.mT.conj() @ v, np.stack([np.eye(4)] * 2).astype(dtype)),
    }, factor=1000)  # fmt: skip


@by_dtype
def test_eigenvalues_of_any_matrices(dtype):
    a = numbers(2, 4, 4, dtype=dtype)
    w, v = LA.eig(lx.tensor(a))
    assert w.dtype is v.dtype is lx.complex128
    assert_close((lx.tensor(a).to(lx.complex128) @ v).numpy(), (v * w.unsqueeze(-2)).numpy(), factor=1000)
    for found in (w, LA.eigvals(lx.tensor(a))):
        for got, wanted in zip(found.numpy(), np.linalg.eigvals(a)):
            assert_close(np.sort_complex(got.round(9)), np.sort_complex(wanted.round(9)), factor=1e5)
    assert_close((v.abs() ** 2).sum(-2).numpy(), np.ones((2, 4)), factor=10)


@by_dtype
@pytest.mark.parametrize("shape", [(2, 4, 4), (5, 3), (3, 5)], ids=str)
def test_singular_values(dtype, shape):
    a = numbers(*shape, dtype=dtype)
    t = lx.tensor(a)
    s = np.linalg.svd(a, compute_uv=False)
    U, S, Vh = LA.svd(t)
    u, s2, vh = LA.svd(t, full_matrices=False)
    m, n = shape[-2:]
    k = min(m, n)
    assert tuple(U.shape[-2:]) == (m, m) and tuple(Vh.shape[-2:]) == (n, n)
    assert tuple(u.shape[-2:]) == (m, k) and tuple(vh.shape[-2:]) == (k, n)
    old = lx.svd(t)
    compare({
        "S": (S, s), "reduced S": (s2, s), "svdvals": (LA.svdvals(t), s),
        "full": ((U[..., :k] * S.unsqueeze(-2)) @ Vh[..., :k, :], a), "reduced": ((u * s2.unsqueeze(-2)) @ vh, a),
        "unitary U": (U.mT.conj() @ U, np.broadcast_to(np.eye(m), U.shape).astype(dtype)),
        "unitary V": (Vh @ Vh.mT.conj(), np.broadcast_to(np.eye(n), Vh.shape).astype(dtype)),
        "V, not its adjoint": ((old.U * old.S.unsqueeze(-2)) @ old.V.mT.conj(), a),
        "no vectors": (lx.svd(t, compute_uv=False).S, s),
    }, factor=1000)  # fmt: skip


@by_dtype
def test_pseudoinverse_and_rank(dtype):
    low = numbers(5, 2, dtype=dtype) @ numbers(2, 4, dtype=dtype)
    h = positive(3, 3, dtype=dtype) - 4 * np.eye(3)
    a = numbers(2, 3, 4, dtype=dtype)
    compare({
        "pinv": (LA.pinv(lx.tensor(a)), np.linalg.pinv(a)), "tall": (LA.pinv(lx.tensor(a).mT), np.linalg.pinv(a.mT)),
        "low rank": (LA.pinv(lx.tensor(low), rtol=1e-10), np.linalg.pinv(low, rcond=1e-10)),
        "hermitian": (LA.pinv(lx.tensor(h), hermitian=True), np.linalg.pinv(h)),
        "cut off": (LA.pinv(lx.diag(lx.tensor([1.0, 0.5, 0.1])), atol=0.2), np.diag(np.float32([1, 2, 0]))),
        "both": (LA.pinv(lx.diag(lx.tensor([4.0, 0.5, 0.1])), atol=0.2, rtol=0.2), np.diag(np.float32([0.25, 0, 0]))),
        "pinverse": (lx.pinverse(lx.tensor(a)), np.linalg.pinv(a)),
    }, factor=2000)  # fmt: skip
    assert LA.matrix_rank(lx.tensor(low)).item() == 2
    assert LA.matrix_rank(lx.tensor(h), hermitian=True).item() == 3
    assert LA.matrix_rank(lx.diag(lx.tensor([1.0, 0.5, 0.1])), atol=0.2).item() == 2
    assert LA.matrix_rank(lx.tensor(a)).tolist() == [3, 3]
    assert tuple(LA.pinv(lx.ones(0, 3)).shape) == (3, 0)


@by_dtype
@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
def test_least_squares(dtype, driver):
    a, b = numbers(5, 3, dtype=dtype), numbers(5, 2, dtype=dtype)
    x, residuals, rank, values = np.linalg.lstsq(a, b, rcond=None)
    found = LA.lstsq(lx.tensor(a), lx.tensor(b), driver=driver)
    assert_close(found.solution.numpy(), x, factor=1000)
    if driver in ("gels", "gelsd", "gelss"):
        assert_close(found.residuals.numpy(), residuals, factor=1000)
    else:
        assert found.residuals.numel() == 0
    assert found.rank.numel() == 0 if driver == "gels" else found.rank.item() == rank
    if driver in ("gelsd", "gelss"):
        assert_close(found.singular_values.numpy(), values, factor=1000)


def test_least_squares_of_vectors_and_of_least_norm():
    a, b = numbers(2, 3, 5), numbers(2, 3)
    x = LA.lstsq(lx.tensor(a), lx.tensor(b)).solution
    assert_close(x.numpy(), np.stack([np.linalg.lstsq(m, v, rcond=None)[0] for m, v in zip(a, b)]), factor=1000)


@by_dtype
def test_norms(dtype):
    a = numbers(3, 4, 5, dtype=dtype)
    t = lx.tensor(a)
    pairs = {}
    for p in (0, 1, 2, 3.5, 0.5, -1, math.inf, -math.inf):
        pairs[f"vector {p}"] = LA.vector_norm(t, p, dim=1), np.linalg.norm(a, p, axis=1)
        pairs[f"all {p}"] = LA.vector_norm(t, p), np.linalg.norm(a.reshape(-1), p)
    for p in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        pairs[f"matrix {p}"] = LA.matrix_norm(t, p), np.linalg.norm(a, p, axis=(1, 2))
        pairs[f"dims {p}"] = LA.matrix_norm(t, p, (2, 0), keepdim=True), np.linalg.norm(a, p, axis=(2, 0), keepdims=True)
        pairs[f"norm {p}"] = LA.norm(t[0], p), np.linalg.norm(a[0], p)
    pairs["norm of everything"] = LA.norm(t), np.linalg.norm(a.reshape(-1))
    pairs["norm along one"] = LA.norm(t, 3, 2, keepdim=True), np.linalg.norm(a, 3, 2, keepdims=True)
    pairs["norm of a vector"] = LA.norm(t[0, 0], 1), np.linalg.norm(a[0, 0], 1)
    compare(pairs, factor=100)
    assert LA.vector_norm(lx.ones(2), dtype=lx.float64).dtype is lx.float64


@by_dtype
@pytest.mark.parametrize("p", [None, 2, -2, "fro", "nuc", 1, -1, math.inf, -math.inf], ids=str)
def test_condition_numbers(dtype, p):
    a = numbers(2, 4, 4, dtype=dtype)
    assert_close(LA.cond(lx.tensor(a), p).numpy(), each(lambda m: np.linalg.cond(m, p), a), factor=1e4)


@by_dtype
def test_products_and_powers(dtype):
    a = numbers(2, 3, 3, dtype=dtype)
    t = lx.tensor(a)
    factors = [numbers(*s, dtype=dtype) for s in ((3,), (3, 6), (6, 2), (2, 4), (4,))]
    x, y = numbers(4, 3, dtype=dtype), numbers(1, 3, dtype=dtype)
    compare({
        **{f"power {n}": (LA.matrix_power(t, n), np.linalg.matrix_power(a, n)) for n in (-2, -1, 0, 1, 2, 5)},
        "exp": (lx.matrix_exp(t), scipy.linalg.expm(a)), "exp of large": (lx.matrix_exp(t[0] * 8), scipy.linalg.expm(a[0] * 8)),
        "multi_dot": (LA.multi_dot(list(map(lx.tensor, factors))), np.linalg.multi_dot(factors)),
        "multi_dot of matrices": (LA.multi_dot(list(map(lx.tensor, factors[1:4]))), np.linalg.multi_dot(factors[1:4])),
        "cross": (LA.cross(*map(lx.tensor, (x, y))), np.cross(x, y)),
        "vecdot": (LA.vecdot(*map(lx.tensor, (x, y))), np.sum(x.conj() * y, -1)),
        "vander": (LA.vander(lx.tensor(x)), np.stack([np.vander(r, increasing=True) for r in x])),
        "vander N": (LA.vander(lx.tensor(x), N=5), np.stack([np.vander(r, 5, increasing=True) for r in x])),
        "old vander": (lx.vander(lx.tensor(x[0])), np.vander(x[0])),
        "old vander N": (lx.vander(lx.tensor(x[0]), 4, increasing=True), np.vander(x[0], 4, increasing=True)),
        "diagonal": (LA.diagonal(t, offset=1), np.diagonal(a, 1, 1, 2)),
        "logdet": (lx.logdet(t @ t.mT.conj()), np.log(np.linalg.det(a @ adjoint(a)))),
        "matmul": (LA.matmul(t, t), a @ a),
    }, factor=1e4)  # fmt: skip


def test_the_cheapest_order_of_products_is_found():
    from lazyxla.linalg.products import _best_split

    split = _best_split([10, 100, 5, 50])  # Cormen et al.: (A1 A2) A3 takes 7,500 multiplications
    assert split[0, 2] == 1


def test_distances():
    a, b = numbers(2, 5, 3), numbers(4, 3)
    far = np.abs(a[:, :, None] - b[None, None])
    compare({
        "2": (lx.cdist(lx.tensor(a), lx.tensor(b)), np.sqrt((far**2).sum(-1))),
        "by products": (lx.cdist(lx.tensor(a), lx.tensor(b), compute_mode="use_mm_for_euclid_dist"), np.sqrt((far**2).sum(-1))),
        "1": (lx.cdist(lx.tensor(a), lx.tensor(b), 1.0), far.sum(-1)),
        "inf": (lx.cdist(lx.tensor(a), lx.tensor(b), math.inf), far.max(-1)),
        "0": (lx.cdist(lx.tensor(a), lx.tensor(b), 0), (far != 0).sum(-1).astype(float)),
    }, factor=100)  # fmt: skip
    rows = lx.tensor(numbers(30, 3), requires_grad=True)
    d = lx.cdist(rows, rows)
    assert d.diagonal().detach().numpy().max() < 1e-6
    d.sum().backward()
    assert np.isfinite(rows.grad.numpy()).all()


def test_single_precision_stays():
    a = lx.tensor(positive(4, 4).astype(np.float32))
    results = [LA.det(a), LA.inv(a), LA.cholesky(a), *LA.qr(a), *LA.svd(a), *LA.eigh(a), LA.pinv(a), LA.lu(a).U]
    assert {t.dtype for t in results} == {lx.float32}
    assert {t.dtype for t in LA.eig(a)} == {lx.complex64}
    assert_close((LA.inv(a) @ a).numpy(), np.eye(4, dtype=np.float32), factor=10)


def test_names_of_results():
    a = lx.tensor(positive(2, 2))
    names = {
        "slogdet": ("sign", "logabsdet"), "inv_ex": ("inverse", "info"), "cholesky_ex": ("L", "info"), "lu": ("P", "L", "U"),
        "lu_factor": ("LU", "pivots"), "lu_factor_ex": ("LU", "pivots", "info"), "qr": ("Q", "R"), "svd": ("U", "S", "Vh"),
        "eigh": ("eigenvalues", "eigenvectors"), "eig": ("eigenvalues", "eigenvectors"),
    }  # fmt: skip
    for name, fields in names.items():
        assert getattr(LA, name)(a)._fields == fields, name
    assert LA.lstsq(a, a)._fields == ("solution", "residuals", "rank", "singular_values")
    assert LA.solve_ex(a, a)._fields == ("result", "info")


def test_the_old_names_are_methods_too():
    a = lx.tensor(positive(3, 3))
    for name in (
        "det", "logdet", "slogdet", "inverse", "cholesky", "qr", "svd", "pinverse", "matrix_exp", "geqrf", "lu",
    ):  # fmt: skip
        one, other = getattr(a, name)(), getattr(lx, name)(a)
        for x, y in zip(one, other) if isinstance(one, tuple) else [(one, other)]:
            assert x.tolist() == y.tolist(), name
    assert a.matrix_power(3).tolist() == lx.matrix_power(a, 3).tolist()


def test_results_go_where_out_says():
    a, out = lx.tensor(positive(3, 3)), lx.empty(3, 3, dtype=lx.float64)
    assert LA.inv(a, out=out) is out
    assert_close(out.numpy(), np.linalg.inv(positive(3, 3)), factor=100)


def test_empty_batches():
    a = lx.ones(0, 3, 3)
    assert tuple(LA.det(a).shape) == (0,)
    assert tuple(LA.inv(a).shape) == (0, 3, 3)
    assert tuple(LA.svd(a).S.shape) == (0, 3)
    assert LA.det(lx.ones(0, 0)).item() == 1


def test_empty_matrices_and_zeroth_powers():
    empty, square = (lx.tensor(numbers(*s), requires_grad=True) for s in ((2, 0, 0), (2, 3, 3)))
    inverse, info = LA.inv_ex(empty)
    factor, places = LA.cholesky_ex(empty)
    assert inverse.shape == factor.shape == (2, 0, 0) and info.tolist() == places.tolist() == [0, 0]
    assert LA.matrix_rank(lx.zeros(0, 3)).item() == 0 and LA.matrix_rank(lx.zeros(2, 0, 3)).tolist() == [0, 0]
    assert LA.pinv(lx.zeros(2, 0, 3)).shape == (2, 3, 0) and LA.det(empty).tolist() == [1, 1]
    norms = {ord: LA.matrix_norm(lx.zeros(2, 0, 3), ord).tolist() for ord in (1, -1, 2, float("inf"), "nuc", "fro")}
    assert all(n == [0, 0] for n in norms.values()) and LA.matrix_norm(lx.zeros(3, 0), 1).item() == 0
    assert LA.vander(lx.tensor(3.0), N=3).tolist() == [[1, 3, 9]]
    few = LA.vander(lx.tensor([9], dtype=lx.uint8), N=4)
    assert few.dtype is lx.int64 and few.tolist() == [[1, 9, 81, 729]]
    (LA.det(empty).sum() + LA.pinv(empty).sum()).backward()
    power = LA.matrix_power(square, 0)
    power.sum().backward()
    assert empty.grad.shape == (2, 0, 0) and square.grad.abs().max().item() == 0
    np.testing.assert_array_equal(power.detach().numpy(), np.stack([np.eye(3)] * 2))
    small = lx.tensor([[0.5, 0.25], [0.0, 1.0]], dtype=lx.bfloat16)
    np.testing.assert_allclose(LA.matrix_exp(small).float().numpy(), scipy.linalg.expm(small.float().numpy()), rtol=1e-2)


@by_dtype
@pytest.mark.parametrize("shape", [(9, 5), (2, 4, 7)])
def test_the_largest_singular_values_at_random(dtype, shape):
    small = numbers(*shape[:-1], 2, dtype=dtype), numbers(*shape[:-2], 2, shape[-1], dtype=dtype)
    a = small[0] @ small[1]  # of rank 2, which 3 combinations catch
    centred = a - a.mean(-2, keepdims=True)
    for found, x in (
        (lx.svd_lowrank(lx.tensor(a), q=3), a), (lx.pca_lowrank(lx.tensor(a), q=3), centred),
        (lx.svd_lowrank(lx.tensor(a), q=3, niter=1, M=lx.tensor(a - centred)), centred),
    ):  # fmt: skip
        U, S, V = (t.numpy() for t in found)
        assert U.shape == (*shape[:-1], 3) and S.shape == (*shape[:-2], 3) and V.shape == (*shape[:-2], shape[-1], 3)
        np.testing.assert_allclose(S, np.linalg.svd(x, compute_uv=False)[..., :3], atol=1e-10)
        np.testing.assert_allclose(U * S[..., None, :] @ adjoint(V), x, atol=1e-10)
        np.testing.assert_allclose(adjoint(V) @ V, np.broadcast_to(np.eye(3), (*shape[:-2], 3, 3)), atol=1e-10)


def test_no_more_singular_values_than_there_are():
    with pytest.raises(ValueError, match=r"q\(=4\) must be non-negative integer and not greater than min\(m, n\)=3"):
        lx.pca_lowrank(lx.ones(5, 3), q=4)
    with pytest.raises(ValueError, match=r"niter\(=-1\)"):
        lx.svd_lowrank(lx.ones(5, 3), q=1, niter=-1)
    assert lx.pca_lowrank(lx.ones(5, 3)).S.shape == (3,)


def test_the_derivative_of_an_inverse_solves_nothing():
    a = lx.tensor(np.random.default_rng(0).normal(size=(3, 4, 4)), requires_grad=True)
    y = lx.linalg.inv(a).detach()
    (g,) = lx.autograd.grad(lx.linalg.inv(a), a, lx.ones_like(y))
    text = stablehlo(g, locations=False)
    assert text.count("lapack_dgetrf_ffi") == stablehlo(y, locations=False).count("lapack_dgetrf_ffi") > 0
    assert text.count("lapack_dtrsm_ffi") == stablehlo(y, locations=False).count("lapack_dtrsm_ffi")
    turned = adjoint(np.linalg.inv(a.detach().numpy()))
    np.testing.assert_allclose(g.numpy(), -turned @ np.ones((4, 4)) @ turned, rtol=1e-9)
