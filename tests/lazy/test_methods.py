"""Functions and methods of one name, each called by it, against NumPy and SciPy; in-place forms, which write in place."""

import math

import numpy as np
import scipy.integrate
import scipy.special

import lazyxla as lx
from tests.tolerances import compare

RNG = np.random.default_rng(4)
A, B = RNG.standard_normal((2, 3, 4))
P = np.abs(A) + 0.2
U = np.clip(A / 4, -0.9, 0.9)  # inside of (-1, 1)
N, K = np.array([[3, -1, 2], [0, 5, -7]]), np.array([[1, 2, 2], [4, 5, 6]])
HARD = np.array([math.nan, math.inf, -math.inf, -0.0, 1.5, -2.5])
L, R = RNG.standard_normal((2, 3, 4)), RNG.standard_normal((2, 4, 5))
S = RNG.standard_normal((3, 3)) + 3 * np.eye(3)
LOW = np.linalg.cholesky(S @ S.T)
T = np.array([True, False, True, True])
I, J = np.array([2, 0]), np.array([[0, 2, 1, 0]])


def split(a, sizes, axis=0):
    return np.split(a, np.cumsum(sizes)[:-1], axis)


def put(a, index, values, f=lambda old, new: new):
    """What scatter along dim 0 does, an element at a time."""
    out = a.copy()
    for i, j in np.ndindex(index.shape):
        out[index[i, j], j] = f(out[index[i, j], j], values[i, j])
    return out


