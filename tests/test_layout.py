"""The layout is as designed: who may import whom, one table for all, and a checker that is itself tested."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Folder -> (room, the rooms it may import). README's folder map says the same; a test below compares them.
ROOMS = {
    "devices": ("devices", set()),
    "lazy": ("lazy", {"devices"}),
    "lowering": ("lowering", {"devices", "lazy"}),
    "autograd": ("autograd", {"lazy"}),
    "nn": ("nn", {"lazy", "autograd"}),
    "src/lazyxla": ("lazyxla", {"devices", "lazy", "lowering", "autograd", "nn"}),
}
OTHER_FOLDERS = ("tests", "examples", "benchmarks")

LONGEST = 500
LONGER = {  # path -> why it may be longer
}

RULES = {
    "absolute": "between rooms, imports are relative",
    "arrow": "a room imports only the rooms that the table allows it",
    "docstring": "a file opens with one sentence saying what it is for",
    "dynamic": "what is imported is written out, or lies in the same package",
    "jax": "only devices/ imports jax and jaxlib",
    "length": "a file over 500 lines is asking to be two",
    "package": "every folder of modules has an __init__.py",
    "private": "jaxlib and jax's private names are touched in one module",
    "top-level": "nothing is taken from, or installed as, a top-level module named as a room",
    "unsafe": "nothing is unpickled or evaluated",
}
PRIVATE_DOOR = "devices/_jaxlib.py"
UNSAFE_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec"}


# --- the checker ------------------------------------------------------------------------------------------------


def violations(root: Path) -> list[str]:
    """Everything under ``root`` that is against the layout, as 'path:line: rule: what'."""
    found = []
    for folder in ROOMS:
        for path in sorted((root / folder).rglob("*.py")):
            found += _in_module(path, root, folder)
        found += _missing_inits(root, folder)
    for folder in (*ROOMS, *OTHER_FOLDERS):
        found += _too_long(root, folder)
    return found


def _in_module(path: Path, root: Path, folder: str) -> list[str]:
    where = path.relative_to(root).as_posix()
    source = path.read_text()
    tree = ast.parse(source, where)
    found = []
    if source.strip() and not ast.get_docstring(tree):
        found.append(f"{where}:1: docstring: a file opens with one sentence saying what it is for")
    package = _package(path, root, folder)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for rule, what in _against(node, where, package):
            found.append(f"{where}:{line}: {rule}: {what}")
    return found


def _package(path: Path, root: Path, folder: str) -> list[str]:
    """The dotted name of the package that a file belongs to, e.g. ['lazyxla', 'lazy', 'ops']."""
    room = ROOMS[folder][0]
    top = ["lazyxla"] if room == "lazyxla" else ["lazyxla", room]
    return top + list(path.parent.relative_to(root / folder).parts)


def _against(node: ast.AST, where: str, package: list[str]) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [fault for alias in node.names for fault in _absolute(alias.name, where)]
    if isinstance(node, ast.ImportFrom):
        if node.level == 0:
            # `from jax import _src` reaches the same thing as `import jax._src`.
            names = [node.module or ""] + [f"{node.module}.{a.name}" for a in node.names if a.name.startswith("_")]
            return [fault for name in names for fault in _absolute(name, where)]
        return _relative(node, package)
    if isinstance(node, ast.Call):
        return _call(node, where)
    if isinstance(node, ast.Attribute):
        name = _dotted(node)
        if name.startswith(("jax.", "jaxlib.")) and _is_private(name) and where != PRIVATE_DOOR:
            return [("private", f"{name} belongs into {PRIVATE_DOOR}")]
    return []


def _absolute(name: str, where: str) -> list[tuple[str, str]]:
    top = name.partition(".")[0]
    if top == "lazyxla":
        return [("absolute", f"{name}: between rooms, import relatively")]
    if top in ROOMS:
        return [("top-level", f"{name}: nothing installs a top-level module of this name")]
    if top in ("jax", "jaxlib"):
        if not where.startswith("devices/"):
            return [("jax", f"{name}: only devices/ imports jax and jaxlib")]
        if (top == "jaxlib" or _is_private(name)) and where != PRIVATE_DOOR:
            return [("private", f"{name} belongs into {PRIVATE_DOOR}")]
    if top in UNSAFE_MODULES:
        return [("unsafe", f"{name}: files are never unpickled")]
    return []


def _relative(node: ast.ImportFrom, package: list[str]) -> list[tuple[str, str]]:
    base = package[: len(package) - node.level + 1]
    if not base:
        return [("top-level", f"{'.' * node.level}{node.module or ''} leads out of lazyxla")]
    module = base + (node.module.split(".") if node.module else [])
    own = package[1] if len(package) > 1 and package[1] in _room_names() else "lazyxla"
    allowed = next(may for room, may in ROOMS.values() if room == own) | {own}
    found = []
    for alias in node.names:
        target = [*module, alias.name][1:]  # without 'lazyxla'
        room = target[0] if target and target[0] in _room_names() else "lazyxla"
        if room not in allowed:
            found.append(("arrow", f"{own} may not import {room} ({'.'.join([*module, alias.name])})"))
    return found


def _call(node: ast.Call, where: str) -> list[tuple[str, str]]:
    found = []
    if isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
        found.append(("unsafe", f"{node.func.id}()"))
    for keyword in node.keywords:
        safe = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg == "allow_pickle" and not safe:
            found.append(("unsafe", "allow_pickle: files are never unpickled"))
    name = _dotted(node.func)
    if name.rpartition(".")[2] in ("import_module", "__import__"):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
            found += _absolute(first.value, where)
        elif not _is_below(first):
            found.append(("dynamic", f"{name}: what is imported must be written out"))
    return found


def _is_below(name: ast.AST | None) -> bool:
    """Whether a name is f".{...}": a package may put off importing its own modules."""
    start = name.values[0] if isinstance(name, ast.JoinedStr) else None
    return isinstance(start, ast.Constant) and start.value == "."


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""


def _is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def _room_names() -> set[str]:
    return {room for room, _ in ROOMS.values() if room != "lazyxla"}


def _missing_inits(root: Path, folder: str) -> list[str]:
    folders = {path.parent for path in (root / folder).rglob("*.py")}
    return [
        f"{f.relative_to(root).as_posix()}:0: package: __init__.py is missing"
        for f in sorted(folders)
        if not (f / "__init__.py").exists()
    ]


def _too_long(root: Path, folder: str) -> list[str]:
    found = []
    for path in sorted((root / folder).rglob("*.py")):
        where = path.relative_to(root).as_posix()
        lines = len(path.read_text().splitlines())
        if lines > LONGEST and where not in LONGER:
            found.append(f"{where}:{lines}: length: {lines} lines; over {LONGEST} a file is asking to be two")
        if lines <= LONGEST and where in LONGER:
            found.append(f"{where}:{lines}: length: no longer needs its entry in LONGER")
    return found


# --- this repository --------------------------------------------------------------------------------------------


def test_this_repository_is_as_designed():
    assert violations(ROOT) == []


def test_permitted_long_files_exist_and_have_a_reason():
    assert [p for p, reason in LONGER.items() if not (ROOT / p).is_file() or len(reason) < 20] == []


def test_every_package_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = settings["package-dir"]
    assert folders == {"lazyxla" if room == "lazyxla" else f"lazyxla.{room}": f for f, (room, _) in ROOMS.items()}
    on_disk = {
        ".".join(_package(init, ROOT, folder)) for folder in ROOMS for init in (ROOT / folder).rglob("__init__.py")
    }
    assert set(settings["packages"]) == on_disk


def test_readme_draws_the_same_map():
    drawn = {}
    for line in (ROOT / "README.md").read_text().splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].rstrip("/") in ROOMS:
            drawn[cells[0].rstrip("/")] = (cells[1].removeprefix("lazyxla.") or "lazyxla", cells[3])
    for folder, (room, may) in ROOMS.items():
        name, text = drawn[folder]
        assert name == room
        if text == "everything":
            assert may == _room_names()
        else:
            assert {word.strip() for word in text.split(",")} - {"jax", "jaxlib"} == may, folder


# --- the checker checked ----------------------------------------------------------------------------------------

PLANTED = {  # file -> source, and the rule that must be reported, once
    "an arrow back": ("lazy/graph.py", "from ..lowering import run", "arrow"),
    "an arrow back to a module": ("lazy/graph.py", "from ..autograd.engine import backward", "arrow"),
    "an arrow back, by the parent": ("devices/device.py", "from .. import lazy", "arrow"),
    "an arrow back, renamed": ("lazy/ops/shape.py", "from ... import nn as layers", "arrow"),
    "an arrow to a sibling": ("autograd/engine.py", "from ..devices import put", "arrow"),
    "an arrow across": ("lowering/build.py", "from ..autograd import grad", "arrow"),
    "an arrow to the face": ("nn/linear.py", "from .. import optim", "arrow"),
    "an arrow to the face's insides": ("nn/linear.py", "from ..optim.sgd import SGD", "arrow"),
    "an arrow inside a function": ("nn/linear.py", "def f():\n    from ..lowering import run\n    return run", "arrow"),
    "an arrow for types only": (
        "lazy/graph.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..nn import Module",
        "arrow",
    ),
    "one of several names": ("autograd/engine.py", "from .. import lazy, lowering", "arrow"),
    "jax outside devices": ("lowering/build.py", "import jax", "jax"),
    "jax.numpy outside devices": ("nn/linear.py", "import jax.numpy as jnp", "jax"),
    "jaxlib outside devices": ("src/lazyxla/face.py", "from jaxlib import xla_client", "jax"),
    "jax by its name": ("lazy/graph.py", "import importlib\nimportlib.import_module('jax')", "jax"),
    "jaxlib beside the door": ("devices/transfer.py", "import jaxlib", "private"),
    "jax._src beside the door": ("devices/transfer.py", "from jax._src import xla_bridge", "private"),
    "jax._src by the parent": ("devices/transfer.py", "from jax import _src", "private"),
    "jax._src by attribute": ("devices/transfer.py", "import jax\nx = jax._src", "private"),
    "our own name": ("lazy/graph.py", "import lazyxla", "absolute"),
    "our own name, from": ("nn/linear.py", "from lazyxla.lazy import Tensor", "absolute"),
    "a room as a top-level module": ("nn/linear.py", "from lazy import Tensor", "top-level"),
    "out of the package": ("lazy/graph.py", "from ...lazy import Tensor", "top-level"),
    "pickle": ("src/lazyxla/face.py", "import pickle", "unsafe"),
    "pickle, from": ("src/lazyxla/face.py", "from pickle import loads", "unsafe"),
    "pickle by NumPy": ("src/lazyxla/face.py", "import numpy as np\nnp.load('x.npy', allow_pickle=True)", "unsafe"),
    "eval": ("lazy/graph.py", "x = eval('1')", "unsafe"),
    "exec": ("lazy/graph.py", "exec('x = 1')", "unsafe"),
    "an import nobody can follow": ("lazy/graph.py", "import importlib\nimportlib.import_module(__name__)", "dynamic"),
    "an import that climbs": ("lazy/graph.py", "import importlib\nimportlib.import_module(f'..{x}', x)", "dynamic"),
    "no opening sentence": ("lazy/graph.py", None, "docstring"),
    "a long file": ("lazy/graph.py", "x = 1\n" * LONGEST, "length"),
    "a long test": ("tests/test_x.py", "x = 1\n" * LONGEST, "length"),
    "no __init__": ("nn/layers/conv.py", "x = 1", "package"),
}


def _plant(root: Path, where: str, source: str) -> None:
    path = root / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    for folder in ROOMS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "__init__.py").touch()
    (root / "lazy" / "ops").mkdir(exist_ok=True)
    (root / "lazy" / "ops" / "__init__.py").touch()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name, tmp_path):
    where, source, rule = PLANTED[name]
    _plant(tmp_path, where, "x = 1\n" if source is None else f'"""A sentence."""\n{source}\n')
    found = violations(tmp_path)
    assert [f.split(": ")[1] for f in found] == [rule], found
    assert found[0].startswith(where if rule != "package" else "nn/layers:")


def test_what_is_allowed_is_not_reported(tmp_path):
    allowed = {
        "devices/_jaxlib.py": "import jax\nimport jaxlib._jax\nfrom jax._src import xla_bridge\nx = jax._src.core",
        "devices/device.py": "import jax\nfrom . import _jaxlib\nx = jax.__version__",
        "lazy/graph.py": "from ..devices import Device\nfrom .ops import shape",
        "lazy/ops/shape.py": "from ..graph import Op\nfrom ...devices.device import Device",
        "lowering/build.py": "from ..devices._jaxlib import ir\nfrom ..lazy.graph import Node\nfrom .. import lazy",
        "autograd/engine.py": "from ..lazy import Tensor",
        "nn/linear.py": "import numpy\nfrom .. import lazy as lx\nfrom ..autograd import Function\nmodel.eval()",
        "src/lazyxla/optim/sgd.py": "from ..lazy import Tensor\nfrom .. import nn, lowering\nfrom . import adam",
        "src/lazyxla/optim/__init__.py": "from .sgd import SGD",
        "tests/test_x.py": "import lazyxla\nimport jax\nfrom jaxlib import xla_client\n" + "x = 1\n" * (LONGEST - 10),
    }
    for where, source in allowed.items():
        _plant(tmp_path, where, f'"""A sentence."""\n{source}\n')
    assert violations(tmp_path) == []


def test_every_rule_has_a_planted_violation():
    assert {rule for _, _, rule in PLANTED.values()} == set(RULES)
