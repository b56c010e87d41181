"""Reads the pickles of PyTorch's checkpoints as data: opcodes that build containers and numbers, and names from a list.

Nothing that a file names is imported or called: a name stands for an entry of a table of ours, or it is an error.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..nn.state import NOTES
from .source import DamagedFileError
from .stored import Held


class UnsafeFileError(RuntimeError):
    """A file that wants code to be run: a name that is no data, or an opcode that only code needs."""


class Global:
    """A name in a pickle, and what it does here when the pickle calls it."""

    def __init__(self, name: str, call: Callable[..., Any] | None = None, new: Callable[..., Any] | None = None) -> None:
        self.name, self.call, self.new = name, call, new

    def __repr__(self) -> str:
        return self.name


class Built(Held):
    """A value that a pickle finishes after it has handed it out; ``build(state)`` does."""

    def build(self, state: Any) -> None:
        raise NotImplementedError


_MARK: Any = object()
_MOST_DEPTH = 1 << 20


class Machine:
    """Runs one pickle. ``find(name)`` gives a Global or raises; ``stored(id)`` what a persistent id stands for."""

    def __init__(
        self, data: Any, find: Callable[[str], Global], stored: Callable[[Any], Any], where: str, at: int = 0
    ) -> None:
        self.data, self.find, self.stored, self.where, self.at = memoryview(data), find, stored, where, at
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The object; DamagedFileError for what is no pickle, UnsafeFileError for one that is not data alone."""
        try:
            while True:
                op = self._take(1)[0]
                if op == 0x2E:  # STOP
                    return self._pop()
                step = _OPS.get(op)
                if step is None:
                    raise UnsafeFileError(f"{self.where}: opcode {bytes([op])!r} is not among those that data needs")
                step(self)
        except (IndexError, KeyError, ValueError, TypeError, struct.error, AttributeError) as e:
            raise DamagedFileError(f"{self.where}: damaged: its pickle cannot be read: {type(e).__name__}: {e}") from None

    # --- the bytes ---

    def _take(self, count: int) -> memoryview:
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise ValueError("it ends too early")
        found = self.data[self.at : end]
        self.at = end
        return found

    def _unpack(self, form: str) -> int:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]  # type: ignore[no-any-return]

    def _line(self) -> bytes:
        rest = bytes(self.data[self.at : self.at + 4096])
        end = rest.index(b"\n")
        self.at += end + 1
        return rest[:end]

    def _text(self, form: str) -> str:
        return str(self._take(self._unpack(form)), "utf-8", "surrogatepass")

    def _bytes(self, form: str) -> bytes:
        return bytes(self._take(self._unpack(form)))

    # --- the stack ---

    def _push(self, value: Any) -> None:
        if len(self.stack) >= _MOST_DEPTH:
            raise ValueError("too much on its stack")
        self.stack.append(value)

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value is expected")
        return value

    def _marked(self) -> list[Any]:
        """All above the last mark, taken off."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    # --- opcodes that do more than push ---

    def _global(self, module: str, name: str) -> None:
        self._push(self.find(f"{module}.{name}"))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError("a name that is no text")
        self._global(module, name)

    def _reduce(self) -> None:
        args, f = self._pop(), self._pop()
        if type(f) is not Global or f.call is None:
            raise UnsafeFileError(f"{self.where}: it calls {f!r}, which is not called here")
        self._push(f.call(*args))

    def _newobj(self) -> None:
        args, f = self._pop(), self._pop()
        if type(f) is not Global or f.new is None:
            raise UnsafeFileError(f"{self.where}: it makes a {f!r}, which is not made here")
        self._push(f.new(*args))

    def _build(self) -> None:
        state = self._pop()
        target = self.stack[-1]
        if isinstance(target, Built):
            target.build(state)
        elif not (isinstance(target, dict) and isinstance(state, dict)):
            raise UnsafeFileError(f"{self.where}: it sets attributes of a {type(target).__name__}")
        elif type(target) is OrderedDict and isinstance(state.get(NOTES), dict):
            setattr(target, NOTES, state[NOTES])  # of a state dict; others are dropped

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, (dict, Built)):
            raise ValueError(f"items for a {type(target).__name__}")
        for k, v in zip(items[::2], items[1::2], strict=True):
            if isinstance(target, dict):
                target[k] = v

    def _append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Built):
            raise ValueError(f"elements for a {type(target).__name__}")

    def _add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise ValueError(f"members for a {type(target).__name__}")
        target.update(items)

    def _number(self, text: bytes) -> int | bool:
        return {b"00": False, b"01": True}[text] if text in (b"00", b"01") else int(text[:400])


def _long(data: Any) -> int:
    return int.from_bytes(data, "little", signed=True)


def _tuple(m: Machine, count: int) -> None:
    found = [m._pop() for _ in range(count)][::-1]
    m._push(tuple(found))


def _put(m: Machine, number: int) -> None:
    m.memo[number] = m.stack[-1]


def _persistent(m: Machine) -> None:
    m._push(m.stored(m._pop()))


def _dict(m: Machine) -> None:
    found = m._marked()
    m._push(dict(zip(found[::2], found[1::2], strict=True)))


_OPS: dict[int, Callable[[Machine], Any]] = {
    ord(code): step
    for code, step in {
        "\x80": lambda m: m._take(1), "\x95": lambda m: m._take(8),  # PROTO, FRAME
        "(": lambda m: m._push(_MARK), "0": lambda m: m.stack.pop(), "1": lambda m: m._marked(),
        "2": lambda m: m._push(m.stack[-1]),
        "N": lambda m: m._push(None), "\x88": lambda m: m._push(True), "\x89": lambda m: m._push(False),
        "I": lambda m: m._push(m._number(m._line())), "L": lambda m: m._push(int(m._line()[:400].rstrip(b"L"))),
        "J": lambda m: m._push(m._unpack("<i")), "K": lambda m: m._push(m._unpack("<B")),
        "M": lambda m: m._push(m._unpack("<H")), "\x8a": lambda m: m._push(_long(m._bytes("<B"))),
        "\x8b": lambda m: m._push(_long(m._bytes("<i"))),
        "F": lambda m: m._push(float(m._line())), "G": lambda m: m._push(m._unpack(">d")),
        "V": lambda m: m._push(m._line().decode("raw-unicode-escape")),
        "X": lambda m: m._push(m._text("<I")), "\x8c": lambda m: m._push(m._text("<B")),
        "\x8d": lambda m: m._push(m._text("<Q")),
        "T": lambda m: m._push(m._bytes("<i").decode("latin1")), "U": lambda m: m._push(m._bytes("<B").decode("latin1")),
        "B": lambda m: m._push(m._bytes("<I")), "C": lambda m: m._push(m._bytes("<B")),
        "\x8e": lambda m: m._push(m._bytes("<Q")), "\x96": lambda m: m._push(bytearray(m._bytes("<Q"))),
        "]": lambda m: m._push([]), "a": lambda m: m._append([m._pop()]), "e": lambda m: m._append(m._marked()),
        "l": lambda m: m._push(m._marked()),
        ")": lambda m: m._push(()), "t": lambda m: m._push(tuple(m._marked())), "\x85": lambda m: _tuple(m, 1),
        "\x86": lambda m: _tuple(m, 2), "\x87": lambda m: _tuple(m, 3),
        "}": lambda m: m._push({}), "d": _dict, "u": lambda m: m._set_items(m._marked()),
        "s": lambda m: m._set_items([m._pop(), m._pop()][::-1]),
        "\x8f": lambda m: m._push(set()), "\x90": lambda m: m._add(m._marked()),
        "\x91": lambda m: m._push(frozenset(m._marked())),
        "p": lambda m: _put(m, int(m._line())), "q": lambda m: _put(m, m._unpack("<B")),
        "r": lambda m: _put(m, m._unpack("<I")), "\x94": lambda m: _put(m, len(m.memo)),
        "g": lambda m: m._push(m.memo[int(m._line())]), "h": lambda m: m._push(m.memo[m._unpack("<B")]),
        "j": lambda m: m._push(m.memo[m._unpack("<I")]),
        "c": lambda m: m._global(m._line().decode(), m._line().decode()), "\x93": Machine._stack_global,
        "R": Machine._reduce, "\x81": Machine._newobj, "b": Machine._build, "Q": _persistent,
    }.items()
}  # fmt: skip
