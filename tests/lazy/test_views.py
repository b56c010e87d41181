"""Views and in-place writes: who sees what, against NumPy's own views; what autograd makes of them; and the errors."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.autograd import gradcheck

# --- random programs of views and writes, against NumPy ---------------------------------------------------------


class Pair:
    """A tensor and the array that must always equal it."""

    def __init__(self, tensor, array) -> None:
        self.tensor, self.array = tensor, array


def a_view(rng, pair):
    """A random view of the pair."""
    t, a = pair.tensor, pair.array
    if a.ndim == 0:
        return Pair(t.view(1), a.reshape(1))
    d = int(rng.integers(a.ndim))
    n = a.shape[d]
    kind = rng.choice("slice select transpose permute unsqueeze squeeze split diagonal step narrow".split())
    at = (slice(None),) * d
    if kind == "slice" and n > 1:
        lo = int(rng.integers(n))
        hi = int(rng.integers(lo, n + 1))
        return Pair(t[(*at, slice(lo, hi))], a[(*at, slice(lo, hi))])
    if kind == "select" and n:
        i = int(rng.integers(-n, n))
        return Pair(t.select(d, i), a[(*at, i)])
    if kind == "transpose" and a.ndim > 1:
        return Pair(t.transpose(0, d), a.swapaxes(0, d))
    if kind == "permute":
        order = rng.permutation(a.ndim).tolist()
        return Pair(t.permute(order), a.transpose(order))
    if kind == "unsqueeze" and a.ndim < 4:
        return Pair(t.unsqueeze(d), np.expand_dims(a, d))
    if kind == "squeeze" and n == 1:
        return Pair(t.squeeze(d), a.squeeze(d))
    if kind == "split" and n > 1:
        k = int(rng.integers(1, n))
        i = int(rng.integers(2))
        return Pair(t.split([k, n - k], d)[i], np.split(a, [k], d)[i])
    if kind == "diagonal" and a.ndim > 1:
        return Pair(t.diagonal(), np.einsum("ii...->...i", a[: a.shape[1], : a.shape[0]]))
    if kind == "step" and n > 2:
        return Pair(t[(*at, slice(None, None, 2))], a[(*at, slice(None, None, 2))])
    if kind == "narrow" and n:
        return Pair(t.narrow(d, 0, n - 1), a[(*at, slice(0, n - 1))])
    return Pair(t[...], a[...])


def a_write(rng, pair):
    """A random in-place change of the pair."""
    t, a = pair.tensor, pair.array
    kind = rng.choice(["fill", "add", "multiply", "copy", "mask", "zero", "row", "by index", "operator"])
    if kind == "fill":
        t.fill_(3.0)
        a[...] = 3
    elif kind == "add":
        t.add_(1.5)
        a += 1.5
    elif kind == "multiply":
        t *= 0.5
        a *= 0.5
    elif kind == "copy":
        new = rng.integers(-9, 9, a.shape).astype(np.float32)
        t.copy_(lx.tensor(new))
        a[...] = new
    elif kind == "mask":
        t[t > 1] = -1.0
        a[a > 1] = -1
    elif kind == "zero":
        t.zero_()
        a[...] = 0
    elif kind == "row" and a.ndim and a.shape[0]:
        t[0] = 7.0
        a[0] = 7
    elif kind == "by index" and a.ndim and a.shape[0] > 1:
        at = rng.permutation(a.shape[0])[:2]
        t[lx.tensor(at)] = 4.5
        a[at] = 4.5
    elif kind == "operator":
        t -= t.clone().abs()
        a -= np.abs(a.copy())


@pytest.mark.parametrize("seed", range(25))
def test_random_views_and_writes_are_numpys(seed):
    rng = np.random.default_rng(seed)
    start = rng.integers(-9, 9, (3, 4, 2)).astype(np.float32)
    pairs = [Pair(lx.tensor(start), start.copy())]
    for _ in range(14):
        if rng.integers(2):
            pairs.append(a_view(rng, pairs[rng.integers(len(pairs))]))
        else:
            a_write(rng, pairs[rng.integers(len(pairs))])
    for i in rng.permutation(len(pairs)):  # in any order, each is read on its own
        np.testing.assert_array_equal(pairs[i].tensor.numpy(), pairs[i].array)


# --- one by one -------------------------------------------------------------------------------------------------


def test_the_writes_of_the_design():
    x = lx.arange(5.0)
    x[1:3] += 1
    x.view(5, 1).mul_(2)
    x[x > 7] = 0
    assert x.tolist() == [0, 4, 6, 6, 0]
    y = x.reshape(1, 5)
    y.zero_()
    assert x.tolist() == [0] * 5


def test_what_is_not_a_view():
    x = lx.arange(6.0).reshape(2, 3)
    for copy in (x.clone(), x + 0, x[[0, 1]], x[x > -1], x.t().reshape(6)):
        copy.zero_()
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(RuntimeError, match=r"view size is not compatible|view\(\)"):
        x.t().view(6)


def test_versions_count_writes():
    x = lx.zeros(3)
    view = x[1:]
    assert (x._version, view._version) == (0, 0)
    view.add_(1)
    assert (x._version, view._version) == (1, 1)
    assert view._base is x and view._is_view() and not x._is_view()
    assert x.detach()._version == 1


def test_detach_shares_and_data_does_not_count():
    w = lx.ones(2, requires_grad=True)
    w.detach().zero_()
    assert w.tolist() == [0, 0] and w._version == 1
    w.data.fill_(5)
    assert w.tolist() == [5, 5] and w._version == 1
    old = w[0:1].detach()
    w.data = lx.tensor([7.0, 8.0])
    assert w.tolist() == [7, 8] and old.tolist() == [5]


def test_splits_alias_their_base():
    x = lx.zeros(4)
    a, b = x.chunk(2)
    a += 1
    b[0] = 5
    assert x.tolist() == [1, 1, 5, 0]


def test_augmented_assignment_through_an_attribute():
    class Box:
        value = lx.zeros(3)

    alias = Box.value[1:]
    Box.value[0] += 2
    alias *= 3
    alias += 1
    assert Box.value.tolist() == [2, 1, 1]


# --- autograd through writes ------------------------------------------------------------------------------------


def test_writes_are_differentiated():
    def f(x, y):
        z = x * 2
        z[0] = y
        z[1:, 0].mul_(z[1:, 1].clone())
        z[0] *= y.sin()
        z[2].div_(y.exp()).cos_()
        z.t()[2].add_(x.sum())
        z[z > 100] = 0
        return z * z

    x = lx.tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    y = lx.tensor(np.random.default_rng(1).normal(size=3), requires_grad=True)
    assert gradcheck(f, (x, y))


def test_a_leaf_that_requires_grad_is_not_written():
    w = lx.ones(3, requires_grad=True)
    for write in (lambda: w.add_(1), lambda: w[0:1].zero_(), lambda: w.view(3, 1).mul_(2), lambda: w.__setitem__(0, 1.0)):
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            write()
    assert w.tolist() == [1, 1, 1] and w._version == 0
    with lx.no_grad():
        w[0] = 2.0
    assert w.tolist() == [2, 1, 1] and w.requires_grad


def test_damage_to_what_backward_needs_is_told_with_the_line():
    x = lx.ones(3, requires_grad=True)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as info:
        y.sum().backward()
    assert "test_views.py" in str(info.value)
    assert x.grad is None


def test_a_write_that_harms_nothing_is_fine():
    x = lx.ones(3, requires_grad=True)
    y = x + 1
    y.mul_(3)  # addition keeps nothing
    y.sum().backward()
    assert x.grad.tolist() == [3, 3, 3]


def test_a_write_does_not_harm_what_it_reads_itself():
    x = lx.tensor([1.0, 2.0], requires_grad=True)
    y = lx.tensor([3.0, 4.0], requires_grad=True)
    z = x * 2
    z.mul_(y * 1)
    gx, gy = lx.autograd.grad(z.sum(), (x, y))
    assert (gx.tolist(), gy.tolist()) == ([6, 8], [2, 4])
    z = x * 2
    z.mul_(y)
    z += 1
    z.mul_(y)  # needs the value before it, which the first does not harm
    assert lx.autograd.grad(z.sum(), (x,))[0].tolist() == [18, 32]


# --- indexing ---------------------------------------------------------------------------------------------------

A = np.arange(60).reshape(3, 4, 5)
INDICES = {
    "number": 1, "negative": -1, "pair": (1, 2), "slices": (slice(1), slice(None, None, 2)), "ellipsis": (..., 0),
    "middle": (0, ..., 1), "new axis": (None, 1, None), "list": [2, 0], "lists": ([0, 2], [1, 3]),
    "list and slice": ([0, 2], slice(1, 3)), "split lists": ([0, 2], slice(None), [1, 1]), "broadcast": ([[0], [2]], [1, 3]),
    "mask": A > 30, "row mask": np.array([True, False, True]), "mask and number": (np.array([True, False, True]), 2),
    "scalar mask": True, "array": np.array([[0, 1], [2, 2]]), "empty": ([],), "past the end": slice(1, 99),
    "negative list": ([-1, -3], -2), "new axis and list": (None, [1, 0]),
}  # fmt: skip


def as_tensors(index):
    if isinstance(index, tuple):
        return tuple(as_tensors(i) for i in index)
    return lx.tensor(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("name", INDICES)
def test_reading_and_writing_by(name):
    index = INDICES[name]
    x = lx.tensor(A)
    at = np.array([], np.int64) if name == "empty" else index
    np.testing.assert_array_equal(x[as_tensors(index)].numpy(), A[at])
    expected = A.copy()
    expected[at] = -5
    x[as_tensors(index)] = -5
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("index, kind, words", [
    (3, IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
    ((0, 0, 0, 0), IndexError, "too many indices"),
    (slice(None, None, -1), ValueError, "step must be greater than zero"),
    ("a", (IndexError, TypeError), "ind"),
    ((..., ...), IndexError, "ellipsis"),
    ([True, False], IndexError, "shape of the mask"),
    ([5], IndexError, "out of bounds|out of range"),
])  # fmt: skip
def test_bad_indices(index, kind, words):
    x = lx.tensor(A)
    with pytest.raises(kind, match=words):
        _ = x[index]
    with pytest.raises(kind):
        x[index] = 0
    np.testing.assert_array_equal(x.numpy(), A)


def test_a_value_that_does_not_fit_changes_nothing():
    x = lx.zeros(3, 2)
    with pytest.raises(RuntimeError, match="shape|size|expand"):
        x[0] = lx.ones(3)
    with pytest.raises(RuntimeError, match="doesn't match|shape"):
        x.add_(lx.ones(2, 3, 2))
    with pytest.raises(RuntimeError, match="can't be cast"):
        lx.zeros(2, dtype=lx.int64).add_(0.5)
    assert x.tolist() == [[0, 0]] * 3


# --- in-place writes to what has a history ----------------------------------------------------------------------

OVERWRITING = {  # what is done to y = 2x, and the gradients of x and t
    "fill_": (lambda y, t: y.fill_(3.0), [0, 4, 0], 0), "zero_": (lambda y, t: y.zero_(), [0, 4, 0], 0),
    "fill_ by a tensor": (lambda y, t: y.fill_(t), [0, 4, 0], 20), "copy_": (lambda y, t: y.copy_(t), [0, 4, 0], 20),
    "masked_fill_": (lambda y, t: y.masked_fill_(lx.tensor([True, False, True]), 2.0), [0, 20, 0], 0),
    "a slice filled": (lambda y, t: y[1:].fill_(t), [0, 4, 0], 20), "mul_": (lambda y, t: y.mul_(0), [0, 4, 0], 0),
    "assigned": (lambda y, t: y.__setitem__(slice(None), t), [0, 4, 0], 20),
}  # fmt: skip


@pytest.mark.parametrize("name", OVERWRITING)
def test_a_write_after_a_value_was_written_over(name):
    """y = 2x, written over, then y[0] = x[1]: the gradients of the sum of squares."""
    write, of_x, of_t = OVERWRITING[name]
    x, t = lx.tensor([1.0, 2.0, 3.0], requires_grad=True), lx.tensor(5.0, requires_grad=True)
    y = x * 2
    write(y, t)
    y[0] = x[1]
    ((y * y).sum() + 0 * t).backward()
    assert (x.grad.tolist(), t.grad.item()) == (of_x, of_t)


def test_what_is_written_is_not_the_tensor_it_was_taken_from():
    """``fill_``, ``copy_`` and assigning take the value, not the place in the graph."""
    for write in (lambda y, t: y.fill_(t), lambda y, t: y.copy_(t), lambda y, t: y.__setitem__(..., t)):
        t = lx.tensor(2.0, dtype=lx.float64, requires_grad=True)
        square = t * t
        y = lx.zeros((), dtype=lx.float64)
        write(y, t)
        assert not y.is_leaf and y.requires_grad
        y.mul_(3)
        (y + square).backward()
        assert (t.item(), y.item(), t.grad.item()) == (2, 6, 7)


def test_a_view_of_the_whole_has_a_history_of_its_own():
    x = lx.tensor([1.0, 2.0], requires_grad=True)
    for whole in (x[...], x.view(2), x[:], x.view_as(x)):
        assert whole.requires_grad and not whole.is_leaf and "Backward0" in whole.grad_fn.name()
    with lx.no_grad():
        assert not x[...].requires_grad
        seen = x[...]
    doubled = x[...]
    doubled.register_hook(lambda g: g * 2)
    (doubled + x).sum().backward()
    assert x.grad.tolist() == [3, 3] and not seen.requires_grad


# --- complex numbers and their parts ----------------------------------------------------------------------------

PARTS = {
    "real": lambda z: z.real, "imag": lambda z: z.imag, "conj": lambda z: z.conj(), "mH": lambda z: z.mH,
    "imag of conj": lambda z: z.conj().imag, "pairs": lx.view_as_real, "of pairs": lambda z: lx.view_as_real(z)[1:, :, 0],
    "there and back": lambda z: lx.view_as_complex(lx.view_as_real(z))[0], "row of conj": lambda z: z.conj()[1],
    "strided": lambda z: z.as_strided((2, 2), (3, 1), 1), "strided conj": lambda z: z.as_strided((2,), (3,)).conj(),
    "strided imag": lambda z: z.imag.as_strided((3,), (2,), 1),
    "strided imag of conj": lambda z: z.conj().imag.as_strided((2,), (2,)),
}  # fmt: skip


def array_part(name, a):
    """The same piece of an array, to be written to through ``write``; NumPy has no view of a conjugate."""
    flat = a.reshape(-1)
    return {
        "real": a.real, "imag": a.imag, "conj": a, "mH": a.T, "imag of conj": a.imag,
        "pairs": a.view(np.float64).reshape(2, 3, 2), "of pairs": a.real[1:], "there and back": a[0], "row of conj": a[1],
        "strided": np.lib.stride_tricks.as_strided(flat[1:], (2, 2), (48, 16)), "strided conj": flat[::3],
        "strided imag": flat.imag[:3], "strided imag of conj": flat.view(np.float64)[1:5:2],
    }[name]  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_writes_through_views_of_complex_numbers(name):
    """A piece doubled, and a number added to it, with the gradient of that."""
    start = np.arange(1, 7).reshape(2, 3) * (1 + 2j) + 1j
    z, a = lx.tensor(start.copy()), start.copy()
    piece, there = PARTS[name](z), array_part(name, a)
    turned = "conj" in name or name == "mH"
    by = 2j if piece.is_complex() else 3.0
    expected = np.conj(there) if turned and np.iscomplexobj(there) else -there if turned else there
    np.testing.assert_array_equal(piece.resolve_conj().numpy(), expected)
    piece.mul_(by)
    there[...] = there * (np.conj(by) if turned else by)
    np.testing.assert_array_equal(z.numpy(), a)
    np.testing.assert_array_equal(PARTS[name](z).numpy(), piece.numpy())

    def written(x):
        y = x * 1
        PARTS[name](y).mul_(by)
        return y * y

    assert gradcheck(written, (lx.tensor(start, requires_grad=True),))


def test_parts_are_assigned():
    z = lx.tensor([1 + 2j, 3 + 4j])
    z.real = 5.0
    z.imag = z.real * 2
    assert z.tolist() == [5 + 10j, 5 + 10j]
    with pytest.raises(RuntimeError, match="imag is not implemented"):
        lx.ones(2).imag = 1.0


def test_conjugates_are_views():
    z = lx.tensor([1 + 2j])
    c = z.conj()
    assert (c.is_conj(), c[0].is_conj(), c.conj().is_conj(), c.real.is_conj()) == (True, True, False, False)
    assert c.imag.is_neg() and not c.real.is_neg() and not z.is_conj() and not z.conj_physical().is_conj()
    z.mul_(2)
    assert c.tolist() == [2 - 4j] and c.resolve_conj() is not c and z.resolve_conj() is z
    assert not c.resolve_conj().is_conj() and c.imag.resolve_neg().tolist() == [-4]
    with pytest.raises(RuntimeError, match="view_as_real doesn't work on unresolved conjugated tensors"):
        lx.view_as_real(c)
    with pytest.raises(RuntimeError, match="storage_offset and strides divisible by 2"):
        lx.view_as_complex(lx.ones(3)[1:])
    real = lx.ones(2)
    assert real.conj() is real and real.resolve_neg() is real


def test_a_result_may_not_lie_across_its_operands():
    def made():
        return lx.arange(9.0), lx.arange(9.0).reshape(3, 3)

    line, square = made()
    for across in (
        lambda: lx.add(line[:3], 1, out=line[1:4]),
        lambda: lx.where(line[:3] > 0, line[2:5], 0.0, out=line[4:7]),
        lambda: lx.add(square.T, 1, out=square),
        lambda: lx.cat([line[:3], line[3:6]], out=line[:6]),
        lambda: lx.sort(line[:3], out=(line[1:4], lx.empty(3, dtype=lx.int64))),
    ):
        with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor refer to a single"):
            across()
    assert line.tolist() == list(range(9))
    lx.add(line[:3], 1, out=line[3:6])
    lx.mul(line, 2, out=line)
    lx.sub(line[6:], 1, out=line[6:])
    assert line.tolist() == [0, 2, 4, 2, 4, 6, 11, 13, 15]
    lx.sum(square, 0, out=square[0])
    lx.mm(square[:2, :2], square[:2, :2], out=square[1:, 1:])  # computed apart
    assert square.tolist() == [[9, 12, 15], [3, 117, 156], [6, 39, 52]]


def test_addbmm_in_place_takes_the_shape_of_the_sum():
    x = lx.ones(1)
    assert x.addbmm_(lx.ones(1, 2, 1), lx.ones(1, 1, 2)) is x and x.tolist() == [[2.0, 2.0]] * 2
    with pytest.raises(RuntimeError):
        lx.ones(()).addbmm_(lx.ones(1, 1, 1), lx.ones(1, 1, 1))
