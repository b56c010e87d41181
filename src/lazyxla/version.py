"""The library's version, and those of what it runs on, as ``torch.version``."""

from __future__ import annotations

from . import devices

__version__ = "0.1.0"
debug = False
git_version: str | None = None
hip: str | None = None
xpu: str | None = None


def __getattr__(name: str) -> str | None:
    if name == "cuda":  # asked of the runtime only when wanted: it starts the client
        found = devices.devices("cuda")
        text = found[0].pjrt.client.platform_version if found else ""
        number = text.partition("cuda ")[2].split()[:1]
        return _dotted(number[0]) if number else None
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def _dotted(number: str) -> str:
    """'12.8' of CUDA's own 12080."""
    return f"{int(number) // 1000}.{int(number) % 1000 // 10}" if number.isdigit() else number
