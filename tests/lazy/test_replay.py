"""Replay: a followed step gives what a recorded one gives, whatever the program does; and steps that repeat are followed."""

import threading

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F

pytestmark = pytest.mark.usefixtures("clean")


def counts() -> dict:
    return lx.metrics.report(as_dict=True)


# --- random programs --------------------------------------------------------------------------------------------


class Program:
    """A random loop of ``steps`` equal steps, but for what ``odd`` ones do besides. Values stay small and 3 by 3."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.actions = [self.action() for _ in range(self.rng.integers(3, 14))]
        self.odd = {int(i): self.action() for i in self.rng.integers(0, 12, 2)}
        self.start = self.rng.standard_normal((4, 3, 3)).astype(np.float32)

    def action(self):
        names = [
            "binary", "binary", "number", "varying", "unary", "view", "view", "write", "write_view", "write_part", "data",
            "random", "hold", "drop", "read", "sync", "train", "train", "accumulate", "chunk", "where", "cat", "detach",
            "made", "place", "place", "early", "early",
        ]  # fmt: skip
        return str(self.rng.choice(names)), self.rng.integers(0, 1000, 4).tolist()

    def run(self, steps: int = 12) -> list[np.ndarray]:
        lx.manual_seed(5)
        state = [lx.tensor(a) for a in self.start[:2]]
        p = lx.tensor(self.start[2], requires_grad=True)
        velocity = lx.zeros(3, 3)
        held: list = []
        read: list = []
        for step in range(steps):
            t = [*state, lx.tensor(self.start[3]) + 0.0]
            todo = [*self.actions, *([self.odd[step]] if step in self.odd else [])]
            for name, (i, j, k, n) in todo:
                a, b = t[i % len(t)], t[j % len(t)]
                self.do(name, a, b, k, n, t, p, velocity, held, read, step)
            state = [lx.tanh(x) if k % 2 else x for k, x in enumerate(t[-2:])]
            state = [x.detach() for x in state]
        out = [*state, *held, p, velocity]
        if p.grad is not None:
            out.append(p.grad)
        return [*read, *(x.detach().numpy().copy() for x in out)]

    def do(self, name, a, b, k, n, t, p, velocity, held, read, step):
        if name == "binary":
            t.append(lx.tanh((a + b, a * b, a - b)[k % 3]))
        elif name == "number":
            t.append((a * 0.25, 1 - a, a / 3, a + 1, 0.75 * a)[k % 5])
        elif name == "varying":
            t.append(a * (0.1 + 0.01 * step) if k % 2 else lx.add(a, b, alpha=0.01 * step))
        elif name == "unary":
            wide = a.sum(0, keepdim=True).expand(3, 3).tanh()
            t.append((-a, lx.sigmoid(a), a.abs().clamp(max=1), lx.softmax(a, -1), wide)[k % 5])
        elif name == "view":
            t.append((a.T, a.reshape(9).view(3, 3), a[:], a.transpose(0, 1), a.reshape(3, 3))[k % 5])
        elif name == "write":
            (a.mul_(0.5), a.add_(b).tanh_(), a.copy_(b), a.zero_(), a.sub_(b, alpha=0.1).clamp_(-1, 1))[k % 5]
        elif name == "write_view":
            view = (a.T, a[0:2], a.reshape(-1), a[1])[k % 4]
            view.mul_(0.5)
        elif name == "write_part":
            a[k % 3] = b[n % 3] if k % 2 else 0.125
        elif name == "data":
            a.data.mul_(0.5)
        elif name == "random":
            t.append(lx.rand_like(a) if k % 2 else F.dropout(a, 0.5))
        elif name == "hold":
            held.append(a if k % 2 else a.T)
        elif name == "drop" and held:
            held.pop(k % len(held))
        elif name == "read":
            read.append(np.array(a.sum().item()))
        elif name == "sync":
            lx.sync()
        elif name in ("train", "accumulate", "early"):
            loss = (F.linear(F.dropout(a.detach(), 0.3), p).tanh() * b.detach()).mean()
            if name == "early" and (step % 3 or n % 3):  # the loss is read first: each time, or now and then
                read.append(np.array(loss.item()))
                if n % 5 > 2:
                    read.append(np.array((a > b).sum().item()))
                    t.append(lx.tanh(a + loss.detach()))
                if k // 2 % 2:
                    read.append((p * 2).detach().sum().numpy() + loss.detach().numpy())
            if name != "accumulate":
                p.grad = None
            loss.backward()
            with lx.no_grad():
                velocity.mul_(0.9).add_(p.grad)
                p -= 0.1 * velocity if k % 2 else (0.1 + 0.001 * step) * velocity
            if n % 2:
                lx.sync()
        elif name == "chunk":
            parts = a.chunk(3, 0)
            t.append(lx.cat([parts[(k + i) % 3] for i in range(3)]))
        elif name == "where":
            t.append(lx.where(a > b, a, b))
        elif name == "cat":
            t.append(lx.cat([a, b], 1)[:, k % 3 : k % 3 + 3])
        elif name == "place":
            rows = lx.cat([a, b])
            lx.sync()  # what is cut is data, as in a loop over batches
            i, j = step % 3, step % 4
            t.append((rows[i : i + 3], rows.T[:, j : j + 3], rows.T[..., i + j][None] * a)[k % 3])
        elif name == "detach":
            t.append(a.detach())
        elif name == "made":
            t.append(lx.zeros(3, 3) + lx.arange(3))


def check(seed: int, replay) -> int:
    program = Program(seed)
    replay(False)
    expected = program.run()
    replay(True)
    lx.metrics.reset()
    got = program.run()
    assert len(got) == len(expected)
    for i, (x, y) in enumerate(zip(got, expected)):
        np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5, err_msg=f"program {seed}, value {i}: {program.actions}")
    return counts()["replays"]


@pytest.mark.parametrize("first", range(0, 48, 12))
def test_random_programs_give_the_same_with_and_without(first, replay):
    followed = sum(check(seed, replay) for seed in range(first, first + 12))
    assert followed > 10  # else this test would show nothing


@pytest.mark.slow
@pytest.mark.parametrize("first", range(48, 648, 25))
def test_many_random_programs_give_the_same_with_and_without(first, replay):
    assert sum(check(seed, replay) for seed in range(first, first + 25)) > 20


# --- what is followed -------------------------------------------------------------------------------------------


def train(steps: int, each=lambda step, loss: None, make=lx.optim.AdamW, **options):
    lx.manual_seed(3)
    model = lx.nn.Sequential(lx.nn.Linear(4, 8), lx.nn.Tanh(), lx.nn.Dropout(0.1), lx.nn.Linear(8, 2))
    optimizer = make(model.parameters(), **options)
    rng = np.random.default_rng(0)
    losses = []
    for step in range(steps):
        x, y = lx.tensor(rng.standard_normal((5, 4)).astype(np.float32)), lx.tensor(rng.integers(0, 2, 5))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        each(step, loss)
        losses.append(loss)
    return [v.item() for v in losses], model


def both(replay, *args, **kwargs):
    replay(False)
    expected, _ = train(*args, **kwargs)
    replay(True)
    lx.metrics.reset()
    got, model = train(*args, **kwargs)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    return model


def test_a_training_loop_is_followed_from_the_third_step(replay):
    both(replay, 10)
    assert counts()["replays"] >= 7
    assert counts()["replays_given_up"] == 0


def test_a_followed_step_gives_old_parameters_away(replay):
    both(replay, 10)
    lx.metrics.reset()
    train(10)
    assert counts()["donated_buffers"] >= 8 * 12


def test_a_learning_rate_that_changes_each_step_is_followed(replay):
    def each(step, loss):
        for group in optimizers[-1].param_groups:
            group["lr"] = 0.1 / (step + 1)

    optimizers = []

    def make(params, **options):
        optimizers.append(lx.optim.SGD(params, **options))
        return optimizers[-1]

    both(replay, 10, each, make, lr=0.1)
    assert counts()["replays"] >= 7


def test_a_number_that_changes_each_step_becomes_an_argument(replay):
    def run() -> list[float]:
        w = lx.ones(3)
        for step in range(10):
            w = (w * (1.3 + 0.25 * step)).tanh()
            lx.sync()
        return w.tolist()

    replay(False)
    expected = run()
    replay(True)
    lx.metrics.reset()
    assert run() == pytest.approx(expected)
    assert counts()["replays"] >= 5
    assert counts()["compiles"] <= 2


def test_reading_the_loss_at_some_steps_only(replay):
    seen = []
    both(replay, 12, lambda step, loss: seen.append(loss.item()) if step % 4 == 3 else None)
    assert counts()["replays"] >= 8


def test_another_batch_size_is_recorded_and_then_followed_too(replay):
    def run():
        w = lx.ones(4, requires_grad=True)
        out = []
        for step in range(16):
            x = lx.ones(3 if step % 4 == 3 else 5, 4) * (1.25 + step % 2)
            loss = (x @ w).square().sum()
            w.grad = None
            loss.backward()
            with lx.no_grad():
                w.sub_(0.01 * w.grad)
            lx.sync()
            out.append(loss)
        return [v.item() for v in out]

    replay(False)
    expected = run()
    replay(True)
    lx.metrics.reset()
    assert run() == pytest.approx(expected, rel=1e-5)
    assert counts()["replays"] >= 8


def test_shapes_types_and_modes_are_there_without_recording(replay):
    replay(True)
    p = lx.ones(2, 3, requires_grad=True)
    for _ in range(5):
        y = (p * 2).T
        assert y.shape == (3, 2) and y.dtype is lx.float32 and y.requires_grad and y.numel() == 6 and y.ndim == 2
        assert not y.is_contiguous() and y.stride() == (1, 3) and len(y) == 3 and not y.is_leaf
        z = y.detach()
        assert not z.requires_grad
        total = z.sum()
        assert total.item() == 12.0
        del y, z, total


def test_views_that_outlive_a_followed_step_share_memory(replay):
    replay(True)
    for step in range(5):
        x = lx.zeros(2, 2)
        row = x[0]
        lx.sync()
        row.add_(1 + step)
        x[0, 1] = 7
        assert x.tolist() == [[1.0 + step, 7.0], [0.0, 0.0]] and row.tolist() == [1.0 + step, 7.0]


def test_an_error_in_the_middle_of_a_followed_step_does_no_harm(replay):
    replay(True)
    w = lx.ones(3)
    for step in range(8):
        try:
            w = w * 1.25
            if step == 5:
                raise ValueError("the user's own")
            w = w - 0.25
        except ValueError:
            pass
        lx.sync()
    expected = 1.0
    for step in range(8):
        expected = expected * 1.25 - (0 if step == 5 else 0.25)
    assert w.tolist() == pytest.approx([expected] * 3)


def test_a_wrong_call_in_a_followed_step_is_the_usual_error(replay):
    replay(True)
    for step in range(5):
        x = lx.ones(2, 3) + 1
        if step == 4:
            with pytest.raises(RuntimeError, match="test_replay.py"):
                x @ lx.ones(2, 3)
        else:
            (x @ lx.ones(3, 2)).sum().item()


def test_a_hook_is_called_at_every_step(replay):
    replay(True)
    called = []
    w = lx.ones(3, requires_grad=True)
    w.register_hook(lambda g: called.append(1))
    for _ in range(5):
        w.grad = None
        (w * 2).sum().backward()
        lx.sync()
    assert len(called) == 5


def test_a_hook_added_later_ends_following(replay):
    replay(True)
    called = []
    w = lx.ones(3, requires_grad=True)
    for step in range(6):
        if step == 4:
            w.register_hook(lambda g: called.append(1))
        w.grad = None
        (w * 2).sum().backward()
        lx.sync()
    assert len(called) == 2


def test_numbers_that_differ_in_a_zeros_sign_differ(replay):
    x = lx.tensor([1j, 2.0])
    for number in [0j, complex(0.0, -0.0), complex(-2.0, 0.0), complex(-2.0, -0.0)] * 3:
        found = x.masked_fill(x.real > 1, number).numpy()
        assert np.signbit(found[1].imag) == np.signbit(number.imag)
    y = lx.tensor([3.0, 1.0])
    for number in [np.float32(0.0), np.float32(-0.0)] * 3:
        assert np.signbit((y * number).numpy()).all() == np.signbit(number)


def test_random_numbers_go_on_as_if_recorded(replay):
    def run():
        lx.manual_seed(1)
        out = []
        for _ in range(6):
            out.append((lx.rand(2) + lx.randn(2)).tolist())
        return out

    replay(False)
    expected = run()
    replay(True)
    assert run() == expected


def test_autocast_on_and_off_are_two_scripts(replay):
    replay(True)
    a = lx.ones(2, 2)
    for step in range(8):
        with lx.autocast("cpu", enabled=step % 2 == 0):
            y = a @ a
            z = y + 1
        assert y.dtype is (lx.bfloat16 if step % 2 == 0 else lx.float32)
        assert z.sum().item() == 12.0
    for _ in range(3):  # leaves a script in the middle, under autocast and outside
        with lx.autocast("cpu"):
            y = a @ a
        assert (y * 2).dtype is lx.bfloat16 and (a @ a).dtype is lx.float32 and y.sum().item() == 8.0


def test_recurrent_layers_and_attention_are_followed(replay):
    lx.manual_seed(0)
    lstm, attention = lx.nn.LSTM(3, 4), lx.nn.MultiheadAttention(4, 2)
    x = lx.randn(5, 2, 3)

    def run():
        out = []
        for _ in range(6):
            lstm.zero_grad()
            h, _ = lstm(x)
            y, _ = attention(h, h, h)
            y.square().sum().backward()
            with lx.no_grad():
                for p in lstm.parameters():
                    p.sub_(0.01 * p.grad)
            out.append(y.sum())
            lx.sync()
        return [v.item() for v in out]

    before = [p.detach().clone() for p in lstm.parameters()]
    replay(False)
    expected = run()
    with lx.no_grad():
        for p, old in zip(lstm.parameters(), before):
            p.copy_(old)
    replay(True)
    lx.metrics.reset()
    assert run() == pytest.approx(expected, rel=1e-4)
    assert counts()["replays"] >= 3 and counts()["replays_given_up"] == 0


def test_other_threads_may_record(replay):
    replay(True)
    results: dict[int, list] = {}

    def work(k: int) -> None:
        x = lx.ones(4) * k
        for _ in range(20):
            x = x * 0.5 + 1
            if k % 2:
                x.sum().item()
        results[k] = x.tolist()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    work(4)
    for thread in threads:
        thread.join()
    for k, found in results.items():
        x = float(k)
        for _ in range(20):
            x = x * 0.5 + 1
        assert found == pytest.approx([x] * 4)
