"""Names and sizes of element types, shared by every format; NumPy types are looked up only when asked for.

One canonical name per type (NumPy's own, with ml_dtypes' for bfloat16 and float8) is what `.sbit`
files, plans and reports say; safetensors' and other formats' names are translated at their door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from subbit_formats.errors import SubbitError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FLOATS", "ITEM_SIZES", "dtype_name", "numpy_dtype"]

ITEM_SIZES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1,
    "bool": 1, "complex64": 8, "complex128": 16,
}  # fmt: skip

FLOATS = frozenset(name for name in ITEM_SIZES if "float" in name) - {"float8_e8m0fnu"}
"""Types of weights; float8_e8m0fnu has neither a sign nor a zero and holds scales of others."""
_EXTENSIONS = frozenset(name for name in ITEM_SIZES if name.startswith(("bfloat", "float8")))


def numpy_dtype(name: str) -> np.dtype:
    """The NumPy type of a canonical name; raises :class:`SubbitError` for a name that is not listed."""
    import numpy as np

    if name not in ITEM_SIZES:
        raise SubbitError(f"unknown element type {name!r}", kind="dtype", hint=f"known: {', '.join(ITEM_SIZES)}")
    if name in _EXTENSIONS:
        import ml_dtypes

        extension: np.dtype = np.dtype(getattr(ml_dtypes, name))
        return extension
    return np.dtype(name)


def dtype_name(dtype: object) -> str:
    """The canonical name of a NumPy (or ml_dtypes) type; raises :class:`SubbitError` if files cannot hold it."""
    import numpy as np

    name = np.dtype(dtype).name  # type: ignore[call-overload]
    if name not in ITEM_SIZES:
        raise SubbitError(f"element type {name!r} cannot be stored", kind="dtype")
    return str(name)
