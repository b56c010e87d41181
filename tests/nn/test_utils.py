"""Clipping of gradients by its formula; containers as the lists and dicts they are; bases and names without numbers."""

import math

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from tests.tolerances import compare

G = [np.array([[3.0, -4.0], [0.5, 2.0]]), np.array([-6.0, 1.0])]


def leaves(scale=1.0):
    made = [lx.zeros(g.shape, dtype=lx.float64, requires_grad=True) for g in G]
    for p, g in zip(made, G):
        p.grad = lx.tensor(g * scale)
    return made


def test_gradients_are_clipped_to_a_norm():
    flat = np.concatenate([g.ravel() for g in G])
    pairs = {}
    for p in (1.0, 2.0, 3.0, math.inf):
        total = np.linalg.norm(flat, p)
        for most in (2.0, 100.0):
            params = leaves()
            found = nn.utils.clip_grad_norm_(params, most, norm_type=p)
            want = [g * min(1.0, most / (total + 1e-6)) for g in G]
            pairs[f"{p} {most}"] = (found, *[t.grad for t in params]), (total, *want)
    compare(pairs)
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(leaves(math.nan), 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_([lx.ones(2)], 1.0).item() == 0


def test_gradients_are_clipped_by_value():
    params, one = leaves(), leaves()[0]
    assert nn.utils.clip_grad_value_([*params, lx.ones(1, requires_grad=True)], 2.5) is None
    nn.utils.clip_grad_value_(one, 1.0)
    compare({
        "all": ([t.grad for t in params], [np.clip(g, -2.5, 2.5) for g in G]), "one": (one.grad, np.clip(G[0], -1, 1)),
    })  # fmt: skip


def test_modules_in_lists_and_dicts():
    a, b, c = nn.Linear(2, 2), nn.ReLU(), nn.Tanh()
    modules = nn.ModuleList([a])
    modules.append(b)
    modules.insert(0, c)
    modules.extend([nn.Identity()])
    assert list(modules[:3]) == [c, a, b] and modules[-2] is b and len(modules) == 4 and a in modules
    del modules[0]
    assert [n for n, _ in modules.named_parameters()] == ["0.weight", "0.bias"] and modules.pop(2) is not b
    named = nn.ModuleDict({"a": a, "b": b})
    named.update({"c": c})
    assert list(named) == list(named.keys()) == ["a", "b", "c"] and named["c"] is c
    assert list(named.items())[1] == ("b", b)
    assert named.pop("a") is a and "a" not in named and list(named.values()) == [b, c] and not list(named.parameters())
    chain = nn.Sequential(a, b, c)
    x = lx.tensor([[1.0, -2.0]])
    want = np.tanh(np.maximum(x.numpy() @ a.weight.detach().numpy().T + a.bias.detach().numpy(), 0))
    np.testing.assert_allclose(chain(x).detach().numpy(), want, rtol=1e-6)
    assert len(chain[:2]) == 2 and chain[1] is b and list(chain) == [a, b, c] and nn.Identity()(x) is x


def test_parameters_in_lists_and_dicts():
    p, q = nn.Parameter(lx.ones(2)), nn.Parameter(lx.zeros(1))
    several = nn.ParameterList([p])
    several.append(q)
    several += [lx.ones(3)]  # a tensor becomes a parameter
    assert several[0] is p and several[-1].requires_grad and isinstance(several[2], nn.Parameter) and len(several) == 3
    assert [n for n, _ in several.named_parameters()] == ["0", "1", "2"]
    named = nn.ParameterDict({"p": p})
    named["q"] = q
    assert list(named.items()) == [("p", p), ("q", q)] and named.pop("p") is p and list(named.state_dict()) == ["q"]
    assert named.get("p") is None and "q" in named and len(named) == 1


def test_a_linear_layer_under_another_name():
    x, w = np.arange(6.0).reshape(2, 3), np.array([[1.0, -2.0, 0.5]])
    linear = nn.modules.linear.NonDynamicallyQuantizableLinear(3, 1, bias=False).double()
    linear.load_state_dict({"weight": w})
    assert isinstance(linear, nn.Linear) and np.array_equal(linear(lx.tensor(x)).detach().numpy(), x @ w.T)


def test_bases_of_layers():
    assert all(issubclass(kind, nn.RNNBase) for kind in (nn.RNN, nn.LSTM, nn.GRU))
    bare, layer = nn.RNNBase("GRU", 3, 4), nn.GRU(3, 4)
    wanted = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    assert [n for n, _ in bare.named_parameters()] == wanted == list(layer.state_dict()) and layer.mode == bare.mode
    for one in (bare, layer):
        assert [p.shape for p in one.parameters()] == [(12, 3), (12, 4), (12,), (12,)]


def test_a_tensor_without_a_shape_yet():
    p = nn.UninitializedParameter()
    assert isinstance(p, nn.Parameter) and p.requires_grad
    with pytest.raises((RuntimeError, ValueError), match="[Uu]ninitialized"):
        _ = p.shape
    p.materialize((2, 3))
    assert type(p) is nn.Parameter and p.shape == (2, 3) and p.is_leaf


def test_attention_backends():
    kinds = nn.attention.SDPBackend
    names = {"MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION"}
    assert names <= set(kinds.__members__)
    q = lx.tensor(np.random.default_rng(0).normal(size=(1, 3, 4)))
    plain = nn.functional.scaled_dot_product_attention(q, q, q)
    with nn.attention.sdpa_kernel([kinds.MATH, kinds.FLASH_ATTENTION]):
        compare({"the same": (nn.functional.scaled_dot_product_attention(q, q, q), plain.numpy())})
    with pytest.raises((AssertionError, TypeError)), nn.attention.sdpa_kernel("MATH"):
        pass
