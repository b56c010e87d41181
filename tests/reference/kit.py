"""Programs that run alike in PyTorch and here: their inputs and parameters are made from names, their results kept.

A case is ``f(torch, kit) -> tensors``; ``run`` gives its outputs, the gradients of a fixed weighted sum of them, and
the texts it noted. ``scripts/reference_values.py`` runs all cases in PyTorch and keeps the values; the tests run them here.
"""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

VALUES = Path(__file__).parent.parent / "nn" / "reference"
groups: dict[str, dict[str, Callable[..., Any]]] = {}


def case(group: str, name: str | None = None, **options: Any) -> Callable[..., Any]:
    """Put a function among the cases of a group; options are given to it as keyword arguments."""

    def put(f: Callable[..., Any]) -> Callable[..., Any]:
        key = name or f.__name__
        assert key not in groups.setdefault(group, {}), f"two cases are named {key}"
        groups[group][key] = lambda torch, kit: f(torch, kit, **options)
        return f

    return put


class Kit:
    """Makes the inputs of one case."""

    def __init__(self, torch: Any, name: str) -> None:
        self.torch, self.name = torch, name
        self.inputs: list[Any] = []
        self.parameters: dict[str, Any] = {}
        self.notes: list[str] = []

    def numbers(self, what: str) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self.name}/{what}".encode()))

    def x(self, *shape: int, grad: bool = True, scale: float = 1.0, low: float | None = None) -> Any:
        """Normal numbers (or uniform ones in [low, low + scale)), whose gradient is among the results."""
        rng = self.numbers(f"input{len(self.inputs)}")
        values = rng.normal(size=shape) * scale if low is None else low + scale * rng.uniform(size=shape)
        t = self.torch.tensor(values.astype(np.float32))
        if grad:
            t.requires_grad_()
        self.inputs.append(t)
        return t

    def ints(self, high: int, *shape: int, low: int = 0) -> Any:
        rng = self.numbers(f"input{len(self.inputs)}")
        t = self.torch.tensor(rng.integers(low, high, shape))
        self.inputs.append(t)
        return t

    def fill(self, module: Any, scale: float = 0.4, prefix: str = "") -> Any:
        """Give all floating tensors of a module values made from their names, and note its text."""
        state = {}
        for key, t in module.state_dict().items():
            if not t.is_floating_point():
                continue
            values = self.numbers(prefix + key).normal(size=tuple(t.shape)) * scale
            if key.endswith("running_var") or key.endswith("original0"):  # variances and lengths are positive
                values = np.abs(values) + 0.5
            state[key] = self.torch.tensor(values.astype(np.float32))
        module.load_state_dict(state, strict=False)
        for key, p in module.named_parameters():
            self.parameters[prefix + key] = p
        self.note(repr(module))
        self.note(" ".join(module.state_dict()))
        return module

    def note(self, text: Any) -> None:
        self.notes.append(str(text))

    def error(self, f: Callable[[], Any]) -> None:
        """Note the class and the first words of the error that ``f`` raises."""
        try:
            f()
        except Exception as e:
            self.note(f"{type(e).__name__}: {str(e).splitlines()[0]}")
        else:
            self.note("no error")


def flat(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in flat(v)]
    return [value]


def run(torch: Any, group: str, name: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """The results of a case by name, and its texts."""
    kit = Kit(torch, name)
    outputs = flat(groups[group][name](torch, kit))
    found = {f"{name}/out{i}": t.detach() for i, t in enumerate(outputs)}
    total = None
    for i, t in enumerate(outputs):
        if t.requires_grad:
            weights = torch.tensor(kit.numbers(f"weight{i}").normal(size=tuple(t.shape)).astype(np.float32))
            part = (t * weights).sum()
            total = part if total is None else total + part
    if total is not None:
        total.backward()
    for i, t in enumerate(kit.inputs):
        if t.grad is not None:
            found[f"{name}/input{i}.grad"] = t.grad
    for key, p in kit.parameters.items():
        if p.grad is not None:
            found[f"{name}/{key}.grad"] = p.grad
    return {k: np.array(v.numpy()) for k, v in found.items()}, kit.notes


def load(group: str) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """What PyTorch computed for a group: values by name, and the texts of each case."""
    from safetensors import safe_open

    with safe_open(VALUES / f"{group}.safetensors", "numpy") as f:
        return {k: f.get_tensor(k) for k in f.keys()}, {k: json.loads(v) for k, v in (f.metadata() or {}).items()}


def save(group: str, values: dict[str, np.ndarray], notes: dict[str, list[str]]) -> None:
    from safetensors.numpy import save_file

    VALUES.mkdir(exist_ok=True)
    kept = {k: np.asarray(v, order="C") for k, v in sorted(values.items())}
    save_file(kept, VALUES / f"{group}.safetensors", {k: json.dumps(v) for k, v in sorted(notes.items())})


def check(torch: Any, group: str, name: str, expected: dict[str, np.ndarray], notes: dict[str, list[str]]) -> None:
    """The case here gives what PyTorch gave, to 1e-5 of each result's largest element (or of 1)."""
    got, texts = run(torch, group, name)
    wanted = {k: v for k, v in expected.items() if k.startswith(f"{name}/")}
    assert sorted(got) == sorted(wanted)
    for key, want in wanted.items():
        assert got[key].shape == want.shape and got[key].dtype == want.dtype, key
        if want.dtype.kind == "f":
            bound = 1e-5 * max(1.0, float(np.abs(np.where(np.isfinite(want), want, 0)).max(initial=0)))
            np.testing.assert_allclose(got[key], want, rtol=0, atol=bound, err_msg=key)
        else:
            np.testing.assert_array_equal(got[key], want, err_msg=key)
    assert len(texts) == len(notes[name])
    for text, want in zip(texts, notes[name]):
        text = text.replace("lazyxla.", "torch.")
        assert text == want or text.startswith(want), f"{text!r} is not {want!r}"  # an error here names the line too
