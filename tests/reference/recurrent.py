"""Recurrent layers and packed sequences."""

from .kit import case

for _name, _make in {
    "rnn": lambda nn: nn.RNN(3, 4),
    "rnn relu, no bias": lambda nn: nn.RNN(3, 4, 2, "relu", bias=False),
    "lstm": lambda nn: nn.LSTM(3, 4),
    "lstm, 2 layers": lambda nn: nn.LSTM(3, 4, num_layers=2, dropout=0.0),
    "lstm, both ways": lambda nn: nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True),
    "lstm, projected": lambda nn: nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
    "lstm, dropout in evaluation": lambda nn: nn.LSTM(3, 4, 2, dropout=0.5).eval(),
    "gru": lambda nn: nn.GRU(3, 4),
    "gru, both ways": lambda nn: nn.GRU(3, 4, 3, bidirectional=True, bias=False),
}.items():

    @case("recurrent", _name, make=_make)
    def _(torch, kit, make):
        layer = kit.fill(make(torch.nn))
        return layer(kit.x(5, 2, 3))

    @case("recurrent", _name + ", packed", make=_make)
    def _(torch, kit, make):
        layer = kit.fill(make(torch.nn))
        rnn = torch.nn.utils.rnn
        packed = rnn.pack_padded_sequence(kit.x(6, 4, 3), [2, 6, 3, 3], enforce_sorted=False)
        out, state = layer(packed)
        return *rnn.pad_packed_sequence(out, padding_value=-1.0, total_length=7), out.data, state


def states(kit, layers, n, *sizes):
    found = tuple(kit.x(layers, n, size) for size in sizes)
    return found if len(found) > 1 else found[0]


@case("recurrent")
def rnn_with_state(torch, kit):
    return kit.fill(torch.nn.RNN(3, 4, 2, bidirectional=True))(kit.x(5, 2, 3), states(kit, 4, 2, 4))


@case("recurrent")
def lstm_with_state(torch, kit):
    layer = kit.fill(torch.nn.LSTM(3, 4, 2, batch_first=True, proj_size=3))
    return layer(kit.x(2, 5, 3), states(kit, 2, 2, 3, 4))


@case("recurrent")
def gru_with_state_packed(torch, kit):
    rnn = torch.nn.utils.rnn
    packed = rnn.pack_sequence([kit.x(2, 3), kit.x(4, 3), kit.x(1, 3)], enforce_sorted=False)
    out, h = kit.fill(torch.nn.GRU(3, 4, bidirectional=True))(packed, states(kit, 2, 3, 4))
    return rnn.unpack_sequence(out), h, out.batch_sizes, out.sorted_indices, out.unsorted_indices


@case("recurrent")
def unbatched(torch, kit):
    nn = torch.nn
    return (
        kit.fill(nn.LSTM(3, 4), prefix="a.")(kit.x(5, 3), (kit.x(1, 4), kit.x(1, 4))),
        kit.fill(nn.GRU(3, 4, batch_first=True), prefix="b.")(kit.x(5, 3)),
        kit.fill(nn.RNN(3, 4), prefix="c.")(kit.x(5, 3), kit.x(1, 4)),
    )


@case("recurrent")
def long_enough_to_roll(torch, kit):
    layer = kit.fill(torch.nn.LSTM(3, 4, 2, bidirectional=True))
    packed = torch.nn.utils.rnn.pack_padded_sequence(kit.x(40, 3, 3), [40, 31, 17])
    out, state = layer(packed)
    return out.data, state


@case("recurrent")
def cells(torch, kit):
    nn = torch.nn
    rnn, relu = kit.fill(nn.RNNCell(3, 4), prefix="a."), kit.fill(nn.RNNCell(3, 4, False, "relu"), prefix="b.")
    lstm, gru = kit.fill(nn.LSTMCell(3, 4), prefix="c."), kit.fill(nn.GRUCell(3, 4, bias=False), prefix="d.")
    x = kit.x(2, 3)
    h = relu(x, rnn(x))
    h, c = lstm(x, lstm(x, (h, kit.x(2, 4))))
    return gru(x, h), c, gru(kit.x(3)), lstm(kit.x(3), (kit.x(4), kit.x(4)))


@case("recurrent")
def sequences(torch, kit):
    rnn = torch.nn.utils.rnn
    a, b, c = kit.x(3, 2), kit.x(1, 2), kit.x(4, 2)
    packed = rnn.pack_sequence([c, a, b])
    kit.note(packed.batch_sizes.tolist())
    return (
        rnn.pad_sequence([a, b, c]), rnn.pad_sequence([a, b, c], batch_first=True, padding_value=2.0),
        rnn.pad_sequence([a, b, c], padding_side="left"), packed.data,
        rnn.unpad_sequence(kit.x(3, 4, 2), torch.tensor([2, 4, 1]), batch_first=True),
        rnn.pad_packed_sequence(packed, batch_first=True),
    )  # fmt: skip


@case("recurrent")
def bad_input(torch, kit):
    nn, rnn = torch.nn, torch.nn.utils.rnn
    x = kit.x(5, 2, 3)
    for make in (
        lambda: nn.LSTM(3, 4, proj_size=4), lambda: nn.LSTM(3, 4, proj_size=-1), lambda: nn.GRU(3, 4, proj_size=2),
        lambda: nn.RNN(3, 4, nonlinearity="selu"), lambda: nn.LSTM(0, 4), lambda: nn.LSTM(3, 4, 0),
        lambda: nn.LSTM(3, 4, dropout=1.5), lambda: nn.LSTM(3.0, 4), lambda: nn.GRU(3, 4, 2, bias=1),
        lambda: nn.LSTM(4, 4)(x), lambda: nn.RNN(3, 4)(x[0, 0]), lambda: nn.GRU(3, 4)(x[0, 0]),
        lambda: nn.LSTM(3, 4)(x[0, 0]), lambda: nn.GRU(3, 4)(x, x), lambda: nn.GRU(3, 4)(x, x[0]),
        lambda: nn.LSTM(3, 4)(x, (x, x)), lambda: nn.LSTM(3, 4)(x, (x, x[0])), lambda: nn.GRU(3, 4)(x[0], x),
        lambda: nn.LSTM(3, 4)(x.double()), lambda: nn.RNNCell(3, 4)(x), lambda: nn.GRUCell(3, 4)(x),
        lambda: nn.LSTMCell(3, 4)(x[0], (x, x)), lambda: rnn.pack_padded_sequence(x, [2, 5]),
        lambda: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [5, 2]), total_length=4),
        lambda: rnn.pad_sequence(3),
    ):  # fmt: skip
        kit.error(make)
