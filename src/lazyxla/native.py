"""The functions of ``nn`` that PyTorch also has without ``nn.functional``, some with other orders of arguments."""

from __future__ import annotations

from typing import Any

from . import lazy as lx
from . import linalg, nn
from .lazy import Tensor
from .lazy.functions._register import both, function, method, store

F: Any = nn.functional

# the same in both places
_SAME = (
    "adaptive_avg_pool1d", "avg_pool1d", "bilinear", "binary_cross_entropy_with_logits", "celu",
    "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "cosine_similarity", "group_norm", "hardshrink", "layer_norm", "max_pool1d", "max_pool2d", "max_pool3d",
    "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle", "prelu", "rms_norm", "selu", "threshold",
    "rrelu", "celu_", "selu_", "threshold_", "rrelu_", "alpha_dropout", "feature_alpha_dropout",
)  # fmt: skip
for _name in _SAME:
    function(getattr(F, _name))
method(F.prelu)
method(F.hardshrink)

_REDUCTIONS = ("none", "mean", "sum")


def _reduction(given: int | str) -> str:
    return given if isinstance(given, str) else _REDUCTIONS[given]


@function
def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """``F.dropout``."""
    return F.dropout(input, p, train)


@function
def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """``F.dropout`` in place."""
    return F.dropout(input, p, train, inplace=True)


@function
def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Whole channels set to zero: ``F.dropout2d``, for any number of dims."""
    return F.dropout2d(input, p, train)


@function
def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """``F.embedding`` with the weight first; a negative ``padding_idx`` is none."""
    return F.embedding(
        indices, weight, None if padding_idx < 0 else padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


@function
def batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    training: bool, momentum: float, eps: float, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """``F.batch_norm``."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@function
def instance_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """``F.instance_norm``."""
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


@function
def adaptive_max_pool1d(input: Tensor, output_size: Any) -> Any:
    """``F.adaptive_max_pool1d`` with the places of the maxima."""
    return F.adaptive_max_pool1d(input, output_size, return_indices=True)


@function
def max_pool1d_with_indices(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """``F.max_pool1d`` with the places of the maxima."""
    return F.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


_PADDING = ("zeros", "border", "reflection")
_MODES = ("bilinear", "nearest", "bicubic")


@function
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """``F.grid_sample`` with its modes by number."""
    return F.grid_sample(input, grid, _MODES[interpolation_mode], _PADDING[padding_mode], align_corners)


for _name in ("grid_sampler_2d", "grid_sampler_3d"):

    def _sampler(
        input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
    ) -> Tensor:
        return F.grid_sample(input, grid, _MODES[interpolation_mode], _PADDING[padding_mode], align_corners)

    _sampler.__name__, _sampler.__doc__ = _name, "``F.grid_sample`` with its modes by number."
    function(_sampler)


@function
def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """``F.affine_grid``."""
    return F.affine_grid(theta, size, align_corners)


# --- losses, whose reduction may be a number here ---------------------------------------------------------------


@function
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: int | str = 1, zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """``F.ctc_loss``."""
    return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, _reduction(reduction), zero_infinity)


@function
def kl_div(input: Tensor, target: Tensor, reduction: int | str = 1, *, log_target: bool = False) -> Tensor:
    """``F.kl_div``."""
    return F.kl_div(input, target, reduction=_reduction(reduction), log_target=log_target)


@function
def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: int | str = 1) -> Tensor:
    """``F.hinge_embedding_loss``."""
    return F.hinge_embedding_loss(input, target, margin, reduction=_reduction(reduction))


@function
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int | str = 1
) -> Tensor:
    """``F.cosine_embedding_loss``."""
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_reduction(reduction))


@function
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int | str = 1
) -> Tensor:
    """``F.margin_ranking_loss``."""
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_reduction(reduction))


@function
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int | str
) -> Tensor:
    """``F.poisson_nll_loss``."""
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=_reduction(reduction))


@function
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6,
    swap: bool = False, reduction: int | str = 1,
) -> Tensor:  # fmt: skip
    """``F.triplet_margin_loss``."""
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=_reduction(reduction))


@both
def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None, dtype: Any = None
) -> Tensor:
    """The p-norm of the elements along dims (all of them unless given); 'nuc': the sum of a matrix's singular values."""
    if out is not None:
        return store(out, norm(input, p, dim, keepdim, None, dtype), "norm")
    if p == "nuc":
        return linalg.matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return lx.norm(input, p, dim, keepdim, dtype)


@both
def spmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices (PyTorch's name of it for a sparse first one; here both are dense)."""
    return input.mm(mat2)
