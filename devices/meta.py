"""The device 'meta': its tensors have a shape and a type and no values, and what is recorded on them is never run."""

from __future__ import annotations

from typing import Any, NoReturn


class NoValues:
    """What stands for a buffer on 'meta'. To read it is PyTorch's error."""

    __slots__ = ()

    def block_until_ready(self) -> NoValues:
        return self

    def read(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")

    __array__ = __dlpack__ = __dlpack_device__ = read


NO_VALUES = NoValues()

__all__ = ["NO_VALUES", "NoValues"]
