"""Signatures: what they cover, whom they name, and each way in which one does not fit."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import subbit
from benchmarks.trust.pinning import pin
from formats.bad.forge import forge, forged, take_apart

PEM, PKCS8 = Encoding.PEM, PrivateFormat.PKCS8
ARRAYS = {f"w{k}": np.random.default_rng(k).standard_normal((48, 40)).astype(np.float32) for k in range(3)}


def keys(folder: Path, name: str, seed: int) -> tuple[Path, Path]:
    """A private and a public key in PEM, always the same."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(PEM, PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def ours(tmp_path: Path) -> tuple[Path, Path]:
    return keys(tmp_path, "ours", 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return subbit.compress(ARRAYS, tmp_path / "m.sbit", bits=4.0).path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return subbit.compress(ARRAYS, tmp_path / "s.sbit", bits=4.0, shard_bytes=1800).path


def refused(path: Path, public: Path, *words: str, kind: str = "signature") -> subbit.SubbitError:
    with pytest.raises(subbit.SubbitError) as caught:
        subbit.verify(path, public_key=public)
    assert caught.value.kind == kind
    assert caught.value.hint
    for word in words:
        assert word in str(caught.value)
    return caught.value


def test_the_signature_is_a_text_that_anyone_can_check(file: Path, ours: tuple[Path, Path]) -> None:
    private, public = ours
    signature = subbit.sign(file, private)
    assert signature == file.with_name("m.sbit.sig")
    before = signature.read_bytes()
    lines = before.decode().splitlines()
    assert lines[:2] == ["subbit signature 1", f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_size}"]
    word, key, signed = lines[2].split()
    assert word == "ed25519"
    statement = before[: before.rindex(b"ed25519")]
    ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signed), statement)
    assert subbit.verify(file, public_key=public).signed
    assert not subbit.verify(file).signed
    subbit.sign(file, private, force=True)
    assert signature.read_bytes() == before  # the same bytes each time


def test_a_file_may_be_renamed_with_its_signature(file: Path, ours: tuple[Path, Path]) -> None:
    subbit.sign(file, ours[0]).rename(file.with_name("n.sbit.sig"))
    assert subbit.verify(file.rename(file.with_name("n.sbit")), public_key=ours[1]).signed


def test_shards_are_signed_each(shards: Path, ours: tuple[Path, Path]) -> None:
    signature = subbit.sign(shards.with_name("s.sbit"), ours[0])
    assert signature.name == "s.sbit.index.json.sig"
    parts = [shards, *sorted(shards.parent.glob("s-*.sbit"))]
    assert len(parts) == 4
    stated = [line.split()[0] for line in signature.read_text().splitlines()[1:-1]]
    assert stated == [hashlib.sha256(part.read_bytes()).hexdigest() for part in parts]
    assert subbit.verify(shards, public_key=ours[1]).signed


