"""Element types with PyTorch's names, and its rules of promotion."""

from __future__ import annotations

from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

BOOL, INT, FLOAT, COMPLEX = range(4)


class DType:
    """An element type, as ``torch.dtype``; each exists once, so identity is equality."""

    __slots__ = (
        "bits", "category", "is_complex", "is_floating_point", "is_signed", "itemsize", "mlir", "name", "numpy", "wide",
    )  # fmt: skip

    def __init__(self, name: str, numpy: Any, mlir: str, category: int) -> None:
        self.name, self.numpy, self.mlir, self.category = name, np.dtype(numpy), mlir, category
        self.itemsize = self.numpy.itemsize  # bytes of an element on the host, one for the four-bit types too
        self.bits = 4 if mlir in ("i4", "ui4") else 8 * self.itemsize
        self.wide: DType | None = None  # the type that one too narrow for arithmetic is computed in
        self.is_floating_point, self.is_complex = category == FLOAT, category == COMPLEX
        self.is_signed = category >= FLOAT or (category == INT and not name.startswith("u"))

    @property
    def is_inexact(self) -> bool:
        """Whether it can carry a gradient."""
        return self.category >= FLOAT

    def to_complex(self) -> DType:
        """The complex type of this precision (complex64 for the half ones); RuntimeError where there is none."""
        if self.category < FLOAT or self.itemsize == 1:
            raise RuntimeError(f"Unknown Complex ScalarType for {self.name}")
        return complex128 if self in (float64, complex128) else complex64

    def to_real(self) -> DType:
        return {complex64: float32, complex128: float64}.get(self, self)

    def __repr__(self) -> str:
        return f"lazyxla.{self.name}"

    def __reduce__(self) -> str:
        return self.name


bool_ = DType("bool", np.bool_, "i1", BOOL)
uint4 = DType("uint4", ml_dtypes.uint4, "ui4", INT)
int4 = DType("int4", ml_dtypes.int4, "i4", INT)
uint8 = DType("uint8", np.uint8, "ui8", INT)
uint16 = DType("uint16", np.uint16, "ui16", INT)
uint32 = DType("uint32", np.uint32, "ui32", INT)
uint64 = DType("uint64", np.uint64, "ui64", INT)
int8 = DType("int8", np.int8, "i8", INT)
int16 = DType("int16", np.int16, "i16", INT)
int32 = DType("int32", np.int32, "i32", INT)
int64 = DType("int64", np.int64, "i64", INT)
uint4.wide, int4.wide = uint8, int8
float8_e4m3fn = DType("float8_e4m3fn", ml_dtypes.float8_e4m3fn, "f8E4M3FN", FLOAT)
float8_e5m2 = DType("float8_e5m2", ml_dtypes.float8_e5m2, "f8E5M2", FLOAT)
float16 = DType("float16", np.float16, "f16", FLOAT)
bfloat16 = DType("bfloat16", ml_dtypes.bfloat16, "bf16", FLOAT)
float32 = DType("float32", np.float32, "f32", FLOAT)
float64 = DType("float64", np.float64, "f64", FLOAT)
complex64 = DType("complex64", np.complex64, "complex<f32>", COMPLEX)
complex128 = DType("complex128", np.complex128, "complex<f64>", COMPLEX)

ALL = (
    bool_, uint4, int4, uint8, uint16, uint32, uint64, int8, int16, int32, int64,
    float8_e4m3fn, float8_e5m2, float16, bfloat16, float32, float64, complex64, complex128,
)  # fmt: skip
ALIASES = {
    "half": float16, "float": float32, "double": float64, "short": int16, "int": int32, "long": int64,
    "cfloat": complex64, "cdouble": complex128,
}  # fmt: skip
_BY_NUMPY = {d.numpy: d for d in ALL}
_PYTHON = {bool: bool_, int: int64, float: float32, complex: complex64}

_default = float32


def set_default_dtype(dtype: DType) -> None:
    """The type of floating numbers given without one (float32 unless set); TypeError for another kind."""
    global _default
    if not isinstance(dtype, DType) or not dtype.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, not {dtype}")
    _default = dtype


def get_default_dtype() -> DType:
    return _default


def of_python(kind: type) -> DType:
    """The type that a Python number has in PyTorch: bool, int64, and the default float or its complex."""
    if kind is float:
        return _default
    return _default.to_complex() if kind is complex else _PYTHON[kind]


