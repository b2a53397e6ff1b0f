"""Text → windows of tokens: spread over a file, or sampled from the model itself."""

from __future__ import annotations

import codecs
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import xxhash

from subbit.errors import SubbitError, UsageError

__all__ = ["file_hash", "sample", "windows"]

_BYTES_PER_TOKEN = 8
"""Read for each token wanted: languages and code rarely need more."""

_SAMPLED_AT_ONCE = 32


def windows(path: str | PathLike[str], tokenizer: Any, tokens: int, window: int) -> torch.Tensor:
    """`tokens // window` windows of tokens, int64 (count, window), evenly spread over a UTF-8 text.

    No special tokens are added. Large files are read and tokenized only where a window begins. Raises
    :class:`UsageError` for a budget of less than one window, and :class:`SubbitError` (kind "text") for a file that is
    no text or too short: it says how many tokens there are and how many are needed.
    """
    count = _count(tokens, window)
    path = Path(path)
    try:
        size = path.stat().st_size
        piece = window * _BYTES_PER_TOKEN
        with path.open("rb") as file:
            if size >= count * piece:
                starts = [k * size // count for k in range(count)]
                rows = [_encode(tokenizer, _read(file, start, piece))[:window] for start in starts]
                if all(len(row) == window for row in rows):
                    return torch.tensor(rows)
            ids = _encode(tokenizer, _read(file, 0, size))
    except UnicodeDecodeError:
        raise SubbitError("is no UTF-8 text", kind="text", path=path) from None
    except OSError as error:
        raise SubbitError(error.strerror or str(error), kind="text", path=path) from error
    if len(ids) < count * window:
        text = f"the text has {len(ids):,} tokens, and {count * window:,} are needed"
        hint = f"take a longer text, or fewer tokens: --tokens {max(window, len(ids) // window * window)}"
        raise SubbitError(text, kind="text", path=path, hint=hint)
    starts = [k * (len(ids) - window) // max(1, count - 1) for k in range(count)]
    return torch.tensor([ids[start : start + window] for start in starts])


def sample(model: Any, tokens: int, window: int, seed: int = 0) -> torch.Tensor:
    """`tokens // window` windows that a causal language model writes at temperature 1, int64 (count, window).

    Each begins with the model's first token (BOS), or where it has none with a random one. The same seed gives the
    same text on one machine; rounding may differ on another. A step costs one pass with the keys and values kept.
    """
    count = _count(tokens, window)
    generator = torch.Generator().manual_seed(seed)
    config = model.config.get_text_config()
    begin, vocabulary = getattr(config, "bos_token_id", None), config.vocab_size
    if isinstance(begin, int) and 0 <= begin < vocabulary:
        first = torch.full((count, 1), begin)
    else:
        first = torch.randint(vocabulary, (count, 1), generator=generator)
    parts = [_continue(model, part, window, generator) for part in torch.split(first, _SAMPLED_AT_ONCE)]
    return torch.cat(parts)


def file_hash(path: str | PathLike[str]) -> str:
    """XXH3-128 of a file's bytes."""
    found = xxhash.xxh3_128()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _continue(model: Any, first: torch.Tensor, window: int, generator: torch.Generator) -> torch.Tensor:
    ids, past = first, None
    with torch.inference_mode():
        while ids.shape[1] < window:
            output = model(input_ids=ids[:, -1:] if past is not None else ids, past_key_values=past, use_cache=True)
            past = output.past_key_values
            chances = output.logits[:, -1].float().softmax(dim=-1).cpu()
            ids = torch.cat([ids, torch.multinomial(chances, 1, generator=generator).to(ids.device)], dim=1)
    return ids.clone()


def _count(tokens: int, window: int) -> int:
    if window < 2 or tokens < window:
        text = f"{tokens} tokens do not fill a window of {window}"
        raise UsageError(text, kind="text", hint="at least one window of two tokens or more")
    return tokens // window


def _read(file: Any, start: int, size: int) -> str:
    """A piece of UTF-8 text; characters that are cut at its ends are left out."""
    file.seek(start)
    data = file.read(size)
    cut = next((k for k in range(min(4, len(data))) if data[k] & 0xC0 != 0x80), 0) if start else 0
    text: str = codecs.getincrementaldecoder("utf-8")().decode(data[cut:])
    return text


def _encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids
