"""Out to a GGUF file, which llama.cpp runs and all that builds on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from subbit.errors import SubbitError, UsageError
from subbit.model.compressing import Progress
from subbit.model.corrected import decode_whole, without_corrections
from subbit.model.file import File, open_file
from subbit.model.parent import Checkpoint
from subbit.model.settings import parse_settings
from subbit_formats.gguf import (
    TYPES,
    Field,
    GgufWriter,
    architecture_of,
    file_fields,
    model_fields,
    rope_factors,
    stored_type,
    vocabulary_fields,
)
from subbit_formats.sources.gguf_names import FAMILY, gguf_name, interleave

__all__ = ["decompress_gguf"]

_COMPRESS_FOLDER = "compress the model's folder, with its config.json and tokenizer.json, or the GGUF file it came in"
_TOKENIZER = ("tokenizer_config.json", "chat_template.jinja", "config.json")
_FREQUENCIES = "rope_freqs.weight"
_COMPUTED = "rotary_emb.inv_freq"  # older checkpoints hold it; it follows from the configuration


def decompress_gguf(
    path: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    type: str = "F16",
    base: Checkpoint | None = None,
    max_bytes: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Decode a `.sbit` file into a GGUF file and return its path.

    Matrices become `type`, "F16", "Q8_0" (8.5 bits a weight), "BF16" or "F32"; vectors stay F32. Names, the order of
    rows of q and k, sizes and vocabulary become llama.cpp's, from the config.json and tokenizer.json that travelled
    with the weights. For models built like Llama, Mistral, Qwen 2 and 3, with byte-level BPE: others raise
    :class:`UsageError` (kinds "architecture", "config", "tokenizer" and "names"), as a file without configuration or
    tokenizer does (kind "extra"). Other options and errors are those of :func:`decompress`.
    """
    if type not in TYPES:
        raise UsageError(f"no GGUF type {type!r}", kind="type", hint=f"one of {', '.join(TYPES)}")
    with open_file(path, base) as file:
        file.archive.check_size(max_bytes, "float32")
        source = Path(path)
        target = Path(output) if output is not None else source.with_name(source.name.removesuffix(".sbit") + ".gguf")
        try:
            _write(_Model(file), target, type, force, progress)
        except SubbitError as error:
            raise error.at(path=file.archive.path) if error.path is None else error from None
        return target


class _Model:
    """What a file says in llama.cpp's terms."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.settings = parse_settings(_extra(file, "config.json"), file.archive.path, _COMPRESS_FOLDER)
        self.architecture = architecture_of(self.settings)
        self.names = _names(file)

    def fields(self, type: str) -> dict[str, Field]:
        """All key-values."""
        rows = self.file[self.names["token_embd.weight"]].shape[0]
        own = {f"{self.architecture}.{key}": value for key, value in model_fields(self.settings).items()}
        beside = {name: self.file.extra(name) for name in _TOKENIZER if name in self.file.extras}
        vocabulary = vocabulary_fields({"tokenizer.json": _extra(self.file, "tokenizer.json")} | beside, rows)
        return file_fields(self.file.metadata, type) | own | vocabulary

    def weights(self, name: str) -> np.ndarray[Any, Any]:
        """A tensor in float32, rows in llama.cpp's order."""
        weights = decode_whole(self.file, self.names[name], "float32").astype(np.float32, copy=False)
        heads = self._heads(name)
        return np.ascontiguousarray(weights if heads is None else interleave(weights, heads))

    def _heads(self, name: str) -> int | None:
        """Heads of a tensor whose rows llama.cpp interleaves."""
        if not FAMILY[self.architecture].interleaved or (".attn_q." not in name and ".attn_k." not in name):
            return None
        heads: int = self.settings["num_attention_heads"]
        return heads if ".attn_q." in name else self.settings.get("num_key_value_heads") or heads


def _write(model: _Model, target: Path, type: str, force: bool, progress: Progress | None) -> None:
    shapes = {name: model.file[own].shape for name, own in model.names.items()}
    described = {name: (stored_type(type, shape), shape) for name, shape in shapes.items()}
    factors = rope_factors(model.settings)
    first = {} if factors is None else {_FREQUENCIES: ("F32", (len(factors),))}
    done, whole = 0, sum(map(math.prod, shapes.values()))
    with GgufWriter(target, model.architecture, model.fields(type), first | described, force=force) as writer:
        if factors is not None:
            writer.write(np.array(factors, np.float32))
        for name, shape in shapes.items():
            if progress is not None:
                progress("decompress", done, whole, name)
            writer.write(model.weights(name))
            done += math.prod(shape)


def _names(file: File) -> dict[str, str]:
    """{name in GGUF: name in the file}; a head that is the embedding once more is left out, as llama.cpp wants it."""
    own = [name for name in without_corrections(file) if name not in file.aliases and not name.endswith(_COMPUTED)]
    found: Mapping[str, str | None] = {name: gguf_name(name) for name in sorted(own)}
    unknown = [name for name, there in found.items() if there is None]
    names = {there: name for name, there in found.items() if there is not None}
    if unknown or "token_embd.weight" not in names:
        what = f"llama.cpp has no {unknown[0]}" if unknown else "has no model.embed_tokens.weight"
        hint = "decompress --folder writes what the converters of llama.cpp read"
        raise UsageError(what, kind="names", hint=hint)
    return names


def _extra(file: File, name: str) -> bytes:
    if name not in file.extras:
        raise UsageError(f"carries no {name}", kind="extra", path=file.archive.path, hint=_COMPRESS_FOLDER)
    return file.extra(name)
