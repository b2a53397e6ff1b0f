"""A folder that transformers loads: the `.sbit` file, and the files that travelled in it, configuration first.

Its config.json names a weights file that no transformers accepts unless subbit has registered itself: whoever loads the
folder without subbit gets an error that says what to do, where transformers alone would go on with random weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from subbit.errors import SubbitError, UsageError
from subbit.figures import ERRORS
from subbit.model.card import model_card, read_quality
from subbit.model.file import File, open_file
from subbit.model.settings import parse_settings
from subbit_formats.safetensors_writer import SafetensorsWriter
from subbit_formats.sbit import FOLDER_NAME, Writer
from subbit_formats.sbit.atomic import write_whole
from subbit_formats.sources.folder import STUB_NAME

__all__ = ["CONFIG_VERSION", "PLEASE", "make_folder", "write_folder", "write_stub"]

CONFIG_VERSION = 1
PLEASE = "the weights are in model.sbit: pip install 'subbit[hf]' and import subbit.torch.hf before from_pretrained"
"""In the place of a file name in config.json: what transformers shows where subbit is not imported."""

_REPAIR = "repair the model's config.json and compress again"


def write_folder(
    path: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    base_model: str | None = None,
    quality: str | PathLike[str] | None = None,
    force: bool = False,
) -> Path:
    """Copy a `.sbit` file into a folder that `from_pretrained` loads, and unpack the files that travel in it.

    The file is copied as it is stored, in one piece, and checked on the way. A README.md is the model card: bits, the
    `base_model`, and a table of the figures in `quality`, a file that `subbit eval --json` printed. Raises
    :class:`SubbitError` for a file without config.json (kind "extra"), for damage, and where the folder holds files of
    these names (unless `force`); the configuration comes last, so that a folder is whole or has none.
    """
    target = Path(folder)
    with open_file(path) as file:
        if "config.json" not in file.extras:
            hint = "compress the model's folder, with its config.json, instead of the weights file alone"
            raise SubbitError("carries no config.json", kind="extra", path=path, hint=hint)
        settings = parse_settings(file.extra("config.json"), path, _REPAIR)
        extras = {name: file.extra(name) for name in file.extras if name != "config.json"}
        figures = None if quality is None else read_quality(quality)
        extras["README.md"] = model_card(file, base_model, figures).encode()
        make_folder(target, [FOLDER_NAME, STUB_NAME, *extras, "config.json"], force=force)
        with Writer(target / FOLDER_NAME, file.metadata, force=force) as writer:
            _copy(file, writer)
    write_stub(target, force=force)
    for name, content in extras.items():
        write_whole(target / name, content, force=force)
    write_whole(target / "config.json", _configured(settings), force=force)
    return target


def _copy(file: File, writer: Writer) -> None:
    for name, entry in file.archive.tensors.items():
        writer.add(
            name, shape=entry.shape, dtype=entry.dtype, codec=entry.codec, knobs=entry.knobs,
            sections=file.archive.sections(entry), covered=entry.covered,
        )  # fmt: skip
    for alias, name in file.aliases.items():
        writer.alias(alias, name)
    for name in file.extras:
        writer.extra(name, file.extra(name))
    if ERRORS in file.archive.extras:
        writer.extra(ERRORS, file.archive.extra(ERRORS), compress=False)


def write_stub(folder: Path, *, force: bool) -> None:
    """The safetensors file without tensors, which transformers wants to open before subbit loads the weights."""
    with SafetensorsWriter(folder / STUB_NAME, {}, {"format": "pt", "subbit": PLEASE}, force=force):
        pass


def _configured(settings: Mapping[str, Any]) -> bytes:
    """A config.json that says where the weights are."""
    own = {"quantization_config": {"quant_method": "subbit", "version": CONFIG_VERSION}, "transformers_weights": PLEASE}
    return json.dumps({**settings, **own}, indent=2, ensure_ascii=False).encode() + b"\n"


def make_folder(folder: Path, names: Iterable[str], *, force: bool) -> None:
    """Make a folder for files of these names; one that is there already must not have them, unless `force`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "choose another folder"
        raise SubbitError(f"cannot be made: {error.strerror}", kind="unwritable", path=folder, hint=hint) from error
    if (there := [name for name in names if (folder / name).exists()]) and not force:
        hint = "use --force (force=True) to replace it"
        raise UsageError(f"has a {there[0]} already", kind="exists", path=folder, hint=hint)
