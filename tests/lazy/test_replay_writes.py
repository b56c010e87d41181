"""Replay of loops that cut data, write to rows, and write through other names of a value."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F

pytestmark = pytest.mark.usefixtures("clean")


def counts() -> dict:
    return lx.metrics.report(as_dict=True)


def batches(read: list) -> list:
    """A loop over batches that are cut from data, as most programs do it."""
    lx.manual_seed(1)
    x, y = lx.randn(20, 3), lx.randn(20)
    p = lx.zeros(3, requires_grad=True)
    optimizer = lx.optim.SGD([p], lr=0.1)
    total = lx.zeros(())
    for epoch in range(2):
        order = lx.randperm(20)
        for i in range(0, 20, 4):
            at = order[i : i + 4]
            column = x[:, (epoch + i) % 3]
            read.append((at.storage_offset(), column.stride()) if i == 12 else 0)
            optimizer.zero_grad()
            loss = ((x[at] @ p - y[at]) ** 2).mean() + column.mean() * p.sum()
            loss.backward()
            optimizer.step()
            total += loss.detach()
    return [total.item(), p.tolist(), at.tolist(), column.tolist()]


def test_batches_cut_from_data_are_followed(replay):
    replay(False)
    expected_read, read = [], []
    expected = batches(expected_read)
    replay(True)
    lx.metrics.reset()
    got = batches(read)
    assert read == expected_read and read[3] == (12, (3,))
    for x, y in zip(got, expected):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    assert counts()["replays"] >= 4  # where the offset is asked for, it is recorded
    assert counts()["compiles"] <= 3


def test_a_piece_held_after_a_followed_step_lies_where_it_was_cut(replay):
    replay(True)
    data = lx.arange(12.0)
    lx.sync()
    for i in range(8):
        piece = data[i : i + 3]
        got = (piece * 2).sum()
        assert got.item() == 6 * (i + 1)
        assert piece.tolist() == [i, i + 1, i + 2] and piece.storage_offset() == i
        with lx.no_grad():
            piece.add_(0.0)
        assert data.tolist() == list(range(12))
    assert counts()["replays"] > 0
    assert [data[i].item() for i in (3, 11, -1, 0, 5)] == [3, 11, 11, 0, 5]
    with pytest.raises(IndexError, match="out of bounds"):
        data[12]
    assert data[10:14].tolist() == [10, 11]


@pytest.mark.parametrize("how", ["data +=", "data.sub_", "row", "array"])
def test_other_ways_to_write_and_to_cut_are_followed(how, replay):
    def run():
        lx.manual_seed(1)
        rng = np.random.default_rng(0)
        x, w, table = lx.randn(12, 3), lx.ones(3, requires_grad=True), lx.zeros(12, 3)
        seen = []
        for i in range(12):
            rows = x[rng.integers(0, 12, 5)] if how == "array" else x
            w.grad = None
            loss = ((rows @ w) ** 2).mean()
            loss.backward()
            if how == "data +=":
                w.data += -0.1 * w.grad
            elif how == "row":
                table[i] = w.grad
            else:
                w.data.sub_(w.grad * 0.1)
            seen.append(loss.item())
        return [*seen, w.tolist(), table.tolist()]

    replay(False)
    expected = run()
    replay(True)
    lx.metrics.reset()
    for x, y in zip(run(), expected):
        np.testing.assert_allclose(x, y, rtol=1e-5)
    assert counts()["replays"] >= 7


def test_a_start_that_always_misleads_is_not_tried_for_ever(replay):
    replay(True)
    lx.metrics.reset()
    x = lx.ones(3)
    lx.sync()
    for step in range(60):
        y = x * 2
        for _ in range(step % 29):  # the same beginning, and no end twice in a row
            y = y + 0.25
        assert y.sum().item() == pytest.approx(3 * (2 + 0.25 * (step % 29)))
    assert counts()["replays_given_up"] < 30


def test_weights_clipped_through_data_go_on_training(replay):
    def run(with_replay, with_item):
        replay(with_replay)
        weight, values = lx.tensor([[0.5, -0.2, 0.1]], device="xla").requires_grad_(), []
        optimizer = lx.optim.SGD([weight], lr=0.1)
        for step in range(6):
            x = lx.tensor([[step + 1.0, 2.0, -1.0]], device="xla")
            optimizer.zero_grad()
            loss = F.linear(x, weight).sum() + (weight.data * 2).sum()
            loss.backward()
            optimizer.step()
            weight.data.clamp_(-0.3, 0.3)
            if with_item:
                loss.item()
            values.append((loss, weight.grad.clone(), weight.detach().clone()))
        return [[t.tolist() for t in row] for row in values]

    for with_item in (False, True):
        expected = run(False, with_item)
        assert expected[0][1] == [[1.0, 2.0, -1.0]]
        assert run(True, with_item) == expected


def test_an_optimizer_steps_in_the_backward_itself(replay):
    """Whose step ends the segment that the backward is written down in."""

    def train() -> list[float]:
        a, b = lx.full((3,), 2.0, requires_grad=True), lx.full((3,), 3.0, requires_grad=True)
        for p in (a, b):
            optimizer = lx.optim.SGD([p], lr=0.1)
            p.register_post_accumulate_grad_hook(lambda _, o=optimizer: (o.step(), o.zero_grad()))
        losses = []
        for _ in range(6):
            loss = ((a * b).sum() - 1) ** 2 * 0.01
            loss.backward()
            losses.append(loss.item())
        assert a.grad is None and b.grad is None
        return losses

    replay(False)
    expected = train()
    replay(True)
    np.testing.assert_allclose(train(), expected, rtol=1e-6)
