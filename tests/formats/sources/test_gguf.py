"""GGUF files written with the gguf package: values, names, row order, and damaged headers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import ml_dtypes
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from subbit_formats.errors import SubbitError
from subbit_formats.sources import open_source
from subbit_formats.sources.gguf_names import hf_name, uninterleave

HEADS, KV_HEADS, HEAD_DIM, HIDDEN, FFN, VOCAB = 4, 2, 8, 32, 64, 11


def interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp does to q and k when it converts a model (LlamaModel.permute)."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def write(path: Path, fill: Callable[[gguf.GGUFWriter], None], architecture: str = "llama") -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def llama(writer: gguf.GGUFWriter) -> None:
    """A llama of one block with a distinct number in every weight."""
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(5e5)
    writer.add_name("a small llama")
    for name, tensor in stored().items():
        writer.add_tensor(name, tensor)


def matrix(rows: int, columns: int) -> np.ndarray:
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


def stored() -> dict[str, np.ndarray]:
    return {
        "token_embd.weight": matrix(VOCAB, HIDDEN),
        "blk.0.attn_q.weight": interleave(matrix(HEADS * HEAD_DIM, HIDDEN), HEADS),
        "blk.0.attn_q.bias": interleave(matrix(HEADS * HEAD_DIM, 1), HEADS).ravel(),
        "blk.0.attn_k.weight": interleave(matrix(KV_HEADS * HEAD_DIM, HIDDEN), KV_HEADS),
        "blk.0.attn_v.weight": matrix(KV_HEADS * HEAD_DIM, HIDDEN),
        "blk.0.ffn_down.weight": matrix(HIDDEN, FFN),
        "output_norm.weight": np.ones(HIDDEN, np.float32),
        "rope_freqs.weight": np.ones(HEAD_DIM // 2, np.float32),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "llama.gguf", llama)


def refusal(path: Path) -> SubbitError:
    with pytest.raises(SubbitError) as caught:
        open_source(path)
    assert caught.value.path == str(path)
    return caught.value


def test_names_shapes_and_row_order_are_those_of_transformers(path: Path) -> None:
    source = open_source(path)
    assert source.kind == "gguf"
    assert list(source) == [
        "model.embed_tokens.weight",
        "model.layers.0.mlp.down_proj.weight",
        "model.layers.0.self_attn.k_proj.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.v_proj.weight",
        "model.norm.weight",
        "rope_freqs.weight",
    ]
    for module, shape in {
        "self_attn.q_proj": (HEADS * HEAD_DIM, HIDDEN),
        "self_attn.k_proj": (KV_HEADS * HEAD_DIM, HIDDEN),
        "self_attn.v_proj": (KV_HEADS * HEAD_DIM, HIDDEN),
        "mlp.down_proj": (HIDDEN, FFN),
    }.items():
        array = source[f"model.layers.0.{module}.weight"].read()
        np.testing.assert_array_equal(array, matrix(*shape))
        assert array.flags.c_contiguous
    bias = source["model.layers.0.self_attn.q_proj.bias"].read()
    assert bias.tolist() == list(range(HEADS * HEAD_DIM))
    assert source.metadata["gguf.kept_names"] == "rope_freqs.weight"
    assert source.metadata["general.name"] == "a small llama"


def test_config_is_made_from_the_metadata(path: Path) -> None:
    config = json.loads(open_source(path).extras["config.json"]())
    assert config == {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": True,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "max_position_embeddings": 128,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": HEADS,
        "num_hidden_layers": 1,
        "num_key_value_heads": KV_HEADS,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": VOCAB,
    }


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3"])
def test_qwen_is_not_interleaved(tmp_path: Path, architecture: str) -> None:
    source = open_source(write(tmp_path / "q.gguf", llama, architecture))
    array = source["model.layers.0.self_attn.q_proj.weight"].read()
    np.testing.assert_array_equal(array, stored()["blk.0.attn_q.weight"])
    assert json.loads(source.extras["config.json"]())["model_type"] == architecture


def test_unknown_architecture_keeps_its_names_and_says_so(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "m.gguf", llama, "mamba"))
    assert list(source) == sorted(stored())
    assert "mamba" in source.metadata["gguf.kept_names"]
    assert source.extras == {}
    np.testing.assert_array_equal(source["blk.0.attn_q.weight"].read(), stored()["blk.0.attn_q.weight"])


def test_names_agree_with_the_gguf_package() -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, 2)
    modules = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "attn_q_norm", "attn_k_norm"]
    modules += ["ffn_norm", "ffn_gate", "ffn_up", "ffn_down"]
    inner = [f"blk.1.{module}.weight" for module in modules]
    for name in [*inner, "token_embd.weight", "output_norm.weight"]:
        ours = hf_name("qwen3", name)
        assert ours is not None
        assert names.get_name(ours, try_suffixes=(".weight",)) == name
    assert hf_name("llama", "output.weight") == "lm_head.weight"


@pytest.mark.parametrize("heads", [1, 3, 9])
def test_interleaving_is_undone(heads: int) -> None:
    rows = np.random.default_rng(heads).normal(size=(heads * 10, 4))
    np.testing.assert_array_equal(uninterleave(interleave(rows, heads), heads), rows)


FAMILIES = ("Q4", "Q5", "Q8_0", "Q2_K", "Q3_K", "Q6_K", "IQ", "TQ", "MXFP", "NVFP")
QUANTIZED = [kind for kind in GGML_QUANT_SIZES if kind.name.startswith(FAMILIES)]


@pytest.mark.parametrize("kind", QUANTIZED, ids=lambda kind: kind.name)
def test_every_quantized_type_is_read_as_float32(tmp_path: Path, kind: GGMLQuantizationType) -> None:
    block, block_bytes = GGML_QUANT_SIZES[kind]
    data = np.random.default_rng(kind).integers(0, 60, (2, 3, 2 * block_bytes), np.uint8)
    path = write(tmp_path / "q.gguf", lambda writer: writer.add_tensor("experts", data, raw_dtype=kind))
    tensor = open_source(path)["experts"]
    assert (tensor.shape, tensor.dtype) == ((2, 3, 2 * block), "float32")
    array = tensor.read()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, gguf.quants.dequantize(data, kind))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "int16", "int8"])
@pytest.mark.parametrize("shape", [(1,), (0,), (3, 7), (2, 3, 5), (2, 2, 3, 3)])
def test_plain_types_stay_as_they_are(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(0).integers(-99, 99, shape).astype(dtype)
    tensor = open_source(write(tmp_path / "w.gguf", lambda writer: writer.add_tensor("w", data)))["w"]
    assert (tensor.dtype, tensor.shape) == (dtype, shape)
    np.testing.assert_array_equal(tensor.read(), data)


def test_bfloat16(tmp_path: Path) -> None:
    data = np.array([[1.5, -2.0, 3.25]], ml_dtypes.bfloat16)
    kind = GGMLQuantizationType.BF16
    path = write(tmp_path / "w.gguf", lambda w: w.add_tensor("w", data.view(np.uint8), raw_dtype=kind))
    array = open_source(path)["w"].read()
    assert array.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(array, data)


def test_every_truncation_is_refused(path: Path) -> None:
    data = path.read_bytes()
    end = len(data) - 16  # the last tensor, without the padding behind it
    for length in [*range(1, 1500, 7), end - 1]:
        path.write_bytes(data[:length])
        kind = refusal(path).kind
        assert kind == "truncated" or (length < 4 and kind == "format")


def header(*parts: bytes, version: int = 3, tensors: int = 0, fields: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, fields) + b"".join(parts)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def tensor(name: str = "w", dims: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def number(key: str, value: int) -> bytes:
    return text(key) + struct.pack("<II", 4, value)


MALFORMED = {
    "version 1": (header(version=1), "format"),
    "version 4": (header(version=4), "format"),
    "big-endian": (header(version=0x03000000), "format"),
    "key twice": (header(number("a", 1), number("a", 1), fields=2), "duplicate"),
    "tensor twice": (header(tensor(), tensor(), bytes(999), tensors=2), "duplicate"),
    "unknown value": (header(text("a") + struct.pack("<I", 77), fields=1), "format"),
    "nested array": (header(text("a") + struct.pack("<IIQ", 9, 9, 1), fields=1), "format"),
    "huge array": (header(text("a") + struct.pack("<IIQ", 9, 4, 2**60), fields=1), "truncated"),
    "huge string": (header(struct.pack("<Q", 2**60), fields=1), "truncated"),
    "huge counts": (header(tensors=2**60, fields=2**60), "truncated"),
    "bad text": (header(struct.pack("<Q", 1) + b"\xff" + bytes(20), fields=1), "format"),
    "alignment 3": (header(number("general.alignment", 3), fields=1), "format"),
    "alignment 0": (header(number("general.alignment", 0), fields=1), "format"),
    "many dimensions": (header(tensor(dims=(1,) * 9), bytes(999), tensors=1), "format"),
    "huge dimensions": (header(tensor(dims=(2**40, 2**40)), bytes(999), tensors=1), "format"),
    "offset outside": (header(tensor(offset=2**62), bytes(999), tensors=1), "truncated"),
    "unknown type": (header(tensor(kind=999), bytes(999), tensors=1), "dtype"),
    "retired type": (header(tensor(kind=4), bytes(999), tensors=1), "dtype"),
    "type of no dequantizer": (header(tensor(kind=9), bytes(999), tensors=1), "dtype"),
    "rows no blocks": (header(tensor(dims=(33,), kind=2), bytes(999), tensors=1), "format"),
    "split": (header(text("split.count") + struct.pack("<IH", 2, 3), fields=1), "format"),
}


@pytest.mark.parametrize("rule", MALFORMED)
def test_malformed_headers_are_refused(tmp_path: Path, rule: str) -> None:
    data, kind = MALFORMED[rule]
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    assert refusal(path).kind == kind


def test_heads_that_do_not_fit(tmp_path: Path) -> None:
    def wrong(writer: gguf.GGUFWriter) -> None:
        writer.add_head_count(5)
        writer.add_tensor("blk.0.attn_q.weight", matrix(32, 4))

    error = refusal(write(tmp_path / "w.gguf", wrong))
    assert (error.kind, error.tensor) == ("format", "blk.0.attn_q.weight")


def test_key_values_of_strange_types_do_no_harm(tmp_path: Path) -> None:
    def strange(writer: gguf.GGUFWriter) -> None:
        writer.add_array("tokenizer.ggml.pre", ["smollm"])
        writer.add_string("tokenizer.ggml.tokens", "none")
        writer.add_uint32("tokenizer.ggml.token_type", 3)
        writer.add_string("llama.rope.freq_base", "big")
        writer.add_tensor("token_embd.weight", matrix(2, 2))

    assert open_source(write(tmp_path / "w.gguf", strange)).extras == {}


def test_folder_with_a_gguf_file_lets_its_own_files_win(path: Path) -> None:
    assert json.loads(open_source(path.parent).extras["config.json"]())["hidden_size"] == HIDDEN
    (path.parent / "config.json").write_text("mine")
    assert open_source(path.parent).extras["config.json"]() == b"mine"
