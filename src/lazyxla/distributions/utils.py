"""What distributions share: broadcast parameters, the two ways to give probabilities, properties computed once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ._ops import F, Number, Tensor, dtypes, enable_grad, error, finfo, lx

__all__ = [
    "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits", "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """The values (tensors and numbers) as tensors of one shape; numbers in the type of the first tensor, or the default
    type where there is none. ValueError for anything else."""
    if not all(isinstance(v, (Tensor, *Number)) for v in values):
        raise error(
            ValueError,
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__.",
        )
    first = next((v for v in values if isinstance(v, Tensor)), None)
    if first is None:
        options: dict[str, Any] = {"dtype": dtypes.get_default_dtype()}
    else:
        options = {"dtype": first.dtype, "device": first.device}
    tensors = [v if isinstance(v, Tensor) else lx.tensor(v, **options) for v in values]
    shape = tensors[0].shape
    if all(t.shape == shape for t in tensors):
        return tuple(tensors)
    shape = lx.broadcast_shapes(*[t.shape for t in tensors])
    return tuple([expanded(t, shape) for t in tensors])


def expanded(t: Tensor, shape: Sequence[int]) -> Tensor:
    """``t.expand(shape)``, which knows what it was made of until its values are checked."""
    if tuple(t.shape) == tuple(shape):
        return t
    out: Tensor = t.expand(shape)
    out.__dict__["_made_of"] = t
    return out


def _standard_normal(shape: Sequence[int], dtype: Any, device: Any) -> Tensor:
    return lx.randn(shape, dtype=dtype, device=device)  # type: ignore[no-any-return]


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """The sum over the last ``dim`` dims."""
    return value if dim == 0 else value.sum(tuple(range(-dim, 0)))


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from log odds (binary) or from unnormalised logarithms along the last dim."""
    return lx.sigmoid(logits) if is_binary else F.softmax(logits, dim=-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Kept off 0 and 1 by the type's epsilon."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The inverse of ``logits_to_probs``, with the probabilities clamped first."""
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


class lazy_property:
    """A method as an attribute that is computed when first asked for, with gradients, and then kept."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return _lazy_property_and_property(self.wrapped)
        with enable_grad():
            value = self.wrapped(instance)
        instance.__dict__[self.wrapped.__name__] = value
        return value


class _lazy_property_and_property(lazy_property, property):
    """What a ``lazy_property`` is as an attribute of its class."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        property.__init__(self, wrapped)


def _below(n: int, diag: int) -> tuple[list[int], list[int]]:
    """Rows and columns of the elements of [n, n] up to the diagonal ``diag``, row by row."""
    places = [(i, j) for i in range(n) for j in range(n) if j <= i + diag]
    return [i for i, _ in places], [j for _, j in places]


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements of [*, n, n] up to the diagonal ``diag``, row by row: [*, m]."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise error(ValueError, f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = _below(n, diag)
    flat = lx.tensor([i * n + j for i, j in zip(rows, columns)], dtype=dtypes.int64, device=mat.device)
    return mat.reshape(*mat.shape[:-2], n * n).index_select(-1, flat)


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The inverse of ``tril_matrix_to_vec``: 0 above the diagonal ``diag``."""
    m, k = vec.shape[-1], 1 + 2 * diag
    n = round((-k + (k * k + 8 * m + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2)
    rows, columns = _below(n, diag)
    if len(rows) != m:
        raise error(
            ValueError,
            f"The size of last dimension is {m} which cannot be expressed as the lower triangular part of a square D x D "
            "matrix.",
        )
    source = [m] * (n * n)  # an element of the vector, or the 0 after its last
    for at, (i, j) in enumerate(zip(rows, columns)):
        source[i * n + j] = at
    longer = F.pad(vec, (0, 1))
    return longer.index_select(-1, lx.tensor(source, dtype=dtypes.int64, device=vec.device)).reshape(*vec.shape[:-1], n, n)
