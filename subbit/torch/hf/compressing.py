"""A dense transformers model, just loaded, as a `.sbit` file that lives as long as the model does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from subbit.errors import UsageError
from subbit.model import File, compress, open_file
from subbit.torch.state import as_array

__all__ = ["compressed"]


def compressed(model: Any, options: Mapping[str, Any]) -> File:
    """Compress what the model's `state_dict` holds, and open the file; it has no name any more once this returns.

    `options` are those of :func:`subbit.compress`; tied weights are stored once. Raises :class:`SubbitError` for all
    that it refuses, and :class:`UsageError` (kind "option") for an option that it has not.
    """
    arrays = {}
    for name, tensor in model.state_dict().items():
        if name not in model.all_tied_weights_keys:
            arrays[name] = as_array(tensor.detach().cpu().contiguous())
    with TemporaryDirectory(prefix="subbit-") as folder:
        path = Path(folder) / "model.sbit"
        try:
            compress(arrays, path, **options)
        except TypeError as error:
            if "argument" not in str(error):
                raise
            hint = "SubbitConfig takes the options of subbit.compress"
            raise UsageError(f"unknown option: {error}", kind="option", hint=hint) from None
        return open_file(path)
