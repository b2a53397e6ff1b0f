"""What a compressed model is when it is saved: the file it came from, with what was changed since."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.serialization._base import parse_size_to_int
from transformers.core_model_loading import revert_weight_conversion

from subbit.codecs import Dense
from subbit.errors import UsageError
from subbit.figures import ERRORS
from subbit.model import File
from subbit.model.folder import PLEASE, write_stub
from subbit.planning.corrections import CORRECTION
from subbit.records import Encoded
from subbit.torch.experts import PackedExperts
from subbit.torch.modules import decode_corrected
from subbit.torch.packed import SubbitLinear
from subbit.torch.state import as_array
from subbit_formats.sbit import FOLDER_NAME, ShardedWriter
from subbit_formats.sbit.atomic import write_whole

__all__ = ["Origin", "save_pretrained"]


@dataclass(frozen=True)
class Origin:
    """The open file that a model was loaded from, and which of its weights are packed: {name in it: in the model}."""

    file: File
    packed: Mapping[str, str]

    def __deepcopy__(self, _: object) -> Origin:
        return self  # copies of a model share the file


def save_pretrained(
    model: Any, origin: Origin, save_directory: str | os.PathLike[str], *arguments: Any, **options: Any
) -> None:
    """Write the model as a folder that `from_pretrained` loads: configuration, `model.sbit`, nothing dense.

    Packed weights are copied as they are stored; decoded ones, too, where the model still holds what they decode to.
    What was changed or added since is stored losslessly. `max_shard_size` is that of the `.sbit` shards. A model with
    adapters saves these alone, as ever. Raises :class:`UsageError` for `push_to_hub`: upload the folder instead.
    """
    plain = type(model).save_pretrained
    if options.get("push_to_hub"):
        text = "a compressed model is not pushed while it is saved"
        raise UsageError(text, kind="push", hint="save it, then huggingface_hub.upload_folder")
    if not getattr(model, "_hf_peft_config_loaded", False):
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        _write(model, origin, folder, parse_size_to_int(str(options.get("max_shard_size", "50GB"))))
        write_stub(folder, force=True)
        plain(model, folder, *arguments, **options)
        _say_please(folder / "config.json")
    else:
        plain(model, save_directory, *arguments, **options)


def _say_please(path: Path) -> None:
    """Name a file that transformers alone refuses, as :func:`write_folder` does: it leaves that out when it saves."""
    settings = json.loads(path.read_bytes()) | {"transformers_weights": PLEASE}
    write_whole(path, json.dumps(settings, indent=2, ensure_ascii=False).encode() + b"\n", force=True)


def _write(model: Any, origin: Origin, folder: Path, shard_bytes: int) -> None:
    file = origin.file
    held = _held(model, origin)
    changed = {
        name: tensor for name, tensor in held.items() if tensor is not None and not _unchanged(file, name, tensor)
    }
    kept = {file[name].entry.name for name in held if name not in changed}
    kept |= {name + CORRECTION for name in kept if name + CORRECTION in file}
    with ShardedWriter(folder / FOLDER_NAME, shard_bytes, file.metadata, force=True) as writer:
        for name in sorted(kept | set(changed)):
            stored = file[name].encoded if name in kept else _lossless(changed[name])
            writer.add(
                name, shape=stored.shape, dtype=stored.dtype, codec=stored.codec, knobs=stored.knobs,
                sections=stored.sections, covered=name in file and file[name].covered,
            )  # fmt: skip
        for alias, name in file.aliases.items():
            if name in held and alias not in held:
                writer.alias(alias, name)
        for name in file.extras:
            writer.extra(name, _configuration(model) if name == "config.json" else file.extra(name))
        if ERRORS in file.archive.extras and kept == set(file.archive.tensors):
            writer.extra(ERRORS, file.archive.extra(ERRORS), compress=False)


def _configuration(model: Any) -> bytes:
    """The model's config.json as it is now, without what belongs to a folder of transformers."""
    settings = model.config.to_dict()
    for name in ("quantization_config", "transformers_weights"):
        settings.pop(name, None)
    return json.dumps(settings, indent=2, ensure_ascii=False).encode()


def _held(model: Any, origin: Origin) -> dict[str, torch.Tensor | None]:
    """What the model holds now under the names of the file: a tensor, or None where it is packed as the file has it."""
    held: dict[str, torch.Tensor | None] = {
        name: None for name, place in origin.packed.items() if _is_packed(model, place)
    }
    state = {name: tensor for name, tensor in model.state_dict().items() if name not in model.all_tied_weights_keys}
    prefix = f"{model.base_model_prefix}."
    for name, tensor in revert_weight_conversion(model, state).items():
        held[prefix + name if name not in origin.file and prefix + name in origin.file else name] = tensor
    return held


def _is_packed(model: Any, place: str) -> bool:
    """Whether a weight still is what the file has: an adapter may have moved it, but not decoded it."""
    path, _, leaf = place.rpartition(".")
    layer = model.get_submodule(path)
    return isinstance(layer, SubbitLinear) or isinstance(getattr(layer, leaf, None), PackedExperts)


def _unchanged(file: File, name: str, tensor: torch.Tensor) -> bool:
    if name not in file.archive.tensors or file[name].shape != tuple(tensor.shape):
        return False
    decoded = torch.empty(tensor.shape, dtype=tensor.dtype)
    decode_corrected(file, file[name], decoded)
    return torch.equal(decoded, tensor.detach().cpu())


def _lossless(tensor: torch.Tensor) -> Encoded:
    return Dense().encode(as_array(tensor.detach().cpu().contiguous()))
