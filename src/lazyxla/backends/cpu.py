"""``torch.backends.cpu``: XLA finds the processor's instructions by itself."""

from __future__ import annotations

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def get_cpu_capability() -> str:
    """The widest instructions of this processor by PyTorch's names: 'AVX512', 'AVX2' or 'DEFAULT'."""
    flags = set(_CPUINFO.read_text().split()) if _CPUINFO.exists() else set[str]()
    return "AVX512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "DEFAULT"
