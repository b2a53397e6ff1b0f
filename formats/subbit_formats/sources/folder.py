"""A Hugging Face model folder: which of its files holds the weights, and what travels with them."""

from __future__ import annotations

from pathlib import Path

from subbit_formats.errors import SubbitError
from subbit_formats.sources.file import EXPECTED, open_file
from subbit_formats.sources.shards import INDEX_SUFFIX, open_index
from subbit_formats.sources.source import Source, naming

__all__ = ["CHOICES", "EXTRAS", "STUB_NAME", "open_folder"]

CHOICES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "*.safetensors.index.json",
    "*.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "*.gguf",
)
"""Where the weights are looked for, first match wins; a pattern must match exactly one file."""

STUB_NAME = "subbit.safetensors"
"""A file without tensors beside a `.sbit` file: no checkpoint."""

EXTRAS = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
    "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model",
)  # fmt: skip


def open_folder(path: Path) -> Source:
    """Open the weights of a folder and carry its configuration and tokenizer along as extras.

    Files of the folder win over what a GGUF file brings itself. `kind` is ``"folder"``, `path` the
    folder. Raises ``empty`` or ``ambiguous`` when there is no one checkpoint in it.
    """
    weights = _choose(path)
    with naming(weights):
        inner = open_index(weights) if weights.name.endswith(INDEX_SUFFIX) else open_file(weights)
    extras = inner.extras | {name: (path / name).read_bytes for name in EXTRAS if (path / name).is_file()}
    metadata, aliases = inner.metadata, inner.aliases
    return Source(path, "folder", inner.values(), metadata=metadata, aliases=aliases, extras=extras)


def _choose(path: Path) -> Path:
    names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(".") and entry.name != STUB_NAME)
    for choice in CHOICES:
        found = [name for name in names if Path(name).match(choice)]
        if len(found) == 1:
            return path / found[0]
        if found:
            what = f"holds {len(found)} checkpoints: {', '.join(found[:4])}{', …' * (len(found) > 4)}"
            raise SubbitError(what, kind="ambiguous", hint="name one of the files, or the index")
    for name in names:
        if name.endswith((".sbit", ".sbit.index.json")):
            open_file(path / name)  # refuses it, with the way out
    what = "this folder holds no checkpoint" if names else "this folder is empty"
    raise SubbitError(what, kind="empty", hint=EXPECTED)
