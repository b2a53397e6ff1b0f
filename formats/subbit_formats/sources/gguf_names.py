"""GGUF's tensor names and row order turned into those of the Hugging Face model, and back.

llama.cpp renames every tensor when it converts a model, and for the llama architecture it also
interleaves the rows of q and k, because its rotary embedding turns neighbouring rows where
transformers turns row i with row i + d/2 of a head (convert_hf_to_gguf.py, `LlamaModel.permute`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from subbit_formats.errors import SubbitError
from subbit_formats.sources.gguf_header import GgufHeader
from subbit_formats.sources.source import Array

__all__ = ["FAMILY", "Family", "gguf_name", "hf_name", "interleave", "row_heads", "uninterleave"]


@dataclass(frozen=True)
class Family:
    """How an architecture that is built like llama is called in transformers."""

    architecture: str
    model_type: str
    interleaved: bool = False


FAMILY = {
    "llama": Family("LlamaForCausalLM", "llama", interleaved=True),  # Mistral and SmolLM2 as well
    "qwen2": Family("Qwen2ForCausalLM", "qwen2"),
    "qwen3": Family("Qwen3ForCausalLM", "qwen3"),
}

_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_GGUF_TOP = {hf: gguf for gguf, hf in _TOP.items()}
_GGUF_BLOCK = {hf: gguf for gguf, hf in _BLOCK.items()}
_HF_NAME = re.compile(r"(?:model\.layers\.(?P<block>\d+)\.)?(?P<module>[\w.]+)\.(?P<part>weight|bias)")
_NAME = re.compile(r"(?:blk\.(?P<block>\d+)\.)?(?P<module>\w+)\.(?P<part>weight|bias)")


def hf_name(architecture: str, name: str) -> str | None:
    """The Hugging Face name of a GGUF tensor, or None where it is not known (the GGUF name is kept)."""
    match = _NAME.fullmatch(name)
    if architecture not in FAMILY or not match:
        return None
    block, module, part = match["block"], match["module"], match["part"]
    if block is None:
        return f"{_TOP[module]}.{part}" if module in _TOP else None
    return f"model.layers.{block}.{_BLOCK[module]}.{part}" if module in _BLOCK else None


def gguf_name(name: str) -> str | None:
    """The GGUF name of a tensor of one of these Hugging Face models, or None where there is none."""
    match = _HF_NAME.fullmatch(name)
    if not match:
        return None
    block, module, part = match["block"], match["module"], match["part"]
    if block is None:
        return f"{_GGUF_TOP[module]}.{part}" if module in _GGUF_TOP else None
    return f"blk.{block}.{_GGUF_BLOCK[module]}.{part}" if module in _GGUF_BLOCK else None


def row_heads(header: GgufHeader, name: str, rows: int) -> int | None:
    """Heads of a q or k tensor whose rows are interleaved, None for every other tensor."""
    family, match = FAMILY.get(header.architecture), _NAME.fullmatch(name)
    if family is None or not family.interleaved or not match:
        return None
    if match["block"] is None or match["module"] not in ("attn_q", "attn_k"):
        return None
    heads = header.model("attention.head_count")
    if match["module"] == "attn_k":
        heads = header.model("attention.head_count_kv", heads)
    if type(heads) is not int or heads < 1 or rows % (2 * heads):
        raise SubbitError(f"{rows} rows do not split into {heads!r} heads", kind="format")
    return heads


def uninterleave(rows: Array, heads: int) -> Array:
    """Put the rows of each head from (0, d/2, 1, d/2 + 1, …), llama.cpp's order, back to 0 … d−1."""
    split = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return split.swapaxes(1, 2).reshape(rows.shape)


def interleave(rows: Array, heads: int) -> Array:
    """Put the rows of each head from 0 … d−1 into llama.cpp's order, (0, d/2, 1, d/2 + 1, …)."""
    split = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return split.swapaxes(1, 2).reshape(rows.shape)
