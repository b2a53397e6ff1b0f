from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.process import save, subbit
from tests.subbit.test_signing import keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys(tmp_path, "ours", 1)
    keys(tmp_path, "theirs", 2)
    save(tmp_path / "m.safetensors")
    return tmp_path


def test_sign_and_verify(home: Path, folder: Path) -> None:
    (folder / "m.sbit").write_bytes((home / "m.sbit").read_bytes())
    assert subbit("sign", "m.sbit", "--key", "ours.pem", cwd=folder).ok() == "wrote m.sbit.sig\n"
    assert "exists already" in subbit("sign", "m.sbit", "--key", "ours.pem", cwd=folder).error(2)
    subbit("sign", "m.sbit", "--key", "ours.pem", "--force", cwd=folder).ok()
    out = subbit("verify", "m.sbit", "--public-key", "ours.pub", cwd=folder).ok()
    assert "the owner of the key has signed every byte of it" in out
    result = subbit("verify", "m.sbit", "--public-key", "ours.pub", "--against", "m.safetensors", "--json", cwd=folder)
    assert (result.json()["signed"], result.json()["stated"]) == (True, True)
    assert "signed" not in subbit("verify", "m.sbit", "--json", cwd=folder).json()
    assert "another key" in subbit("verify", "m.sbit", "--public-key", "theirs.pub", cwd=folder).error(1)
    assert "holds no public key" in subbit("verify", "m.sbit", "--public-key", "ours.pem", cwd=folder).error(2)


def test_compress_signs_what_it_wrote(folder: Path) -> None:
    options = ("--bits", "3", "--shard-size", "4kB", "--sign-key")
    assert "holds no private key" in subbit("compress", "m.safetensors", *options, "ours.pub", cwd=folder).error(2)
    assert not list(folder.glob("*.sbit*"))
    report = subbit("compress", "m.safetensors", *options, "ours.pem", "--json", cwd=folder).json()
    assert report["signature"] == "m.sbit.index.json.sig"
    assert "signed every byte" in subbit("verify", "m.sbit", "--public-key", "ours.pub", cwd=folder).ok()
    again = subbit("compress", "m.safetensors", "--force", "--sign-key", "ours.pem", cwd=folder)
    assert again.ok().endswith("wrote m.sbit\nwrote m.sbit.sig\n")
    assert "contradicts --dry-run" in subbit(
        "compress", "m.safetensors", "--dry-run", "--sign-key", "ours.pem", cwd=folder
    ).error(2)
