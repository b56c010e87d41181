"""What the reference values do not say of the newer layers: names of modules elsewhere, submodules, errors, examples."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla import nn


def x(*shape, seed=0):
    return lx.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def test_pytorchs_places_of_layers():
    from lazyxla.nn.modules import Conv2d
    from lazyxla.nn.modules.batchnorm import _BatchNorm
    from lazyxla.nn.modules.linear import NonDynamicallyQuantizableLinear
    from lazyxla.nn.modules.rnn import LSTM
    from lazyxla.nn.modules.utils import _pair
    from lazyxla.nn.parameter import UninitializedParameter

    assert Conv2d is nn.Conv2d and LSTM is nn.LSTM and issubclass(nn.SyncBatchNorm, _BatchNorm)
    assert issubclass(NonDynamicallyQuantizableLinear, nn.Linear) and _pair(3) == (3, 3)
    assert UninitializedParameter is nn.UninitializedParameter


def test_data_parallel_on_one_device():
    layer, given = nn.Linear(3, 2), x(4, 3)
    model = nn.DataParallel(layer)
    assert list(model.state_dict()) == ["module.weight", "module.bias"]
    assert np.array_equal(model(given).detach().numpy(), layer(given).detach().numpy())
    assert np.array_equal(nn.parallel.data_parallel(layer, given).detach().numpy(), layer(given).detach().numpy())


def test_submodules_are_put_in_place():
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    net.set_submodule("0.0", nn.ReLU())
    assert isinstance(net[0][0], nn.ReLU)
    net.set_submodule("0.extra", nn.Tanh())
    with pytest.raises(AttributeError, match="has no attribute `other`"):
        net.set_submodule("0.other", nn.Tanh(), strict=True)
    with pytest.raises(ValueError, match="without a target"):
        net.set_submodule("", nn.Tanh())
    with pytest.raises(ValueError, match="is not an nn.Module"):
        net.set_submodule("0", 3)


def test_older_names():
    with pytest.warns(FutureWarning, match="nn.init.constant_"):
        assert nn.init.constant(lx.empty(2), 3.0).tolist() == [3, 3]
    with pytest.warns(FutureWarning, match="parametrizations.weight_norm"):
        nn.utils.weight_norm(nn.Linear(2, 3))
    grad = x(3).requires_grad_()
    (grad * 10).sum().backward()
    assert float(nn.utils.clip_grad_norm(grad, 1.0)) == pytest.approx(10 * 3**0.5)
    image = x(1, 2, 4, 4)
    values, places = F.max_pool2d_with_indices(image, 2)
    assert np.array_equal(values.numpy(), image.reshape(1, 2, 16).gather(2, places.reshape(1, 2, 4)).reshape(1, 2, 2, 2))


def test_ctc_of_one_label_by_hand():
    logp = F.log_softmax(x(2, 1, 3), 2)
    p = np.exp(logp.numpy()[:, 0])
    expected = -np.log(p[0, 1] * p[1, 1] + p[0, 1] * p[1, 0] + p[0, 0] * p[1, 1])
    for lengths in ((lx.tensor([2]), lx.tensor([1])), ((2,), (1,))):
        assert float(F.ctc_loss(logp, lx.tensor([[1]]), *lengths, reduction="sum")) == pytest.approx(expected, rel=1e-5)
    empty = F.ctc_loss(logp, lx.tensor([[1]]), (2,), (0,), reduction="sum")
    assert float(empty) == pytest.approx(-np.log(p[0, 0] * p[1, 0]), rel=1e-5)


def test_ctc_over_more_time_records_no_more():
    labels, recorded = lx.tensor([[1, 2, 1], [2, 2, 1]]), []
    for steps in (12, 60):
        logp = F.log_softmax(x(steps, 2, 3).requires_grad_(), 2)
        lx.metrics.reset()
        F.ctc_loss(logp, labels, (steps, steps - 1), (3, 3)).backward()
        lx.sync()
        recorded.append(lx.metrics.report(as_dict=True)["ops_recorded"])
    assert recorded[0] == recorded[1]


def test_ctc_of_examples_one_by_one():
    logp, labels = F.log_softmax(x(2, 6, 3, 4), 3), lx.tensor([[1, 2], [2, 2], [3, 1]])

    def loss(logp):
        return F.ctc_loss(logp, labels, (6, 5, 4), (2, 2, 1))

    expected = [loss(logp[k]).item() for k in (0, 1)]
    np.testing.assert_allclose(lx.func.vmap(loss)(logp).numpy(), expected, rtol=1e-5)


def test_fractional_pooling_finds_the_maximum_and_its_place():
    image = lx.arange(36.0).reshape(1, 1, 6, 6).requires_grad_()
    start = lx.zeros(1, 1, 2)  # windows begin at 0, 1, and where the last one ends with the image
    best, places = F.fractional_max_pool2d(image, (2, 3), (3, 2), return_indices=True, _random_samples=start)
    assert places.tolist() == [[[[8, 11], [20, 23], [32, 35]]]] and best.tolist() == [[[[8, 11], [20, 23], [32, 35]]]]
    best.sum().backward()
    assert image.grad.flatten().nonzero().flatten().tolist() == [8, 11, 20, 23, 32, 35]


def test_distances_that_count_have_the_gradient_zero():
    rows = lx.tensor([[1.0, 2.0], [1.0, 3.0], [0.0, 0.0]], requires_grad=True)
    found = F.pdist(rows, 0)
    found.sum().backward()
    assert found.tolist() == [1, 2, 2] and rows.grad.tolist() == [[0, 0]] * 3


def test_on_the_border_a_place_has_no_gradient():
    image, grid = x(1, 1, 3, 3), lx.tensor([[[[-1.0, 0.0], [1.0, 0.5], [0.2, 0.3]]]], requires_grad=True)
    F.grid_sample(image, grid, padding_mode="border", align_corners=True).sum().backward()
    across = grid.grad[0, 0, :, 0].tolist()
    assert across[:2] == [0, 0] and across[2] != 0


def test_sampling_at_its_own_grid_gives_the_image():
    image = x(2, 3, 4, 5)
    grid = F.affine_grid(lx.eye(2, 3).expand(2, 2, 3), image.shape, align_corners=False)
    for mode in ("bilinear", "nearest", "bicubic"):
        np.testing.assert_allclose(F.grid_sample(image, grid, mode, align_corners=False).numpy(), image.numpy(), atol=1e-5)
    with pytest.warns(UserWarning, match="align_corners=False since 1.3.0"):
        F.affine_grid(lx.eye(2, 3)[None], (1, 1, 2, 2))


def test_a_row_that_may_look_nowhere_has_no_gradient_that_is_not_a_number():
    q = x(1, 3, 4).requires_grad_()
    mask = lx.tensor([[True, True, True], [False, False, False], [True, False, True]])
    out = F.scaled_dot_product_attention(q, q, q, mask)
    out.sum().backward()
    assert bool(q.grad.isfinite().all()) and (out[0, 1].detach().numpy() == 0).all()


def test_attention_drops_out_only_in_training():
    lx.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, dropout=0.9)
    given = x(6, 2, 4)
    _, weights = layer(given, given, given, average_attn_weights=False)
    assert 0.7 < (weights.detach().numpy() == 0).mean() < 1
    assert (layer.eval()(given, given, given)[1].detach().numpy() > 0).all()


def test_orthogonal_stays_orthogonal():
    for how in ("matrix_exp", "cayley", "householder"):
        layer = nn.utils.parametrizations.orthogonal(nn.Linear(5, 3), orthogonal_map=how)
        optimizer = lx.optim.SGD(layer.parameters(), 0.5)
        for _ in range(3):
            optimizer.zero_grad()
            (layer(x(4, 5)) ** 2).sum().backward()
            optimizer.step()
        w = layer.weight.detach().numpy()
        np.testing.assert_allclose(w @ w.T, np.eye(3), atol=1e-5)


def test_lazy_modules_of_ones_own():
    class Scale(nn.modules.lazy.LazyModuleMixin, nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.UninitializedParameter()

        def initialize_parameters(self, given):
            if self.has_uninitialized_params():
                self.weight.materialize(given.shape[-1:])
                nn.init.ones_(self.weight)

        def forward(self, given):
            return given * self.weight

    layer = Scale()
    assert layer.has_uninitialized_params() and repr(layer.weight) == "<UninitializedParameter>"
    assert layer(x(2, 3)).shape == (2, 3) and tuple(layer.weight.shape) == (3,)
    assert isinstance(layer.weight, nn.Parameter) and not layer.has_uninitialized_params()


@pytest.mark.parametrize("call, kind, words", [
    (lambda: F.max_unpool2d(x(2, 2), lx.ones(2, 2, dtype=lx.int64), 2), RuntimeError, "3d or 4d"),
    (lambda: F.pdist(x(2, 3, 4)), RuntimeError, "only supports 2D"),
    (lambda: F.ctc_loss(x(4, 2, 3), lx.ones(2, 2, dtype=lx.int64), (4,), (2, 2)), RuntimeError, "size batch_size"),
    (lambda: F.ctc_loss(x(4, 2, 3), lx.ones(3, dtype=lx.int64), (4, 4), (2, 2)), RuntimeError, "sum of target_lengths"),
    (lambda: F.ctc_loss(x(4, 2, 3), lx.ones(2, 2, dtype=lx.int64), (4, 4), (2, 2), blank=3), RuntimeError, "blank"),
    (lambda: F.multilabel_margin_loss(x(2, 3), lx.ones(3, dtype=lx.int64)), RuntimeError, "inconsistent target size"),
    (lambda: F.interpolate(x(1, 1, 4), 2, antialias=True), ValueError, "Anti-alias"),
    (lambda: F.fractional_max_pool2d(x(1, 1, 4, 4), 3, 3), RuntimeError, "too large relative to input"),
    (lambda: nn.SyncBatchNorm(3)(x(3)), ValueError, "at least 2D input"),
    (lambda: nn.Transformer(4, 2)(x(3, 2, 4), x(3, 3, 4)), RuntimeError, "batch number"),
    (lambda: nn.Transformer(4, 2)(x(3, 2, 4), x(3, 2, 5)), RuntimeError, "feature number"),
    (lambda: nn.modules.lazy.LazyModuleMixin.initialize_parameters(nn.Linear(1, 1)), NotImplementedError, "Linear"),
])  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
