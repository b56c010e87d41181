"""Derivatives of samples, windows, copies, sums in 16 bits, and what a tensor says of its memory."""

import math

import numpy as np
import pytest
import scipy.signal
import scipy.special

import lazyxla as lx
from tests import tolerances

Y = np.array([[1.0, 4.0, 9.0, 7.0], [2.0, 2.0, -3.0, 5.0], [0.5, 1.0, 6.0, 2.0]])


@pytest.mark.parametrize("order", [1, 2])
def test_gradient_is_numpys(order):
    y, at = lx.tensor(Y), [np.array([0.0, 1.0, 3.0]), np.array([1.0, 1.5, 4.0, 4.25])]
    rows = {
        "all": (lx.gradient(y, edge_order=order), np.gradient(Y, edge_order=order)),
        "spaced": (lx.gradient(y, spacing=0.5, edge_order=order), np.gradient(Y, 0.5, edge_order=order)),
        "a dim": (lx.gradient(y, spacing=2, dim=1, edge_order=order), [np.gradient(Y, 2, axis=1, edge_order=order)]),
        "each": (lx.gradient(y, spacing=[2.0, 3.0], edge_order=order), np.gradient(Y, 2.0, 3.0, edge_order=order)),
        "places": (
            lx.gradient(y, spacing=[lx.tensor(a) for a in at], edge_order=order), np.gradient(Y, *at, edge_order=order)
        ),
    }  # fmt: skip
    for name, (got, want) in rows.items():
        tolerances.compare({name: (tuple(got), tuple(want))}, 10)


def test_gradient_can_be_differentiated():
    x = lx.tensor(Y, requires_grad=True)
    assert lx.autograd.gradcheck(lambda t: sum(g.square().sum() for g in lx.gradient(t, edge_order=2)), x)


def test_renorm_scales_down_what_is_too_long():
    x = lx.tensor(Y)
    for p in (1.0, 2.0, 3.0, math.inf):
        length = np.linalg.norm(Y, p, axis=0, keepdims=True)
        want = np.where(length > 5, Y * 5 / (length + 1e-7), Y)
        tolerances.compare({f"p={p}": (lx.renorm(x, p, 1, 5.0), want)}, 10)
    y = x.clone()
    assert y.renorm_(2, 0, 1.0) is y
    np.testing.assert_allclose(np.linalg.norm(y.numpy(), axis=1), 1.0, rtol=1e-6)


def test_index_reduce_combines_rows():
    x, index, source = np.arange(6.0).reshape(3, 2) + 1, np.array([0, 2, 0]), np.array([[5.0, -1], [2, 2], [3, 0]])
    for name, f in {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}.items():
        want = x.copy()
        f.at(want, index, source)
        got = lx.tensor(x).index_reduce(0, lx.tensor(index), lx.tensor(source), name)
        tolerances.compare({name: (got, want)})
    want = x.copy()
    want[0], want[2] = (5 + 3) / 2, 2
    want[0, 1] = -0.5
    got = lx.tensor(x).index_reduce(0, lx.tensor(index), lx.tensor(source), "mean", include_self=False)
    tolerances.compare({"mean": (got, want)})
    y = lx.tensor(x)
    y.index_reduce_(0, lx.tensor(index), lx.tensor(source), "mean")
    tolerances.compare({"mean with self": (y[0], np.array([(1 + 5 + 3) / 3, (2 - 1 + 0) / 3]))})


def test_a_product_with_zeros_has_the_gradient_of_the_others():
    x = lx.tensor([2.0, 3.0], dtype=lx.float64, requires_grad=True)
    s = lx.tensor([4.0, 0.0, 0.0, 0.0], dtype=lx.float64, requires_grad=True)
    index = lx.tensor([0, 0, 1, 1])
    y = x.scatter_reduce(0, index, s, "prod")
    gx, gs = lx.autograd.grad(y.sum(), (x, s))
    assert gx.tolist() == [0.0, 0.0]
    assert gs.tolist() == [0.0, 8.0, 0.0, 0.0]


