"""Recurrent layers: that time becomes a loop of the compiled program, dropout, devices, and what a batch may be."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn


def x(*shape, seed=0):
    return lx.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("make, loops", [
    (lambda: nn.LSTM(4, 8), 2), (lambda: nn.GRU(4, 8), 2), (lambda: nn.RNN(4, 8), 2),
    (lambda: nn.LSTM(4, 8, bidirectional=True), 4),
])  # fmt: skip
def test_time_becomes_a_loop(make, loops, metrics):
    layer, given = make(), x(60, 2, 4)
    lx.sync()
    metrics.reset()
    layer(given)[0].square().mean().backward()
    lx.sync()
    report = metrics.report(as_dict=True)
    assert report["loops_rolled"] == loops and report["compiles"] == 1
    for p in layer.parameters():
        p.grad = None
    layer(x(60, 2, 4, seed=1))[0].square().mean().backward()
    lx.sync()
    assert metrics.report(as_dict=True)["compiles"] == 1


def test_packed_sequences_become_a_loop_too(metrics):
    layer = nn.LSTM(4, 8)
    packed = nn.utils.rnn.pack_padded_sequence(x(60, 3, 4), [60, 41, 7])
    layer(packed)[0].data.square().mean().backward()
    lx.sync()
    assert metrics.report(as_dict=True)["loops_rolled"] == 2


def test_rolled_is_as_step_by_step():
    layer, given = nn.GRU(3, 5, 2), x(40, 2, 3)
    rolled, last = layer(given)
    cells = [nn.GRUCell(3, 5), nn.GRUCell(5, 5)]
    for k, c in enumerate(cells):
        c.load_state_dict({n.removesuffix(f"_l{k}"): t for n, t in layer.state_dict().items() if n.endswith(f"_l{k}")})
    h = [lx.zeros(2, 5), lx.zeros(2, 5)]
    for t in range(40):
        h[0] = cells[0](given[t], h[0])
        h[1] = cells[1](h[0], h[1])
        np.testing.assert_allclose(rolled[t].detach().numpy(), h[1].detach().numpy(), atol=2e-6)
    np.testing.assert_allclose(last.detach().numpy(), lx.stack(h).detach().numpy(), atol=2e-6)


def test_dropout_lies_between_layers():
    lx.manual_seed(0)
    layer = nn.RNN(3, 64, 2, nonlinearity="relu", dropout=0.5)
    for p in layer.parameters():
        nn.init.constant_(p, 0.0)
    nn.init.eye_(layer.weight_ih_l1)
    nn.init.constant_(layer.bias_ih_l0, 1.0)  # the first layer gives ones, the second hands them on
    out, _ = layer(lx.ones(5, 4, 3))
    values = out.detach().numpy()
    assert set(np.unique(values)) == {0.0, 2.0}
    assert 0.4 < (values == 0).mean() < 0.6
    assert (layer.eval()(lx.ones(5, 4, 3))[0].detach().numpy() == 1).all()


def test_dropout_of_one_layer_warns():
    with pytest.warns(UserWarning, match="expects num_layers greater than 1"):
        nn.LSTM(3, 4, dropout=0.5)


def test_moves_and_copies():
    layer, given = nn.LSTM(3, 4, 2, bidirectional=True), x(5, 2, 3)
    expected = layer(given)[0].detach().numpy()
    layer.flatten_parameters()
    assert [len(w) for w in layer.all_weights] == [4, 4, 4, 4]
    packed = nn.utils.rnn.pack_sequence([given[:, 0], given[:, 1]]).to("xla")
    moved = layer.to("xla")(packed)[0]
    assert moved.data.device.type == "xla" and packed.batch_sizes.device.type == "cpu"
    padded, lengths = nn.utils.rnn.pad_packed_sequence(moved)
    np.testing.assert_allclose(padded.detach().cpu().numpy(), expected, atol=2e-6)
    assert lengths.tolist() == [5, 5]


def test_a_packed_sequence_made_by_hand():
    rnn = nn.utils.rnn
    packed = rnn.pack_sequence([x(3, 2), x(1, 2)])
    other = rnn.PackedSequence(packed.data, packed.batch_sizes)
    assert other.packing().steps == 3 and rnn.PackedSequence((packed.data, packed.batch_sizes)).data is packed.data
    with pytest.raises(ValueError, match="batch_sizes should always be on CPU"):
        rnn.PackedSequence(packed.data, packed.batch_sizes.to("xla"))


def test_other_lengths_need_no_other_program(metrics):
    """A tagger's batches: only the longest length, which is the number of steps, decides the program."""
    rnn, layer = nn.utils.rnn, nn.GRU(3, 4, bidirectional=True, batch_first=True)
    counts = []
    for lengths in ([5, 3, 3], [5, 5, 1], [2, 5, 4], [3, 1, 5]):
        given = x(3, 6, 3, seed=sum(lengths)).requires_grad_()
        packed = rnn.pack_padded_sequence(given, lx.tensor(lengths), batch_first=True, enforce_sorted=False)
        out, last = layer(packed)
        y, found = rnn.pad_packed_sequence(out, batch_first=True, padding_value=7.0, total_length=6)
        (y.sum() + last.sum()).backward()
        assert found.tolist() == lengths
        for i, n in enumerate(lengths):
            alone, end = layer(given[i : i + 1, :n])
            np.testing.assert_allclose(y[i, :n].tolist(), alone[0].tolist(), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(last[:, i].tolist(), end[:, 0].tolist(), rtol=1e-5, atol=1e-6)
            assert (y[i, n:] == 7.0).all() and not given.grad[i, n:].any() and given.grad[i, :n].all()
        metrics.reset()
        y, _ = rnn.pad_packed_sequence(layer(rnn.pack_padded_sequence(given, lengths, True, False))[0])
        y.square().sum().backward()
        lx.sync()
        counts.append(metrics.report(as_dict=True)["compiles"])
    assert counts[0] > 0 and counts[1:] == [0, 0, 0]


def test_rows_of_a_packed_sequence_may_be_written():
    rnn = nn.utils.rnn
    given = x(3, 2, 1)
    packed = rnn.pack_padded_sequence(given, [3, 1])
    expected = [given[t, n, 0].item() for t, n in ((0, 0), (0, 1), (1, 0), (2, 0))]
    given.zero_()  # the packed values are their own
    data, sizes, *indices = packed
    assert data is packed.data is packed[0] and data.flatten().tolist() == expected
    assert sizes.tolist() == [2, 1, 1] and indices == [None, None] and len(packed) == 4
    assert repr(packed).startswith("PackedSequence(data=tensor([[")
    data.fill_(2.0)
    assert rnn.pad_packed_sequence(packed)[0].flatten().tolist() == [2.0, 2.0, 2.0, 0.0, 2.0, 0.0]


@pytest.mark.parametrize("call, kind, words", [
    (lambda: nn.utils.rnn.pack_padded_sequence(x(3, 2, 1), [3]), RuntimeError, "equal to batch_size, but got 1"),
    (lambda: nn.utils.rnn.pack_padded_sequence(x(3, 2, 1), [3, 0]), RuntimeError, "greater than 0"),
    (lambda: nn.utils.rnn.pack_padded_sequence(x(3, 2, 1), [4, 1]), RuntimeError, "at most the padded length"),
    (lambda: nn.utils.rnn.pad_sequence([]), RuntimeError, "empty list"),
    (lambda: nn.utils.rnn.pad_sequence([x(1)], padding_side="up"), RuntimeError, "padding_side"),
    (lambda: nn.RNNBase("RWKV", 3, 4), ValueError, "Unrecognized RNN mode"),
    (lambda: nn.LSTMCell(3, 4)(x(2, 5)), RuntimeError, "inconsistent input_size: got 5 expected 3"),
    (lambda: nn.GRUCell(3, 4)(x(2, 3), x(2, 3)), RuntimeError, "hidden0 has inconsistent size"),
])  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