def goes_unsaid(dtype: DType) -> bool:
    """Whether a printed tensor does not name its type: one that Python numbers have."""
    return dtype in (int64, bool_, _default, _default.to_complex())


def as_dtype(given: Any) -> DType:
    """Our type for a DType, a NumPy dtype, or the Python types bool, int, float, complex."""
    if isinstance(given, DType):
        return given
    if given in _PYTHON:
        return {**_PYTHON, float: float64}[given] if given is not float else _default
    try:
        return _BY_NUMPY[np.dtype(given)]
    except (KeyError, TypeError):
        raise TypeError(f"{given!r} is not an element type of lazyxla") from None


def of_numpy(dtype: np.dtype) -> DType:
    found = _BY_NUMPY.get(dtype)
    if found is None:
        native = _BY_NUMPY.get(dtype.newbyteorder("="))
        if native is not None:
            raise ValueError(f"given numpy array has byte order different from the native byte order ({dtype})")
        raise TypeError(
            f"can't convert np.ndarray of type {dtype}. The only supported types are: {', '.join(d.name for d in ALL)}."
        )
    return found


_FLOAT8 = (float8_e4m3fn, float8_e5m2)
_WIDE_UNSIGNED = (uint16, uint32, uint64)


def _checked(function: str, *given: tuple[str, Any]) -> None:
    for place, (name, value) in enumerate(given, 1):
        if not isinstance(value, DType):
            raise TypeError(
                f"{function}(): argument '{name}' (position {place}) must be torch.dtype, not {type(value).__name__}"
            )


@cache
def promote_types(type1: DType, type2: DType) -> DType:
    """PyTorch's promotion of two element types."""
    _checked("promote_types", ("type1", type1), ("type2", type2))
    a, b = type1, type2
    if a is b:
        return a
    for kind, refused in (("Float8 Types", _FLOAT8), ("uint16, uint32, uint64 types", _WIDE_UNSIGNED)):
        for x, y in ((a, b), (b, a)):
            if x in refused and not (refused is _WIDE_UNSIGNED and y.is_floating_point):
                raise RuntimeError(f"Promotion for {kind} is not supported, attempted to promote {a.name} and {b.name}")
    if a.category < b.category:
        a, b = b, a
    if a.category == COMPLEX:
        return complex128 if float64 in (a.to_real(), b.to_real()) else complex64
    if a.category > b.category:
        return a
    if a.category == FLOAT:
        if a.itemsize == b.itemsize:
            return float32  # float16 with bfloat16
        return a if a.itemsize > b.itemsize else b
    if 4 in (a.bits, b.bits):  # as the eight-bit types do; one of four bits without a sign fits into any signed one
        a = a if a is not uint4 else int8 if b.is_signed else uint8
        b = b if b is not uint4 else int8 if a.is_signed else uint8
        return promote_types(a.wide or a, b.wide or b)
    if a.is_signed == b.is_signed:
        return a if a.itemsize > b.itemsize else b
    signed = a if a.is_signed else b
    return int16 if signed is int8 else signed  # with uint8


@cache
def can_cast(from_: DType, to: DType) -> bool:
    """Whether an in-place result of one type may be stored in another (PyTorch's rule)."""
    _checked("can_cast", ("from_", from_), ("to", to))
    return from_.category <= to.category


class finfo:
    """Limits of a floating or complex type, as ``torch.finfo``."""

    def __init__(self, dtype: DType | None = None) -> None:
        d = (dtype or _default).to_real()
        if not d.is_floating_point:
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{d.name}'")
        info = ml_dtypes.finfo(d.numpy)
        self.bits, self.dtype = d.itemsize * 8, d.name
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = 1.0 if d.itemsize == 1 else float(f"1e-{info.precision}")

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


def limits(dtype: DType) -> Any:
    """The smallest and largest integers of a type, as ``np.iinfo``, which does not know those of four bits."""
    return ml_dtypes.iinfo(dtype.numpy) if dtype.wide else np.iinfo(dtype.numpy)


class iinfo:
    """Limits of an integer type, as ``torch.iinfo``."""

    def __init__(self, dtype: DType) -> None:
        if dtype.category != INT:
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{dtype.name}'")
        info = limits(dtype)
        self.bits, self.dtype, self.min, self.max = dtype.bits, dtype.name, int(info.min), int(info.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
