"""GGUF files for llama.cpp and all that builds on it: tensors, and what a Hugging Face folder says beside them."""

from __future__ import annotations

from subbit_formats.gguf.fields import Field, architecture_of, model_fields, rope_factors
from subbit_formats.gguf.vocabulary import vocabulary_fields
from subbit_formats.gguf.writer import TYPES, GgufWriter, file_fields, stored_type

__all__ = [
    "TYPES", "Field", "GgufWriter", "architecture_of", "file_fields", "model_fields", "rope_factors", "stored_type",
    "vocabulary_fields",
]  # fmt: skip
