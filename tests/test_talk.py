"""The programs of the talk that this project starts from, retyped with ``import lazyxla as torch``."""

import copy

import numpy as np
import pytest

import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.nn.functional as F


def linear(x, w, b):
    return x @ w + b


@pytest.mark.parametrize("device", ["cpu", "xla"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 4, 3)])
def test_the_linear_model_over_shapes_dtypes_and_devices(shape, dtype, device):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in (shape, (3, 2), (2,)))
    y = linear(*(torch.tensor(a, dtype=dtype, device=device) for a in (x, w, b)))
    assert y.dtype is dtype and y.device.type == device and y.shape == (*shape[:-1], 2)
    np.testing.assert_allclose(y.cpu().numpy(), x @ w + b, rtol=1e-5)


def test_autograd_grad():
    x = torch.linspace(0, 3, 7, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.sin(x).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(slope.detach().numpy(), np.cos(x.detach().numpy()), atol=1e-12)
    np.testing.assert_allclose(curvature.numpy(), -np.sin(x.detach().numpy()), atol=1e-12)


class Attention(nn.Module):
    def __init__(self, width, heads, residual=True):
        super().__init__()
        self.width, self.heads, self.residual = width, heads, residual
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        n, length, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) / (self.width // self.heads) ** 0.5).softmax(-1)
        y = self.out((weights @ v).transpose(1, 2).reshape(n, length, self.width))
        return x + y if self.residual else y


def test_the_residual_module_is_printed_moved_and_iterated():
    torch.manual_seed(0)
    module = Attention(8, 2)
    assert repr(module) == (
        "Attention(\n  (qkv): Linear(in_features=8, out_features=24, bias=True)\n"
        "  (out): Linear(in_features=8, out_features=8, bias=True)\n"
        "  (norm): LayerNorm((8,), eps=1e-05, elementwise_affine=True, bias=True)\n)"
    )
    x = torch.randn(2, 5, 8)
    before = module(x).detach().numpy()
    moved = copy.deepcopy(module).to("xla")
    names = [name for name, _ in moved.named_parameters()]
    assert names == ["qkv.weight", "qkv.bias", "out.weight", "out.bias", "norm.weight", "norm.bias"]
    assert all(p.device.type == "xla" for p in moved.parameters())
    np.testing.assert_allclose(moved(x.to("xla")).detach().cpu().numpy(), before, rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="cpu and xla:0"):
        moved(x)


def test_the_training_loop():
    torch.manual_seed(0)
    model = nn.Sequential(Attention(8, 2), nn.Flatten(), nn.Linear(40, 3)).to("xla")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x, y = torch.randn(6, 5, 8, device="xla"), torch.tensor([0, 1, 2, 0, 1, 2], device="xla")
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


def test_backward_twice_doubles_grad():
    w = torch.ones(3, requires_grad=True)
    loss = (w * torch.tensor([1.0, 2.0, 3.0])).sum()
    loss.backward(retain_graph=True)
    once = w.grad.clone()
    loss.backward()
    assert torch.equal(w.grad, 2 * once)


def test_numpy_and_tensors_step_by_step():
    def mixed(a):
        t = torch.from_numpy(a) * 2
        a = np.sqrt(t.numpy() + 1)
        t = torch.tensor(a) + np.ones(3)
        return np.asarray(t) - a

    np.testing.assert_allclose(mixed(np.arange(3.0)), np.ones(3))
    assert isinstance(torch.ones(3) + np.ones(3, np.float32), torch.Tensor)
    assert isinstance(np.ones(3, np.float32) * torch.ones(3), torch.Tensor)
