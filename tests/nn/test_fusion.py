"""A normalisation fused into the layer before it computes what the two do."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn as nn
from lazyxla.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval


def trained(norm):
    """With statistics and an affine map that are not the initial ones."""
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    if norm.affine:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -1, 1)
    return norm.eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_convolutions(bias, affine):
    x = lx.randn(2, 4, 7, 7)
    conv, norm = nn.Conv2d(4, 6, 3, groups=2, bias=bias).eval(), trained(nn.BatchNorm2d(6, affine=affine))
    fused = fuse_conv_bn_eval(conv, norm)
    np.testing.assert_allclose(fused(x).detach(), norm(conv(x)).detach(), rtol=1e-4, atol=1e-5)
    assert (isinstance(fused.weight, nn.Parameter) and conv.bias is None) or bias
    up, norm = nn.ConvTranspose2d(4, 6, 3, bias=bias).eval(), trained(nn.BatchNorm2d(6, affine=affine))
    np.testing.assert_allclose(
        fuse_conv_bn_eval(up, norm, transpose=True)(x).detach(), norm(up(x)).detach(), rtol=1e-4, atol=1e-5
    )


def test_linear_layers():
    x = lx.randn(5, 4)
    linear, norm = nn.Linear(4, 3).eval(), trained(nn.BatchNorm1d(3))
    np.testing.assert_allclose(
        fuse_linear_bn_eval(linear, norm)(x).detach(), norm(linear(x)).detach(), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(AssertionError, match="only for eval"):
        fuse_linear_bn_eval(linear.train(), norm)
