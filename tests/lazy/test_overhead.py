"""What recording and following cost, counted in bytecode instructions: the same on every machine, however busy."""

import subprocess
import sys

import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla.lazy.replay import starts
from lazyxla.lazy.subclassing import asks


@pytest.fixture(autouse=True)
def plain():
    """A program without subclasses of ``Tensor``, and without scripts, which other tests of this process may have made."""
    was = asks[:]
    asks.clear()
    lx.sync()
    starts.forget()
    yield
    asks[:] = was


def instructions(run) -> int:
    """How many bytecode instructions of Python ``run()`` takes."""
    found = 0

    def trace(frame, event, arg):
        nonlocal found
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            found += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return found


def per_op(loop, ops: int) -> float:
    """Of one op of ``loop(n)``, which makes so many ops a turn; the loop's own cost is in it."""
    few, many = instructions(lambda: loop(5)), instructions(lambda: loop(45))
    return (many - few) / (40 * ops)


def chain(requires_grad: bool = False):
    y, z0 = lx.ones(4, requires_grad=requires_grad), lx.ones(4)
    lx.sync()

    def loop(n):
        z = z0
        for _ in range(n):
            z = (z + y) * y
        return z

    return loop


def test_nobody_is_to_be_asked_about_calls():
    code = "from lazyxla import array_api, distributions, jit; from lazyxla.lazy.subclassing import asks; print(asks)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_recorded_op():
    saved, starts.enabled[0] = starts.enabled[0], False
    lx.sync()
    try:
        plain, tracked = chain(), chain(True)
        plain(3), tracked(3)
        assert per_op(plain, 2) < 290
        lx.sync()
        assert per_op(tracked, 2) < 390
    finally:
        lx.sync()
        starts.enabled[0] = saved
        lx.sync()


def test_a_followed_op():
    loop = chain()

    def turn(n):
        loop(n).sum().item()

    for n in (5, 5, 5, 45, 45, 45):
        turn(n)
    lx.metrics.reset()
    assert per_op(turn, 2) < 130
    assert lx.metrics.report(as_dict=True)["replays_given_up"] == 0


def test_a_compiled_call():
    layer = lx.nn.Linear(4, 4)
    optimizer = lx.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)

    @lx.compile
    def step(x):
        optimizer.zero_grad()
        loss = F.mse_loss(layer(x), x)
        loss.backward()
        optimizer.step()
        return loss

    x = lx.ones(2, 4)
    for _ in range(4):
        step(x)
    assert instructions(lambda: step(x)) < 4500


def test_views_that_are_followed():
    x, y = lx.ones(50, 4), lx.ones(4)
    lx.sync()

    def turn(n):
        z = y
        for t in range(n):
            a, b = (z + x[t]).chunk(2)
            z = lx.cat((b, a))
        z.sum().item()

    for n in (5, 5, 5, 45, 45, 45):
        turn(n)
    lx.metrics.reset()
    assert per_op(turn, 4) < 270
    assert lx.metrics.report(as_dict=True)["replays_given_up"] == 0
