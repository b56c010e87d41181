"""Ready parametrizations: weights of given length, of largest singular value 1, or orthogonal."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import lazy as lx
from ...autograd import no_grad
from ...lazy import Tensor
from .. import functional as F
from ..functional._common import error
from ..module import Module
from . import parametrize


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm of each slice along a dim, with dims of size 1 for the others; of all for -1."""
    if dim == -1:
        return lx.norm(v, pow)
    rest = [d for d in range(v.ndim) if d != dim % v.ndim]
    return lx.norm(v, pow, rest, keepdim=True) if rest else v.abs()


def _named(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise error(ValueError, f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


# --- length and direction ---------------------------------------------------------------------------------------


class _WeightNorm(Module):
    """A length a slice and a direction make a weight."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except_dim(weight_v, 2, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train length and direction of a weight apart (Salimans and Kingma 2016), a length for each slice along ``dim``.

    State dicts of the older ``nn.utils.weight_norm`` can be loaded.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def from_older(module: Any, state: Any, prefix: str, *_: Any) -> None:
        older = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state for key in older):
            for i, key in enumerate(older):
                state[f"{prefix}parametrizations.{name}.original{i}"] = state.pop(key)

    module.register_load_state_dict_pre_hook(from_older)
    return module


# --- the largest singular value ---------------------------------------------------------------------------------


class _SpectralNorm(Module):
    """A weight over its largest singular value, which is followed by power iteration while training."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        n = weight.ndim
        if not -n <= dim < n:
            raise error(
                IndexError, f"Dimension out of range (expected to be in range of [-{n}, {n - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise error(
                ValueError,
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}",
            )
        self.dim, self.eps = dim % n, eps
        if n > 1:
            self.n_power_iterations = n_power_iterations
            with no_grad():
                matrix = self._matrix(weight)
                for key, size in zip(("_u", "_v"), matrix.shape):
                    start = lx.randn(int(size), dtype=weight.dtype, device=weight.device)
                    self.register_buffer(key, F.normalize(start, dim=0, eps=eps))
                self._power_method(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def _power_method(self, matrix: Tensor, n: int) -> None:
        with no_grad():
            for _ in range(n):
                self._u.copy_(F.normalize(lx.mv(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(lx.mv(matrix.mH, self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # they move on before the backward pass of two forward passes
        return weight / lx.vdot(u, lx.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_dim(module: Module) -> int:
    """The dim of a layer's weight that its outputs lie along."""
    return 1 if getattr(module, "transposed", False) else 0


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value (Miyato et al. 2018)."""
    weight = _named(module, name)
    norm = _SpectralNorm(weight, n_power_iterations, spectral_dim(module) if dim is None else dim, eps)
    return parametrize.register_parametrization(module, name, norm)


# --- orthogonal -------------------------------------------------------------------------------------------------


def _exponential(a: Tensor) -> Tensor:
    """The matrix exponential, by the Taylor series of a / 2^s and s squarings; each matrix of a batch has its own s."""
    size = a.detach().abs().sum(-1).amax(-1)
    squarings = lx.log2(size.clamp_min(1e-30)).ceil().clamp(0, 20)
    x = a * lx.exp2(-squarings)[..., None, None]
    eye = lx.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    total = eye + x
    term = x
    for k in range(2, 14 if a.dtype is not lx.float64 else 19):
        term = lx.matmul(term, x) / k
        total = total + term
    for s in range(20):
        total = lx.where((squarings > s)[..., None, None], lx.matmul(total, total), total)
    return total


def _cayley(a: Tensor) -> Tensor:
    """(1 - a/2)^-1 (1 + a/2) for a skew-symmetric a, whose left factor needs no exchange of rows when it is solved."""
    n = a.shape[-1]
    eye = lx.eye(n, dtype=a.dtype, device=a.device)
    x = lx.cat([eye - a * 0.5, eye + a * 0.5], -1)
    for k in range(n):
        row = x[..., k : k + 1, :] / x[..., k : k + 1, k : k + 1]
        here = (lx.arange(n, device=a.device) == k).unsqueeze(-1)
        x = lx.where(here, row, x - x[..., :, k : k + 1] * row)
    return x[..., n:]


def _reflections(a: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of reflections 1 - tau v v^T, v the columns of a with 1 on the diagonal."""
    n, k = a.shape[-2], a.shape[-1]
    v = a + lx.eye(n, k, dtype=a.dtype, device=a.device)
    q = lx.eye(n, k, dtype=a.dtype, device=a.device).expand(a.shape)
    for i in reversed(range(k)):
        w = v[..., i : i + 1]
        q = q - tau[..., i, None, None] * lx.matmul(w, lx.matmul(w.mT, q))
    return q


class _Orthogonal(Module):
    """A matrix with orthonormal rows or columns (whichever are fewer) from one without constraint."""

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise error(ValueError, "The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map = tuple(weight.shape), orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        x = X.mT if wide else X
        n, k = x.shape[-2], x.shape[-1]
        if self.orthogonal_map == "householder":
            a = x.tril(-1)
            q = _reflections(a, 2.0 / (1.0 + (a * a).sum(-2)))
            q = q * x.detach().diagonal(0, -2, -1).to(lx.int32).to(x.dtype).unsqueeze(-2)
        else:
            x = x.tril()
            if n != k:
                x = lx.cat([x, lx.zeros(*x.shape[:-1], n - k, dtype=x.dtype, device=x.device)], -1)
            a = x - x.mH
            q = (_exponential if self.orthogonal_map == "matrix_exp" else _cayley)(a)[..., :k]
        if "base" in self._buffers:
            q = lx.matmul(self.base, q)
        return q.mT if wide else q

    def right_inverse(self, Q: Tensor) -> Tensor:
        """Reads ``Q``, as registering and assigning do: what is not orthogonal is made so on the host."""
        if tuple(Q.shape) != self.shape:
            raise error(
                ValueError,
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}.",
            )
        given = Q.detach().numpy()
        wide = given.shape[-2] < given.shape[-1]
        tall = np.swapaxes(given, -1, -2) if wide else given
        if "base" not in self._buffers:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            value = _reflectors(tall)
            return lx.tensor(np.swapaxes(value, -1, -2) if wide else value, dtype=Q.dtype, device=Q.device)
        n, k = tall.shape[-2:]
        if n != k:
            noise = np.random.default_rng(int(lx.randint(1 << 31, (1,)).item())).normal(size=(*tall.shape[:-1], n - k))
            tall = np.concatenate([tall, noise], -1)
        if n != k or not np.allclose(np.swapaxes(tall.conj(), -1, -2) @ tall, np.eye(n), atol=10 * n * _eps(Q)):
            tall = _made_orthogonal(tall)
        self.base = lx.tensor(tall, dtype=Q.dtype, device=Q.device)
        start = np.zeros(given.shape, given.dtype)
        for i in range(k):
            start[..., i, i] = -1  # read by the reflections; to the other maps it is nothing
        return lx.tensor(start, dtype=Q.dtype, device=Q.device)


def _eps(t: Tensor) -> float:
    return float(lx.finfo(t.dtype).eps)


def _made_orthogonal(tall: np.ndarray) -> np.ndarray:
    q, r = np.linalg.qr(tall)
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    return q * np.where(diagonal == 0, 1, diagonal / np.where(diagonal == 0, 1, np.abs(diagonal)))[..., None, :]


def _reflectors(tall: np.ndarray) -> np.ndarray:
    """A matrix whose part below the diagonal are the reflections of a QR decomposition, its diagonal the signs of R."""
    h, tau = np.linalg.qr(tall, mode="raw")
    a = np.swapaxes(h, -1, -2).copy()
    for i in range(tall.shape[-1]):
        sign = np.sign(a[..., i, i])
        a[..., i, i] = np.where(tau[..., i] == 0, -sign, sign)
    return a


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keep a matrix orthogonal (Lezcano-Casado and Martinez-Rubio 2019), by 'matrix_exp', 'cayley' or 'householder'
    (None: the first for square matrices, the last for others)."""
    weight = _named(module, name)
    if weight.ndim < 2:
        raise error(ValueError, f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise error(
            ValueError,
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}',
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)


__all__ = ["norm_except_dim", "orthogonal", "spectral_norm", "weight_norm"]
