"""Decompositions of matrices in JAX, with derivatives where JAX has none or others than PyTorch's: what the bridge takes in.

Operands are [..., m, n]; leading dims are batches.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def _h(x: Any) -> Any:
    """The conjugate transpose."""
    return jnp.swapaxes(x, -1, -2).conj()


def _mm(*factors: Any) -> Any:
    """The product of matrices, at full precision on every platform."""
    out = factors[0]
    for x in factors[1:]:
        out = jnp.matmul(out, x, precision=lax.Precision.HIGHEST)
    return out


def _eye(n: int, like: Any) -> Any:
    return jnp.broadcast_to(jnp.eye(n, dtype=like.dtype), (*like.shape[:-2], n, n))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def hermitian(a: Any, lower: bool) -> Any:
    """The Hermitian matrices of which one triangle is given; gradients are Hermitian, too, as PyTorch's, not of a triangle."""
    strict = jnp.tril(a, -1) if lower else jnp.triu(a, 1)
    return strict + _h(strict) + jnp.real(jnp.tril(jnp.triu(a))).astype(a.dtype)


@hermitian.defjvp
def _(lower: bool, primals: Any, tangents: Any) -> Any:
    (a,), (da,) = primals, tangents
    return hermitian(a, lower), (da + _h(da)) / 2


# --- determinants, inverses, systems ----------------------------------------------------------------------------


def det(a: Any) -> Any:
    return jnp.linalg.det(a)


def slogdet(a: Any) -> Any:
    return tuple(jnp.linalg.slogdet(a))


@jax.custom_jvp
def inv(a: Any) -> Any:
    return jnp.linalg.solve(a, _eye(a.shape[-1], a))


@inv.defjvp
def _(primals: Any, tangents: Any) -> Any:
    y = inv(*primals)
    return y, -_mm(y, tangents[0], y)


def solve(a: Any, b: Any) -> Any:
    """X of A X = B; b: [..., n, k] of a's batch."""
    return jnp.linalg.solve(a, b)


def solve_triangular(a: Any, b: Any, *, upper: bool, left: bool, unit: bool) -> Any:
    return lax.linalg.triangular_solve(a, b, left_side=left, lower=not upper, unit_diagonal=unit)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _cholesky(a: Any, upper: bool) -> Any:
    return lax.linalg.cholesky(hermitian(a, not upper), symmetrize_input=False)


@_cholesky.defjvp
def _(upper: bool, primals: Any, tangents: Any) -> Any:
    """dL = L (half of L^-1 dA L^-H), of which the half on the diagonal, which is real where dA is Hermitian, is not made so:
    gradients of L that are complex there give PyTorch's gradients of A."""
    low = _cholesky(*primals, upper)
    left = lax.linalg.triangular_solve(low, tangents[0], left_side=True, lower=True)
    turned = lax.linalg.triangular_solve(low, left, lower=True, transpose_a=True, conjugate_a=True)
    diagonal = turned * jnp.eye(low.shape[-1], dtype=low.dtype)
    return low, _mm(low, (jnp.tril(turned + _h(turned), -1) + diagonal) / 2)


def cholesky(a: Any, *, upper: bool) -> Any:
    """L of A = L L^H, of which one triangle is read; NaN where A is not positive-definite."""
    return _cholesky(a, upper)


def cholesky_info(a: Any) -> Any:
    """The order of the first leading minor that is not positive-definite; 0 if all are. By elimination column by column."""

    def step(j: Any, state: Any) -> Any:
        rest, info = state
        pivot = jnp.real(lax.dynamic_index_in_dim(jnp.diagonal(rest, axis1=-2, axis2=-1), j, -1, keepdims=False))
        good = pivot > 0
        info = jnp.where((info == 0) & ~good, jnp.int32(j + 1), info)
        column = lax.dynamic_index_in_dim(rest, j, -1, keepdims=False)
        scaled = column / jnp.where(good, pivot, 1)[..., None].astype(rest.dtype)
        return rest - scaled[..., :, None] * column.conj()[..., None, :], info

    return lax.fori_loop(0, a.shape[-1], step, (hermitian(a, True), jnp.zeros(a.shape[:-2], jnp.int32)))[1]


