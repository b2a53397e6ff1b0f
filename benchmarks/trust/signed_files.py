"""Signed files prove their origin: changes whose checksums are right, signatures that are not, keys of others."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from benchmarks.trust.pinning import pin
from benchmarks.trust.proof import Proof
from benchmarks.trust.specimens import GOLDEN
from formats.bad.forge import forged, take_apart
from subbit.errors import SubbitError
from subbit.signing import check_signature, sign
from subbit_formats.sbit import open_reader

__all__ = ["prove"]

FILES = ("tiny-deadzone.sbit", "extras.sbit", "signs.sbit", "shards.sbit.index.json")
CHANGES, KEYS = 5000, 250
"""For each of the files, at a share of 1."""


def prove(share: float) -> list[Proof]:
    """Sign golden files and a set of shards; then forge everything that an attacker could without the key."""
    tried, passed = {"changes": 0, "flips": 0, "keys": 0}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, public = keys(folder, 0)
        for number, file in enumerate(FILES):
            path = signed(folder / str(number), file, ours)
            random = Random(f"signed {file}")
            assert not refused(path, public)
            attempts = {
                "changes": changes(path, random, round(share * CHANGES)),
                "flips": flips(path, step=round(1 / share)),
                "keys": (f"key {seed}" for seed in signatures_of_others(path, folder, round(share * KEYS))),
            }
            for kind, attempt in attempts.items():
                for what in attempt:
                    tried[kind] += 1
                    if not refused(path, public):
                        passed.append(f"{kind} of {file}: {what}")
            assert not refused(path, public)
    said = {
        "changes": "signed files changed, with all checksums made right",
        "flips": "bits of signatures flipped",
        "keys": "files and signatures by other keys, some of which claim to be ours",
    }
    failures = {kind: tuple(what for what in passed if what.startswith(kind)) for kind in said}
    return [Proof(11, said[kind], tried[kind], len(failures[kind]), failures[kind][:10]) for kind in said]


def keys(folder: Path, seed: int) -> tuple[Path, Path]:
    """The paths of a private and a public key."""
    key = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
    private, public = folder / "key.pem", folder / "key.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def signed(folder: Path, file: str, key: Path) -> Path:
    """A golden file or set of shards with its signature."""
    folder.mkdir()
    for part in sorted(GOLDEN.glob(f"*/{file.split('.')[0]}*")):
        shutil.copy(part, folder)
    sign(folder / file, key)
    return folder / file


def refused(path: Path, public: Path) -> bool:
    """Whether a file that is whole by its checksums is refused for its signature."""
    with open_reader(path) as archive:
        archive.verify()
        try:
            check_signature(archive, public)
        except SubbitError as error:
            return error.kind == "signature"
    return False


def changes(path: Path, random: Random, count: int) -> Iterator[str]:
    """The file as it could be made by anyone, while it stands on the disk; then as it was."""
    shards = sorted(json.loads(path.read_bytes())["files"]) if path.suffix == ".json" else []
    before = {file: file.read_bytes() for file in [path, *map(path.with_name, shards)]}
    for number in range(count):
        victim = path.with_name(random.choice(shards)) if shards else path
        index, sections = take_apart(before[victim])
        minor = 0
        if (kind := random.choice(("weights", "metadata", "extra", "version"))) == "weights":
            place = random.choice([k for k, section in enumerate(sections) if section])
            changed = bytearray(sections[place])
            changed[random.randrange(len(changed))] ^= random.randrange(1, 256)
            if place < sum(len(tensor["sections"]) for tensor in index["tensors"]):
                sections[place] = bytes(changed)
        elif kind == "metadata":
            index["metadata"] = index.get("metadata", {}) | {"note": str(number)}
        elif kind == "extra":
            index["extras"] = [*index.get("extras", []), {"name": "z", "size": 4}]
            sections.append(random.randbytes(4))
        else:
            minor = random.randrange(1, 65536)
        victim.write_bytes(forged(index, sections, header={"minor": minor}))
        if shards:
            pin(path, victim)
        if victim.read_bytes() != before[victim]:
            yield f"{kind} of {victim.name}, the {number}th"
        for file, data in before.items():
            file.write_bytes(data)


def flips(path: Path, step: int) -> Iterator[str]:
    """Every bit of the signature flipped, or one in so many."""
    signature = path.with_name(path.name + ".sig")
    before = signature.read_bytes()
    for bit in range(0, 8 * len(before), step):
        changed = bytearray(before)
        changed[bit // 8] ^= 1 << bit % 8
        signature.write_bytes(changed)
        yield f"bit {bit}"
    signature.write_bytes(before)


def signatures_of_others(path: Path, folder: Path, count: int) -> Iterator[int]:
    """The file signed by other keys; every second signature claims to be by ours."""
    signature = path.with_name(path.name + ".sig")
    before = signature.read_bytes()
    ours = before.split()[-2]
    (folder / "others").mkdir(exist_ok=True)
    for seed in range(1, count + 1):
        sign(path, keys(folder / "others", seed)[0], force=True)
        if seed % 2:
            made = signature.read_bytes()
            signature.write_bytes(made.replace(made.split()[-2], ours))
        yield seed
    signature.write_bytes(before)