def test_a_fill_by_index_counts_each_place_once():
    x = lx.ones(2, 4, requires_grad=True)
    value = lx.tensor(3.0, requires_grad=True)
    y = x.index_fill(1, lx.tensor([2, 0, 2]), value)
    assert y.tolist() == [[3, 1, 3, 1]] * 2
    gx, gv = lx.autograd.grad(y.sum(), (x, value))
    assert gx.tolist() == [[0, 1, 0, 1]] * 2 and gv.item() == 4.0


@pytest.mark.parametrize("p", [0.5, 1.5, 3.0])
def test_norms_have_finite_gradients_at_zero(p):
    x = lx.tensor([[0.0, 0.0], [3.0, 0.0]], dtype=lx.float64, requires_grad=True)
    (g,) = lx.autograd.grad(x.norm(p, 1).sum(), x)
    np.testing.assert_allclose(g.numpy(), [[0, 0], [1, 0]], atol=1e-12)
    y = lx.tensor(Y, requires_grad=True)
    assert lx.autograd.gradcheck(lambda t: t.norm(p, 1), y)
    z = lx.tensor(Y + 1j * Y[::-1], requires_grad=True)
    assert lx.autograd.gradcheck(lambda t: t.norm(p, 1), z)


def test_norms_of_negative_order_at_zero():
    """1 / (1/|a| + 1/|b|) is 0 with a or b, and its gradient is taken to be 0 there."""
    given = [[0.0, 2.0], [0.0, 0.0], [4.0, -4.0], [np.nan, 0.0]]
    x = lx.tensor(given, dtype=lx.float64, requires_grad=True)
    y = x.norm(-1, 1)
    np.testing.assert_allclose(y.tolist(), [0, 0, 2, np.nan])
    (g,) = lx.autograd.grad(y[:3].sum(), x)
    np.testing.assert_allclose(g.tolist()[:3], [[0, 0], [0, 0], [0.25, -0.25]])
    assert lx.autograd.gradcheck(lambda t: t.norm(-2, 1), lx.tensor(Y, requires_grad=True))


def _second(f, x):
    """The gradient of f at x, the gradient of its sum, and the slope of f along ones."""
    x = lx.tensor(x, dtype=lx.float64, requires_grad=True)
    (g,) = lx.autograd.grad(f(x).sum(), x, create_graph=True)
    (h,) = lx.autograd.grad(g.sum(), x) if g.requires_grad else (lx.zeros_like(x),)
    return g.tolist(), h.tolist(), lx.func.jvp(f, (x.detach(),), (lx.ones_like(x),))[1].tolist()


def test_derivatives_where_a_formula_divides_by_zero():
    log2, special = math.log(2.0), lx.special
    assert _second(lambda x: x.std(0), [3.0, 3.0]) == ([0.0, 0.0], [0.0, 0.0], 0.0)
    assert _second(lambda x: lx.std_mean(x, 0)[0], [3.0, 3.0])[0] == [0.0, 0.0]
    assert _second(lambda x: x**0, [0.0, 2.0]) == ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
    exponents = lx.tensor([0.0, 1.0, 2.0], dtype=lx.float64)
    assert _second(lambda x: lx.pow(x, exponents), [0.0, 0.0, 0.0]) == ([0.0, 1.0, 0.0], [0.0, 0.0, 2.0], [0.0, 1.0, 0.0])
    for f, y in ((lx.xlogy, 2.0), (special.xlog1py, 1.0)):  # the slope of x log y at 0 is log y, where that is finite
        other = lx.tensor([y, -1.0, y], dtype=lx.float64)
        g, h, slope = _second(lambda x, f=f, other=other: f(x, other), [0.0, 0.0, 3.0])
        np.testing.assert_allclose([g, h, slope], [[log2, 0.0, log2], [0.0] * 3, [log2, 0.0, log2]])
    assert lx.xlogy(0.0, lx.tensor([0.0, -1.0, math.inf, 2.0])).tolist() == [0.0] * 4
    assert math.isnan(lx.xlogy(0.0, lx.tensor([math.nan])).item())
    g, h, slope = _second(lambda x: lx.linalg.vector_norm(x, 0.5), [4.0, 0.0, 1.0])  # of (sqrt a + sqrt b) ** 2
    np.testing.assert_allclose(g, [1.5, 0.0, 3.0])
    np.testing.assert_allclose([h[0], h[2]], [0.5 / 4 - 0.5 * 1.5 / 4 + 0.5 / 2, 0.5 - 0.5 * 3 + 0.5 / 2])
    assert h[1] == 0 and slope == pytest.approx(4.5)