# --- LU ---------------------------------------------------------------------------------------------------------


def lu(a: Any) -> Any:
    """L and U in one matrix, LAPACK's pivots counted from 1, and the permutation of rows."""
    packed, pivots, permutation = lax.linalg.lu(a)
    return packed, pivots.astype(jnp.int32) + 1, permutation.astype(jnp.int32)


def permutation(pivots: Any, *, rows: int) -> Any:
    """The rows' permutation that LAPACK's pivots (counted from 1) stand for."""
    return lax.linalg.lu_pivots_to_permutation(pivots.astype(jnp.int32) - 1, rows).astype(jnp.int32)


# --- L D L^H of indefinite matrices -----------------------------------------------------------------------------


def _size(x: Any) -> Any:
    """|re| + |im|, by which LAPACK compares complex pivots."""
    return jnp.abs(x.real) + jnp.abs(x.imag) if jnp.iscomplexobj(x) else jnp.abs(x)


def _conj_where(hermitian: bool, x: Any) -> Any:
    return x.conj() if hermitian else x


def _ldl_column(k: Any, state: Any, *, hermitian: bool) -> Any:
    """Bunch and Kaufman, 1977: a column, or two where the pivot is 2 by 2. The rest of ``a`` is kept in both triangles."""
    a, pivots, info, second = state
    n = a.shape[-1]
    place = jnp.arange(n)
    below = place > k
    alpha = (1 + 17**0.5) / 8

    size = _size(a)
    own = size[k, k]
    column = jnp.where(below, size[:, k], 0)
    far = jnp.argmax(column)
    row = jnp.where((place >= k) & (place != far), size[far], 0)
    largest, across = jnp.max(column), jnp.max(row)
    nothing = jnp.maximum(own, largest) == 0
    stays = (own >= alpha * largest) | (own >= alpha * largest * (largest / across))
    moves = size[far, far] >= alpha * across
    two = ~stays & ~moves & ~nothing
    chosen = jnp.where(stays | nothing, k, far)

    first = jnp.where(two, k + 1, k)  # the row that changes places with the chosen one
    order = jnp.where(place == first, chosen, jnp.where(place == chosen, first, place))
    rest = (place >= k)[:, None] & (place >= k)
    swapped = jnp.where(rest, a[order][:, order], a)

    d, x = swapped[k, k], jnp.where(below, swapped[:, k], 0)
    factor = x / jnp.where(nothing, 1, d)
    left = swapped - factor[:, None] * _conj_where(hermitian, x)
    one = jnp.where(below[:, None] & below, left, swapped).at[:, k].set(jnp.where(below, factor, swapped[:, k]))

    after, next_ = place > k + 1, jnp.minimum(k + 1, n - 1)
    x, y = jnp.where(after, swapped[:, k], 0), jnp.where(after, swapped[:, next_], 0)
    low = jnp.where(two, swapped[next_, k], 1)
    high = _conj_where(hermitian, low)
    p, q = swapped[next_, next_] / low, d / high  # scaled, as the determinant may overflow
    scale = jnp.where(two, p * q - 1, 1)
    w, z = (p * x - y) / high / scale, (q * y - x) / low / scale
    left = swapped - w[:, None] * _conj_where(hermitian, x) - z[:, None] * _conj_where(hermitian, y)
    both = jnp.where(after[:, None] & after, left, swapped)
    both = both.at[:, k].set(jnp.where(after, w, both[:, k])).at[:, next_].set(jnp.where(after, z, swapped[:, next_]))

    number = (chosen + 1).astype(jnp.int32)
    changed = jnp.where(place == k, jnp.where(two, -number, number), pivots)
    changed = jnp.where(two & (place == k + 1), -number, changed)
    found = jnp.where(nothing & (info == 0), k + 1, info).astype(jnp.int32)
    done = jnp.where(two, both, one), changed, found, two
    return jax.tree.map(lambda old, new: jnp.where(second, old, new), (a, pivots, info, jnp.zeros_like(two)), done)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _ldl(a: Any, hermitian: bool) -> Any:

    def of_one(a: Any) -> Any:
        n = a.shape[-1]
        strict = jnp.tril(a, -1)
        diagonal = jnp.diag(jnp.diagonal(a).real.astype(a.dtype) if hermitian else jnp.diagonal(a))
        whole = strict + _conj_where(hermitian, strict.T) + diagonal
        start = whole, jnp.zeros(n, jnp.int32), jnp.int32(0), jnp.asarray(False)
        packed, pivots, info, _ = lax.fori_loop(0, n, partial(_ldl_column, hermitian=hermitian), start)
        return jnp.tril(packed), pivots, info

    return jnp.vectorize(of_one, signature="(n,n)->(n,n),(n),()")(a)


