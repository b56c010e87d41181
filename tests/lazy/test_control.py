"""Control flow on the device: against Python's own loops, with gradients of two orders, in every mode; and what is refused."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.autograd import gradcheck, gradgradcheck
from lazyxla.lazy.interpret import interpret
from lazyxla.lowering import debug

RNG = np.random.default_rng(0)


def moving(*shape):
    return lx.tensor(RNG.standard_normal(shape), requires_grad=True)


def unrolled(f, carry, xs, reverse=False):
    """What scan does, by Python's loop."""
    ys = []
    steps = range(len(xs))
    for k in reversed(steps) if reverse else steps:
        carry, y = f(carry, xs[k])
        ys.append(y)
    return carry, lx.stack(ys[::-1] if reverse else ys)


def twice(f, operands):
    return gradcheck(f, operands, fast_mode=True) and gradgradcheck(f, operands, fast_mode=True)


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


W, C, XS = moving(3, 3), moving(3), moving(4, 3)


def cell_of(w):
    """A step with a weight from outside, and a number of the program's."""
    return lambda c, x: (lx.tanh(c @ w + 0.5 * x), (c * x).sigmoid() * w[0])


cell = cell_of(W)


# --- scan -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_is_the_loop_with_its_gradients(reverse):
    def total(r):
        return (r[0] * lx.arange(1, 4)).sum() + (r[1] ** 2).sum()

    found, expected = lx.scan(cell, C, XS, reverse=reverse), unrolled(cell, C, XS, reverse)
    same(found, expected)
    same(*[lx.autograd.grad(total(r), [W, C, XS]) for r in (found, expected)])
    assert twice(lambda w, c, xs: lx.scan(cell_of(w), c, xs, reverse=reverse), [W, C, XS])


def test_what_is_closed_over_is_found_wherever_it_is_used():
    assert twice(lambda w: lx.scan(lambda c, x: (c * w + x, c @ w), C.detach(), XS.detach()), [moving(3)])


def test_a_gradient_of_part_of_the_results():
    for part in (0, 1):
        same(*[lx.autograd.grad(r[part].sum(), [W, C, XS]) for r in (lx.scan(cell, C, XS), unrolled(cell, C, XS))])


def test_trees_dims_and_outputs_of_nothing():
    x = {"a": lx.arange(6).view(2, 3), "b": lx.ones(2, 3)}
    start = (lx.tensor(0), [lx.tensor(1.0)])
    (total, pair), ys = lx.scan(lambda c, x: ((c[0] + x["a"].sum(), [c[1][0] * x["b"].sum()]), None), start, x, dim=1)
    assert total.item() == 15 and pair[0].item() == 8.0 and ys is None
    assert lx.scan(lambda c, _: (c + 1, c), lx.tensor(0), None, length=3)[1].tolist() == [0, 1, 2]


def test_no_trips():
    c, ys = lx.scan(cell, C, XS[:0])
    assert ys.shape == (0, 3)
    same(lx.autograd.grad(c.sum(), [C]), [lx.ones(3)])


def test_integers_and_bools_are_carried_too():
    def f(c, x):
        return (c[0] + 1, ~c[1], c[2] * lx.where(c[1], x, 1)), c[0]

    assert twice(lambda x: lx.scan(f, (lx.tensor(0), lx.tensor(True), x[0] * 1), x)[0][2], [moving(3)])


