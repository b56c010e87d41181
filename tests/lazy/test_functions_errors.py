"""Bad input: PyTorch's class of error, its words, the user's line, at record time, and nothing changed."""

import re

import numpy as np
import pytest

import lazyxla as lx

X = lx.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
I = lx.tensor([0, 1])
B = X > 0

CASES = {
    # arguments of the wrong kind
    "exp str": (lambda: lx.exp("a"), TypeError, r"exp\(\): argument 'input' \(position 1\) must be Tensor, not str"),
    "exp number": (lambda: lx.exp(2.0), TypeError, "must be Tensor, not float"),
    "exp array": (lambda: lx.exp(np.ones(2)), TypeError, "must be Tensor, not ndarray"),
    "add str": (lambda: lx.add(X, "a"), TypeError, "a tensor or a number is expected, not str"),
    "+ str": (lambda: X + "a", TypeError, "unsupported operand"),
    "@ number": (lambda: X @ 1, TypeError, "unsupported operand"),
    "gather list": (lambda: X.gather(0, [1]), TypeError, "argument 'index' .* must be Tensor, not list"),
    "normal str": (lambda: lx.normal("a", 1.0), TypeError, r"invalid combination of arguments - got \(str, float\)"),
    "normal numbers": (lambda: lx.normal(1.0, 1.0), TypeError, "expected a tensor among mean and std, or a size"),
    "repeat of nothing": (lambda: X.repeat(), TypeError, "missing 1 required positional arguments"),
    "unknown keyword": (lambda: lx.exp(X, foo=1), TypeError, r"exp\(\) got an unexpected keyword argument 'foo'"),
    "missing": (lambda: lx.gather(X, 0), TypeError, "missing a required argument: 'index'"),
    "cat of one": (lambda: lx.cat(X), TypeError, "must be tuple of Tensors, not Tensor"),
    "cat number": (lambda: lx.cat([X, 1]), TypeError, "expected Tensor as element 1 in argument 0, but got int"),
    "clamp str": (lambda: X.clamp("a"), TypeError, "not str"),
    "sum str": (lambda: X.sum("a"), TypeError, "dim must be int"),
    "full str": (lambda: lx.full((2,), "a"), TypeError, "not str"),
    "fill str": (lambda: X.fill_("a"), TypeError, "not str"),
    "zeros float": (lambda: lx.zeros(2.5), TypeError, "sizes must be integers, not float"),
    "zeros none": (lambda: lx.zeros(), TypeError, "missing 1 required positional arguments"),
    "scatter str": (lambda: X.scatter(0, I.reshape(1, 2), "a"), TypeError, "not str"),
    "~ float": (lambda: ~X, TypeError, "only implemented on integer and Boolean-type tensors"),
    # types
    "& float": (lambda: X & X, NotImplementedError, "expected bool or integer"),
    "- bool": (lambda: B - B, RuntimeError, "with two bool tensors is not supported"),
    "neg bool": (lambda: -B, RuntimeError, "on a bool tensor is not supported"),
    "negative power": (lambda: I**-1, RuntimeError, "Integers to negative integer powers are not allowed"),
    "by zero": (lambda: I // 0, RuntimeError, "ZeroDivisionError"),
    "mean int": (lambda: I.mean(), RuntimeError, "could not infer output dtype"),
    "std int": (lambda: I.std(), RuntimeError, "only support floating point and complex"),
    "masked_fill": (lambda: X.masked_fill(X, 0), RuntimeError, "only supports boolean masks"),
    "masked_fill value": (lambda: X.masked_fill(B, 1j), RuntimeError, "cannot be converted to type float32"),
    "where": (lambda: lx.where(X, X, X), RuntimeError, "expected condition to be a boolean tensor"),
    "gather float": (lambda: X.gather(0, X), RuntimeError, "Expected dtype int32/int64 for index"),
    "scatter_add type": (
        lambda: X.scatter_add(0, I.reshape(1, 2), lx.ones(1, 2, dtype=lx.int64)), RuntimeError,
        "self.dtype to be equal to src.dtype",
    ),
    "index_select float": (lambda: X.index_select(0, X[0]), RuntimeError, "Expected dtype int32 or int64 for index"),
    "index_fill float": (lambda: X.index_fill(0, X[0], 1.0), IndexError, r"index_fill_\(\): Expected dtype int64 for index"),
    "index_fill 2-d": (lambda: X.index_fill(0, I[None], 1.0), RuntimeError, "Index has to be a vector/scalar"),
    "take float": (lambda: X.take(X), RuntimeError, "Expected a long tensor for index"),
    "isclose": (lambda: lx.isclose(X, X.double()), RuntimeError, "did not match"),
    "sign complex": (lambda: lx.sign(X.cfloat()), NotImplementedError, "use torch.sgn instead"),
    "argmax bool": (lambda: B.argmax(), RuntimeError, "does not support bool input"),
    "add_ float to int": (lambda: I.add_(1.5), RuntimeError, "can't be cast to the desired output type int64"),
    "uint8 300": (lambda: lx.tensor([300], dtype=lx.uint8), RuntimeError, "without overflow"),
    # dims
    "sum dim": (lambda: X.sum(5), IndexError, r"expected to be in range of \[-2, 1\], but got 5"),
    "softmax dim": (lambda: X.softmax(3), IndexError, "out of range"),
    "cumsum dim": (lambda: X.cumsum(4), IndexError, "out of range"),
    "sort dim": (lambda: lx.sort(X, 5), IndexError, "out of range"),
    "unsqueeze": (lambda: X.unsqueeze(5), IndexError, r"\[-3, 2\], but got 5"),
    "dim twice": (lambda: X.sum((0, 0)), RuntimeError, "dim 0 appears multiple times"),
    "permute twice": (lambda: X.permute(0, 0), RuntimeError, "duplicate dims"),
    "permute few": (lambda: X.permute(0), RuntimeError, "number of dimensions"),
    "movedim": (lambda: X.movedim((0, 1), (0,)), RuntimeError, "Invalid source or destination dims"),
    "diagonal": (lambda: X.diagonal(0, 0, 0), RuntimeError, "diagonal dimensions cannot be identical"),
    "tril": (lambda: X[0].tril(), RuntimeError, "at least 2 dimensions"),
    # of tensors alone, where operators take numbers too
    **{
        f"{name} number": (lambda name=name, x=x: getattr(lx, name)(x, 2), TypeError, "must be Tensor, not int")
        for name, x in (
            ("maximum", X), ("minimum", X), ("fmax", X), ("fmin", X), ("atan2", X), ("hypot", X), ("logaddexp", X),
            ("logaddexp2", X), ("ldexp", X), ("logical_and", X), ("logical_or", X), ("logical_xor", X), ("gcd", I),
            ("lcm", I), ("igamma", X), ("igammac", X),
        )
    },
    **{
        f"{name} of number": (lambda name=name: getattr(lx, name)(2, X), TypeError, "must be Tensor, not int")
        for name in ("eq", "ne", "lt", "le", "gt", "ge", "fmod", "rsub", "copysign", "maximum", "logical_and")
    },
    "max of number": (lambda: lx.max(2, X), TypeError, "must be Tensor, not int"),
    # slices that would broadcast
    "index_add slice": (lambda: X.index_add(0, I, lx.ones(2)), RuntimeError, "source tensor shape must match self"),
    "index_add wide": (lambda: X.index_add(0, I, lx.ones(2, 1)), RuntimeError, "source tensor shape must match self"),
    "index_add few": (lambda: X.index_add(0, I, lx.ones(1, 3)), RuntimeError, r"indices \(2\) .* source.size\(dim\): \(1\)"),
    "index_add type": (lambda: X.index_add(0, I, lx.ones(2, 3).double()), RuntimeError, "must have the same scalar type"),
    "index_copy rank": (lambda: X.index_copy(0, I, lx.ones(2)), IndexError, "their dimensionality must match"),
    "index_copy few": (lambda: X.index_copy(0, I, lx.ones(1, 3)), IndexError, r"indices \(2\) .*\(1\)"),
    "index_copy slice": (lambda: X.index_copy(0, I, lx.ones(2, 1)), RuntimeError, "source tensor shape must match self"),
    "index_reduce": (lambda: X.index_reduce(0, I, lx.ones(2), "prod"), RuntimeError, "source tensor shape must match self"),
    "scatter rank": (
        lambda: X.scatter(0, I.reshape(1, 2), lx.ones(1, 2, 2)), RuntimeError, "same number of dimensions as src"
    ),
    # parts
    "narrow start": (lambda: X.narrow(0, 3, 0), IndexError, r"range of \[-2, 2\], but got 3"),
    "narrow length": (lambda: X.narrow(0, 0, -1), RuntimeError, "length must be non-negative"),
    "narrow bool": (lambda: X.narrow(0, lx.tensor(True), 1), RuntimeError, "start must be an 0-dim integral Tensor"),
    "narrow float": (lambda: X.narrow(0, 0.5, 1), TypeError, "argument 'start' .* must be int, not float"),
    "tensor_split 0": (lambda: lx.tensor_split(X, 0), RuntimeError, "sections must be larger than 0, got 0"),
    "tensor_split type": (
        lambda: lx.tensor_split(X, lx.tensor([1.0])), RuntimeError, "to have dtype of long, but got float32"
    ),
    "hsplit str": (lambda: lx.hsplit(X, "a"), TypeError, "a list of indices is expected, not str"),
    # making
    "arange infinite": (lambda: lx.arange(0, float("inf")), RuntimeError, "unsupported range: 0 -> inf"),
    "linspace steps": (lambda: lx.linspace(0, 3, 1.0), TypeError, "argument 'steps' .* must be int, not float"),
    "empty_permuted": (lambda: lx.empty_permuted((2, 3), (0, 0)), RuntimeError, "each dim once"),
    "gradient twice": (lambda: lx.gradient(X, dim=(1, 1)), RuntimeError, "dim 1 appears multiple times"),
    "cov dims": (lambda: lx.cov(X, fweights=lx.ones(3, 1, dtype=lx.int64)), RuntimeError, "have one or fewer dimensions"),
    "cov type": (lambda: lx.cov(X, fweights=lx.ones(3)), RuntimeError, "fweights to have integral dtype"),
    "cov negative": (
        lambda: lx.cov(X[0], fweights=lx.tensor([1, -1, 0])), RuntimeError, "fweights cannot be negative"
    ),
    "cov negative, later": (
        lambda: lx.cov(X[0], aweights=lx.arange(X.shape[1]) - 1.5).tolist(), RuntimeError, "aweights cannot be negative"
    ),
    "cov weights": (lambda: lx.cov(X, aweights=lx.ones(2)), RuntimeError, "observations in the input but got 2 != 3"),
    "repeat_interleave": (lambda: X.repeat_interleave(-1), RuntimeError, "repeats can not be negative"),
    "repeat_interleave type": (
        lambda: X[0].repeat_interleave(X[0]), NotImplementedError, "not implemented for 'float32'"
    ),
    "bincount type": (lambda: lx.bincount(X[0]), NotImplementedError, "not implemented for 'float32'"),
    "cross one": (lambda: lx.cross(X, lx.ones(2, 1), dim=1), RuntimeError, "must have length 3"),
    "resize_": (lambda: lx.ones(2).resize_(-1), RuntimeError, "has a negative dimension"),
    # out= of another type
    "gather out": (lambda: lx.gather(X, 0, I.reshape(1, 2), out=lx.ones(1, 2).double()), RuntimeError,
        "Expected out tensor to have dtype float32, but got float64"),
    "topk out": (lambda: lx.topk(X, 1, out=(lx.ones(2, 1).double(), lx.ones(2, 1).long())), RuntimeError,
        "Expected out tensor to have dtype float32, but got float64"),
    # draws
    "exponential_": (lambda: X.exponential_(0), RuntimeError, "expects lambda > 0.0, but found lambda=0"),
    "exponential_ int": (lambda: I.exponential_(), RuntimeError, "dtype must be a floating point .* int64"),
    "cauchy_": (lambda: X.cauchy_(0, 0), RuntimeError, "expects sigma > 0.0, but found sigma=0"),
    "geometric_": (lambda: X.geometric_(1), RuntimeError, r"expects p to be in \(0, 1\), but got p=1"),
    "log_normal_": (lambda: X.log_normal_(0, 0), RuntimeError, "expects std > 0.0, but found std=0"),
    "uniform_ int": (lambda: I.uniform_(), NotImplementedError, "not implemented for 'int64'"),
    "normal_ int": (lambda: I.normal_(), NotImplementedError, "not implemented for 'int64'"),
    "bernoulli p": (lambda: lx.bernoulli(X, 2.0), RuntimeError, r"expects p to be in \[0, 1\], but got p=2.0"),
    "bernoulli int": (lambda: lx.bernoulli(I), NotImplementedError, "not implemented for 'int64'"),
    "normal std": (lambda: lx.normal(0.0, -1.0, (2,)), RuntimeError, "expects std >= 0.0, but found std -1"),
    "randint range": (lambda: lx.randint(0, 1000, (2,), dtype=lx.uint8), RuntimeError, "to - 1 is out of bounds for uint8"),
    # shapes
    "add shapes": (lambda: X + lx.ones(4), RuntimeError, r"tensor a \(3\) must match the size of tensor b \(4\)"),
    "add_ shapes": (lambda: X.add_(lx.ones(4, 2, 3)), RuntimeError, r"doesn't match the broadcast shape \[4, 2, 3\]"),
    "copy_": (lambda: X.copy_(lx.ones(5)), RuntimeError, "must match the size of tensor b"),
    "matmul": (lambda: X @ lx.ones(2, 3), RuntimeError, r"shapes cannot be multiplied \(2x3 and 2x3\)"),
    "view": (lambda: X.view(5), RuntimeError, r"shape '\[5\]' is invalid for input of size 6"),
    "reshape": (lambda: X.reshape(-1, -1), RuntimeError, "only one dimension can be inferred"),
    "cat shapes": (lambda: lx.cat([X, lx.ones(3, 3)], 1), RuntimeError,
        "Expected size 2 but got size 3 for tensor number 1"),
    "cat empty": (lambda: lx.cat([]), ValueError, "expected a non-empty list of Tensors"),
    "stack empty": (lambda: lx.stack([]), RuntimeError, "expects a non-empty TensorList"),
    "expand": (lambda: X.expand(3, 3), RuntimeError,
        r"expanded size of the tensor \(3\) must match the existing size \(2\)"),
    "repeat": (lambda: X.repeat(2), RuntimeError, "can not be smaller than number of dimensions"),
    "split": (lambda: X.split([1, 5]), RuntimeError, "to sum exactly to 2"),
    "chunk": (lambda: X.chunk(0), RuntimeError, "greater than 0"),
    "narrow": (lambda: X.narrow(0, 1, 5), RuntimeError, r"start \(1\) \+ length \(5\) exceeds"),
    "hsplit": (lambda: lx.hsplit(X, 2), RuntimeError, "not divisible"),
    "einsum": (lambda: lx.einsum("ij,jk->ik", X, X), RuntimeError, "einsum"),
    "einsum by numbers": (lambda: lx.einsum(X, [0, 52]), ValueError, "from 0 to 51, got 52"),
    "einsum without": (lambda: lx.einsum(X, X), TypeError, "a list of its dims"),
    "tensordot": (lambda: lx.tensordot(X, X, 1), RuntimeError, "contracted dimensions need to match"),
    "cross": (lambda: lx.cross(X.t(), X.t(), dim=1), RuntimeError, "must have length 3"),
    "unfold": (lambda: X.unfold(0, 5, 1), RuntimeError, "maximum size for tensor at dimension 0 is 2 but size is 5"),
    "flatten": (lambda: X.flatten(1, 0), RuntimeError, "start_dim cannot come after end_dim"),
    "meshgrid": (lambda: lx.meshgrid(X, X), RuntimeError, "Expected 0D or 1D tensor"),
    "negative size": (lambda: lx.randn(-1), RuntimeError, "negative dimension"),
    # places
    "index": (lambda: X[5], IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
    "index list": (lambda: X[[5]], IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
    "index array": (lambda: X[:, np.array([0, -4])], IndexError,
        "index -4 is out of bounds for dimension 1 with size 3"),
    "many": (lambda: X[0, 0, 0], IndexError, "too many indices for tensor of dimension 2"),
    "float index": (lambda: X[1.5], IndexError, "only integers, slices"),
    "float tensor index": (lambda: X[X], IndexError, "must be long, int, byte or bool tensors"),
    "str index": (lambda: X["a"], TypeError, "only integers, slices"),
    "unbind 0-d": (lambda: X[0, 0].unbind(), IndexError, "Dimension specified as 0 but tensor has no dimensions"),
    "step": (lambda: X[::-1], ValueError, "step must be greater than zero"),
    "mask": (lambda: X[lx.ones(3, dtype=lx.bool)], IndexError, "does not match the shape"),
    "topk": (lambda: X.topk(5), RuntimeError, "selected index k out of range"),
    "kthvalue": (lambda: X.kthvalue(9), RuntimeError, "out of range for dimension 1"),
    "max of nothing": (lambda: lx.ones(0).max(), RuntimeError, "Expected reduction dim to be specified"),
    "max along nothing": (lambda: lx.ones(0, 3).max(0), IndexError, "dim 0 to have non-zero size"),
    "argmax of nothing": (lambda: lx.ones(0).argmax(), IndexError, "Expected reduction dim to be specified"),
    # reads and numbers
    "item": (lambda: X.item(), RuntimeError, "a Tensor with 6 elements cannot be converted to Scalar"),
    "float": (lambda: float(X), ValueError, "a Tensor with 6 elements cannot be converted to Scalar"),
    "int": (lambda: int(X), ValueError, "a Tensor with 6 elements cannot be converted to Scalar"),
    "backward str": (lambda: X.clone().requires_grad_().sum().backward("a"), TypeError, "Tensors or None, but got str"),
    "bool": (lambda: bool(X), RuntimeError, "more than one value is ambiguous"),
    "arange": (lambda: lx.arange(3, 0), RuntimeError, "inconsistent with step sign"),
    "arange step": (lambda: lx.arange(0, 3, 0), RuntimeError, "step must be nonzero"),
    "linspace": (lambda: lx.linspace(0, 1, -1), RuntimeError, "number of steps must be non-negative"),
    "tensor ragged": (lambda: lx.tensor([[1], [1, 2]]), ValueError, "rectangle"),
    "tensor str": (lambda: lx.tensor("a"), TypeError, "invalid data type 'str'"),
    "tensor None": (lambda: lx.tensor([None]), RuntimeError, "Could not infer dtype of NoneType"),
    "attention dropout": (
        lambda: lx.nn.functional.scaled_dot_product_attention(X, X, X, dropout_p=2), RuntimeError, "between 0 and 1, but got 2",
    ),
    "clamp nothing": (lambda: X.clamp(), RuntimeError, "At least one of 'min' or 'max' must not be None"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_error(name):
    call, kind, words = CASES[name]
    before = [t._node for t in (X, I, B)]
    with pytest.raises(kind, match=words) as caught:
        call()
    assert type(caught.value) is kind
    assert [t._node for t in (X, I, B)] == before
    if "unsupported" not in words:  # Python's own words
        assert re.search(r"test_functions_errors\.py:\d+", str(caught.value)), str(caught.value)


def test_a_failed_operation_leaves_no_trace(metrics):
    x = lx.ones(2, 3)
    for bad in (lambda: x.add_(lx.ones(5)), lambda: x.exp_(1, 2), lambda: x.clamp_("a")):
        with pytest.raises((RuntimeError, TypeError)):
            bad()
    np.testing.assert_array_equal(x.numpy(), np.ones((2, 3)))


def test_scatter_and_gather_at_no_places():
    """An index without elements may have other dims than the input; nothing changes, and gradients are there."""
    x, none = lx.ones(2, 3, requires_grad=True), lx.empty(0, dtype=lx.int64)
    assert x.scatter(0, none, lx.ones(2, 5)).tolist() == [[1.0] * 3] * 2
    found = x.gather(0, none)
    assert tuple(found.shape) == (0,)
    found.sum().backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


def test_random_of_small_types_takes_the_numbers_that_the_type_has():
    for dtype, top in ((lx.bool, 1), (lx.float16, 2**11), (lx.bfloat16, 2**8), (lx.uint8, 255)):
        drawn = lx.zeros(64, dtype=dtype).random_().double()
        assert 0 <= drawn.min().item() and top / 2 < drawn.max().item() <= top
