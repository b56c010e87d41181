"""Pruning of modules on a device: what is chosen, what is trained, what is left."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.nn.utils import prune

WEIGHT = [[0.5, -0.1, 0.3], [-0.2, 0.9, -0.05]]


def layer(device):
    found = nn.Linear(3, 2)
    found.load_state_dict({"weight": lx.tensor(WEIGHT), "bias": lx.zeros(2)})
    return found.to(device)


@pytest.mark.parametrize("device", ["cpu", "xla"])
def test_the_smallest_weights_go_and_stay_away(device):
    net = layer(device)
    prune.l1_unstructured(net, "weight", 2)
    assert net.weight_mask.device == net.weight_orig.device == lx.ones(1, device=device).device
    assert net.weight_mask.tolist() == [[1, 0, 1], [1, 1, 0]]
    optimizer = lx.optim.SGD(net.parameters(), lr=0.1)
    net(lx.ones(1, 3, device=device)).sum().backward()
    optimizer.step()
    net(lx.ones(1, 3, device=device))
    expected = (np.array(WEIGHT) - 0.1) * [[1, 0, 1], [1, 1, 0]]
    np.testing.assert_allclose(net.weight.detach().cpu().numpy(), expected, rtol=1e-6)
    prune.ln_structured(net, "weight", 1, n=2, dim=1)
    assert net.weight_mask.tolist() == [[1, 0, 0], [1, 1, 0]]
    prune.remove(net, "weight")
    assert [name for name, _ in net.named_parameters()] == ["bias", "weight"]


def test_over_several_modules_on_a_device():
    first, second = layer("xla"), layer("xla")
    with lx.no_grad():
        second.weight.mul_(10)
    prune.global_unstructured([(first, "weight"), (second, "weight")], prune.L1Unstructured, amount=6)
    assert first.weight_mask.sum().item() == 1 and second.weight_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    prune.random_unstructured(second, "bias", 1)
    assert second.bias_mask.sum().item() == 1