# name: (arguments, what NumPy makes of them). An array among the arguments is given as a tensor.
TABLE = {
    # element by element
    "abs": ((A,), abs(A)), "acos": ((U,), np.arccos(U)), "arccos": ((U,), np.arccos(U)), "arcsin": ((U,), np.arcsin(U)),
    "arctan": ((A,), np.arctan(A)), "atan": ((A,), np.arctan(A)), "cos": ((A,), np.cos(A)), "sin": ((A,), np.sin(A)),
    "tan": ((U,), np.tan(U)), "sinh": ((A,), np.sinh(A)), "tanh": ((A,), np.tanh(A)), "exp": ((A,), np.exp(A)),
    "expm1": ((A,), np.expm1(A)), "log": ((P,), np.log(P)), "log1p": ((P,), np.log1p(P)), "log2": ((P,), np.log2(P)),
    "log10": ((P,), np.log10(P)), "sqrt": ((P,), np.sqrt(P)), "rsqrt": ((P,), P**-0.5), "square": ((A,), A * A),
    "reciprocal": ((A,), 1 / A), "neg": ((A,), -A), "sign": ((N,), np.sign(N)), "ceil": ((A,), np.ceil(A)),
    "floor": ((A,), np.floor(A)), "round": ((HARD,), np.round(HARD)), "frac": ((A,), A - np.trunc(A)),
    "sigmoid": ((A,), scipy.special.expit(A)), "relu": ((A,), np.maximum(A, 0)), "erf": ((A,), scipy.special.erf(A)),
    "erfc": ((A,), scipy.special.erfc(A)), "erfinv": ((U,), scipy.special.erfinv(U)),
    "lgamma": ((P,), scipy.special.gammaln(P)), "logit": ((P / 4,), scipy.special.logit(P / 4)),
    "nan_to_num": ((HARD, 1.0, 2.0, 3.0), [1, 2, 3, 0, 1.5, -2.5]), "isfinite": ((HARD,), np.isfinite(HARD)),
    "isinf": ((HARD,), np.isinf(HARD)), "isnan": ((HARD,), np.isnan(HARD)),
    "clamp": ((A, -0.5, 0.7), np.clip(A, -0.5, 0.7)),
    "clip": ((A, -0.5, 0.7), np.clip(A, -0.5, 0.7)), "logical_not": ((N,), N == 0), "real": ((A + 1j * B,), A),
    "clone": ((A,), A), "conj": ((A + 1j * B,), A - 1j * B),
    # of two
    "add": ((A, B[:, :1]), A + B[:, :1]), "sub": ((A, B[0]), A - B[0]), "mul": ((A, B), A * B), "div": ((A, P), A / P),
    "fmod": ((A, 0.3), np.fmod(A, 0.3)), "pow": ((P, B), P**B), "maximum": ((A, B), np.maximum(A, B)),
    "minimum": ((A, B), np.minimum(A, B)), "copysign": ((A, B), np.copysign(A, B)), "atan2": ((A, B), np.arctan2(A, B)),
    "xlogy": ((A, P), scipy.special.xlogy(A, P)), "logaddexp": ((A, B), np.logaddexp(A, B)),
    "eq": ((N, K), N == K), "ne": ((N, K), N != K), "lt": ((N, 2), N < 2), "le": ((N, 2), N <= 2),
    "gt": ((N, 2), N > 2),
    "ge": ((N, 2), N >= 2), "logical_and": ((N, K > 2), (N != 0) & (K > 2)),
    "logical_or": ((N, K > 4), (N != 0) | (K > 4)),
    "bitwise_and": ((N, K), N & K), "isclose": ((A, A + 1e-9 * (B > 0) + (B < 0)), B > 0),
    "lerp": ((A, B, 0.3), A + 0.3 * (B - A)), "addcmul": ((A, B, P), A + B * P), "addcdiv": ((A, B, P), A + B / P),
    "where": ((A, B > 0, P), np.where(B > 0, A, P)), "dist": ((A, B, 3), (abs(A - B) ** 3).sum() ** (1 / 3)),
    "prelu": ((A, np.array([0.25])), np.where(A > 0, A, A / 4)),
    # products and matrices
    "matmul": ((L, R), L @ R), "bmm": ((L, R), L @ R), "mm": ((A, B.T), A @ B.T), "mv": ((A, B[0]), A @ B[0]),
    "dot": ((A[0], B[0]), A[0] @ B[0]), "outer": ((A[0], B[1]), np.outer(A[0], B[1])),
    "addmm": ((S, A, B.T), S + A @ B.T), "baddbmm": ((R[:, :3], L, R), R[:, :3] + L @ R),
    "diag": ((A[0], 1), np.diag(A[0], 1)), "diag_embed": ((A,), np.stack([np.diag(r) for r in A])),
    "diagonal": ((A, 1), np.diagonal(A, 1)), "trace": ((S,), np.trace(S)), "tril": ((A, -1), np.tril(A, -1)),
    "triu": ((A, 1), np.triu(A, 1)), "det": ((S,), np.linalg.det(S)), "inverse": ((S,), np.linalg.inv(S)),
    "logdet": ((S @ S.T,), np.linalg.slogdet(S @ S.T)[1]), "slogdet": ((S,), np.linalg.slogdet(S)),
    "pinverse": ((A,), np.linalg.pinv(A)), "cholesky_inverse": ((LOW,), np.linalg.inv(S @ S.T)),
    "cholesky_solve": ((A, LOW), np.linalg.solve(S @ S.T, A)), "cov": ((A,), np.cov(A)),
    # sums, extremes, scans, sorting
    "sum": ((A, 1), A.sum(1)), "mean": ((A, 0), A.mean(0)), "prod": ((A, 1), A.prod(1)),
    "std": ((A, 1), A.std(1, ddof=1)),
    "var": ((A, 0), A.var(0, ddof=1)), "std_mean": ((A, 1), (A.std(1, ddof=1), A.mean(1))),
    "var_mean": ((A, 1), (A.var(1, ddof=1), A.mean(1))), "norm": ((A,), np.linalg.norm(A)),
    "max": ((A, 1), (A.max(1), A.argmax(1))), "min": ((A, 1), (A.min(1), A.argmin(1))), "amax": ((A, 0), A.max(0)),
    "amin": ((A, 0), A.min(0)), "argmax": ((A, 1), A.argmax(1)), "argmin": ((A,), A.argmin()),
    "any": ((N > 4, 1), (N > 4).any(1)),
    "all": ((N > -2, 1), (N > -2).all(1)), "logsumexp": ((A, 1), scipy.special.logsumexp(A, 1)),
    "softmax": ((A, 1), scipy.special.softmax(A, 1)), "log_softmax": ((A, 0), scipy.special.log_softmax(A, 0)),
    "cumsum": ((A, 1), A.cumsum(1)), "cumprod": ((A, 0), A.cumprod(0)),
    "sort": ((A, 1), (np.sort(A, 1), np.argsort(A, 1))),
    "argsort": ((A, 0), np.argsort(A, 0)), "topk": ((A[0], 2), (-np.sort(-A[0])[:2], np.argsort(-A[0])[:2])),
    "bincount": ((K[1],), np.bincount(K[1])), "nonzero": ((N,), np.argwhere(N)), "unique": ((K,), np.unique(K)),
    "kthvalue": ((A, 2, 1), (np.sort(A, 1)[:, 1], np.argsort(A, 1)[:, 1])), "diff": ((A,), np.diff(A)),
    "trapezoid": ((A,), scipy.integrate.trapezoid(A)),
    # forms
    "reshape": ((A, (2, -1)), A.reshape(2, 6)), "flatten": ((L, 1), L.reshape(2, 12)), "ravel": ((L,), L.ravel()),
    "squeeze": ((A[:, :1],), A[:, 0]), "unsqueeze": ((A, 1), A[:, None]), "transpose": ((L, 0, 2), L.swapaxes(0, 2)),
    "swapaxes": ((L, 0, 2), L.swapaxes(0, 2)), "t": ((A,), A.T), "permute": ((L, (1, 2, 0)), L.transpose(1, 2, 0)),
    "movedim": ((L, 0, 2), np.moveaxis(L, 0, 2)), "expand_copy": ((A[:1], (3, 4)), np.broadcast_to(A[:1], (3, 4))),
    "broadcast_to": ((A[0], (3, 4)), np.broadcast_to(A[0], (3, 4))), "tile": ((A, (2, 1)), np.tile(A, (2, 1))),
    "repeat_interleave": ((A, 2, 1), np.repeat(A, 2, 1)), "flip": ((A, (0,)), A[::-1]),
    "roll": ((A, 1, 1), np.roll(A, 1, 1)),
    "chunk": ((A, 2, 1), split(A, [2, 2], 1)), "split": ((A, 3, 1), split(A, [3, 1], 1)), "unbind": ((A,), list(A)),
    "split_with_sizes": ((A, [1, 3], 1), split(A, [1, 3], 1)), "tensor_split": ((A, 3, 1), np.array_split(A, 3, 1)),
    "narrow": ((A, 1, 1, 2), A[:, 1:3]), "select": ((A, 1, 2), A[:, 2]),
    # places
    "gather": ((A, 0, J), np.take_along_axis(A, J, 0)), "index_select": ((A, 1, I), A[:, I]),
    "take_along_dim": ((A, J, 0), np.take_along_axis(A, J, 0)), "masked_select": ((A, T), A[:, T].ravel()),
    "masked_fill": ((A, T, 2.0), np.where(T, 2.0, A)), "scatter": ((A, 0, J, B), put(A, J, B)),
    "scatter_add": ((A, 0, J, B), put(A, J, B, lambda old, new: old + new)),
    "put": ((A, np.array([5, 0]), B[0, :2]), np.where(np.arange(12).reshape(3, 4) == 5, B[0, 0], np.where(
        np.arange(12).reshape(3, 4) == 0, B[0, 1], A))),
    "masked_scatter": ((A, B > 0, P), np.where(B > 0, P.ravel()[np.cumsum(B.ravel() > 0).reshape(3, 4) - 1], A)),
}  # fmt: skip
# name_: (the tensor, further arguments, what it is then)
IN_PLACE = {
    "abs_": (A, (), abs(A)), "cos_": (A, (), np.cos(A)), "exp_": (A, (), np.exp(A)), "log_": (P, (), np.log(P)),
    "neg_": (A, (), -A), "floor_": (A, (), np.floor(A)), "sqrt_": (P, (), np.sqrt(P)), "rsqrt_": (P, (), P**-0.5),
    "sign_": (A, (), np.sign(A)), "tanh_": (A, (), np.tanh(A)), "sigmoid_": (A, (), scipy.special.expit(A)),
    "relu_": (A, (), np.maximum(A, 0)), "erfinv_": (U, (), scipy.special.erfinv(U)), "zero_": (A, (), 0 * A),
    "fill_": (A, (2.5,), 0 * A + 2.5), "clamp_": (A, (-0.5, 0.7), np.clip(A, -0.5, 0.7)),
    "add_": (A, (B[0],), A + B[0]),
    "sub_": (A, (B, ), A - B), "mul_": (A, (3,), 3 * A), "div_": (A, (P,), A / P), "pow_": (P, (B,), P**B),
    "lerp_": (A, (B, 0.3), A + 0.3 * (B - A)), "addcmul_": (A, (B, P), A + B * P), "addcdiv_": (A, (B, P), A + B / P),
    "ge_": (A, (B,), 1.0 * (A >= B)), "logical_not_": (np.float64(N), (), 1.0 * (N == 0)),
    "copy_": (A, (B[0],), 0 * A + B[0]),
    "tril_": (A, (), np.tril(A)), "triu_": (A, (1,), np.triu(A, 1)), "masked_fill_": (A, (T, 2.0), np.where(T, 2.0, A)),
    "masked_scatter_": (A, (B > 0, P), TABLE["masked_scatter"][1]), "scatter_": (A, (0, J, B), put(A, J, B)),
    "scatter_add_": (A, (0, J, B), TABLE["scatter_add"][1]),
    "index_copy_": (A, (0, I, B[:2]), np.stack([B[1], A[1], B[0]])),
    "index_add_": (A, (0, I, B[:2]), A + np.stack([B[1], 0 * B[0], B[0]])),
    "fill_diagonal_": (S, (7.0,), S - np.diag(np.diag(S)) + 7 * np.eye(3)),
}  # fmt: skip