def test_custom_rules_are_kept_inside():
    class Straight(lx.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return lx.round(x)

        @staticmethod
        def backward(ctx, g):
            return g

    x = moving(3)
    y = lx.scan(lambda c, v: (c + Straight.apply(v * x), None), lx.zeros(3, dtype=lx.float64), XS.detach())[0]
    same(lx.autograd.grad(y.sum(), [x]), [XS.detach().sum(0)])


def test_the_program_is_one_loop_whatever_the_number_of_trips():
    def f(n):
        return lx.scan(lambda c, x: (c + x, c), lx.tensor(0.0), lx.ones(n))[0]

    texts = [debug.stablehlo(f(n), locations=False) for n in (5, 5000)]
    assert all(t.count("stablehlo.while") == 1 for t in texts)
    assert texts[0].replace("5", "") == texts[1].replace("5000", "").replace("5", "")


def test_a_number_that_varies_compiles_once_more_only(metrics):
    def f(k):
        return lx.scan(lambda c, x: (c * k + x, None), lx.tensor(0.0), lx.ones(3))[0].item()

    found = [f(2.0), f(3.0)]
    before = lx.metrics.report(as_dict=True)["compiles"]
    found += [f(4.0), f(5.0)]
    assert found == [7.0, 13.0, 21.0, 31.0] and lx.metrics.report(as_dict=True)["compiles"] == before


def test_random_numbers_differ_from_trip_to_trip():
    lx.manual_seed(0)
    def draws(c, _):
        return c, lx.rand(2)

    start = lx.tensor(0.0)
    inner = lx.scan(lambda c, _: (c, lx.scan(draws, c, None, length=3)[1]), start, None, length=4)[1]
    again = lx.scan(draws, start, None, length=4)[1]
    assert len(np.unique(np.concatenate([inner.numpy().ravel(), again.numpy().ravel()]))) == 32


def test_dropout_has_one_mask_going_forward_and_back():
    x = moving(5, 8)
    y = lx.scan(lambda c, v: (c, lx.nn.functional.dropout(v, 0.5)), lx.tensor(0.0), x)[1]
    (g,) = lx.autograd.grad(y.sum(), [x])
    same([g * x], [y])


# --- while_loop -------------------------------------------------------------------------------------------------


def grown(x, trips=None):
    return lx.while_loop(lambda i, v: i < 4, lambda i, v: (i + 1, lx.sin(v) * x + v), (lx.tensor(0), x), max_trips=trips)[1]


def grown_by_hand(x):
    v = x
    for _ in range(4):
        v = lx.sin(v) * x + v
    return v


def test_while_loop_is_the_loop():
    same([grown(C)], [grown_by_hand(C)])
    assert lx.while_loop(lambda x: x < 0, lambda x: x * 2, (lx.tensor(1.0),))[0].item() == 1.0
    assert lx.while_loop(lambda x: x > 0, lambda x: x + 1, (lx.tensor(1.0),), max_trips=3)[0].item() == 4.0


def test_with_max_trips_it_has_gradients():
    same(*[lx.autograd.grad(f(C).sum(), [C]) for f in (lambda x: grown(x, 9), grown_by_hand)])
    assert twice(lambda x: grown(x, 6), [moving(3)])


def test_without_it_has_forward_derivatives():
    x, t = lx.tensor(RNG.standard_normal((2, 3)))
    for found, expected in zip(lx.func.jvp(grown, (x,), (t,)), lx.func.jvp(grown_by_hand, (x,), (t,))):
        same([found], [expected])


def test_in_reverse_it_is_refused_in_words():
    with pytest.raises(RuntimeError, match=r"unknown number of trips.*give while_loop max_trips=.*test_control.py"):
        grown(C).sum().backward()
    with pytest.raises(RuntimeError, match="give while_loop max_trips="):
        (g,) = lx.autograd.grad((grown(C) ** 2).sum(), [C], create_graph=True)
        g.tolist()


# --- cond, map, associative_scan --------------------------------------------------------------------------------


def chosen(x, w):
    return lx.cond(x.sum() > 0, lambda a: lx.sin(a) * w, lambda a: a * a, (x,))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cond_takes_one_branch_with_its_gradient(sign):
    x, w = (C.detach().abs() * sign).requires_grad_(), moving(3)
    same([chosen(x, w)], [lx.sin(x) * w if sign > 0 else x * x])
    assert twice(chosen, [x, w])


def test_the_other_branch_is_not_computed():
    x = lx.tensor(0.0, requires_grad=True)
    y = lx.cond(x > 0, lambda a: a.log(), lambda a: a * 2, (x,))
    y.backward()
    assert y.item() == 0.0 and x.grad.item() == 2.0  # with where, it would be NaN


def test_map_and_associative_scan():
    x = moving(4, 3)
    assert twice(lambda x: lx.map(lambda r: (r.sum() * r, r[0]), x), [x])
    same([lx.associative_scan(lx.add, x, 1)], [x.cumsum(1)])
    same([lx.associative_scan(lx.mul, x, 0, reverse=True)], [x.flip(0).cumprod(0).flip(0)])


# --- in every mode ----------------------------------------------------------------------------------------------


def nested(xs, w):
    def outer(c, r):
        inner, _ = lx.scan(lambda a, b: (a * 0.5 + lx.sin(b) * w, None), c, r)
        return lx.cond(inner.sum() > 0, lambda c: c * w, lambda c: c * 2, (inner,)), inner

    return lx.scan(outer, lx.zeros(3, dtype=lx.float64) + w, xs)


def test_nested():
    assert twice(nested, [moving(2, 3, 3), moving(3)])


def test_eager_compiled_followed_and_interpreted_agree():
    xs, w = moving(2, 3, 3), moving(3)

    def step():
        xs.grad = w.grad = None
        nested(xs, w)[1].sum().backward()
        return [xs.grad, w.grad]

    expected = [t.numpy() for t in step()]
    run = lx.compile(step)
    for _ in range(3):
        for g, e in zip(run(), expected):
            np.testing.assert_allclose(g.numpy(), e, rtol=1e-12)
    for _ in range(3):
        for g, e in zip(step(), expected):
            np.testing.assert_allclose(g.numpy(), e, rtol=1e-12)
    with lx.eager():
        for g, e in zip(step(), expected):
            np.testing.assert_allclose(g.numpy(), e, rtol=1e-12)
    y = nested(xs.detach(), w.detach())[1]
    np.testing.assert_allclose(interpret(y), y.numpy(), rtol=1e-12)


def test_compiled_calls_take_new_values():
    k = lx.tensor(2.0)
    f = lx.compile(lambda x: lx.scan(lambda c, v: (c * k + v, c), lx.tensor(0.0), x)[0])
    assert [f(lx.tensor([1.0, 1.0])).item(), f(lx.tensor([2.0, 1.0])).item()] == [3.0, 5.0]
    k.add_(1.0)
    assert f(lx.tensor([1.0, 1.0])).item() == 4.0


# --- what is refused --------------------------------------------------------------------------------------------

ONE, ROWS = lx.tensor(1.0), lx.ones(3)


def keeps(x):
    ONE.add_(x)
    return x


@pytest.mark.parametrize(
    "call, kind, words",
    [
        (
            lambda: lx.scan(lambda c, x: (lx.stack([c, x]), x), ONE, ROWS),
            RuntimeError, r"float32\[\] and comes back as float32\[2\]",
        ),
        (lambda: lx.scan(lambda c, x: (c.long(), x), ONE, ROWS), RuntimeError, r"comes back as int64\[\].*test_control.py"),
        (lambda: lx.scan(lambda c, x: ((c, c), x), ONE, ROWS), RuntimeError, "must give back the structure that it is given"),
        (lambda: lx.scan(lambda c, x: c, ONE, ROWS), TypeError, r"must give back \(carry, y\), got Tensor"),
        (lambda: lx.scan(lambda c, x: (c, 3), ONE, ROWS), TypeError, "the outputs of combine_fn must be tensors"),
        (lambda: lx.scan(lambda c, x: (c, x), 1.0, ROWS), TypeError, "init must be tensors"),
        (lambda: lx.scan(lambda c, x: (c, x), ONE, (ROWS, lx.ones(2))), ValueError, r"one size along dim 0.*\[2, 3\]"),
        (lambda: lx.scan(lambda c, x: (c, x), ONE, None), ValueError, "neither tensors nor a length"),
        (lambda: lx.scan(lambda c, x: (c, x), ONE, ROWS, dim=1), IndexError, "dim 1 is out of range"),
        (
            lambda: lx.scan(lambda c, x: (c if x > 0 else -c, x), ONE, ROWS),
            RuntimeError, r"reads a value inside the function given to scan.*test_control.py",
        ),
        (
            lambda: lx.while_loop(lambda c: bool(c < 3), lambda c: c + 1, (ONE,)),
            RuntimeError, "reads a value inside the function given to while_loop",
        ),
        (
            lambda: lx.scan(lambda c, x: (c, keeps(x)), ONE, ROWS),
            RuntimeError, r"in-place write to a float32\[\].*outside.*test_control.py",
        ),
        (
            lambda: lx.scan(lambda c, x: (c.add_(x), x), ONE, ROWS),
            RuntimeError, r"in-place write to a float32\[\] that is given",
        ),
        (
            lambda: lx.while_loop(lambda c: c, lambda c: c + 1, (ONE,)),
            RuntimeError, r"cond_fn must be a bool tensor of one element, got float32\[\]",
        ),
        (
            lambda: lx.while_loop(lambda c: c < 3, lambda c: c.double(), (ONE,)),
            RuntimeError, "body_fn must give back tensors of the types",
        ),
        (lambda: lx.while_loop(lambda c: c < 3, lambda c: c, ONE), TypeError, "carried_inputs must be a tuple or list"),
        (
            lambda: lx.while_loop(lambda c: c < 3, lambda c: c, (ONE,), max_trips=-1),
            ValueError, "max_trips must not be negative",
        ),
        (lambda: lx.cond(ONE, lambda x: x, lambda x: x, (ONE,)), RuntimeError, "pred must be a bool tensor of one element"),
        (
            lambda: lx.cond(ONE > 0, lambda x: x, lambda x: x.double(), (ONE,)),
            RuntimeError, "must give back the same structure and types",
        ),
        (lambda: lx.cond(ONE > 0, lambda x: x, lambda x: x, ONE), TypeError, "operands must be a tuple or list"),
        (
            lambda: lx.associative_scan(lambda a, b: a.double(), ROWS),
            RuntimeError, "combine_fn must give back what it is given",
        ),
        (lambda: lx.associative_scan(lambda a, b: a, (ROWS, lx.ones(2))), ValueError, "one size along dim 0"),
    ],
)
def test_what_cannot_be_is_said_at_the_users_line(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
    assert lx.scan(lambda c, x: (c + x, None), lx.tensor(0.0), ROWS)[0].item() == 3.0  # and nothing is left behind
