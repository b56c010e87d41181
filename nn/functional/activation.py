"""Activations."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ._common import choose, error, in_place, inexact, part, spread, stored

# --- piecewise linear -------------------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); keeps only the sign for its derivative, which is 0 at 0."""
    return input.relu_() if inplace else lx.relu(input)


def relu_(input: Tensor) -> Tensor:
    return input.relu_()


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val]; the derivative is 0 at and outside the limits."""
    if min_val > max_val:
        raise error(ValueError, "min_val cannot be greater than max_val")
    if not input.dtype.is_inexact:
        min_val, max_val = int(min_val), int(max_val)

    def f(x: Tensor) -> Tensor:
        return lx.where(x <= min_val, min_val, lx.where(x >= max_val, max_val, x))

    return in_place(input, f) if inplace else f(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, elsewhere negative_slope * x."""
    inexact(input, "leaky_relu")

    def f(x: Tensor) -> Tensor:
        return choose(x > 0, x, x * negative_slope)

    return in_place(input, f) if inplace else f(input)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``leaky_relu`` with a trained slope: one for all, or one for each channel (dim 1)."""
    if weight.numel() == 1:
        slope = spread(weight.reshape(()), tuple(input.shape), ())
    else:
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.ndim != 1 or weight.numel() != channels:
            raise error(
                RuntimeError,
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} and "
                "channel "
                f"size = {channels}.",
            )
        slope = spread(weight, tuple(input.shape), (1,))
    return choose(input > 0, input, input * slope)


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """``leaky_relu`` with a slope drawn for each element when training, else the mean slope."""
    if lower > upper:
        raise error(RuntimeError, f"lower bound {lower} must be less than or equal to upper bound {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slope = lx.rand_like(input) * (upper - lower) + lower

    def f(x: Tensor) -> Tensor:
        return choose(x > 0, x, x * slope)

    return in_place(input, f) if inplace else f(input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it is above the threshold, elsewhere the value."""

    def f(x: Tensor) -> Tensor:
        return lx.where(x <= threshold, lx.full_like(x, value), x)

    return in_place(input, f) if inplace else f(input)


def hardshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """0 within [-lambd, lambd], else x."""
    inexact(input, "hardshrink")
    return stored(out, lx.where(input.abs() <= lambd, 0.0, input), "hardshrink")


def softshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """x moved by lambd towards 0, 0 within [-lambd, lambd]."""
    inexact(input, "softshrink")
    if lambd < 0:
        raise error(RuntimeError, f"lambda must be greater or equal to 0, but found to be {lambd}.")
    y = lx.where(input > lambd, input - lambd, lx.where(input < -lambd, input + lambd, input * 0.0))
    return stored(out, y, "softshrink")


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6."""
    inexact(input, "hardsigmoid")

    def f(x: Tensor) -> Tensor:
        return hardtanh(x + 3.0, 0.0, 6.0) * (1 / 6)

    return in_place(input, f) if inplace else f(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * relu6(x + 3) / 6."""
    inexact(input, "hardswish")

    def f(x: Tensor) -> Tensor:
        return x * hardtanh(x + 3.0, 0.0, 6.0) * (1 / 6)

    return in_place(input, f) if inplace else f(input)


# --- smooth -----------------------------------------------------------------------------------------------------


