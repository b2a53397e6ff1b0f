"""A tokenizer.json of the tokenizers library → the vocabulary in a GGUF file.

The way back from `sources.gguf_tokenizer`, for the same kinds: byte-level BPE whose split of the text llama.cpp knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from subbit_formats.errors import UsageError
from subbit_formats.gguf.fields import Field
from subbit_formats.sources.gguf_tokenizer import CONTROL, PRE_TOKENIZERS, SPECIAL_TOKENS, USER_DEFINED

__all__ = ["vocabulary_fields"]

_NORMAL, _UNUSED = 1, 5
_HINT = "decompress --folder, and convert that with llama.cpp"


def vocabulary_fields(files: Mapping[str, bytes], rows: int) -> dict[str, Field]:
    """Tokens, merges, special tokens and chat template, as many tokens as the embedding has `rows`.

    `files` are tokenizer.json, and tokenizer_config.json, chat_template.jinja and config.json where there are such:
    the last numbers the special tokens that the others do not name. Raises :class:`UsageError` (kind "tokenizer") for
    other kinds.
    """
    try:
        found = json.loads(files["tokenizer.json"])
        settings = json.loads(files.get("tokenizer_config.json", b"{}"))
        numbered = json.loads(files.get("config.json", b"{}"))
        template = files["chat_template.jinja"].decode() if "chat_template.jinja" in files else None
        kind = _kind(found)
        tokens, types = _tokens(found, rows)
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in found["model"]["merges"]]
        starts = _starts(found)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise _refused(f"cannot be read ({type(error).__name__})") from None
    fields: dict[str, Field] = {
        "model": "gpt2", "pre": kind, "tokens": tokens, "token_type": types, "merges": merges,
        "add_bos_token": starts is not None,
    }  # fmt: skip
    special = {key: _content(settings.get(name)) for name, key in SPECIAL_TOKENS.items()}
    if starts is not None:
        special["bos"] = starts
    for name, key in SPECIAL_TOKENS.items():
        token = special[key]
        number = tokens.index(token) if token is not None and token in tokens else numbered.get(f"{name}_id")
        if isinstance(number, int) and 0 <= number < rows:
            fields[f"{key}_token_id"] = number
    template = template or settings.get("chat_template")
    shown: dict[str, Field] = {"tokenizer.chat_template": template} if isinstance(template, str) else {}
    return {f"tokenizer.ggml.{key}": value for key, value in fields.items()} | shown


def _kind(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name of how text is split before it is merged."""
    model = tokenizer["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        raise _refused("is no byte-level BPE")
    steps = tokenizer["pre_tokenizer"]
    steps = steps["pretokenizers"] if steps["type"] == "Sequence" else [steps]
    normalizer = (tokenizer.get("normalizer") or {}).get("type")
    for kind, known in PRE_TOKENIZERS.items():
        if (
            [_step(step) for step in steps] == [_step(step) for step in known]
            and bool(model.get("ignore_merges")) is (kind == "llama-bpe")
            and normalizer == ("NFC" if kind == "qwen2" else None)
        ):
            return kind
    raise _refused("splits texts in a way that is not known here")


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step without what makes no difference to the tokens."""
    missing = {"use_regex": True} if step["type"] == "ByteLevel" else {}
    return missing | {key: value for key, value in step.items() if key != "trim_offsets"}


def _tokens(tokenizer: Mapping[str, Any], rows: int) -> tuple[list[str], list[int]]:
    """The token of each row, and what it is; rows without token get a name that no text has."""
    names = {number: token for token, number in tokenizer["model"]["vocab"].items()}
    types = dict.fromkeys(names, _NORMAL)
    for added in tokenizer.get("added_tokens", ()):
        names[added["id"]] = added["content"]
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    if max(names) >= rows:
        raise _refused(f"has {max(names) + 1} tokens, and the embedding {rows} rows")
    return [names.get(k, f"[PAD{k}]") for k in range(rows)], [types.get(k, _UNUSED) for k in range(rows)]


def _starts(tokenizer: Mapping[str, Any]) -> str | None:
    """The token that is put before every text, if one is."""
    processor = tokenizer.get("post_processor") or {}
    for step in processor.get("processors", [processor]):
        if step.get("type") == "TemplateProcessing" and "SpecialToken" in step["single"][0]:
            token = step["single"][0]["SpecialToken"]["id"]
            return str(step["special_tokens"][token]["tokens"][0])
    return None


def _content(token: Any) -> str | None:
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _refused(text: str) -> UsageError:
    return UsageError(f"its tokenizer.json {text}", kind="tokenizer", hint=_HINT)
