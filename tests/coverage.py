"""Which of the names that PyTorch programs use are there: ``python -m tests.coverage`` writes docs/coverage.md."""

import csv
import importlib
import sys
from pathlib import Path

import lazyxla

ROOT = Path(__file__).resolve().parent.parent
NAMES, PAGE = ROOT / "tests" / "names.csv", ROOT / "docs" / "coverage.md"

HEAD = """# Which of PyTorch's names are here

The names of functions, classes, methods and attributes that files of 15 public repositories of PyTorch programs use, and
that are in this library's scope. `scripts/coverage` writes this page; a test fails where it is out of date.
"""


def names() -> list[str]:
    """The names in scope, such as ``torch.nn.Linear`` and ``Tensor.sum``."""
    with NAMES.open() as f:
        return [row["name"] for row in csv.DictReader(f)]


def found(name: str) -> object:
    """What a name stands for here; AttributeError where there is nothing."""
    first, *rest = name.split(".")
    here = lazyxla.Tensor if first == "Tensor" else lazyxla
    path = "lazyxla"
    for part in rest:
        path += "." + part
        if not hasattr(here, part) and isinstance(here, type(sys)):
            try:
                importlib.import_module(path)
            except ModuleNotFoundError as e:
                if not path.startswith(e.name or " "):
                    raise
        here = getattr(here, part)
    return here


def state(name: str) -> str:
    """'yes', 'no', or what is refused in words where the name is there to say so."""
    try:
        return getattr(found(name), "refused", None) or "yes"
    except AttributeError:
        return "no"


def family(name: str) -> str:
    """The part of the page that a name belongs to."""
    parts = name.split(".")
    if parts[0] == "Tensor":
        return "Tensor"
    return ".".join(parts[:-1][:3])


def page() -> str:
    families: dict[str, dict[str, list[str]]] = {}
    for name in names():
        families.setdefault(family(name), {}).setdefault(state(name), []).append(name)
    total = len(names())
    there = sum(len(states.get("yes", [])) for states in families.values())
    out = [HEAD, f"{there} of {total} are covered.\n", "| family | covered | of |", "|---|---|---|"]
    for title, states in sorted(families.items()):
        out.append(f"| `{title}` | {len(states.get('yes', []))} | {sum(map(len, states.values()))} |")
    for title, states in sorted(families.items()):
        out.append(f"\n## {title}\n")
        for kind in sorted(states, key=lambda k: (k != "yes", k != "no", k)):
            word = {"yes": "Covered", "no": "Not covered"}.get(kind, f"Refused, in words ({kind})")
            listed = ", ".join(f"`{n.removeprefix(title + '.')}`" for n in sorted(states[kind]))
            out.append(f"{word}: {listed}.\n")
    return "\n".join(out).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
