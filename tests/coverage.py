"""Which of the names that PyTorch programs use are there, and which test holds each against a reference that is not this
library (NumPy, SciPy, a formula, PyTorch's kept values or documented behaviour): ``python -m tests.coverage`` writes
docs/coverage.md."""

import ast
import csv
import functools
import importlib
import re
import sys
from pathlib import Path

import lazyxla

ROOT = Path(__file__).resolve().parent.parent
NAMES, PAGE = ROOT / "tests" / "names.csv", ROOT / "docs" / "coverage.md"

HEAD = """# Which of PyTorch's names are here

The names of functions, classes, methods and attributes that files of 15 public repositories of PyTorch programs use, and
that are in this library's scope. `scripts/coverage` writes this page; a test fails where it is out of date.

Tested: held by a test against a reference that is not this library, such as NumPy, SciPy, a formula, values that PyTorch
computed, or the behaviour that PyTorch documents. Which test that is says the last column of `tests/names.csv`.
"""
# What a test reads its cases from, beside its own file.
TABLES = {"nn/test_reference.py": ("reference/*.py", "nn/reference/covered.json")}


def names() -> list[str]:
    """The names in scope, such as ``torch.nn.Linear`` and ``Tensor.sum``."""
    with NAMES.open() as f:
        return [row["name"] for row in csv.DictReader(f)]


def tests() -> dict[str, str]:
    """The test of each name, such as ``nn/test_losses.py::test_derivatives``; or another name for the same thing."""
    with NAMES.open() as f:
        return {row["name"]: row["test"] for row in csv.DictReader(f)}


@functools.cache
def words(test: str) -> frozenset[str]:
    """The words of a test: of its function and, through these, of all that its file says of what they mention."""
    path, _, function = test.partition("::")
    source = (ROOT / "tests" / path).read_text()
    parts: dict[str, str] = {}
    for part in ast.parse(source).body:
        defined = [part.name] if isinstance(part, (ast.FunctionDef, ast.ClassDef)) else [
            n.id for t in getattr(part, "targets", ()) for n in ast.walk(t) if isinstance(n, ast.Name)
        ]  # fmt: skip
        for name in defined:  # unparsed, it has its decorators
            parts[name] = parts.get(name, "") + ast.unparse(part)
    if not function.startswith("test_"):
        raise KeyError(f"{test} is no test")
    known, waiting = set[str](), {function}
    text = "".join(p.read_text() for pattern in TABLES.get(path, ()) for p in (ROOT / "tests").glob(pattern))
    while waiting:
        name = waiting.pop()
        known.add(name)
        text += "\n" + parts[name]
        waiting |= set(re.findall(r"\w+", parts[name])) & parts.keys() - known
    return frozenset(re.findall(r"\w+", text))


def untested(name: str, test: str) -> str | None:
    """What is wrong with the test that is said to hold a name; None where nothing is."""
    if "::" not in test:
        if test not in tests() or "::" not in tests()[test]:
            return f"{name} has no test"
        return None if found(name) is found(test) else f"{name} is not {test}, whose test is to hold it"
    try:
        mentioned = name.rpartition(".")[2] in words(test)
    except (OSError, KeyError):
        return f"{name}: there is no test {test}"
    return None if mentioned else f"{test} does not mention {name}"


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
    test_of = tests()
    covered = {title: states.get("yes", []) for title, states in families.items()}
    tested = {title: sum(untested(n, test_of[n]) is None for n in names) for title, names in covered.items()}
    there = sum(map(len, covered.values()))
    out = [
        HEAD, f"{there} of {total} are covered, {sum(tested.values())} of them tested.\n",
        "| family | covered | of | tested |", "|---|---|---|---|",
    ]  # fmt: skip
    for title, states in sorted(families.items()):
        out.append(f"| `{title}` | {len(covered[title])} | {sum(map(len, states.values()))} | {tested[title]} |")
    for title, states in sorted(families.items()):
        out.append(f"\n## {title}\n")
        for kind in sorted(states, key=lambda k: (k != "yes", k != "no", k)):
            word = {"yes": "Covered", "no": "Not covered"}.get(kind, f"Refused, in words ({kind})")
            listed = ", ".join(f"`{n.removeprefix(title + '.')}`" for n in sorted(states[kind]))
            out.append(f"{word}: {listed}.\n")
    return "\n".join(out).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
