"""A tokenizer.json (tokenizers library) rebuilt from the vocabulary in a GGUF file.

Only byte-level BPE, GGUF's ``gpt2`` kind, and only with a pre-tokenizer known here: with another
split of the text the same vocabulary gives other tokens, silently.
"""

from __future__ import annotations

import json
from typing import Any

from subbit_formats.sources.gguf_header import GgufHeader

__all__ = ["CONTROL", "PRE_TOKENIZERS", "SPECIAL_TOKENS", "USER_DEFINED", "tokenizer_config_json", "tokenizer_json"]

CONTROL, USER_DEFINED = 3, 4
SPECIAL_TOKENS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = _LETTERS + r"\p{N}{1,3}" + _REST
_QWEN2 = _LETTERS + r"\p{N}" + _REST


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _split(pattern: str) -> list[dict[str, Any]]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return [split, _byte_level(use_regex=False)]


_SINGLE_DIGITS = [{"type": "Digits", "individual_digits": True}, _byte_level(use_regex=True)]
PRE_TOKENIZERS = {
    "gpt-2": [_byte_level(use_regex=True)],
    "smollm": _SINGLE_DIGITS,
    "starcoder": _SINGLE_DIGITS,
    "refact": _SINGLE_DIGITS,
    "llama-bpe": _split(_LLAMA3),
    "qwen2": _split(_QWEN2),
}


def tokenizer_json(header: GgufHeader) -> bytes | None:
    """The tokenizer as the tokenizers library reads it, or None for kinds that cannot be rebuilt."""
    fields = header.fields
    tokens, merges = _strings(fields, "tokens"), _strings(fields, "merges")
    model_kind, kind = header.text("tokenizer.ggml.model"), header.text("tokenizer.ggml.pre")
    if model_kind != "gpt2" or kind not in PRE_TOKENIZERS or not tokens or merges is None:
        return None
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
        "ignore_merges": kind == "llama-bpe",
        "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges,
    }  # fmt: skip
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": _added_tokens(tokens, fields),
        "normalizer": {"type": "NFC"} if kind == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": PRE_TOKENIZERS[kind]},
        "post_processor": _post_processor(fields, tokens),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": model,
    }  # fmt: skip
    return json.dumps(tokenizer, ensure_ascii=False, indent=1).encode()


def tokenizer_config_json(header: GgufHeader) -> bytes:
    """What transformers needs beside tokenizer.json: the class, the special tokens, the chat template."""
    tokens = _strings(header.fields, "tokens") or []
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for name, key in SPECIAL_TOKENS.items():
        if (number := _token_number(header.fields, key, tokens)) is not None:
            config[name] = tokens[number]
    if template := header.text("tokenizer.chat_template"):
        config["chat_template"] = template
    return json.dumps(config, ensure_ascii=False, indent=1, sort_keys=True).encode()


def _strings(fields: dict[str, Any], key: str) -> list[str] | None:
    value = fields.get(f"tokenizer.ggml.{key}")
    return value if isinstance(value, list) and all(isinstance(text, str) for text in value) else None


def _added_tokens(tokens: list[str], fields: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = fields.get("tokenizer.ggml.token_type")
    if not isinstance(kinds, list):
        return []
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return [
        {"id": number, "content": token, **plain, "special": kind == CONTROL}
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=False))
        if kind in (CONTROL, USER_DEFINED)
    ]


def _token_number(fields: dict[str, Any], key: str, tokens: list[str]) -> int | None:
    number = fields.get(f"tokenizer.ggml.{key}_token_id")
    return number if isinstance(number, int) and 0 <= number < len(tokens) else None


def _post_processor(fields: dict[str, Any], tokens: list[str]) -> dict[str, Any] | None:
    """Put the BOS token in front where the file asks for it (llama-bpe: where it does not say no)."""
    wanted = fields.get("tokenizer.ggml.add_bos_token", fields.get("tokenizer.ggml.pre") == "llama-bpe")
    number = _token_number(fields, "bos", tokens)
    if not wanted or number is None:
        return None
    bos = tokens[number]
    single: list[dict[str, Any]] = [
        {"SpecialToken": {"id": bos, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {bos: {"id": bos, "ids": [number], "tokens": [bos]}},
    }
