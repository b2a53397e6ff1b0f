"""`subbit folder`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.process import save, subbit


def test_a_model_becomes_a_folder_and_a_bare_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    save(tmp_path / "model" / "model.safetensors")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama", "vocab_size": 40}')
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    subbit("compress", "model", "-o", "m.sbit", "--bits", "2", cwd=tmp_path).ok()
    assert subbit("folder", "m.sbit", "-o", "out", cwd=tmp_path).ok() == "wrote out\n"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "config.json", "model.sbit", "subbit.safetensors", "tokenizer.json"}
    assert (tmp_path / "out" / "README.md").read_text().startswith("---\nlibrary_name: subbit\n")
    settings = json.loads((tmp_path / "out" / "config.json").read_text())
    assert settings["vocab_size"] == 40
    assert settings["quantization_config"] == {"quant_method": "subbit", "version": 1}
    subbit("verify", "out", "--against", "model", cwd=tmp_path).ok()
    assert subbit("inspect", "tensors", "out", cwd=tmp_path).ok() == subbit(
        "inspect", "tensors", "out/model.sbit", cwd=tmp_path
    ).ok().replace("out/model.sbit", "out")
    assert "sbit" in subbit("compress", "out", "-o", "again.sbit", cwd=tmp_path).error()
    again = subbit("folder", "m.sbit", "-o", "out", cwd=tmp_path).error(code=2)
    assert "already" in again
    assert "--force" in again
    save(tmp_path / "bare.safetensors")
    subbit("compress", "bare.safetensors", "--bits", "2", cwd=tmp_path).ok()
    assert "config.json" in subbit("folder", "bare.sbit", "-o", "no", cwd=tmp_path).error()
    assert not (tmp_path / "no").exists()


def test_a_gguf_file_has_a_type_of_its_own(tmp_path: Path) -> None:
    save(tmp_path / "m.safetensors")
    subbit("compress", "m.safetensors", "--bits", "2", cwd=tmp_path).ok()
    assert "carries no config.json" in subbit("decompress", "m.sbit", "--gguf", "q8_0", cwd=tmp_path).error(code=2)
    assert "--gguf F16" in subbit("decompress", "m.sbit", "-o", "m.gguf", cwd=tmp_path).error(code=2)
    assert "--dtype" in subbit("decompress", "m.sbit", "--gguf", "F16", "--dtype", "f32", cwd=tmp_path).error(code=2)
