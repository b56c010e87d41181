"""Dual numbers: tangents against derivatives known by formula, and against ``func.jvp``."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.autograd.forward_ad as fwAD
import lazyxla.nn as nn

pytestmark = pytest.mark.usefixtures("clean")


def test_a_function_of_two_duals():
    x, y, tx, ty = (np.linspace(a, 1.5, 5, dtype=np.float32) for a in (0.2, 0.5, -1.0, 2.0))
    with fwAD.dual_level():
        a = fwAD.make_dual(lx.tensor(x), lx.tensor(tx))
        b = fwAD.make_dual(lx.tensor(y), lx.tensor(ty))
        primal, tangent = fwAD.unpack_dual(a * b.sin() + a.exp())
        assert not primal.requires_grad and not tangent.requires_grad
        np.testing.assert_allclose(primal, x * np.sin(y) + np.exp(x), rtol=1e-6)
        np.testing.assert_allclose(tangent, tx * np.sin(y) + x * ty * np.cos(y) + np.exp(x) * tx, rtol=1e-5)
        assert fwAD.unpack_dual(a).tangent.tolist() == tx.tolist()
        assert fwAD.unpack_dual(lx.ones(2)).tangent is None
        assert fwAD.unpack_dual(a.sign()).tangent is None or not fwAD.unpack_dual(a.sign()).tangent.any()
        a.mul_(3)  # a dual may be written to
        np.testing.assert_allclose(fwAD.unpack_dual(a).tangent, 3 * tx, rtol=1e-6)
    assert fwAD.unpack_dual(a).tangent is None


def test_a_module_whose_parameters_are_duals():
    lx.manual_seed(0)
    net = nn.Linear(3, 2)
    x = lx.randn(4, 3)
    parameters = {k: p.detach().clone() for k, p in net.named_parameters()}
    tangents = {k: lx.rand_like(p) for k, p in parameters.items()}

    def f(parameters):
        return lx.func.functional_call(net, parameters, (x,)).tanh()

    expected, slope = lx.func.jvp(f, (parameters,), (tangents,))
    with fwAD.dual_level():
        for name, p in parameters.items():
            delattr(net, name)
            setattr(net, name, fwAD.make_dual(p, tangents[name]))
        out = net(x).tanh()
        primal, tangent = fwAD.unpack_dual(out)
    np.testing.assert_allclose(primal, expected, rtol=1e-6)
    np.testing.assert_allclose(tangent, slope, rtol=1e-5)


def test_tangents_have_gradients():
    """Forward over reverse: the derivative of a tangent is a Hessian's product."""
    x = lx.tensor([0.4, 1.1], requires_grad=True)
    v = lx.tensor([1.0, -2.0])
    with fwAD.dual_level():
        _, tangent = fwAD.unpack_dual((fwAD.make_dual(x, v) ** 3).sum())
        assert tangent.requires_grad
        tangent.backward()
    np.testing.assert_allclose(x.grad, 6 * x.detach().numpy() * v.numpy(), rtol=1e-5)


def test_eager():
    with lx.eager(), fwAD.dual_level():
        x = fwAD.make_dual(lx.tensor(2.0), lx.tensor(1.0))
        assert fwAD.unpack_dual(x**3).tangent.item() == pytest.approx(12)


def test_errors():
    x = lx.ones(3)
    with pytest.raises(RuntimeError, match="no level exists.*enter_dual_level"):
        fwAD.make_dual(x, x)
    with pytest.raises(RuntimeError, match="not the last one"):
        fwAD.exit_dual_level()
    with fwAD.dual_level():
        with pytest.raises(RuntimeError, match="Nested forward mode AD"):
            fwAD.enter_dual_level()
        with pytest.raises(
            RuntimeError, match=r"a tangent like the primal, .*float32 \[3\].*, but got .*float32 \[2\]"
        ):
            fwAD.make_dual(x, lx.ones(2))
        with pytest.raises(ValueError, match="Expected primal to be floating point or complex, but got: .*int64"):
            fwAD.make_dual(lx.arange(3), lx.arange(3))
        with lx.no_grad(), pytest.raises(RuntimeError, match="no_grad.. switches off"):
            fwAD.make_dual(x, x)
        with pytest.raises(TypeError, match="a tensor is expected, not float"):
            fwAD.unpack_dual(1.0)
