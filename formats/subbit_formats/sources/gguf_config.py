"""A Hugging Face config.json made from the key-values of a GGUF file."""

from __future__ import annotations

import json
from typing import Any

from subbit_formats.sources.gguf_header import GgufHeader
from subbit_formats.sources.gguf_names import FAMILY

__all__ = ["KEYS", "config_json"]

KEYS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "max_position_embeddings": "context_length",
    "head_dim": "attention.key_length",
}
_SPECIAL_TOKENS = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}


def config_json(header: GgufHeader, dtype: str) -> bytes | None:
    """The configuration of a dense llama-like model; None where it would have to be guessed.

    That is: another architecture, experts, or a key-value missing that the model cannot do without.
    """
    family = FAMILY.get(header.architecture)
    config = {key: header.model(field) for key, field in KEYS.items()}
    if config["num_key_value_heads"] is None:
        config["num_key_value_heads"] = config["num_attention_heads"]
    if config["head_dim"] is None:
        del config["head_dim"]
    epsilon = header.model("attention.layer_norm_rms_epsilon")
    theta = header.model("rope.freq_base", 10000.0)
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    if (
        family is None
        or not all(type(value) is int for value in config.values())
        or type(epsilon) is not float
        or type(theta) is not float
        or header.model("expert_count", 0)
        or "token_embd.weight" not in shapes
    ):
        return None
    config |= {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "hidden_act": "silu",
        "rms_norm_eps": _shortest(epsilon),
        "rope_theta": _shortest(theta),
        "vocab_size": shapes["token_embd.weight"][0],
        "tie_word_embeddings": "output.weight" not in shapes,
        "torch_dtype": dtype,
    }
    if family.model_type == "llama":
        config |= {"attention_bias": "blk.0.attn_q.bias" in shapes, "mlp_bias": "blk.0.ffn_up.bias" in shapes}
    for key, token in _SPECIAL_TOKENS.items():
        if (number := header.fields.get(f"tokenizer.ggml.{token}_token_id")) is not None:
            config[key] = number
    return json.dumps(config | _rope_scaling(header), indent=2, sort_keys=True).encode()


def _rope_scaling(header: GgufHeader) -> dict[str, Any]:
    kind, factor = header.model("rope.scaling.type"), header.model("rope.scaling.factor")
    if kind not in ("linear", "yarn") or type(factor) is not float:
        return {}
    scaling = {"rope_type": kind, "factor": _shortest(factor)}
    if original := header.model("rope.scaling.original_context_length"):
        scaling["original_max_position_embeddings"] = original
    return {"rope_scaling": scaling}


def _shortest(value: float) -> float:
    """The decimal number that was meant by a float32: 9.99999974e-06 is 1e-05."""
    import numpy as np

    return float(str(np.float32(value)))