@_ldl.defjvp
def _(hermitian: bool, primals: Any, tangents: Any) -> Any:
    raise NotImplementedError("the factors of L D L^H have none, as in PyTorch")


def ldl(a: Any, *, hermitian: bool) -> Any:
    """Of A = P L D L^H P^T (of L^T unless ``hermitian``): D and the factors of L in one matrix, LAPACK's pivots, and 0 or
    the place of the first column of zeros. Of the lower triangle alone."""
    return _ldl(a, hermitian)


def ldl_solve(packed: Any, pivots: Any, b: Any, *, hermitian: bool) -> Any:
    """X of A X = B, from what ``ldl`` gives; b: [..., n, k] of the same batch."""

    def of_one(packed: Any, pivots: Any, b: Any) -> Any:
        n = packed.shape[-1]
        place = jnp.arange(n)
        # a pivot of 2 by 2 has two negative numbers; the exchange that they tell is of its second row
        begins = lax.scan(lambda was, pivot: (((pivot < 0) & ~was),) * 2, jnp.asarray(False), pivots)[1]
        ends = (pivots < 0) & ~begins

        def exchange(k: Any, state: Any) -> Any:
            order, low = state
            i = jnp.where(begins[k], k + 1, k)
            j = jnp.where(ends[k], i, jnp.abs(pivots[k]) - 1)
            turned = jnp.where(place == i, j, jnp.where(place == j, i, place))
            return order[turned], jnp.where(place < k, low[turned], low)  # LAPACK leaves earlier columns as they were

        low = jnp.where(jnp.diag(begins[:-1], -1), 0, jnp.tril(packed, -1))
        order, low = lax.fori_loop(0, n, exchange, (place, low))
        solve = partial(lax.linalg.triangular_solve, low, left_side=True, lower=True, unit_diagonal=True)
        y = _ldl_middle(packed, begins, ends, solve(b[order]), hermitian)
        return jnp.zeros_like(b).at[order].set(solve(y, transpose_a=True, conjugate_a=hermitian))

    return jnp.vectorize(of_one, signature="(n,n),(n),(n,k)->(n,k)")(packed, pivots, b)


def _ldl_middle(packed: Any, begins: Any, ends: Any, b: Any, hermitian: bool) -> Any:
    """X of D X = B. In a pivot of 2 by 2, all is scaled by what stands beside its diagonal, lest the determinant overflow."""
    d, low = jnp.diagonal(packed), jnp.append(jnp.diagonal(packed, -1), 0)
    d = d.real.astype(d.dtype) if hermitian else d
    low = jnp.where(begins, low, jnp.where(ends, jnp.roll(low, 1), 1))
    high = _conj_where(hermitian, low)
    here, there = jnp.where(begins, high, low), jnp.where(begins, low, high)
    p, q = d / here, jnp.where(begins, jnp.roll(d, -1), jnp.roll(d, 1)) / there
    beside = jnp.where(begins[:, None], jnp.roll(b, -1, 0), jnp.roll(b, 1, 0))
    two = begins | ends
    paired = ((q / here)[:, None] * b - beside / there[:, None]) / jnp.where(two, p * q - 1, 1)[:, None]
    return jnp.where(two[:, None], paired, b / jnp.where(two, 1, d)[:, None])


