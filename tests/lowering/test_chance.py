"""What is chance in a program's data does not make it another program."""

import numpy as np

import lazyxla as lx


def compiles(metrics):
    return metrics.report(as_dict=True)["compiles"]


def test_which_samples_of_a_batch_are_one_tensor_compiles_nothing(clean):
    states = [lx.tensor([[float(i), 1.0]]) for i in range(12)]
    lx.sync()
    found = []
    for k, chosen in enumerate([(0, 1, 2, 3, 4), (5, 5, 6, 7, 7), (8, 9, 8, 9, 8), (1, 1, 1, 1, 1)]):
        now = lx.cat([states[i] for i in chosen])
        after = lx.cat([states[i + 1] for i in chosen])  # some of them are among the first, too
        found.append((now * 2 + after).sum().item())
        assert found[-1] == sum(3.0 * i + 1 + 3 for i in chosen)
        if k == 0:
            before = compiles(clean)
    assert compiles(clean) == before


def test_where_a_slice_of_data_begins_is_an_argument_from_the_start(clean):
    data = lx.tensor(np.arange(40.0))
    lx.sync()
    before = compiles(clean)
    for i in range(0, 40, 8):
        assert (data[i : i + 8] * 3).sum().item() == 3 * sum(range(i, i + 8))
    assert compiles(clean) == before + 1


def test_a_number_that_varied_at_a_line_is_an_argument_in_other_programs_of_that_line(clean):
    def scaled(x, by):
        return (x * by).sum().item()

    small, large = lx.ones(3), lx.ones(5)
    lx.sync()
    for by in (2.5, 3.5, 4.5):
        assert scaled(small, by) == 3 * by
    before = compiles(clean)
    for by in (2.5, 3.5, 4.5):
        assert scaled(large, by) == 5 * by
    assert compiles(clean) == before + 1


def test_a_number_that_differs_from_one_program_to_another_is_an_argument_from_then_on(clean):
    def mixed(x, by):
        return (x * by + (1 - by)).sum().item()

    sizes = [lx.ones(n, 2) for n in (3, 4, 5)]
    lx.sync()
    before = compiles(clean)
    for k, x in enumerate(sizes):  # each number is new, and so are the first two programs
        assert mixed(x, 0.125 * (k + 1)) == x.numel()
    assert compiles(clean) == before + 3
    for k, x in enumerate(sizes[1:]):
        assert mixed(x, 0.875 - 0.125 * k) == x.numel()
    assert compiles(clean) == before + 3
    assert mixed(sizes[0], 0.75) == 6  # the one that was first has its number for good
    assert compiles(clean) == before + 4


def test_a_longer_loop_has_no_other_numbers(clean):
    def steps(n):
        x = lx.ones(3)
        for t in range(n):
            x = x * (t + 2.0)
        return x.sum().item()

    lx.sync()
    before = compiles(clean)
    for n in (1, 2, 3, 1, 2, 3):
        assert steps(n) == 3 * np.prod(np.arange(n) + 2.0)
    assert compiles(clean) == before + 3


def test_a_temporary_written_in_place_is_followed(clean):
    x, w = lx.ones(4), lx.ones(4, requires_grad=True)
    for _ in range(6):
        y = (x * w).mul_(0.5)
        z = (y.exp() + x).sum()
        z.backward()
        assert abs(z.item() - 4 * (np.exp(0.5) + 1)) < 1e-5
        w.grad = None
    facts = clean.report(as_dict=True)
    assert facts["replays"] >= 3 and facts["replays_given_up"] <= 1, facts
