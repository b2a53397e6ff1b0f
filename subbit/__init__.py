"""subbit stores neural-network weights in less than one bit each, and reads them back fast.

>>> import subbit
>>> report = subbit.compress("model.safetensors", "model.sbit", bits=0.8)
>>> weights = subbit.load("model.sbit", dtype="bfloat16")
>>> with subbit.open("model.sbit") as file:
...     file["layers.0.q.weight"].bits_per_weight

Names are loaded when first used: importing subbit imports neither torch nor numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from subbit.version import __version__

if TYPE_CHECKING:
    from subbit.codecs import (
        Codec,
        DeadZone,
        Delta,
        Dense,
        Factors,
        LowBit,
        OneOfN,
        Same,
        Scales,
        Signed,
        Trellis,
        TrellisMagnitudes,
        Uniform,
        Vector,
    )
    from subbit.errors import SubbitError, UsageError
    from subbit.model import (
        File,
        Report,
        Tensor,
        compress,
        decompress,
        decompress_folder,
        decompress_gguf,
        load,
        plan,
        verify,
    )
    from subbit.model import open_file as open
    from subbit.model.statistics import Statistics
    from subbit.planning import Plan
    from subbit.records import Encoded
    from subbit.signing import sign
    from subbit.signs import Angle, Base, Fitted, Hadamard, Hashed, LowRank, Stored
    from subbit.tensors import decode, encode

_HOMES = {
    "subbit.codecs": [
        "Codec", "DeadZone", "Delta", "Dense", "Factors", "LowBit", "OneOfN", "Same", "Scales", "Signed", "Trellis",
        "TrellisMagnitudes", "Uniform", "Vector",
    ],
    "subbit.errors": ["SubbitError", "UsageError"],
    "subbit.model": [
        "File", "Report", "Tensor", "compress", "decompress", "decompress_folder", "decompress_gguf", "load", "plan",
        "verify",
    ],
    "subbit.model.statistics": ["Statistics"],
    "subbit.planning": ["Plan"],
    "subbit.records": ["Encoded"],
    "subbit.signing": ["sign"],
    "subbit.signs": ["Angle", "Base", "Fitted", "Hadamard", "Hashed", "LowRank", "Stored"],
    "subbit.tensors": ["decode", "encode"],
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names} | {"open": "subbit.model"}

__all__ = [
    "Angle", "Base", "Codec", "DeadZone", "Delta", "Dense", "Encoded", "Factors", "File", "Fitted", "Hadamard",
    "Hashed", "LowBit", "LowRank", "OneOfN", "Plan", "Report", "Same", "Scales", "Signed", "Statistics", "Stored",
    "SubbitError", "Tensor", "Trellis", "TrellisMagnitudes", "Uniform", "UsageError", "Vector", "__version__",
    "compress", "decode", "decompress", "decompress_folder", "decompress_gguf", "encode", "load", "open", "plan",
    "sign", "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'subbit' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), "open_file" if name == "open" else name)


def __dir__() -> list[str]:
    return sorted(__all__)