def test_elements_equal_to_the_median_of_all_share_its_gradient():
    nan = math.nan
    assert _second(lx.median, [2.0, 5.0, 2.0, 1.0, 2.0])[0] == [1 / 3, 0.0, 1 / 3, 0.0, 1 / 3]
    assert _second(lx.nanmedian, [2.0, nan, 2.0, 1.0, 5.0])[0] == [0.5, 0.0, 0.5, 0.0, 0.0]
    assert _second(lx.median, [2.0, nan, 2.0, nan])[0] == [0.0, 0.5, 0.0, 0.5]


def test_small_functions():
    x = lx.tensor(Y)
    rows = {
        "mvlgamma": (lx.mvlgamma(x + 5, 3), scipy.special.multigammaln(Y + 5, 3)),
        "sum_to_size": (x.sum_to_size(1, 4), Y.sum(0, keepdims=True)),
        "sum_to_size fewer": (x.sum_to_size(4), Y.sum(0)),
        "as_strided_scatter": (
            lx.as_strided_scatter(lx.zeros(2, 3), lx.ones(2, 2), (2, 2), (3, 1), 1), np.array([[0, 1, 1], [0, 1, 1.0]])
        ),
        "expand_copy": (lx.expand_copy(x[:1], (3, 4)), np.broadcast_to(Y[:1], (3, 4))),
        "permute_copy": (lx.permute_copy(x, (1, 0)), Y.T), "slice_copy": (lx.slice_copy(x, 1, 1, 4, 2), Y[:, 1:4:2]),
        "split_copy": (lx.split_copy(x, 2), (Y[:2], Y[2:])), "reversed": (reversed(x), Y[::-1, ::-1]),
        "resize": (x.t(), Y.T), "spmm": (lx.spmm(x, x.t()), Y @ Y.T),
    }  # fmt: skip
    tolerances.compare(rows, 100)
    one = lx.tensor(7, dtype=lx.uint8)
    assert one.sum_to_size(()).dtype is lx.int64 and one.view(1, 1).sum_to_size(1, 1).dtype is lx.uint8
    base = lx.zeros(3)
    lx.view_copy(base, (3, 1)).fill_(1)
    assert base.tolist() == [0, 0, 0]


PERIODIC = {
    "hann_window": "hann", "hamming_window": "hamming", "blackman_window": "blackman", "bartlett_window": "bartlett",
}  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_windows_are_scipys(n):
    rows = {}
    for name, other in PERIODIC.items():
        for periodic in (True, False):
            got = getattr(lx, name)(n, periodic, dtype=lx.float64)
            rows[f"{name} {periodic}"] = got, scipy.signal.get_window(other, n, fftbins=periodic)
    rows["kaiser"] = lx.kaiser_window(n, False, 5.0, dtype=lx.float64), scipy.signal.windows.kaiser(n, 5.0)
    tolerances.compare(rows, 100)
    assert lx.hann_window(n).dtype is lx.float32 and lx.hann_window(0).shape == (0,)


def test_bad_windows():
    with pytest.raises(RuntimeError, match="requires non-negative window_length, got window_length=-1"):
        lx.hann_window(-1)
    with pytest.raises(RuntimeError, match="expects floating point dtypes, got: int64"):
        lx.hann_window(3, dtype=lx.int64)