# --- orthogonal factors -----------------------------------------------------------------------------------------


def qr(a: Any, *, complete: bool) -> Any:
    return tuple(jnp.linalg.qr(a, mode="complete" if complete else "reduced"))


def householder_product(a: Any, tau: Any) -> Any:
    """The first columns of H_1 ... H_k, H_i = I - tau_i v_i v_i^H, v_i below the diagonal of a's i-th column."""
    m, n = a.shape[-2:]
    k = tau.shape[-1]
    below = jnp.arange(m)[:, None] > jnp.arange(n)[None, :]
    v = jnp.where(below, a, 0) + jnp.eye(m, n, dtype=a.dtype)
    out = jnp.broadcast_to(jnp.eye(m, n, dtype=a.dtype), a.shape)
    columns = jnp.moveaxis(v[..., :, :k], -1, 0), jnp.moveaxis(tau, -1, 0)

    def reflect(q: Any, column: Any) -> Any:
        w, t = column
        inner = _mm(w.conj()[..., None, :], q)
        return q - t[..., None, None] * w[..., :, None] * inner, None

    return lax.scan(reflect, out, columns, reverse=True)[0]


def geqrf(a: Any) -> Any:
    """R above the diagonal, the Householder vectors below, and their factors."""
    packed, tau = jnp.linalg.qr(jnp.asarray(a), mode="raw")
    return jnp.swapaxes(packed, -1, -2), tau


# --- eigenvalues ------------------------------------------------------------------------------------------------


def eigh(a: Any, *, lower: bool) -> Any:
    """Eigenvalues, ascending, and eigenvectors of the Hermitian matrix in one triangle of ``a``."""
    return tuple(jnp.linalg.eigh(hermitian(a, lower), symmetrize_input=True))


