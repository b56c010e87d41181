"""Inference mode: which tensors are of it, and what they may not be used for outside."""

import numpy as np
import pytest

import lazyxla as lx

WRITE = "Inplace update to inference tensor outside InferenceMode is not allowed"
SAVE = "Inference tensors cannot be saved for backward"


def test_what_is_made_in_the_mode_is_of_it_but_views_of_other_tensors_are_not():
    x, w = lx.ones(4), lx.ones(4, requires_grad=True)
    with lx.inference_mode():
        made = [x * 2, lx.zeros(2), lx.tensor([1.0]), lx.from_numpy(np.ones(2)), x.clone(), (x * 2)[1:], w * 2]
        views = [x[1:], x.detach(), x.reshape(2, 2), x.expand(2, 4), x.to(lx.float32), *x.chunk(2)]
        x.add_(1)
        with lx.enable_grad():
            assert lx.is_grad_enabled() and lx.is_inference_mode_enabled()
            made.append(w * 2)
        with lx.inference_mode(False):
            views.append(x + 1)
            assert (w * 2).requires_grad
        assert not lx.is_grad_enabled()
        lx.zeros(2, requires_grad=True)
    assert all(t.is_inference() and not t.requires_grad for t in made)
    assert not any(t.is_inference() for t in (*views, x, w))
    a = made[0]
    assert a[1:].is_inference() and a.detach().is_inference() and not (a * 1).is_inference() and not a.clone().is_inference()
    assert lx.is_grad_enabled() and not lx.is_inference_mode_enabled()


def test_outside_it_is_not_written_to():
    x = lx.ones(3)
    with lx.inference_mode():
        a = x * 2
        a.add_(1)
    for write in (
        lambda: a.add_(1), lambda: a[1:].zero_(), lambda: a.__setitem__(0, 1.0), lambda: lx.add(x, 1, out=a),
        lambda: a.copy_(x),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=WRITE), lx.no_grad():
            write()
    with pytest.raises(RuntimeError, match="Setting requires_grad=True on inference tensor outside InferenceMode"):
        a.requires_grad_()
    with pytest.raises(RuntimeError, match="do not track version counter"):
        a._version  # noqa: B018
    with lx.inference_mode():
        a[0] = 5
    x.add_(a)
    assert a.tolist() == [5, 3, 3] and x.tolist() == [6, 4, 4] and a.clone().zero_().tolist() == [0, 0, 0]


class Times(lx.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(y)
        return x * y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None


def test_outside_it_is_not_saved_for_a_backward():
    w, layer = lx.ones(2, 3, requires_grad=True), lx.nn.Linear(3, 2)
    with lx.inference_mode():
        a, row, whole = lx.ones(2, 3) * 2, lx.ones(3), lx.ones(3, dtype=lx.int64)
    for use in (
        lambda: w * a, lambda: w * a[:], lambda: w[:, 1:] * a[:, 1:], lambda: layer(a), lambda: w**a, lambda: w * row,
        lambda: w * whole, lambda: Times.apply(w, a),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=SAVE):
            use()
    ((w + a) * a.clone()).sum().backward()
    assert w.grad.tolist() == [[2.0] * 3] * 2
    with lx.inference_mode():
        a.add_(1)
        w.mul_(3)  # which stays what it is
    with pytest.raises(RuntimeError, match=SAVE):
        w * a
    (w * w).sum().backward()
    assert w.grad.tolist() == [[8.0] * 3] * 2


def test_a_module_converted_in_the_mode_can_be_trained_and_loaded():
    layer = lx.nn.Linear(2, 1)
    with lx.inference_mode():
        layer.double()
    layer(lx.ones(1, 2, dtype=lx.float64)).sum().backward()
    layer.load_state_dict({"weight": lx.zeros(1, 2), "bias": lx.zeros(1)})
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]


def test_what_is_followed_is_of_the_mode_too(clean):
    x = lx.tensor([0.0, 1.0, 2.0, 3.0])

    def values():
        y = (x * 2).sin()
        return y, y[1:], y + 1

    for context, inside in ((lx.inference_mode, True), (lx.no_grad, False)) * 4:
        with context():
            found = values()
            assert [t.is_inference() for t in found] == [inside] * 3
            lx.sync()
        assert [t.is_inference() for t in found] == [inside] * 3
    assert clean.report(as_dict=True)["replays"] >= 4
    with lx.inference_mode():
        y = (x * 2).sin()
    with pytest.raises(RuntimeError, match=WRITE):  # which gives the script up
        y.add_(1)
    assert y.is_inference() and y.tolist() == pytest.approx(np.sin(np.arange(4) * 2).tolist(), abs=1e-6)


def test_other_threads_are_not_in_it():
    import threading

    found = []
    with lx.inference_mode():
        thread = threading.Thread(target=lambda: found.append(lx.ones(2) * 2))
        thread.start()
        thread.join()
    assert not found[0].is_inference()
