"""Tensors ↔ file: one module a verb, from `compress` to `verify`."""

from __future__ import annotations

from subbit.model.compressing import compress, plan
from subbit.model.decompressing import decompress
from subbit.model.dense_folder import decompress_folder
from subbit.model.file import File, load, open_file
from subbit.model.gguf import decompress_gguf
from subbit.model.parent import Checkpoint, Parent
from subbit.model.report import Report, TensorReport
from subbit.model.tensor import Tensor
from subbit.model.verifying import Verification, verify

__all__ = [
    "Checkpoint", "File", "Parent", "Report", "Tensor", "TensorReport", "Verification", "compress", "decompress",
    "decompress_folder", "decompress_gguf", "load", "open_file", "plan", "verify",
]  # fmt: skip