@pytest.mark.parametrize("dtype", [lx.bfloat16, lx.float16])
def test_16_bit_numbers_add_up_in_float32(dtype):
    x = lx.full((3000,), 1.0, dtype=dtype)
    zero, places = lx.zeros(2, dtype=dtype), lx.zeros(3000, dtype=lx.int64)
    sums = {
        "sum": x.sum(), "cumsum": x.cumsum(0)[-1], "nansum": x.nansum(), "index_add": zero.index_add(0, places, x)[0],
        "scatter_add": zero.scatter_add(0, places, x)[0],
    }  # fmt: skip
    near = {n: v.float().item() for n, v in sums.items()}
    assert all(abs(v - 3000) <= 12 for v in near.values()), near
    up = lx.full((1000,), 1.0078125, dtype=dtype)
    for product in (up.prod(), up.cumprod(0)[-1]):
        assert abs(product.float().item() / 1.0078125**1000 - 1) < 0.01
    if dtype is lx.float16:
        assert (x * 300).norm().item() == pytest.approx(300 * math.sqrt(3000), rel=1e-3)


def test_memory():
    x = lx.arange(6, dtype=lx.float32).reshape(2, 3)
    row = x[1]
    assert x.untyped_storage().nbytes() == 24 and row.storage().size() == 6 and len(x.storage()) == 6
    assert row.storage().data_ptr() == x.storage().data_ptr() and row.storage().tolist() == [0, 1, 2, 3, 4, 5]
    assert x.storage().untyped().size() == 24 and lx.is_storage(x.storage()) and not lx.is_storage(x)
    assert row.is_set_to(x[1]) and not row.is_set_to(x[0]) and x.dim_order() == (0, 1) and x.t().dim_order() == (1, 0)
    y = lx.zeros(2)
    y.set_(row)
    y[0] = 9
    assert x[1, 0].item() == 9 and y.shape == (3,)
    y.set_()
    assert y.numel() == 0
    with pytest.raises(RuntimeError, match="Could not set tensor of type int64 to a tensor of type float32"):
        y.set_(lx.tensor([1]))
    with pytest.raises(NotImplementedError, match="a tensor is expected as source"):
        y.set_(x.storage())


def test_subclasses_keep_memory_and_history():
    class Mine(lx.Tensor):
        pass

    x = lx.ones(2, requires_grad=True)
    m = (x * 2).as_subclass(Mine)
    assert type(m) is Mine
    m.sum().backward()
    assert x.grad.tolist() == [2, 2]
    with pytest.raises(TypeError, match="a subclass of Tensor is expected"):
        x.as_subclass(int)


def test_python_functions_of_elements():
    x = lx.tensor([1.0, -2.0])
    assert x.apply_(lambda v: v * v) is x and x.tolist() == [1.0, 4.0]
    assert x.map_(lx.tensor([10.0, 20.0]), lambda a, b: a + b).tolist() == [11.0, 24.0]
    assert 24 in x and 3 not in x and x[0] in x
    with pytest.raises(RuntimeError, match="only supports Tensor or scalar"):
        "a" in x  # noqa: B015


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: x.to_sparse_bsr(), NotImplementedError, r"to_sparse_bsr\(\): lazyxla has no sparse block tensors"),
        (lambda x: lx.sparse_bsc_tensor([0], [], []), NotImplementedError, "no sparse block tensors"),
        (lambda x: x.coalesce(), RuntimeError, "expected sparse coordinate tensor layout but got Strided"),
        (lambda x: x.values(), RuntimeError, "expected sparse tensor layout but got Strided"),
        (lambda x: x.crow_indices(), RuntimeError, "expected sparse row compressed tensor layout"),
        (lambda x: x.index((0,), ()), NotImplementedError, "first-class dims are not supported"),
        (lambda x: x.share_memory_(), NotImplementedError, "belongs to this process"),
        (lambda x: lx.gradient(x, spacing=[1.0, 2.0, 3.0]), RuntimeError, "of the length 2 of dims, got 3"),
        (lambda x: lx.gradient(x, edge_order=3), RuntimeError, "edge_order=1 and edge_order=2, not 3"),
        (lambda x: lx.gradient(x[:1]), RuntimeError, r"at least edge_order\+1, got 1 at dim 0"),
        (lambda x: x.renorm(0, 0, 1.0), RuntimeError, "non-positive norm not supported"),
        (lambda x: x.renorm(2, 0, -1.0), RuntimeError, "maxnorm to be >= 0"),
        (lambda x: x[0].renorm(2, 0, 1.0), RuntimeError, "at least 2 dimensions"),
        (lambda x: x.index_reduce(0, lx.tensor([0]), x[:1], "sum"), RuntimeError, "one of prod, mean, amax or amin"),
        (lambda x: x.sum_to_size(7), RuntimeError, "is not expandable to size"),
        (lambda x: lx.mvlgamma(x, 0), RuntimeError, "greater than or equal to 1, got 0"),
        (lambda x: lx.as_strided_scatter(x, x, (1,), (1,)), RuntimeError, "size equal to the slice of self"),
    ],
)
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call(lx.tensor(Y))


