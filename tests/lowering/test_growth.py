"""Values that grow by a row at a time: few executables whatever lengths come, and the right numbers in each."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.lowering import lengths
from lazyxla.nn import functional as F

pytestmark = pytest.mark.usefixtures("clean")


class Attention(nn.Module):
    """One causal head, over all that came before or over the last ``context`` letters."""

    def __init__(self, context=64, letters=11, width=8):
        super().__init__()
        lx.manual_seed(5)
        self.context = context
        self.letters, self.places = nn.Embedding(letters, width), nn.Embedding(context, width)
        self.norm, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, letters)
        self.register_buffer("mask", lx.tril(lx.ones(context, context)))

    def forward(self, text):
        n = text.size(1)
        x = self.letters(text) + self.places(lx.arange(n, device=text.device))
        q, k, v = self.qkv(self.norm(x)).split(x.size(-1), 2)
        scores = (q @ k.transpose(-2, -1) * 8**-0.5).masked_fill(self.mask[:n, :n] == 0, float("-inf"))
        return self.out(x + F.softmax(scores, -1) @ v)

    @lx.no_grad()
    def continued(self, text, letters, read=False):
        for _ in range(letters):
            logits = self(text[:, -self.context :])[:, -1]
            text = lx.cat([text, lx.multinomial(F.softmax(logits * 3, -1), 1)], 1)
            if read and text[0, -1].item() > 100:
                break
        return text


def start(rows=1, letters=2):
    return lx.tensor(np.arange(rows * letters).reshape(rows, letters) % 7, device="xla")


@pytest.fixture
def exactly(monkeypatch):
    """What a function gives with each length as a program of its own."""

    def run(f):
        with monkeypatch.context() as m:
            m.setattr(lengths, "enabled", [False])
            lx.lowering.clear_cache()
            return f()

    yield run
    lx.lowering.clear_cache()


def compiles():
    return lx.metrics.report(as_dict=True)["compiles"]


def generated(read, letters=30, context=64):
    net = Attention(context).to("xla")
    lx.manual_seed(1)
    return np.array(net.continued(start(), letters, read).tolist())


@pytest.mark.parametrize("read", [False, True], ids=["read at the end", "each letter read"])
def test_text_is_few_programs(read, exactly, metrics):
    expected = exactly(lambda: generated(read))
    lx.lowering.clear_cache()
    metrics.reset()
    np.testing.assert_array_equal(generated(read), expected)
    facts = metrics.report(as_dict=True)
    assert facts["lengths_padded"] >= (8 if read is False else 20)
    assert facts["compiles"] <= 12
    before = compiles()
    np.testing.assert_array_equal(generated(read), expected)
    assert compiles() <= before + 2


def test_a_context_that_is_full_is_few_programs(exactly, metrics):
    expected = exactly(lambda: generated(True, 40, context=9))
    lx.lowering.clear_cache()
    metrics.reset()
    np.testing.assert_array_equal(generated(True, 40, context=9), expected)
    assert compiles() <= 20


@pytest.mark.parametrize("rows", [3, 6])
def test_several_texts_at_once(rows, exactly, metrics):
    """Their letters are merged in one dim for each linear layer."""

    def run():
        net = Attention().to("xla")
        lx.manual_seed(2)
        return net.continued(start(rows), 12, read=True).tolist()

    expected = exactly(run)
    lx.lowering.clear_cache()
    metrics.reset()
    assert run() == expected
    facts = metrics.report(as_dict=True)
    assert facts["lengths_padded"] >= 6
    assert facts["compiles"] <= 9


def kept(rows, steps, changed=False):
    """Attention of one new row at a time over keys and values that are kept, by lazyxla and by NumPy."""
    rng = np.random.default_rng(0)
    wq, wk, wv = (rng.normal(size=(4, 4)).astype(np.float32) for _ in range(3))
    xs = rng.normal(size=(steps, rows, 1, 4)).astype(np.float32)
    keys = values = np.zeros((rows, 0, 4), np.float32)
    given = [lx.tensor(w, device="xla") for w in (wq, wk, wv)]
    k = v = None
    for i, x in enumerate(xs):
        keys, values = np.concatenate([keys, x @ wk], 1), np.concatenate([values, x @ wv], 1)
        scores = np.exp(x @ wq @ keys.transpose(0, 2, 1))
        expected = scores / scores.sum(-1, keepdims=True) @ values
        y = lx.tensor(x, device="xla")
        k, v = ((y @ w if old is None else lx.cat([old, y @ w], 1)) for old, w in ((k, given[1]), (v, given[2])))
        found = F.softmax(y @ given[0] @ k.transpose(1, 2), -1) @ v
        for _ in range(12):  # work enough to be looked at
            found = lx.tanh(lx.atanh(found / 9) * 0.5 * 2) * 9
        yield found.cpu().numpy(), expected, k, v
        if changed and i % 5 == 4:
            k = k.clone()
            k[:, i // 2] *= 2
            keys[:, i // 2] *= 2


@pytest.mark.parametrize("changed", [False, True])
def test_kept_keys_and_values_are_few_programs(changed, metrics):
    lx.lowering.clear_cache()
    metrics.reset()
    for n, (found, expected, k, v) in enumerate(kept(2, 36, changed), 1):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5)
        assert k.shape == v.shape == (2, n, 4)
    assert metrics.report(as_dict=True)["lengths_padded"] >= 20
    if not changed:
        assert compiles() <= 14


def test_what_has_grown_is_a_tensor_as_any_other():
    net = Attention().to("xla")
    text = start()
    for _ in range(14):
        text = net.continued(text, 1, read=True)
    shown = np.array(text.tolist())
    assert shown.shape == tuple(text.shape) == (1, 16)
    np.testing.assert_array_equal(text.cpu().numpy(), shown)
    np.testing.assert_array_equal((text * 2 + 1)[0, ::3].cpu().numpy(), (shown * 2 + 1)[0, ::3])
    longer = net.continued(text, 1, read=True)
    view = text[:, 4:9]
    view.zero_()
    text[0, 2] = 7
    shown[:, 4:9], shown[0, 2] = 0, 7
    np.testing.assert_array_equal(text.cpu().numpy(), shown)
    assert longer.cpu().numpy()[0, 4:9].any()
    assert text.sum().item() == shown.sum() and lx.sort(text).values.tolist() == np.sort(shown).tolist()


WHOLE = {  # what a step makes of all rows [T, 3] so far, and whether that has rules for an open size
    "best": (lambda x: x + x.argmax(0, keepdim=True) * 0.1 - x.argmin(0) * 0.1, True),
    "written over": (lambda x: written(x), True),
    "merged": (lambda x: lx.sigmoid(x.t().reshape(-1) * 2).view(3, -1).t() - x.flatten().tanh().view(-1, 3), True),
    "rows from the ends": (lambda x: x - x[:1] + x[3] * 0.2 + x[-2:-1] - x[-3:].mean(0), True),
    "places": (lambda x: x * (lx.arange(len(x), device=x.device) / len(x))[:, None] + TABLE[: len(x)].to(x.device), True),
    "turned round": (lambda x: x.flip(0) - x.cumsum(0) * 0.1 + x.logsumexp(0), True),
    "sorted": (lambda x: lx.sort(x, 0).values, False),
}
TABLE = lx.tensor(np.random.default_rng(3).normal(size=(20, 3)).astype(np.float32))


def written(x):
    x = x.clone()
    x[0] = 0.25
    x[-1] *= 2
    return x


@pytest.mark.parametrize("name", WHOLE)
def test_operations_on_all_that_has_grown(name, exactly, metrics):
    made, known = WHOLE[name]

    def run():
        x = lx.tensor(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), device="xla")
        found = []
        for _ in range(12):
            y = made(x)
            for _ in range(24):
                y = lx.tanh(y) * 1.1
            x = lx.cat([x, y.mean(0, keepdim=True)])
            found.append(x[-1].sum().item())
        return [*found, *x.flatten().tolist()]

    expected = exactly(run)
    lx.lowering.clear_cache()
    metrics.reset()
    np.testing.assert_allclose(run(), expected, rtol=1e-4, atol=1e-5)
    assert (metrics.report(as_dict=True)["lengths_padded"] > 6) is known


def test_a_compiled_function_keeps_a_program_for_each_length(metrics):
    @lx.compile
    def longer(x):
        y = x
        for _ in range(40):
            y = lx.tanh(y) * 1.1
        return lx.cat([x, y.sum().reshape(1)])

    for _ in range(2):
        metrics.reset()
        x = lx.tensor([1.0, 2.0, 3.0, 4.0], device="xla")
        for _ in range(5):
            x = longer(x)
        assert x.shape == (9,)
    facts = metrics.report(as_dict=True)
    assert facts["compiled_calls"] == 5
    assert facts["lengths_padded"] == facts["compiles"] == 0
