"""A Hugging Face config.json → the key-values by which llama.cpp knows the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from subbit_formats.errors import UsageError
from subbit_formats.sources.gguf_config import KEYS
from subbit_formats.sources.gguf_names import FAMILY

__all__ = ["Field", "architecture_of", "model_fields", "rope_factors"]

Field = str | int | float | bool | list[Any]

_ARCHITECTURES = {family.architecture: name for name, family in FAMILY.items()} | {"MistralForCausalLM": "llama"}
_KV_HEADS = "num_key_value_heads"
_HINT = "decompress --folder writes what the converters of llama.cpp read"


def architecture_of(settings: Mapping[str, Any]) -> str:
    """llama.cpp's name of a model; raises :class:`UsageError` (kind "architecture") for those that are not written."""
    names = settings.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    if name not in _ARCHITECTURES:
        text = f"GGUF is written for {', '.join(sorted(_ARCHITECTURES))}, not for {name}"
        raise UsageError(text, kind="architecture", hint=_HINT)
    return _ARCHITECTURES[name]


def model_fields(settings: Mapping[str, Any]) -> dict[str, Field]:
    """Sizes, norms and rotary embedding. Raises :class:`UsageError` (kind "config") for what would be lost."""
    found: dict[str, Field] = {}
    for key, field in KEYS.items():
        if (value := settings.get(key)) is not None:
            found[field] = _whole(key, value)
    missing = [key for key, field in KEYS.items() if field not in found and key not in ("head_dim", _KV_HEADS)]
    if missing:
        raise _refused(f"its config.json has no {missing[0]}")
    found.setdefault(KEYS[_KV_HEADS], found[KEYS["num_attention_heads"]])
    if settings.get("hidden_act", "silu") != "silu" or settings.get("use_sliding_window"):
        raise _refused("llama.cpp knows such models with silu and without sliding windows alone")
    found["attention.layer_norm_rms_epsilon"] = float(settings.get("rms_norm_eps", 1e-6))
    found["vocab_size"] = _whole("vocab_size", settings.get("vocab_size"))
    found["rope.dimension_count"] = _head_size(settings)
    if settings.get("head_dim") is not None:
        found["attention.value_length"] = _head_size(settings)
    return found | _rope_fields(settings)


def rope_factors(settings: Mapping[str, Any]) -> list[float] | None:
    """What llama 3 divides each frequency of its rotary embedding by (a tensor in GGUF); None for other models."""
    rope = _rope(settings)
    if rope["rope_type"] != "llama3":
        return None
    size, factor, theta = _head_size(settings), float(rope["factor"]), float(rope["rope_theta"])
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    original = float(rope["original_max_position_embeddings"])
    factors = []
    for k in range(size // 2):
        turns = original * theta ** (-2 * k / size) / (2 * math.pi)  # in the context it was trained with at first
        smooth = min(max((turns - low) / (high - low), 0.0), 1.0)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def _rope_fields(settings: Mapping[str, Any]) -> dict[str, Field]:
    rope = _rope(settings)
    fields: dict[str, Field] = {"rope.freq_base": float(rope["rope_theta"])}
    kind = rope["rope_type"]
    if kind in ("linear", "yarn"):
        fields |= {"rope.scaling.type": kind, "rope.scaling.factor": float(rope["factor"])}
        if original := rope.get("original_max_position_embeddings"):
            fields["rope.scaling.original_context_length"] = int(original)
    elif kind not in ("default", "llama3"):
        raise _refused(f"rotary embeddings of type {kind!r} are not written")
    return fields


def _rope(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary embedding's settings, from where older and newer versions of transformers write them."""
    found = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    plain = {"rope_type": found.get("type", "default"), "rope_theta": settings.get("rope_theta", 10000.0)}
    return plain | {key: value for key, value in found.items() if value is not None}


def _head_size(settings: Mapping[str, Any]) -> int:
    return int(settings.get("head_dim") or settings["hidden_size"] // settings["num_attention_heads"])


def _whole(key: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise _refused(f"its config.json has {key}: {value!r}")
    return value


def _refused(text: str) -> UsageError:
    return UsageError(text, kind="config", hint=_HINT)