def tensors(arguments):
    return [lx.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]


def called(name):
    """The function and the method of that name, of which one may not be there."""
    found = {f"lx.{name}": getattr(lx, name, None), f"Tensor.{name}": getattr(lx.Tensor, name, None)}
    return {n: f for n, f in found.items() if callable(f)}


def test_functions_and_methods():
    pairs = {}
    for name, (arguments, want) in TABLE.items():
        found = called(name)
        assert found
        for n, f in found.items():
            given = tensors(arguments)
            if n == "lx.where":  # whose condition comes first
                given[0], given[1] = given[1], given[0]
            pairs[n] = f(*given), want
    compare(pairs, factor=1000)


def test_in_place_methods_write_where_the_tensor_lies():
    pairs = {}
    for name, (array, arguments, want) in IN_PLACE.items():
        base = lx.tensor(np.stack([array, array]))
        x = base[1]
        assert getattr(x, name)(*tensors(arguments)) is x
        pairs[name], pairs[f"{name}, the memory"] = (x, want), (base, np.stack([array, want]))
    compare(pairs, factor=1000)


SMOOTH = (
    "acos arctan tan sinh expm1 log10 log2 rsqrt reciprocal frac erfinv lgamma logit copysign addcdiv prelu dist "
    "baddbmm diag_embed cholesky_inverse cholesky_solve cov std_mean var_mean kthvalue put masked_scatter expand_copy slogdet"
).split()


def test_gradients():
    """Of functions that are made of others, all at once: a weighted sum of their results."""

    def total(x, y):
        own = {id(A): x, id(P): x.abs() + 0.2, id(S): y, id(LOW): lx.linalg.cholesky(y @ y.T)}
        found = []
        for name in SMOOTH:
            arguments, _ = TABLE[name]
            given = [own.get(id(a), t) for a, t in zip(arguments, tensors(arguments))]
            if id(arguments[0]) not in own:
                given[0] = given[0] * x[0, 0].sigmoid()
            results = called(name).popitem()[1](*given)
            found += results if isinstance(results, (tuple, list)) else [results]
        assert len(found) > len(SMOOTH)
        weights = [lx.arange(1.0, t.numel() + 1).reshape(t.shape).cos() for t in found]
        return sum((t * w).sum() for t, w in zip(found, weights) if t.is_floating_point())

    assert lx.autograd.gradcheck(total, [lx.tensor(a, requires_grad=True) for a in (A, S)], fast_mode=True)