def _expm1_below(x: Tensor, positive: Tensor) -> Tensor:
    """exp(x) - 1 where x is not positive; elsewhere something finite, so that no gradient overflows there."""
    return lx.expm1(choose(positive, 0.0, x))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, elsewhere alpha * (exp(x) - 1)."""
    inexact(input, "elu")

    def f(x: Tensor) -> Tensor:
        positive = x > 0
        return choose(positive, x, _expm1_below(x, positive) * alpha)

    return in_place(input, f) if inplace else f(input)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(x, alpha) with the constants that keep mean 0 and variance 1."""
    inexact(input, "selu")
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

    def f(x: Tensor) -> Tensor:
        positive = x > 0
        return choose(positive, x * scale, _expm1_below(x, positive) * (alpha * scale))

    return in_place(input, f) if inplace else f(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, elsewhere alpha * (exp(x / alpha) - 1)."""
    inexact(input, "celu")
    if alpha == 0:
        raise error(RuntimeError, "ZeroDivisionError: alpha cannot be 0 for CELU")

    def f(x: Tensor) -> Tensor:
        positive = x > 0
        return choose(positive, x, _expm1_below(x / alpha, positive) * alpha)

    return in_place(input, f) if inplace else f(input)


def gelu(input: Tensor, approximate: str = "none", *, out: Tensor | None = None) -> Tensor:
    """x times the normal distribution function of x; 'tanh' approximates it."""
    inexact(input, "gelu")
    if approximate == "none":
        return stored(out, input * 0.5 * (lx.erf(input * math.sqrt(0.5)) + 1.0), "gelu")
    if approximate != "tanh":
        raise error(RuntimeError, f"approximate argument must be either none or tanh, but got '{approximate}'.")
    inner = (input + input * input * input * 0.044715) * math.sqrt(2 / math.pi)
    return stored(out, input * 0.5 * (lx.tanh(inner) + 1.0), "gelu")


def sigmoid(input: Tensor) -> Tensor:
    return lx.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    return lx.tanh(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x)."""
    inexact(input, "silu")

    def f(x: Tensor) -> Tensor:
        return x * lx.sigmoid(x)

    return in_place(input, f) if inplace else f(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x))."""
    inexact(input, "mish")

    def f(x: Tensor) -> Tensor:
        return x * lx.tanh(_softplus(x))

    return in_place(input, f) if inplace else f(input)


def _softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)) without overflow; the choice of branch at 0 makes the derivative 1/2 there."""
    positive = x > 0
    return choose(positive, x, 0.0) + lx.log1p(lx.exp(choose(positive, -x, x)))


def softplus(
    input: Tensor, beta: float = 1.0, threshold: float = 20.0, *, out: Tensor | None = None
) -> Tensor:
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold."""
    inexact(input, "softplus")
    scaled = input if beta == 1 else input * beta
    smooth = _softplus(scaled)
    return stored(out, choose(scaled > threshold, input, smooth if beta == 1 else smooth / beta), "softplus")


def logsigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(sigmoid(x)) without overflow."""
    inexact(input, "logsigmoid")
    return stored(out, -_softplus(-input), "logsigmoid")


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (input.abs() + 1.0)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - lx.tanh(input)


# --- along a dim ------------------------------------------------------------------------------------------------


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of a dim times the sigmoid of the second."""
    if input.ndim == 0:
        raise error(RuntimeError, "glu does not support 0-dimensional tensors")
    d = lx.functions.shape.normal_dim(dim, input.ndim)
    n = input.shape[d]
    if n % 2:
        raise error(RuntimeError, f"Halving dimension must be even, but dimension {d} is size {n}")
    return part(input, d, 0, n // 2) * lx.sigmoid(part(input, d, n // 2, n))


def _implicit_dim(name: str, ndim: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=4,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(x), normalised to sum to one along a dim."""
    return lx.softmax(input, _implicit_dim("softmax", input.ndim) if dim is None else dim, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax of -x."""
    return lx.softmax(-input, _implicit_dim("softmin", input.ndim) if dim is None else dim, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(x)), computed safely."""
    return lx.log_softmax(input, _implicit_dim("log_softmax", input.ndim) if dim is None else dim, dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """Samples from the Gumbel-softmax distribution; with ``hard``, one-hot with the gradient of the soft ones."""
    # uniform numbers lie in [0, 1); 1 - u in (0, 1]; the smallest number keeps both logarithms finite
    tiny = lx.finfo(logits.dtype).tiny
    exponential = -lx.log(1.0 - lx.rand_like(logits))
    gumbels = -lx.log(exponential.clamp_min(tiny))
    soft = lx.softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    d = lx.functions.shape.normal_dim(dim, logits.ndim)
    shape = tuple(logits.shape)
    places = lx.ops.iota(aval=lx.graph.Aval(shape, lx.int64, logits.device), axis=d)
    one_hot = (places == lx.argmax(soft, d, keepdim=True)).to(soft.dtype)
    return one_hot - soft.detach() + soft


def _inplace(f: Any) -> Any:
    def changed(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return f(input, *args, inplace=True, **kwargs)

    changed.__name__ = changed.__qualname__ = f.__name__ + "_"
    changed.__doc__ = f"``{f.__name__}`` in place."
    return changed


hardtanh_, leaky_relu_, threshold_, rrelu_ = map(_inplace, (hardtanh, leaky_relu, threshold, rrelu))
elu_, selu_, celu_ = map(_inplace, (elu, selu, celu))
