"""Linear maps."""

from __future__ import annotations

from ... import lazy as lx
from ...lazy import Tensor, autocast
from ._common import error, stored


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """x [..., in] with weight [out, in] and bias [out]: x @ weight.T + bias [..., out].

    Raises RuntimeError where the sizes do not meet.
    """
    if out is None:
        return lx.linear_product(input, weight, bias)
    return stored(out, autocast.uncast(lx.linear_product, input, weight, bias), "linear")


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x1 [..., in1], x2 [..., in2], weight [out, in1, in2]: x1 weight x2 + bias [..., out]."""
    if tuple(input1.shape[:-1]) != tuple(input2.shape[:-1]):
        raise error(
            RuntimeError,
            "bilinear(): input batch dimensions do not match: "
            f"got input1 of size {list(input1.shape)} and input2 of size {list(input2.shape)}",
        )
    for i, x in ((1, input1), (2, input2)):
        if x.shape[-1] != weight.shape[i]:
            raise error(
                RuntimeError,
                f"bilinear(): input{i} size does not match weight size: got {x.shape[-1]} but expected "
                f"{weight.shape[i]}",
            )
    given = [t.dtype for t in (input1, input2, weight, bias) if t is not None]
    if any(d is not given[0] for d in given):
        raise error(RuntimeError, f"bilinear(): all tensors must have the same dtype, got {', '.join(d.name for d in given)}")
    out = lx.einsum("...i,oij,...j->...o", input1, weight, input2)
    return out if bias is None else out + bias
