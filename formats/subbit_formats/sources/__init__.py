"""Any checkpoint as one lazy mapping of tensors: safetensors, sharded, Hugging Face folder, GGUF, torch.

Opening reads headers only; a tensor's bytes are read when :meth:`SourceTensor.read` is called and
belong to the caller alone, so memory stays near the largest tensor whatever the size of the checkpoint.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from subbit_formats.sources.source import Source, SourceTensor

__all__ = ["Source", "SourceTensor", "open_source"]


def open_source(path: str | PathLike[str]) -> Source:
    """Open a checkpoint file, a folder or a sharded index; only headers are read.

    Raises :class:`SubbitError` with the file and one of these kinds: ``missing``, ``unreadable``,
    ``format`` (no checkpoint, or a damaged one), ``truncated``, ``dtype``, ``pointer`` (a Git LFS
    pointer or a web page instead of weights), ``sbit``, ``empty``, ``ambiguous``, ``outside``,
    ``duplicate``, ``unsafe`` (a pickle that could run code).
    """
    from subbit_formats.sources.file import open_file
    from subbit_formats.sources.folder import open_folder
    from subbit_formats.sources.shards import INDEX_SUFFIX, open_index
    from subbit_formats.sources.source import naming

    path = Path(path)
    with naming(path):
        if path.is_dir():
            return open_folder(path)
        if path.name.endswith(INDEX_SUFFIX):
            return open_index(path)
        return open_file(path)
