"""Keep PyTorch's answers to the calls of tests/bad_inputs.py: ``python scripts/bad_input_values.py``."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from tests import bad_inputs


def main() -> None:
    warnings.simplefilter("ignore")
    names = bad_inputs.names_of(torch)
    calls: dict[str, list[str]] = {}
    for call in bad_inputs.CALLS:
        found, _ = bad_inputs.answer(torch, names, call, eval)
        calls.setdefault(found, []).append(call)
    path = Path(bad_inputs.__file__).parent / "lazy" / "bad_input_values.json"
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(calls.items()))
    path.write_text("{\n" + lines + "\n}\n")
    print(f"{len(bad_inputs.CALLS)} calls, {len(calls)} answers with PyTorch {torch.__version__}: {path}")


if __name__ == "__main__":
    main()
