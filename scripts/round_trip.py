"""Weights there and back: models of the examples, made of the same text with PyTorch and with lazyxla.

``python scripts/round_trip.py`` prints, for each model, the largest differences of what it gives in evaluation and in a step of
training after its weights went from PyTorch here and from here to PyTorch. ``--keep`` makes the files that the tests read.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import safetensors.numpy
import safetensors.torch
import torch

import lazyxla as lx
from tests.reference import trips

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TIED = {"char_gpt": "lm_head.weight", "lstm_lm": "decoder.weight"}


def in_pytorch(name: str) -> types.ModuleType:
    """An example of which only the imports are changed."""
    text = (EXAMPLES / f"{name}.py").read_text()
    module = types.ModuleType(f"{name}_in_pytorch")
    text = text.replace("import lazyxla as torch", "import torch").replace("lazyxla", "torch")
    exec(compile(text, name, "exec"), vars(module))
    return module


def copied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in state.items()}  # safetensors takes no tensors that share memory


def trip(name: str, make: object, folder: Path) -> tuple[float, ...]:
    there, here = in_pytorch(name), importlib.import_module(name)
    torch.manual_seed(1)
    source = make(there)
    with torch.no_grad():  # not as initialised: nothing is zero or one
        for t in source.state_dict().values():
            if t.is_floating_point():
                t.copy_(t + 0.05 * torch.rand_like(t))
    begun = copied(source.state_dict())
    torch.save(source.state_dict(), folder / f"{name}.pt")
    safetensors.torch.save_file(begun, folder / f"{name}.state.safetensors")
    expected = trips.results(torch, name, source)
    found = []
    for file in (f"{name}.pt", f"{name}.state.safetensors"):
        model = make(here)
        model.load_state_dict(lx.load(folder / file))
        found.append(trips.difference(trips.results(lx, name, model), expected))
    lx.manual_seed(2)
    source = make(here)
    lx.save(source.state_dict(), folder / "back.safetensors")
    lx.save(source.state_dict(), folder / "back.pt")
    expected = trips.results(lx, name, source)
    for file in ("back.safetensors", "back.pt"):
        model = make(there)
        missing, _ = model.load_state_dict(safetensors.torch.load_file(folder / file), strict=False)
        # of tensors that share memory, save()'s own format has one
        assert missing == ([TIED[name]] if file.endswith(".pt") and name in TIED else [])
        found.append(trips.difference(expected, trips.results(torch, name, model)))
    return tuple(found)


def keep() -> None:
    trips.KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in trips.SMALL.items():
            trip(name, make, Path(folder))
            for end in ("pt", "state.safetensors"):
                (trips.KEPT / f"{name}.{end}").write_bytes((Path(folder) / f"{name}.{end}").read_bytes())
            model = make(in_pytorch(name))
            model.load_state_dict(torch.load(trips.KEPT / f"{name}.pt"))
            safetensors.numpy.save_file(trips.results(torch, name, model), trips.KEPT / f"{name}.results.safetensors")
    for path in sorted(trips.KEPT.iterdir()):
        print(path.name, path.stat().st_size)


def main(arguments: list[str]) -> None:
    if "--keep" in arguments:
        return keep()
    print(f"PyTorch {torch.__version__}; largest differences, as shares of each result's largest element or of 1")
    print(f"{'':10}{'torch.save':>16}{'safetensors':>16}{'back, both ways':>24}")
    for makers in (trips.SMALL, trips.LARGE):
        for name, make in makers.items():
            with tempfile.TemporaryDirectory() as folder:
                one, two, three, four = trip(name, make, Path(folder))
            print(f"{name:10}{one:16.1e}{two:16.1e}{three:13.1e}{four:11.1e}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
