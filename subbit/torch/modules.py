"""The weights of a `.sbit` file into the parameters and buffers of a torch module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import NamedTuple

import torch

from subbit.errors import SubbitError
from subbit.model import Checkpoint, File, Tensor, open_file
from subbit.planning.corrections import CORRECTION, corrected_weights
from subbit.records import matrix_shape
from subbit.torch.packed import keep_packed
from subbit.torch.state import decode_into, dtype_name
from subbit_formats.dtypes import FLOATS

__all__ = ["Slot", "Unmatched", "attach", "decode_corrected", "materialize", "names_error", "slots"]

_NAMES_SHOWN = 8


class Unmatched(NamedTuple):
    """Names that `attach` left alone: of the module without weights in the file, and of the file without a place."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


@dataclass
class Slot:
    """One parameter or buffer of a module under all its names; tied ones are one slot."""

    tensor: torch.Tensor
    names: list[str] = field(default_factory=list)
    required: bool = False


def attach(
    model: torch.nn.Module,
    path: str | PathLike[str],
    strict: bool = True,
    base: Checkpoint | None = None,
    packed: bool = False,
) -> Unmatched:
    """Decode a `.sbit` file into the parameters and buffers of `model`, in place, and say what did not match.

    The module keeps its element types (floats are rounded once), devices and ties: a tied parameter is filled by
    whichever of its names the file holds. Buffers that the module does not save are filled if the file has them.
    Tensors on the meta device become real ones on the CPU. A low-rank correction in the file (NAME.correction) is added
    to its weight in float32. `base` is the parent checkpoint, for files that were
    compressed against one.

    With `packed`, linear layers whose weights the file codes become :class:`SubbitLinear`, which multiply by the bytes
    as they are mapped from the file: the model then takes about the file's size. Other layers, ties, corrected weights
    and codecs that decode a tensor whole are decoded all the same.

    Raises :class:`SubbitError` before anything of the model changes: with `strict` for names that are missing or
    unexpected (kind "names"), and always for shapes ("shape") or types ("dtype") that differ, for a tie with different
    weights in the file ("tied"), for damaged bytes, and for a missing or another parent ("parent").
    """
    with open_file(path, base) as file:
        try:
            own = slots(model)
            found = [(slot, [name for name in slot.names if name in file]) for slot in own]
            unmatched = _unmatched(file, found)
            if strict and any(unmatched):
                raise names_error(*unmatched)
            pairs = [(slot.tensor, _stored(file, names)) for slot, names in found if names]
            for name in file.archive.tensors:
                if name.endswith(CORRECTION):
                    file[name].check()
            _check(pairs, {id(slot.tensor): slot.names[0] for slot in own})
        except SubbitError as error:
            raise error.at(path=file.archive.path) from None
        single = {id(slot.tensor): slot.names[0] for slot in own if len(slot.names) == 1}
        for tensor, stored in pairs:
            correction = stored.entry.name + CORRECTION
            own_name = single.get(id(tensor))
            if not (packed and own_name and correction not in file and keep_packed(model, own_name, stored)):
                if tensor.is_meta:
                    materialize(tensor)
                decode_corrected(file, stored, tensor)
            file.archive.release()
    return unmatched


def slots(model: torch.nn.Module) -> list[Slot]:
    """Every parameter and buffer once; `required` are those that the module saves, or has no memory for."""
    found: dict[int, Slot] = {}
    for name, tensor, saved in _tensors(model):
        slot = found.setdefault(id(tensor), Slot(tensor))
        slot.names.append(name)
        slot.required |= saved or tensor.is_meta
    return list(found.values())


def _tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor, bool]]:
    """Every name of every parameter and buffer, and whether the module saves it."""
    for prefix, module in model.named_modules(remove_duplicate=False):
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is not None:
                saved = name not in module._non_persistent_buffers_set
                yield f"{prefix}.{name}" if prefix else name, tensor, saved


def _unmatched(file: File, found: list[tuple[Slot, list[str]]]) -> Unmatched:
    missing = tuple(slot.names[0] for slot, names in found if slot.required and not names)
    known = {name for slot, _ in found for name in slot.names}
    places = {target for name in known if (target := file.aliases.get(name, name)) in file}
    stored = file.archive.tensors
    folded = {name for name in stored if corrected_weights(name, stored) and name.removesuffix(CORRECTION) in places}
    return Unmatched(missing, tuple(name for name in stored if name not in places | folded))


def names_error(missing: Sequence[str], unexpected: Sequence[str]) -> SubbitError:
    """What to raise for weights that the file lacks, or that the module has no place for."""
    parts = []
    if missing:
        parts.append(f"the file lacks {_listed(missing)}")
    if unexpected:
        parts.append(f"the module has no {_listed(unexpected)}")
    hint = "is it the file of this model? strict=False takes what matches"
    return SubbitError("; ".join(parts), kind="names", hint=hint)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(repr(name) for name in names[:_NAMES_SHOWN]) + more


def _stored(file: File, names: list[str]) -> Tensor:
    """The tensor that the file holds under these names, which must be one and the same."""
    first = file[names[0]]
    for name in names[1:]:
        if file[name].entry.name != first.entry.name and file[name].encoded != first.encoded:
            text = f"the module ties {names[0]!r} and {name!r}, but their weights differ in the file"
            raise SubbitError(text, kind="tied", hint="untie them in the module (tie_word_embeddings=False)")
    return first


def _check(pairs: list[tuple[torch.Tensor, Tensor]], names: dict[int, str]) -> None:
    """All that could go wrong, before the first number is written; reads every byte for its checksum."""
    for tensor, stored in pairs:
        name, own = names[id(tensor)], dtype_name(tensor.dtype)
        if tuple(tensor.shape) != stored.shape:
            text = f"has shape {stored.shape} in the file and {tuple(tensor.shape)} in the module"
            raise SubbitError(text, kind="shape", tensor=name)
        if own != stored.dtype and not {own, stored.dtype} <= FLOATS:
            text = f"is {stored.dtype} in the file and {own} in the module"
            raise SubbitError(text, kind="dtype", tensor=name)
    for _, stored in pairs:
        stored.check()
        stored.archive.release()


def decode_corrected(file: File, stored: Tensor, tensor: torch.Tensor) -> None:
    """Decode a weight, and add its correction if the file has one: A Bᵀ, stored as [Aᵀ Bᵀ]."""
    decode_into(stored, tensor)
    correction = stored.entry.name + CORRECTION
    if correction not in file:
        return
    rows, cols = matrix_shape(tuple(tensor.shape))
    factors = torch.from_numpy(file[correction].decode(dtype="float32")).to(tensor.device)
    product = factors[:, :rows].T @ factors[:, rows:]
    whole = tensor.detach()
    whole.copy_(whole.float().reshape(rows, cols).add_(product).reshape(whole.shape))


def materialize(tensor: torch.Tensor) -> None:
    """Give a tensor on the meta device memory on the CPU; it stays the same object, so ties hold."""
    real = torch.empty_like(tensor, device="cpu", requires_grad=False)
    if isinstance(tensor, torch.nn.Parameter):
        real = torch.nn.Parameter(real, requires_grad=tensor.requires_grad)
    real.__dict__.update(tensor.__dict__)
    torch.utils.swap_tensors(tensor, real)  # type: ignore[no-untyped-call]