@jax.custom_jvp
def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors of norm 1, complex."""
    return tuple(jnp.linalg.eig(a))


@eig.defjvp
def _(primals: Any, tangents: Any) -> Any:
    values, vectors = eig(*primals)
    turned = jnp.linalg.solve(vectors, _mm(tangents[0].astype(vectors.dtype), vectors))
    d_values = jnp.diagonal(turned, axis1=-2, axis2=-1)
    unit = jnp.eye(values.shape[-1], dtype=values.dtype)
    apart = values[..., None, :] - values[..., :, None] + unit
    moved = _mm(vectors, turned * (1 - unit) / apart)
    along = jnp.real(jnp.sum(vectors.conj() * moved, -2, keepdims=True))  # the norm stays 1
    return (values, vectors), (d_values, moved - vectors * along)


@jax.custom_jvp
def eigvals(a: Any) -> Any:
    """Eigenvalues, complex."""
    return jnp.linalg.eigvals(a)


@eigvals.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return jax.jvp(lambda a: eig(a)[0], primals, tangents)


# --- singular values --------------------------------------------------------------------------------------------


def svd(a: Any) -> Any:
    return tuple(jnp.linalg.svd(a, full_matrices=False))


def svdvals(a: Any) -> Any:
    return jnp.linalg.svd(a, compute_uv=False)


@jax.custom_jvp
def full_svd(a: Any) -> Any:
    """With square U and V^H; of their columns only the first, which belong to singular values, have a derivative."""
    return tuple(jnp.linalg.svd(a, full_matrices=True))


@full_svd.defjvp
def _(primals: Any, tangents: Any) -> Any:
    u_all, s, vh_all = full_svd(*primals)
    da, k = tangents[0], s.shape[-1]
    m, n = da.shape[-2:]
    u, v = u_all[..., :, :k], _h(vh_all[..., :k, :])
    turned = _mm(_h(u), da, v)
    ds = jnp.real(jnp.diagonal(turned, axis1=-2, axis2=-1))
    unit = jnp.eye(k, dtype=s.dtype)
    row, column = s[..., None, :], s[..., :, None]
    apart = 1 / ((row + column) * (row - column) + unit) - unit
    right, left = turned * row, column * turned
    zero = s == 0
    phase = 0.5 * (turned - _h(turned)) * (unit / jnp.where(zero, 1, s)[..., None, :])
    du = _mm(u, apart * (right + _h(right)) + phase)
    dv = _mm(v, apart * (left + _h(left)))
    safe = jnp.where(zero, 1, s)[..., None, :]
    if m > k:
        outer = _mm(da, v)
        du = du + (outer - _mm(u, _h(u), outer)) / safe
    if n > k:
        outer = _mm(_h(da), u)
        dv = dv + (outer - _mm(v, _h(v), outer)) / safe
    du = jnp.concatenate([du, jnp.zeros((*du.shape[:-1], m - k), du.dtype)], -1)
    dv = jnp.concatenate([dv, jnp.zeros((*dv.shape[:-1], n - k), dv.dtype)], -1)
    return (u_all, s, vh_all), (du, ds, _h(dv))


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _pinv(a: Any, atol: Any, rtol: Any, symmetric: bool) -> Any:
    if symmetric:
        values, u = eigh(a, lower=True)
        s, vh = jnp.abs(values), _h(u)
        u = u * jnp.where(values < 0, -1, 1)[..., None, :].astype(u.dtype)
    else:
        u, s, vh = svd(a)
    return _mm(_h(vh) * _inverse(s, atol, rtol).astype(a.dtype)[..., None, :], _h(u))


def _inverse(s: Any, atol: Any, rtol: Any) -> Any:
    """One over the singular values, 0 for those up to max(atol, rtol * the largest)."""
    kept = s > jnp.maximum(atol, rtol * jnp.max(s, -1, initial=0))[..., None]
    return jnp.where(kept, 1 / jnp.where(kept, s, 1), 0)


@_pinv.defjvp
def _(symmetric: bool, primals: Any, tangents: Any) -> Any:
    """Golub and Pereyra, 1973, for constant rank. A symmetric matrix is one in all its elements, as in PyTorch: not only its
    lower triangle has a derivative."""
    a, atol, rtol = primals
    da = tangents[0]
    p = _pinv(a, atol, rtol, symmetric)
    ph, dah = _h(p), _h(da)
    dp = -_mm(p, da, p)
    dp = dp + _mm(p, ph, dah - _mm(dah, a, p)) + _mm(dah - _mm(p, a, dah), ph, p)
    return p, dp


def pinv(a: Any, atol: Any, rtol: Any, *, symmetric: bool) -> Any:
    """The pseudoinverse, singular values up to max(atol, rtol * the largest) taken for 0."""
    return _pinv(a, atol, rtol, symmetric)


@jax.custom_jvp
def lstsq(a: Any, b: Any, rtol: Any) -> Any:
    """The x of least norm that makes a x nearest to b, singular values up to rtol * the largest taken for 0; without the
    pseudoinverse, which is as large as ``a``."""
    u, s, vh = svd(a)
    return _mm(_h(vh), _inverse(s, 0, rtol).astype(a.dtype)[..., None] * _mm(_h(u), b))


@lstsq.defjvp
def _(primals: Any, tangents: Any) -> Any:
    """Of the pseudoinverse times b, for constant rank."""
    a, b, rtol = primals
    da, db, _ = tangents
    p = _pinv(a, 0, rtol, False)
    x, ph, dah = _mm(p, b), _h(p), _h(da)
    dx = _mm(p, db - _mm(da, x)) + _mm(p, ph, _mm(dah, b - _mm(a, x)))
    turned = _mm(dah, _mm(ph, x))
    return x, dx + turned - _mm(p, _mm(a, turned))


def matrix_exp(a: Any) -> Any:
    return jax.scipy.linalg.expm(a)