def test_results_are_put_where_out_says():
    x = lx.tensor([[3.0, 4.0]])
    for call, out, expected in (
        (lambda out: lx.norm(x, 2, out=out), lx.empty(()), 5.0),
        (lambda out: lx.norm(x, "fro", 1, False, out), lx.empty(1), [5.0]),
        (lambda out: lx.nn.functional.normalize(x, out=out), lx.empty(1, 2), [[0.6, 0.8]]),
        (lambda out: lx.fft.fftfreq(4, out=out), lx.empty(4), [0.0, 0.25, -0.5, -0.25]),
        (lambda out: lx.fft.rfftfreq(4, out=out), lx.empty(3), [0.0, 0.25, 0.5]),
    ):
        assert call(out) is out
        np.testing.assert_allclose(out.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("to", ["uint8", "int16", "int32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("of", ["int8", "bfloat16", "float32", "int64", "complex64"])
def test_bits_are_seen_as_another_type(of, to):
    x = (lx.arange(-16, 16).reshape(2, 16) * 3).to(getattr(lx, of))
    wanted = x.numpy().view(getattr(lx, to).numpy)
    found = x.view(getattr(lx, to))
    assert found.shape == wanted.shape
    assert found.stride() == tuple(s // wanted.itemsize for s in wanted.strides)
    # as bytes, since most of what is made this way is no number; a zero stands for numbers too small to be written in full
    small = np.finfo(wanted.dtype).tiny if wanted.dtype.kind in "fc" else 0
    assert (found.numpy().tobytes() == wanted.tobytes()) or np.nanmin(np.abs(wanted[wanted != 0])) < small


def test_a_write_to_bits_seen_as_another_type_reaches_the_numbers():
    x = lx.zeros(2, 4)
    x[:, 2:].view(lx.int64).fill_(0x3F8000003F800000)
    x.view(lx.int16)[0, 1] = 0x4000
    assert x.tolist() == [[2, 0, 1, 1], [0, 0, 1, 1]]
    pairs = lx.zeros(1, 4, requires_grad=True)
    pairs.view(lx.complex64).real.sum().backward()
    assert pairs.grad.tolist() == [[1, 0, 1, 0]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: lx.tensor(1.0).view(lx.int16), r"self.dim\(\) cannot be 0 to view float32 as int16"),
        (lambda: lx.zeros(2, 3).view(lx.float64), r"self.size\(-1\) must be divisible by 2 .*, but got 3"),
        (lambda: lx.zeros(4, 4).t().view(lx.int16), r"self.stride\(-1\) must be 1 .*, but got 4"),
        (lambda: lx.zeros(4, 4)[:, 1:3].view(lx.float64), r"self.storage_offset\(\) must be divisible by 2"),
        (lambda: lx.zeros(4, 3)[:, :2].view(lx.float64), r"self.stride\(0\) must be divisible by 2"),
    ],
)
def test_bits_that_do_not_lie_side_by_side_are_refused(make, words):
    with pytest.raises(RuntimeError, match=words):
        make()


def test_the_first_places_that_are_not_zero_without_a_read():
    x = lx.tensor([[1, 0], [3, 2]])
    assert lx.nonzero_static(x, size=4).tolist() == [[0, 0], [1, 0], [1, 1], [-1, -1]]
    assert lx.nonzero_static(x, size=2, fill_value=9).tolist() == [[0, 0], [1, 0]]
    assert lx.nonzero_static(lx.tensor(3), size=2).shape == (2, 0)
    assert lx.nonzero_static(lx.zeros(0, 3), size=1).tolist() == [[-1, -1]]
    with pytest.raises(RuntimeError, match="non-negative integer, got -1"):
        lx.nonzero_static(x, size=-1)


@pytest.mark.parametrize("shape, wrap", [((5, 2), True), ((7, 3), True), ((7, 3), False), ((2, 5), True), ((3, 3, 3), False)])
def test_diagonals_of_other_than_square_matrices(shape, wrap):
    expected = np.zeros(shape)
    np.fill_diagonal(expected, 5, wrap=wrap)
    np.testing.assert_array_equal(lx.zeros(*shape).fill_diagonal_(5, wrap=wrap).numpy(), expected)


def test_places_as_often_as_numbers_say():
    assert lx.repeat_interleave(lx.tensor([1, 0, 3])).tolist() == [0, 2, 2, 2]


def test_order_of_dims():
    assert lx.empty(2, 3, 5).transpose(0, 1).dim_order(ambiguity_check=True) == (1, 0, 2)
    one = lx.empty(1, 2, 3)
    assert one.dim_order() == one.dim_order(ambiguity_check=[lx.contiguous_format, lx.channels_last]) == (0, 1, 2)
    with pytest.raises(RuntimeError, match="does not have unique dim order"):
        one.dim_order(ambiguity_check=True)
    with pytest.raises(TypeError, match="must be a bool or a list of memory formats"):
        one.dim_order(ambiguity_check="any")


def test_numbers_as_an_integer_grid_holds_them():
    x = lx.tensor([[-1.0, 0.05, 0.31], [0.15, 2.0, 0.25]], requires_grad=True)
    y = lx.fake_quantize_per_tensor_affine(x, 0.1, 2, 0, 7)
    np.testing.assert_allclose(y.detach().numpy(), [[-0.2, 0.0, 0.3], [0.2, 0.5, 0.2]], rtol=1e-6)
    y.sum().backward()
    assert x.grad.tolist() == [[0, 1, 1], [1, 0, 1]]
    scale, zero = lx.tensor([0.1, 1.0]), lx.tensor([2, 0], dtype=lx.int32)
    y = lx.fake_quantize_per_channel_affine(x.detach(), scale, zero, 0, 0, 7)
    np.testing.assert_allclose(y.numpy(), [[-0.2, 0.0, 0.3], [0, 2, 0]], rtol=1e-6)
    with pytest.raises(RuntimeError, match=r"scale must be of shape \[3\], as dim 1 of the input, got \[2\]"):
        lx.fake_quantize_per_channel_affine(x, scale, zero, 1, 0, 7)


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda n: lx.randint(0, 5, (n, 2)), (3, 2)),
        (lambda n: lx.randint(low=0, high=5, size=[n]), (3,)),
        (lambda n: lx.normal(0.0, 1.0, size=(n,)), (3,)),
        (lambda n: lx.randperm(n), (3,)),
        (lambda n: lx.eye(n), (3, 3)),
        (lambda n: lx.full((n,), 1.0), (3,)),
        (lambda n: lx.linspace(0, 1, n), (3,)),
        (lambda n: lx.zeros(8).split(n)[0], (3,)),
        (lambda n: lx.zeros(6).chunk(n)[0], (2,)),
        (lambda n: lx.zeros(6).roll(n), (6,)),
        (lambda n: lx.zeros(6).topk(n)[0], (3,)),
        (lambda n: lx.zeros(6, 6).diag(n), (3,)),
        (lambda n: lx.histc(lx.zeros(4), n), (3,)),
        (lambda n: lx.bincount(lx.tensor([1]), minlength=n), (3,)),
        (lambda n: lx.zeros(1, n), (1, 3)),
        (lambda n: lx.nn.functional.one_hot(lx.tensor([1]), n), (1, 3)),
        (lambda n: lx.nn.functional.interpolate(lx.zeros(1, 1, 4), size=n), (1, 1, 3)),
        (lambda n: lx.nn.functional.adaptive_avg_pool2d(lx.zeros(1, 1, 6, 6), n), (1, 1, 3, 3)),
    ],
)
def test_a_number_may_be_an_integer_tensor(call, shape):
    assert call(lx.tensor(3)).shape == shape


