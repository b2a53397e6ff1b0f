"""A text as batches for healing: windows of tokens, all of them or as many as a run can use."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import torch

from subbit.errors import SubbitError
from subbit.torch.calibration.texts import windows

__all__ = ["FEWEST", "text_batches"]

FEWEST = 4
"""Windows that a text must fill: half of them to learn from, half held out."""
_MOST_TOKENS = 1 << 21
_MOST_BYTES = _MOST_TOKENS * 8


def text_batches(path: str | PathLike[str], tokenizer: Any, window: int, at_once: int = 1) -> list[torch.Tensor]:
    """Windows that do not overlap, in the order of the text, as tensors (at_once, window) of token ids.

    Of large files, windows that are spread evenly. Raises :class:`SubbitError` (kind "text") for a file that is no
    UTF-8 text or has fewer than `FEWEST` windows.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            found = windows(path, tokenizer, _MOST_TOKENS, window)
        else:
            ids = tokenizer.encode(path.read_text(encoding="utf-8"), add_special_tokens=False).ids
            if len(ids) < FEWEST * window:
                text = f"the text has {len(ids):,} tokens, and at least {FEWEST * window:,} are needed"
                raise SubbitError(text, kind="text", path=path, hint="take a longer text")
            found = torch.tensor(ids[: len(ids) // window * window]).view(-1, window)
    except UnicodeDecodeError:
        raise SubbitError("is no UTF-8 text", kind="text", path=path) from None
    except OSError as error:
        raise SubbitError(error.strerror or str(error), kind="text", path=path) from error
    return list(torch.split(found, min(at_once, len(found) // FEWEST)))
