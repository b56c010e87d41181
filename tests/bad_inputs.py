"""What the public functions are fed in tests/lazy/test_bad_input.py: a table that PyTorch and lazyxla both run.

``scripts/bad_input_values.py`` keeps PyTorch's answers: an element type and shape, or the class of an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

INPUTS = {
    "f": "ones(2, 3)", "f0": "tensor(1.5)", "f1": "ones(3)", "empty": "ones(0)", "batch0": "ones(0, 2, 3)",
    "hole": "ones(2, 0)", "turned": "ones(3, 2).t()", "i": "ones(3, dtype=int64)", "i8": "ones(3, dtype=int8)",
    "u8": "ones(3, dtype=uint8)", "b": "ones(2) > 0", "c": "ones(2, dtype=complex64)",
    "h": "ones(2, dtype=float16)", "nan": "tensor([float('nan'), float('inf')])", "text": "'abc'", "none": "None",
    "list": "[1.0, 2.0]",
}  # fmt: skip
UNARY = """
abs acos acosh angle asin asinh atan atanh bitwise_not ceil conj cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1
floor frac imag isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit nan_to_num neg
positive rad2deg real reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc i0
clone numel ravel flatten squeeze t fliplr flipud tril triu trace diag diagflat nonzero argwhere unique sort argsort msort
sum mean prod std var median mode max min amax amin argmax argmin all any logsumexp0 cumsum0 cumprod0 norm nansum
nanmean nanmedian count_nonzero atleast_1d atleast_2d atleast_3d zeros_like ones_like empty_like rand_like randn_like
view_as_real view_as_complex is_floating_point is_complex det inverse logdet slogdet cholesky qr svd pinverse matrix_exp
corrcoef cov vander diag_embed bincount histc unbind adjoint
""".split()
BINARY = """
add sub mul div true_divide floor_divide remainder fmod pow float_power atan2 maximum minimum fmax fmin hypot copysign
nextafter logaddexp logaddexp2 heaviside xlogy ldexp gcd lcm eq ne lt le gt ge isclose allclose equal bitwise_and
bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift logical_and logical_or logical_xor matmul mm bmm mv dot vdot
inner outer kron dist cross cdist masked_select bucketize searchsorted take tensordot isin complex polar
""".split()
PAIRS = (
    ("f", "f"), ("f", "f1"), ("f", "f0"), ("f", "i"), ("f1", "i"), ("f1", "b"), ("f", "turned"), ("empty", "empty"), ("empty", "f0"),
    ("batch0", "f"), ("hole", "f"), ("i", "i"), ("i", "i8"), ("i8", "u8"), ("b", "b"), ("c", "b"), ("c", "c"), ("h", "nan"),
    ("f", "text"), ("f", "none"), ("text", "f"), ("none", "f"), ("f", "list"),
)  # fmt: skip
REDUCING = """
sum mean prod std var median mode max min amax amin argmax argmin all any logsumexp cumsum cumprod cummax cummin
logcumsumexp softmax log_softmax nansum nanmean norm sort argsort count_nonzero flip roll1 squeeze unsqueeze unbind diff
kthvalue1 topk1 var_mean std_mean select0 index_select0 chunk2 split1 tensor_split2 narrow01 repeat_interleave2 flatten
""".split()
DIMS = ("0", "-1", "1", "2", "-3", "'x'", "None", "1.5", "(0, 1)", "(0, 0)", "()")
OVER = ("f", "f0", "empty", "batch0", "hole", "i", "b", "c")
# How a dim is passed where it does not come second.
PLACED = {
    "kthvalue1": "kthvalue({x}, 1, {d})", "topk1": "topk({x}, 1, {d})", "select0": "select({x}, {d}, 0)", "roll1": "roll({x}, 1, {d})",
    "index_select0": "index_select({x}, {d}, zeros(1, dtype=int64))", "chunk2": "chunk({x}, 2, {d})", "split1": "split({x}, 1, {d})",
    "tensor_split2": "tensor_split({x}, 2, {d})", "narrow01": "narrow({x}, {d}, 0, 1)", "norm": "norm({x}, 2, {d})",
    "repeat_interleave2": "repeat_interleave({x}, 2, {d})", "diff": "diff({x}, 1, {d})", }  # fmt: skip
OF_ONE = {"logsumexp0": "logsumexp({x}, 0)", "cumsum0": "cumsum({x}, 0)", "cumprod0": "cumprod({x}, 0)"}
PLAIN = """
reshape(f, (4,)); reshape(f, (-1, -1)); reshape(f, (-1, 4)); reshape(batch0, (-1, 0)); reshape(f, (3, 2)); reshape(f, -2)
f.view(5); f.view(6); turned.view(6); f.view(-1, 0); f.expand(3, 3); f.expand(4, 2, 3); f.expand(2); f1.expand(-1, 3)
permute(f, (0, 0)); permute(f, (0,)); permute(f, (0, 2)); permute(f, (1, -2)); transpose(f, 0, 2); transpose(f, 0, 1)
f.repeat(2); f.repeat(2, 2); f.repeat(-1, 2); tile(f, (2,)); movedim(f, 0, 2); movedim(f, (0, 1), (1,)); swapaxes(f, 0, 5)
cat([f, f1]); cat([f, i]); cat([]); cat([f, f], 2); cat([empty, f]); cat([f, f], 1); cat(f); cat([f0, f0]); cat([f, None])
stack([f, f1]); stack([]); stack([f, f], 3); stack([f, f], -3); hstack([f, f1]); vstack([f, f1]); dstack([f, f1])
split(f, 0); split(f, -1); split(f, [1, 2]); split(f, [1, 1]); chunk(f, 0); chunk(f, 5); narrow(f, 0, 1, 2); narrow(f, 0, -1, 1)
select(f, 0, 2); select(f, 0, -3); f[2]; f[0, 3]; f[0, 0, 0]; f[..., ...]; f[None]; f['a']; f[1.5]; f[::-1]; f[f]; f[i]; f0[0]
f[b]; f[:, b]; f[[0, 1]]; f[[0, 2]]; f[slice(0, 9)]; f[True]; f[tensor(True)]; batch0[0]; batch0[:, 0]; f[i8]; f[..., i - 1]
f.unfold(0, 3, 1); f.unfold(0, 2, 0); f.unflatten(0, (3, 1)); f.unflatten(1, (3, 1)); unsqueeze(f, 3); unsqueeze(f, -3)
gather(f, 0, i); gather(f, 0, f); gather(f, 0, ones(2, 4, dtype=int64)); gather(f, 1, ones(2, 2, dtype=int64)); gather(f, 2, i)
index_select(f, 0, f1); index_select(f, 0, ones(1, 1, dtype=int64)); index_select(f, 0, i - 1); index_select(f0, 0, i - 1)
take_along_dim(f, ones(2, 1, dtype=int64), 1); take_along_dim(f, i, 1); take(f, i); take(f, f1); masked_select(f, f)
masked_fill(f, f > 0, 1); masked_fill(f, f, 1); masked_fill(f, b, 1); masked_fill(f, f > 0, f1); where(f, f, f); where(f > 0, f, f1)
where(f > 0, f, ones(4)); where(b, f1, f1); scatter(f, 0, i, f1); scatter(f, 0, ones(1, 3, dtype=int64), f)
scatter_add(f, 0, ones(1, 3, dtype=int64), f); scatter_add(f, 0, i, f); index_add(f, 0, i - 1, ones(3, 3)); index_add(f, 0, i, f)
index_fill(f, 0, i - 1, 2.0); index_copy(f, 0, i[:1], ones(1, 3)); index_copy(f, 0, i[:1], ones(2, 3)); clamp(f); clamp(f, 1, 0)
clamp(f, 'a'); clamp(b, 0, 1); clamp(c, 0, 1); clamp(i, 0.5, 2.5); lerp(f, f, 0.5); lerp(f, i, 0.5); lerp(f, f, f1); addcmul(f, f, f1)
addmm(f, f, f); addmm(f1, ones(2, 4), ones(4, 3)); addmv(f1, ones(3, 2), ones(2)); baddbmm(batch0, ones(0, 2, 4), ones(0, 4, 3))
matmul(f0, f); matmul(f, f1); matmul(f1, f1); matmul(batch0, ones(3, 2)); matmul(f, i); matmul(hole, ones(0, 4)); mm(batch0, f)
tensordot(f, f, 3); tensordot(f, f, 1); tensordot(f, f, ([0], [0])); einsum('ij,jk', f, f); einsum('ij,ij->', f, f)
einsum('i', f); einsum('ij->k', f); einsum('i-j', f, f); einsum('ij,jk->ik', f); einsum('ii', ones(2, 2)); einsum('...i->...', f)
diagonal(f1); diagonal(f, 0, 0, 0); diagonal(f, 5); diagonal(f, 0, 0, 2); tril(f1); triu(f0); trace(batch0); diag(batch0)
rot90(f1); rot90(f, 1, (0, 0)); flip(f, (0, 0)); flip(f, (2,)); flip(f, 0); roll(f, (1, 1), 0); roll(f, 1); fliplr(f1)
zeros(-1); zeros(2, 'a'); zeros((2, 3)); zeros([2, 0]); ones(2.5); full((2,), 'a'); full((2,), 1); full((2,), f0); full((2,), f)
arange(0, 5, -1); arange(5, 0, -1); arange(0, 5, 0); arange('a'); linspace(0, 1, -1); linspace(0, 1, 0); eye(-1); eye(2, 3)
tensor([[1], [1, 2]]); tensor('a'); tensor(None); tensor([]); tensor([None]); tensor([1, 2.5]); tensor([True, 2]); tensor(300, dtype=uint8)
randint(5, (2,)); randint(5, 2, (2,)); randperm(-1); normal(0.0, -1.0, (2,)); bernoulli(f * 2); multinomial(f1, 4); multinomial(f1 * 0, 1)
multinomial(f1, 0); f.to('nowhere'); f.to(1.5); f.item(); f0.item(); empty.item(); bool(f); bool(empty); int(f); float(f0)
len(f0); list(f0); iter(f1) is None; f.size(2); f.stride(5); f.numpy() is None; f.add_(ones(4)); f.add_(ones(5, 2, 3)); i.add_(1.5); i.div_(2)
b.add_(1); i.mul_(f1); f1.mul_(c[:1]); f.copy_(f1); f.copy_(ones(4)); f.fill_('a'); f.fill_(f1); f.fill_(f0); f.zero_(1); f.resize_(-1)
requires_grad(i); i.requires_grad_(); b.requires_grad_(); f.backward(); f0.backward(); f.grad; pow(i, -1); pow(i, i - 2); 2 ** i
i // 0; i % 0; f // 0; f % 0; f / 0; i / 0; -b; b - b; b + b; ~f; ~i; ~b; i & f1; i << i; f1 << 1; b | i; i @ i; f @ f; f @ 2; f + 'a'; 'a' + f; f + None
f == None; f == 'a'; f < 'a'; f < None; f != None; c < c; c > 1; c == 1; max(c); sort(c); max(f, f1); max(f, 5); min(empty, 0); max(batch0, 1); max(batch0, 0)
argmax(empty); argmax(batch0, 0); argmax(hole, 0); median(empty); mode(empty); kthvalue(f1, 0); kthvalue(f1, 4); topk(f1, 4); topk(f1, -1)
quantile(f1, 1.5); quantile(f1, 0.5); quantile(i, 0.5); quantile(f1, f1); nanquantile(f1, -0.1); histc(f1, -1); histc(f1, 4, 2, 1); bincount(f1)
bincount(i - 2); bincount(f.long()); searchsorted(f, f1); searchsorted(f1, f, side='middle'); searchsorted(f1, f, right=True, side='left')
bucketize(f, f); unique(f, dim=2); unique_consecutive(f, dim=5); meshgrid(f, f); meshgrid(f1, f1, indexing='ab'); cartesian_prod(f)
combinations(f); broadcast_to(f, (3, 3)); broadcast_to(f, (2, 2, 3)); broadcast_tensors(f, ones(4)); broadcast_shapes((2, 3), (4,)); cross(f, f)
cross(f1, f1); cross(ones(2), ones(2)); cdist(f, ones(2, 4)); cdist(f1, f1); dist(f, ones(4)); logsumexp(i, 0); logsumexp(f, (0, 1)); cumsum(f, 2)
cumprod(b, 0); cummax(f0, 0); var(i); std(i); mean(i); mean(b); mean(i, dtype=float32); sum(f, dtype=int64); prod(b); norm(i); norm(f, 'abc')
renorm(f, 2, 0, 1.0); renorm(f1, 2, 0, 1.0); view_as_complex(f); view_as_complex(ones(3, 2)); view_as_real(f); polar(f1, i); complex(f1, i)
complex(f1, f1.double()); promote_types(uint8, int8) is None; finfo(int64) is None; iinfo(float32) is None; result_type(f, i) is None
nn.functional.linear(f, ones(4, 3)); nn.functional.linear(f, ones(4, 2)); nn.functional.linear(f, ones(4, 3), ones(3)); nn.functional.linear(batch0, ones(4, 3))
nn.functional.conv1d(ones(1, 2, 5), ones(3, 2, 3)); nn.functional.conv1d(ones(1, 2, 5), ones(3, 3, 3)); nn.functional.conv2d(f, ones(3, 2, 3, 3))
nn.functional.conv2d(ones(1, 2, 2, 2), ones(3, 2, 3, 3)); nn.functional.conv2d(ones(1, 4, 5, 5), ones(3, 2, 3, 3), groups=2)
nn.functional.conv2d(ones(0, 2, 5, 5), ones(3, 2, 3, 3)); nn.functional.conv2d(ones(1, 2, 5, 5), ones(3, 2, 3, 3), stride=0)
nn.functional.conv2d(ones(1, 2, 5, 5), ones(3, 2, 3, 3), padding=-1); nn.functional.conv2d(ones(1, 2, 5, 5), ones(3, 2, 3, 3), padding='odd')
nn.functional.max_pool2d(ones(1, 1, 2, 2), 3); nn.functional.max_pool2d(f, 2); nn.functional.avg_pool2d(ones(1, 1, 4, 4), 2, padding=2); nn.functional.avg_pool1d(f, 2)
nn.functional.softmax(f, 2); nn.functional.softmax(i, 0); nn.functional.log_softmax(f0, 0); nn.functional.cross_entropy(f, i); nn.functional.cross_entropy(f, f1)
nn.functional.cross_entropy(f, ones(2, dtype=int64)); nn.functional.cross_entropy(f, f); nn.functional.cross_entropy(f1, tensor(1)); nn.functional.nll_loss(f, f)
nn.functional.nll_loss(f, i[:2]); nn.functional.mse_loss(f, f, reduction='odd'); nn.functional.mse_loss(f, ones(4)); nn.functional.l1_loss(f, f)
nn.functional.binary_cross_entropy(f, ones(4)); nn.functional.binary_cross_entropy_with_logits(f, f1); nn.functional.kl_div(f, f); nn.functional.smooth_l1_loss(f, f, beta=-1)
nn.functional.huber_loss(f, f, delta=0); nn.functional.layer_norm(f, (2,)); nn.functional.layer_norm(f, (3,)); nn.functional.layer_norm(f, ()); nn.functional.batch_norm(f, f1, f1)
nn.functional.batch_norm(f1, f1, f1); nn.functional.batch_norm(ones(1, 3), f1, f1, training=True); nn.functional.group_norm(ones(2, 3, 4), 2); nn.functional.group_norm(ones(2, 4, 4), 2)
nn.functional.embedding(f, f); nn.functional.embedding(i - 1, f); nn.functional.embedding(i - 1, f1); nn.functional.one_hot(i); nn.functional.one_hot(f1); nn.functional.one_hot(i, 5)
nn.functional.dropout(f, 1.5); nn.functional.dropout(f, 0.0); nn.functional.dropout(f, -0.1); nn.functional.pad(f, (1,)); nn.functional.pad(f, (1, 1)); nn.functional.pad(f, (1, 1, 1, 1, 1, 1))
nn.functional.pad(f, (-4, 0)); nn.functional.pad(f, (1, 1), 'odd'); nn.functional.pad(f, (3, 3), 'reflect'); nn.functional.interpolate(f, 2); nn.functional.interpolate(ones(1, 1, 2, 2), 4)
nn.functional.interpolate(ones(1, 1, 2, 2)); nn.functional.interpolate(ones(1, 1, 2, 2), 4, 2); nn.functional.normalize(f); nn.functional.normalize(f, dim=2)
nn.functional.cosine_similarity(f, f); nn.functional.cosine_similarity(f, ones(4, 4)); nn.functional.pairwise_distance(f, f); nn.functional.glu(f); nn.functional.glu(ones(4))
nn.functional.gelu(f, approximate='odd'); nn.functional.gelu(i); nn.functional.relu(b); nn.functional.leaky_relu(i); nn.functional.elu(f); nn.functional.hardtanh(f, 1, -1); nn.functional.prelu(f, f1); nn.functional.prelu(f, ones(2))
nn.functional.scaled_dot_product_attention(f, f, f); nn.functional.scaled_dot_product_attention(f, ones(2, 4), f); nn.functional.unfold(f, 2); nn.functional.fold(f, 2, 2)
nn.functional.pixel_shuffle(f, 2); nn.functional.pixel_shuffle(ones(1, 4, 2, 2), 2); nn.functional.ctc_loss(f, i, i, i); nn.functional.grid_sample(f, f); nn.functional.triplet_margin_loss(f, f, f1)
linalg.inv(f); linalg.inv(f1); linalg.inv(ones(2, 2, dtype=int64)); linalg.det(f); linalg.solve(ones(2, 2), ones(3)); linalg.solve(f, f); linalg.svd(f1); linalg.svd(f); linalg.qr(f, 'odd'); linalg.eigh(f)
linalg.cholesky(f1); linalg.norm(f, 'odd'); linalg.norm(batch0, 2); linalg.vector_norm(i); linalg.vector_norm(f, 'fro'); linalg.matrix_norm(f1); linalg.matrix_norm(f, 3); linalg.matrix_power(f, 2)
linalg.matrix_power(ones(2, 2), 0); linalg.pinv(f1); linalg.matrix_rank(f1); linalg.lstsq(f, f1); linalg.cross(f1, ones(2)); linalg.multi_dot([f]); linalg.multi_dot([f, f]); linalg.vecdot(f, ones(4))
linalg.tensorsolve(f, f1); linalg.tensorinv(f); linalg.cond(f1); linalg.slogdet(f); linalg.eigvals(f); linalg.lu_factor(f1); linalg.solve_triangular(f, f, upper=True); linalg.vander(f0)
fft.fft(f0); fft.fft(f, 0); fft.fft(f, dim=2); fft.fft(f, norm='odd'); fft.rfft(c); fft.irfft(f); fft.fftn(f, (2,), (0, 1)); fft.fft2(f1); fft.fftshift(f, 2); fft.fftfreq(-1); fft.hfft(f); fft.fft(i); fft.fft(h)
autograd.grad(f.sum(), f); softmax(f, 0, 0.5) is None; special.xlogy(f, ones(4)); special.expit('a'); special.polygamma(-1, f); special.multigammaln(f, 0); special.zeta(f, f1)
"""


def _templates() -> Iterator[str]:
    for name in UNARY:
        for x in INPUTS:
            yield OF_ONE.get(name, name + "({x})").format(x=x)
    for name in BINARY:
        for a, b in PAIRS:
            yield f"{name}({a}, {b})"
    for name in REDUCING:
        for x in OVER:
            for d in DIMS:
                yield PLACED.get(name, name + "({x}, {d})").format(x=x, d=d)
    for line in PLAIN.strip().splitlines():
        yield from (p.strip() for p in line.split(";"))


CALLS = list(dict.fromkeys(_templates()))


def kind(value: Any) -> str:
    """What a call gave, without reading values: element types and shapes."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{str(value.dtype).rpartition('.')[2]}{list(value.shape)}".replace(" ", "")
    if isinstance(value, (tuple, list)):
        return "(" + ",".join(kind(v) for v in value) + ")"
    return type(value).__name__


def answer(lib: Any, names: dict[str, Any], call: str, run: Callable[[str, dict[str, Any]], Any]) -> tuple[str, Any]:
    """(what the call gave or the class of its error, the error)."""
    lib.manual_seed(0)
    if "given" not in names or "_(" in call or "requires" in call:  # a call that writes has inputs of its own
        names["given"] = {k: run(v, names) for k, v in INPUTS.items()}
    given = names["given"]
    if "_(" in call or "requires" in call:
        del names["given"]
    try:
        return kind(run(call, {**names, **given})), None
    except Exception as e:
        return type(e).__name__, e


def names_of(lib: Any) -> dict[str, Any]:
    """What a call may name: the library's functions and types, and Python's own conversions."""
    found = {n: getattr(lib, n) for n in dir(lib) if not n.startswith("_")}
    return {**found, "float": float, "int": int, "bool": bool, "len": len, "list": list, "iter": iter, "slice": slice}
