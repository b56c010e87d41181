"""Devices by name: 'cpu', 'cuda' (also 'gpu'), 'tpu', registered plugins, 'xla', the best one present, and 'meta'."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from . import _jaxlib

_PLATFORMS: dict[str, str] = {"cpu": "cpu", "cuda": "gpu", "tpu": "tpu"}  # our name -> PJRT's
_BEST_FIRST = ["tpu", "cuda", "cpu"]
_ALIASES = {"gpu": "cuda"}
_interned: dict[tuple[str, int | None], Device] = {}
_present: dict[str, list[Any]] = {}


class _Scopes(threading.local):
    entered: tuple[Device, ...] = ()  # by ``with device(...)``, innermost last


_scopes = _Scopes()


class Device:
    """Where tensors live, as ``torch.device``: ``device('xla:0')``, ``device('xla', 1)``, ``device('cpu')``.

    ``with device('xla'):`` makes it the default of what this thread creates inside. Equal devices are the same object.
    ``type`` is the name's first part, ``index`` its number or None; tensors on 'meta' (``is_meta``) have a shape, a type
    and no values.
    """

    __slots__ = ("_pjrt", "index", "is_meta", "type")
    type: str
    index: int | None
    is_meta: bool
    _pjrt: Any

    def __new__(cls, type: str | int | Device, index: int | None = None) -> Device:
        if isinstance(type, Device):
            return type
        if isinstance(type, int):
            return cls("xla", type)
        if not isinstance(type, str):
            raise TypeError(f"device(): a name such as 'xla:0' is expected, not {type.__class__.__name__}")
        kind, colon, number = type.partition(":")
        if colon:
            if index is not None or not (number.isascii() and number.isdigit()):
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        if index is not None and not isinstance(index, int):
            raise TypeError(f"device(): an index is an int, not {index.__class__.__name__}")
        if index is not None and index < 0:
            raise RuntimeError(f"Device index must not be negative, got {index}")
        kind = _ALIASES.get(kind, kind)
        if kind not in ("xla", "meta") and kind not in _PLATFORMS:
            known = ", ".join(sorted(["xla", "gpu", "meta", *_PLATFORMS]))
            raise RuntimeError(f"Expected one of {known} device type at start of device string: {type}")
        found = _interned.get((kind, index))
        if found is None:
            found = super().__new__(cls)
            found.type, found.index, found._pjrt = kind, index, None
            found.is_meta = kind == "meta"
            _interned[kind, index] = found
        return found

    @property
    def pjrt(self) -> Any:
        """The PJRT device; RuntimeError where this machine has none such, as for 'meta', which is none."""
        if self.is_meta:
            raise RuntimeError("the device 'meta' holds no values and runs nothing")
        if self._pjrt is None:
            found = platform_devices(best_platform() if self.type == "xla" else self.type)
            index = self.index or 0
            if index >= len(found):
                raise RuntimeError(
                    f"device '{self}' is not available: this machine has "
                    + (f"{len(found)} {self.type} device(s)" if found else f"no {self.type} device")
                    + f" (present: {', '.join(map(str, devices()))})"
                )
            self._pjrt = found[index]
        return self._pjrt

    @property
    def platform(self) -> str:
        """What it really is: 'cpu', 'cuda' (also for ROCm), 'tpu', a plugin's name, or 'meta'."""
        return best_platform() if self.type == "xla" else self.type

    def __reduce__(self) -> tuple[Any, ...]:
        return Device, (self.type, self.index)

    def __repr__(self) -> str:
        suffix = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{suffix})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __enter__(self) -> Device:
        _scopes.entered += (canonical(self),)
        return self

    def __exit__(self, *_: object) -> None:
        _scopes.entered = _scopes.entered[:-1]


def platform_devices(kind: str) -> list[Any]:
    """The PJRT devices of one of our platform names, looked up once."""
    found = _present.get(kind)
    if found is None:
        found = _present[kind] = _jaxlib.local_devices(_PLATFORMS[kind])
    return found


def best_platform() -> str:
    """The platform behind 'xla': a registered plugin or TPU first, then GPU, then CPU."""
    return next(kind for kind in _BEST_FIRST if platform_devices(kind))


def canonical(name: Device | str | int | None) -> Device:
    """The device of a tensor: with a number, except for the first CPU and 'meta', as PyTorch writes them."""
    d = get_default_device() if name is None else Device(name)
    if d.is_meta:
        return Device("meta")
    if d.type == "cpu":
        d = Device("cpu", d.index or None)
    elif d.index is None:
        d = Device(d.type, 0)
    if d.type != "cpu" or d.index:
        d.pjrt  # noqa: B018  (fails here, at the user's line, where the device is missing)
    return d


def devices(kind: str | None = None) -> list[Device]:
    """The devices of this machine, of one kind or all; as ``canonical`` names."""
    kinds = [Device(kind).type] if kind is not None else list(_BEST_FIRST)
    found = []
    for k in kinds:
        count = len(platform_devices(best_platform() if k == "xla" else k))
        found += [Device(k, i if (i or k != "cpu") else None) for i in range(count)]
    return found


def register_backend(name: str, library_path: str, options: Mapping[str, Any] | None = None) -> None:
    """Add a platform from a PJRT plugin library; ``device(name)`` then works, and 'xla' prefers it.

    Raises RuntimeError where the name is taken or the library cannot be used, FileNotFoundError where it is missing.
    """
    import os

    if name in _PLATFORMS or name in _ALIASES or name in ("xla", "meta"):
        raise RuntimeError(f"register_backend: the name '{name}' is taken")
    if not name.isidentifier():
        raise RuntimeError(f"register_backend: '{name}' is not a valid platform name")
    if not os.path.exists(library_path):
        raise FileNotFoundError(f"register_backend('{name}'): no library at {library_path}")
    try:
        _jaxlib.register_plugin(name, library_path, options)
    except RuntimeError as e:  # jaxlib's own among them
        raise RuntimeError(f"register_backend('{name}'): {library_path} cannot be used: {e}") from None
    _PLATFORMS[name] = name
    _BEST_FIRST.insert(0, name)
    _forget_xla()


def _forget_xla() -> None:
    for (kind, _), d in _interned.items():
        if kind == "xla":
            d._pjrt = None


_default = Device("cpu")


def set_default_device(name: Device | str | None) -> None:
    """The device of tensors created without ``device=``; None for the CPU."""
    global _default
    _default = canonical("cpu" if name is None else name)


def get_default_device() -> Device:
    """The device of tensors created without ``device=`` here: the innermost ``with device(...)``, or what was set."""
    return _scopes.entered[-1] if _scopes.entered else _default