def test_sizes_that_are_no_integers_leave_nothing_behind():
    for size in ((lx.tensor(2.5),), (lx.tensor([1, 2]),), ("3",)):
        with pytest.raises((TypeError, RuntimeError)):
            lx.randint(0, 5, size)
    assert lx.ones(2).sum().item() == 2


def test_hashes_are_the_exclusive_or_of_the_bits():
    """Values that PyTorch documents or gives: elements as float64, int64 or uint64."""
    x = np.random.default_rng(0).standard_normal((3, 5, 2)).astype(np.float32)
    bits = x.astype(np.float64).view(np.uint64)
    assert lx.hash_tensor(lx.tensor(x)).item() == np.bitwise_xor.reduce(bits.ravel())
    np.testing.assert_array_equal(lx.hash_tensor(lx.tensor(x), 1), np.bitwise_xor.reduce(bits, 1))
    kept = lx.tensor(x).hash_tensor((0, -1), keepdim=True)
    np.testing.assert_array_equal(kept, np.bitwise_xor.reduce(bits, (0, 2), keepdims=True))
    assert kept.dtype is lx.uint64
    assert lx.hash_tensor(lx.tensor([-1, 2], dtype=lx.int8)).item() == 2**64 - 3
    assert lx.hash_tensor(lx.tensor([200, 7], dtype=lx.uint8)).item() == 207
    assert lx.hash_tensor(lx.tensor([True, False])).item() == 1
    assert lx.hash_tensor(lx.zeros(0, 2), 1).shape == (0,)
    for call, kind, words in (
        (lambda: lx.hash_tensor(lx.ones(2), mode=1), RuntimeError, "Unknown hash_tensor mode: 1"),
        (lambda: lx.hash_tensor(lx.zeros(2, 0), 1), IndexError, "reduction dim 1 to have non-zero size"),
        (lambda: lx.hash_tensor(lx.ones(2, dtype=lx.complex64)), NotImplementedError, "complex64"),
    ):
        with pytest.raises(kind, match=words):
            call()


def test_tensors_of_files(tmp_path):
    path = tmp_path / "numbers"
    np.arange(6, dtype=np.float32).tofile(path)
    x = lx.from_file(str(path), size=4)
    x.add_(10)
    assert x.tolist() == [10.0, 11.0, 12.0, 13.0] and lx.from_file(path, False, 6).tolist() == list(range(6))
    assert lx.from_file(path, size=1, dtype=lx.int64).item() == np.arange(2, dtype=np.float32).view(np.int64)[0]
    assert lx.from_file(path).shape == (0,)
    for options, kind, words in (
        ({"size": 7}, RuntimeError, "size <24> is smaller than the required mapping size <28>"),
        ({"size": 2, "pin_memory": True}, RuntimeError, "cannot be pinned"),
        ({"size": 2, "device": "meta"}, RuntimeError, "only tensors of the CPU"),
        ({"size": 2, "shared": True}, NotImplementedError, r"from_file\(shared=True\)"),
    ):
        with pytest.raises(kind, match=words):
            lx.from_file(path, **options)
    with pytest.raises(RuntimeError, match="unable to open file <.*absent>"):
        lx.from_file(tmp_path / "absent", size=1)
