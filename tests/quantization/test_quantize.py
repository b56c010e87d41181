"""Quantised layers against NumPy's integer products and the layers they were."""

import copy
import os
import re

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.lowering.debug import plan_for
from lazyxla.lowering.passes import lowered
from lazyxla.quantization import (
    Float8WeightOnly,
    Int4WeightOnly,
    Int8Dynamic,
    Int8WeightOnly,
    dequantized_weight,
    is_quantized,
    quantize_,
    report,
)  # fmt: skip

CONFIGS = [Int8WeightOnly(), Float8WeightOnly(), Int8Dynamic(), Int4WeightOnly(32)]


def net() -> nn.Module:
    lx.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2, padding_mode="reflect", padding=1),
        nn.Flatten(), nn.Linear(8 * 16, 10),
    )  # fmt: skip


def numbers(*shape: int, seed: int = 0) -> lx.Tensor:
    return lx.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("config, most", list(zip(CONFIGS, (0.01, 0.05, 0.02, 0.15))), ids=str)
def test_a_quantised_model_is_small_and_near_the_original(config, most, tmp_path):
    original = net()
    model = copy.deepcopy(original)
    quantize_(model, config)
    x = numbers(2, 3, 8, 8)
    found = report(original, model, x)
    assert [r.name for r in found.rows] == ["0", "2", "4"] and all(0 < r.error < most for r in found.rows)
    assert 0 < found.output_error < most and found.after < found.before / 2.5
    assert "4: " in str(found) and "output: error" in str(found)
    lx.save(original.state_dict(), tmp_path / "wide.pt")
    lx.save(model.state_dict(), tmp_path / "narrow.pt")
    sizes = [os.path.getsize(tmp_path / f) for f in ("wide.pt", "narrow.pt")]
    assert sizes[0] - sizes[1] == pytest.approx(found.before - found.after, abs=2000) and sizes[1] < sizes[0]
    lx.manual_seed(5)
    again = nn.Sequential(*[copy.deepcopy(m) for m in net()])
    nn.init.zeros_(again[4].weight)
    quantize_(again, config)
    again.load_state_dict(lx.load(tmp_path / "narrow.pt"))
    with lx.no_grad():
        expected = model(x).numpy()
        assert np.array_equal(again(x).numpy(), expected)
        compiled = lx.compile(model)
        for _ in range(3):
            assert np.allclose(compiled(x).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_int8_weights_and_scales_are_those_of_numpy():
    layer = nn.Linear(6, 4)
    with lx.no_grad():
        layer.weight[1] = 0
    w = layer.weight.detach().numpy()
    quantize_(layer, Int8WeightOnly())
    scale = np.abs(w).max(1) / np.float32(127)
    scale[1] = 1
    assert layer.weight.dtype is lx.int8 and np.array_equal(layer.weight.numpy(), np.rint(w / scale[:, None]))
    assert np.allclose(layer.weight_scale.numpy(), scale, rtol=1e-6)
    assert np.abs(dequantized_weight(layer).numpy() - w).max() <= scale[scale < 1].max() / 2 * 1.001
    assert isinstance(layer, nn.Linear) and "weight=int8" in repr(layer) and [*layer.state_dict()][0] == "bias"


@pytest.mark.parametrize("n, group_size", [(7, 3), (6, None), (5, 8)])
def test_int4_weights_are_those_of_numpy_two_in_a_byte(n, group_size):
    layer = nn.Linear(n, 4)
    with lx.no_grad():
        layer.weight[1] = 0
    w = layer.weight.detach().numpy().astype(np.float64)
    quantize_(layer, Int4WeightOnly(group_size))
    size = min(group_size or n, n)
    numbers, near = np.zeros((4, n)), np.zeros((4, n))
    for start in range(0, n, size):
        part = w[:, start : start + size]
        scale = np.abs(part).max(1, keepdims=True) / 7
        scale[scale == 0] = 1
        numbers[:, start : start + size] = np.rint(part / scale)
        near[:, start : start + size] = np.rint(part / scale) * scale
    assert layer.weight.dtype is lx.int4 and np.array_equal(layer.weight.long().numpy(), numbers)
    assert np.allclose(dequantized_weight(layer).numpy(), near, atol=1e-6)
    assert layer.weight_packed.dtype is lx.uint8 and layer.weight_packed.shape == (4, (n + 1) // 2)
    assert layer.weight_scale.shape == (4, -(-n // size))
    low = np.concatenate([numbers, np.zeros((4, n % 2))], 1)[:, ::2].astype(np.int64) % 16
    assert np.array_equal(layer.weight_packed.numpy() % 16, low)
    assert f"weight=int4, group_size={size}" in repr(layer)


def integers(x: np.ndarray, dims: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    scale = np.abs(x).max(dims, keepdims=True) / np.float32(127)
    scale = np.where(scale == 0, np.float32(1), scale)
    return np.rint(x / scale).astype(np.int64), scale


def test_dynamic_products_are_of_integers():
    layer = nn.Linear(300, 5)
    quantize_(layer, Int8Dynamic())
    x = numbers(2, 3, 300)
    x[0, 1] = 0
    y = layer(x)
    text = lowered(plan_for(y)).operation.get_asm()
    assert "tensor<6x300xi8>, tensor<5x300xi8>) -> tensor<6x5xi32>" in text
    q, scale = integers(x.numpy(), (-1,))
    sums = q @ layer.weight.numpy().astype(np.int64).T
    expected = sums * scale * layer.weight_scale.numpy() + layer.bias.detach().numpy()
    assert np.abs(sums).max() > 2**15 and np.allclose(y.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stride, padding, dilation", [(1, "same", 2), (2, 1, 1)])
def test_dynamic_convolutions_are_those_of_the_rounded_numbers(stride, padding, dilation):
    layer = nn.Conv2d(3, 4, 3, stride, padding, dilation)
    quantize_(layer, Int8Dynamic())
    x = numbers(2, 3, 7, 6)
    q, scale = integers(x.numpy(), (1, 2, 3))
    rounded = lx.tensor((q * scale).astype(np.float32))
    expected = nn.functional.conv2d(rounded, dequantized_weight(layer), layer.bias, stride, padding, dilation)
    y = layer(x)
    text = lowered(plan_for(y)).operation.get_asm()
    assert re.search(r"dot_general .*x27xi8>, tensor<4x27xi8>\) -> tensor<.*x4xi32>", text)
    assert np.allclose(y.numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert np.allclose(layer(x[0]).numpy(), expected[0].detach().numpy(), rtol=1e-4, atol=1e-5)


def test_conv1d():
    layer = nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular")
    x = numbers(2, 4, 9)
    expected = layer(x).detach().numpy()
    for config in CONFIGS:
        narrow = copy.deepcopy(layer)
        quantize_(narrow, config)
        y = narrow(x).detach().numpy()
        assert 0 < np.abs(y - expected).max() < 0.2 and y.shape == expected.shape


def test_layers_are_chosen_by_name_or_function():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Conv1d(4, 4, 1)), nn.MultiheadAttention(4, 1))

    def chosen(filter_fn):
        m = copy.deepcopy(model)
        quantize_(m, Int8WeightOnly(), filter_fn)
        return [name for name, layer in m.named_modules() if is_quantized(layer)]

    assert chosen(None) == ["0", "1.0", "1.1"]  # attention multiplies by its last layer's weight itself
    assert chosen("1.*") == ["1.0", "1.1"] and chosen(["0", "1.1"]) == ["0", "1.1"]
    assert chosen(lambda m, name: isinstance(m, nn.Linear)) == ["0", "1.0"]
    with pytest.raises(ValueError, match="'2' is the name of no layer to quantise: there are 0, 1.0, 1.1"):
        chosen("2")


def test_gradients_reach_the_input_of_weight_only_layers_and_dynamic_ones_refuse():
    layer = nn.Linear(3, 2)
    quantize_(layer, Float8WeightOnly())
    x = numbers(1, 3).requires_grad_()
    layer(x).sum().backward()
    assert np.allclose(x.grad.numpy()[0], dequantized_weight(layer).numpy().sum(0))
    layer = nn.Linear(3, 2)
    quantize_(layer, Int8Dynamic())
    with pytest.raises(RuntimeError, match="the input requires grad, but a layer with int8 products has no gradient"):
        layer(x)
    with lx.no_grad():
        assert layer(x).shape == (1, 2)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        layer(lx.ones(1, 4))


def test_other_types_keep_the_packed_weight():
    for config in CONFIGS:
        layer = nn.Linear(8, 4)
        quantize_(layer, config)
        packed, before = layer.weight.dtype, layer.weight.to(lx.float32).numpy()
        layer.to(lx.bfloat16)
        assert layer.weight.dtype is packed and np.array_equal(layer.weight.to(lx.float32).numpy(), before)
        assert layer.weight_scale.dtype is lx.bfloat16
        with lx.no_grad():
            assert layer(lx.ones(2, 8, dtype=lx.bfloat16)).dtype is lx.bfloat16


def test_what_cannot_be_quantised_is_said():
    with pytest.raises(TypeError, match=r"expected Int8WeightOnly\(\), .* but got 'int8'"):
        quantize_(nn.Linear(2, 2), "int8")
    with pytest.raises(ValueError, match="group_size=0, expected at least 1, or None"):
        Int4WeightOnly(0)
    with pytest.raises(ValueError, match="'' adds up 133145 products, and int32 holds 133144 of int8 numbers for sure"):
        quantize_(nn.Linear(133_145, 1), Int8Dynamic())
    model = nn.Linear(2, 2)
    quantize_(model, Int8WeightOnly())
    with pytest.raises(ValueError, match="no such layer of plain weights is in the original"):
        report(model, model)
    assert np.isnan(model(lx.tensor([[float("nan"), 1]])).detach().numpy()).all()


def test_only_products_of_two_int8_operands_change_their_form():
    a = lx.tensor(np.arange(6).reshape(2, 3).astype(np.int8))
    b = lx.tensor(np.full((3, 2), 100, np.int8))
    y = a.to(lx.int32) @ b.to(lx.int32)
    assert "(tensor<2x3xi8>, tensor<3x2xi8>) -> tensor<2x2xi32>" in lowered(plan_for(y)).operation.get_asm()
    assert y.tolist() == [[300, 300], [1200, 1200]]
    z = a.to(lx.int32) @ b.to(lx.uint8).to(lx.int32)
    assert "(tensor<2x3xi32>, tensor<3x2xi32>) -> tensor<2x2xi32>" in lowered(plan_for(z)).operation.get_asm()
    assert z.tolist() == [[300, 300], [1200, 1200]]
