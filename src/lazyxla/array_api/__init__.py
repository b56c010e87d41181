"""The Python array API standard, version 2025.12, on lazyxla's tensors, with its ``linalg`` and ``fft`` extensions.

What is made here is an ``Array``: a tensor whose operators promote as the standard says. The functions also take plain
tensors, and then give plain tensors, whose operators are PyTorch's.
"""

from __future__ import annotations

import math

from ..lazy import dtypes as _types
from . import _creation, _elementwise, _manipulation, _reductions, fft, linalg
from ._array import Array
from ._creation import *  # noqa: F403
from ._dtypes import can_cast, finfo, iinfo, isdtype, result_type
from ._elementwise import *  # noqa: F403
from ._info import __array_namespace_info__
from ._manipulation import *  # noqa: F403
from ._reductions import *  # noqa: F403
from .linalg import matmul, tensordot, vecdot

__array_api_version__ = "2025.12"
e, inf, nan, pi, newaxis = math.e, math.inf, math.nan, math.pi, None
bool = _types.bool_
int8, int16, int32, int64 = _types.int8, _types.int16, _types.int32, _types.int64
uint8, uint16, uint32, uint64 = _types.uint8, _types.uint16, _types.uint32, _types.uint64
float32, float64 = _types.float32, _types.float64
complex64, complex128 = _types.complex64, _types.complex128

__all__ = ["Array", "__array_api_version__", "__array_namespace_info__", "e", "fft", "inf", "linalg", "nan", "newaxis", "pi"]
__all__ += ["can_cast", "finfo", "iinfo", "isdtype", "matmul", "result_type", "tensordot", "vecdot"]
__all__ += [d.name for d in _types.ALL if d.name in globals()]
__all__ += [*_creation.__all__, *_elementwise.__all__, *_manipulation.__all__, *_reductions.__all__]
