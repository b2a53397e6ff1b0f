"""Files of models under a template's signs at half a bit, written in seconds: their numbers are drawn, not trained.

Each shape of matrix is encoded once, and its bytes stand under every name of that shape: sizes and speeds are those of
a real model, the text that it writes is rubbish.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decode import gaussian, under_signs
from subbit import Dense, Signed, Vector
from subbit.records import Encoded
from subbit.signs import SignPlane
from subbit_formats.sbit import Writer

__all__ = ["SMOLLM2", "dense_shapes", "linear_shapes", "write_file", "write_llama"]

SMOLLM2 = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
    "tie_word_embeddings": True, "dtype": "bfloat16",
}  # fmt: skip
"""The configuration of SmolLM2-135M, as far as it matters here."""


def linear_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Names and shapes of the linear layers in the blocks of a Llama."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    values = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    block = {
        "self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (values, hidden),
        "self_attn.v_proj": (values, hidden), "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner),
    }  # fmt: skip
    layers = range(config["num_hidden_layers"])
    return {f"model.layers.{k}.{name}.weight": shape for k in layers for name, shape in block.items()}


def dense_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Embedding, the head where it is not tied to it, and norms."""
    hidden = config["hidden_size"]
    norms = [
        f"model.layers.{k}.{name}.weight"
        for k in range(config["num_hidden_layers"])
        for name in ("input_layernorm", "post_attention_layernorm")
    ]
    tables = ("model.embed_tokens.weight", "lm_head.weight")[: 1 if config.get("tie_word_embeddings") else 2]
    found: dict[str, tuple[int, ...]] = dict.fromkeys(tables, (config["vocab_size"], hidden))
    return found | dict.fromkeys([*norms, "model.norm.weight"], (hidden,))


def write_llama(path: Path, config: Mapping[str, Any], plane: SignPlane) -> None:
    """A `.sbit` file that `load_model` takes: linear layers at half a bit, embedding and norms in bfloat16."""
    dense = {
        name: gaussian(*shape) / shape[1] ** 0.5 if len(shape) == 2 else np.ones(shape, np.float32)
        for name, shape in dense_shapes(config).items()
    }
    write_file(path, linear_shapes(config), plane, dense, config)


def write_file(
    path: Path,
    shapes: Mapping[str, tuple[int, int]],
    plane: SignPlane,
    dense: Mapping[str, np.ndarray] | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Matrices of these shapes, `dense` ones as they are but in bfloat16, and a config.json."""
    import ml_dtypes

    dense, codec = dense or {}, Signed(plane, Vector(16, 256))

    @cache
    def coded(rows: int, columns: int) -> Encoded:
        return codec.encode(under_signs(gaussian(rows, columns) / columns**0.5, plane))

    with Writer(path, force=True) as writer:
        for name in sorted([*shapes, *dense]):
            kept = name in dense
            encoded = Dense().encode(dense[name].astype(ml_dtypes.bfloat16)) if kept else coded(*shapes[name])
            writer.add(
                name, shape=encoded.shape, dtype="bfloat16", codec=encoded.codec, knobs=encoded.knobs,
                sections=encoded.sections, covered=not kept,
            )  # fmt: skip
        if config is not None:
            writer.extra("config.json", json.dumps(dict(config)).encode())