def test_a_shard_with_other_weights_and_the_right_checksums_is_refused(
    shards: Path, ours: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    subbit.sign(shards, ours[0])
    shard = shards.with_name("s-00002-of-00003.sbit")
    text = shards.read_bytes()
    index, sections = take_apart(shard.read_bytes())
    index["metadata"] = {"note": "another"}
    forge(shard, index, sections)
    pin(shards, shard)
    subbit.verify(shards)
    assert refused(shards, ours[1], "is not the file that 's.sbit.index.json.sig' signs").path == str(shards)
    shards.write_bytes(text)
    monkeypatch.setattr("subbit_formats.sbit.shards.ShardedReader._open_shard", _unchecked)
    assert refused(shards, ours[1], "is not the file").path == str(shard)  # as if XXH3 had been fooled


def _unchecked(self: object, name: str, _file: object, understood: tuple[str, ...]) -> object:
    from subbit_formats.sbit import Reader

    return Reader(self.path.with_name(name), understood)  # type: ignore[attr-defined]


def test_changes_with_right_checksums_are_refused(file: Path, ours: tuple[Path, Path]) -> None:
    subbit.sign(file, ours[0])
    index, sections = take_apart(file.read_bytes())
    file.write_bytes(forged(index, [bytes([sections[0][0] ^ 1]) + sections[0][1:], *sections[1:]]))
    subbit.verify(file)
    assert refused(file, ours[1], "is not the file that 'm.sbit.sig' signs", "changed").path == str(file)


def test_what_is_written_over_a_signed_file_does_not_pass(file: Path, ours: tuple[Path, Path]) -> None:
    subbit.sign(file, ours[0])
    subbit.compress(ARRAYS, file, bits=2.0, force=True)
    refused(file, ours[1], "is not the file", "sign it again")
    with pytest.raises(subbit.UsageError, match="exists already"):
        subbit.sign(file, ours[0])
    subbit.sign(file, ours[0], force=True)
    assert subbit.verify(file, public_key=ours[1]).signed


def test_no_signature_and_those_of_others(file: Path, ours: tuple[Path, Path], tmp_path: Path) -> None:
    refused(file, ours[1], "m.sbit.sig", "No such file", "subbit sign")
    theirs, _ = keys(tmp_path, "theirs", 2)
    signature = subbit.sign(file, theirs)
    refused(file, ours[1], "was made with another key")
    stated = signature.read_text().splitlines()
    claimed = subbit.sign(file, ours[0], force=True).read_text().splitlines()[2].split()[1]
    word, _, signed = stated[2].split()
    signature.write_text("\n".join([*stated[:2], f"{word} {claimed} {signed}", ""]))
    refused(file, ours[1], "is forged or damaged")
    subbit.sign(file, ours[0], force=True)
    signature.write_text(signature.read_text().replace(claimed, stated[2].split()[1]))
    refused(file, ours[1], "was made with another key")  # although ours made it: one signature, one text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"", lambda text: text[:-1], lambda text: text + b"\n", lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"signature 1", b"signature 2"), lambda text: text.upper(),
        lambda text: b"\xff" + text, lambda text: text.replace(b" ", b"  ", 1), lambda text: text * 2,
        lambda text: text.replace(b"\n", b" 0\n", 1),
    ],
)  # fmt: skip
def test_texts_that_are_no_signature(file: Path, ours: tuple[Path, Path], change: object) -> None:
    signature = subbit.sign(file, ours[0])
    signature.write_bytes(change(signature.read_bytes()))  # type: ignore[operator]
    refused(file, ours[1], "no signature that this version")


def test_a_statement_about_more_or_fewer_files(file: Path, shards: Path, ours: tuple[Path, Path]) -> None:
    of_file, of_shards = subbit.sign(file, ours[0]), subbit.sign(shards, ours[0])
    one, four = of_file.read_bytes(), of_shards.read_bytes()
    of_file.write_bytes(four)
    refused(file, ours[1], "is not the file")
    of_shards.write_bytes(one)
    refused(shards, ours[1], "is not the file")
    first = ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
    statement = one[: one.rindex(b"ed25519")] + four.splitlines(keepends=True)[2]
    of_file.write_bytes(statement + b"ed25519 " + one.split()[-2] + f" {first.sign(statement).hex()}\n".encode())
    refused(file, ours[1], "signs other files, too")


@pytest.mark.parametrize("private", [True, False])
def test_keys_that_cannot_be(file: Path, ours: tuple[Path, Path], tmp_path: Path, private: bool) -> None:
    first, curve = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    subject = PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "locked").write_bytes(first.private_bytes(PEM, PKCS8, BestAvailableEncryption(b"secret")))
    (tmp_path / "curve").write_bytes(
        curve.private_bytes(PEM, PKCS8, NoEncryption()) if private else curve.public_key().public_bytes(PEM, subject)
    )
    (tmp_path / "empty").write_bytes(b"")
    swapped = ours[1] if private else ours[0]
    kind = "private" if private else "public"
    expected = {
        tmp_path / "curve": f"holds a {kind} key of another kind than Ed25519",
        tmp_path / "empty": f"holds no {kind} key in PEM", swapped: f"holds no {kind} key in PEM",
        tmp_path / "none": "cannot be read",
    }  # fmt: skip
    expected |= {tmp_path / "locked": "the key has a password"} if private else {}
    subbit.sign(file, ours[0])
    for path, text in expected.items():
        with pytest.raises(subbit.UsageError, match=text) as caught:
            subbit.sign(file, path, force=True) if private else subbit.verify(file, public_key=path)
        assert (caught.value.kind, caught.value.path) == ("key", str(path))


def test_a_damaged_file_is_not_signed(file: Path, ours: tuple[Path, Path]) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    with pytest.raises(subbit.SubbitError, match="checksum"):
        subbit.sign(file, ours[0])
    assert not file.with_name("m.sbit.sig").exists()


def test_without_cryptography_the_error_says_how_to_get_it(file: Path, ours: tuple[Path, Path]) -> None:
    code = f"""
import sys
sys.modules["cryptography"] = None
import subbit
try:
    subbit.sign({str(file)!r}, {str(ours[0])!r})
except subbit.SubbitError as error:
    print(error.kind, error)
subbit.verify({str(file)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cryptography signatures need the package cryptography (pip install 'subbit[sign]'")
