"""Signatures: who vouches for a file. A small text beside it holds the SHA-256 of every byte, signed with Ed25519.

Checksums find accidents; whoever changes a file can make them anew, but not the signature of another's key. The text:

    subbit signature 1
    SHA-256 SIZE                          the file, or the index of a set of shards and each shard by its name
    ed25519 PUBLIC-KEY SIGNATURE          of all lines above

Needs the package cryptography, and imports it only when keys are read.
"""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subbit.errors import SubbitError, UsageError
from subbit_formats.sbit import Archive, open_reader
from subbit_formats.sbit.atomic import refuse_existing, write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["SUFFIX", "Signer", "check_signature", "read_signer", "sign"]

SUFFIX = ".sig"
_HEAD = b"subbit signature 1\n"
_FORM = re.compile(
    rb"(?P<signed>subbit signature 1\n(?:[0-9a-f]{64} [1-9][0-9]{0,18}\n){1,100000})"
    rb"ed25519 (?P<key>[0-9a-f]{64}) (?P<signature>[0-9a-f]{128})\n"
)
_MOST_BYTES = 1 << 24
_UNREADABLE = ("is no signature that this version of subbit can read", "sign the file again")
_INSTALL = "pip install 'subbit[sign]', or pip install cryptography"
_MAKE = "openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out pub.pem"


class Signer:
    """A private key, from a PEM file without a password; raises :class:`SubbitError` (kind "key") for any other."""

    def __init__(self, key: str | PathLike[str]) -> None:
        self._key: Ed25519PrivateKey = _load(Path(key), private=True)

    def sign(self, path: str | PathLike[str], *, force: bool = False) -> Path:
        """Read every byte of a `.sbit` file or a set of shards, and write its signature; returns the path of that.

        It has the file's name with `.sig`. Raises :class:`SubbitError` for a file that is damaged,
        :class:`UsageError` where a signature exists and `force` is not set.
        """
        with open_reader(path) as archive:
            target = signature_of(archive)
            refuse_existing(target, force=force)
            archive.verify()
            signed = _statement(archive)
        line = f"ed25519 {self._key.public_key().public_bytes_raw().hex()} {self._key.sign(signed).hex()}\n"
        write_whole(target, signed + line.encode(), force=force)
        return target


def sign(path: str | PathLike[str], key: str | PathLike[str], *, force: bool = False) -> Path:
    """Sign a `.sbit` file with the Ed25519 key of a PEM file; writes and returns `path` with `.sig`.

    Whoever has the public key can check with `verify(path, public_key=…)` that every byte is what was signed. Raises
    :class:`SubbitError`, kind "key" for a key of another kind or with a password, "cryptography" where that package
    is missing; :class:`UsageError` for a signature that exists, unless `force`.
    """
    return Signer(key).sign(path, force=force)


def check_signature(archive: Archive, public_key: str | PathLike[str]) -> None:
    """Read every byte of an open file and compare it with the signature beside it.

    Raises :class:`SubbitError`: kind "key" for a file that holds no public Ed25519 key; "signature" for a signature
    that is missing, by another key or forged, and for files that are not those that were signed.
    """
    key = _load(Path(public_key), private=False)
    from cryptography.exceptions import InvalidSignature

    path = signature_of(archive)
    found = _FORM.fullmatch(_read(path))
    if found is None:
        raise _refused(path, *_UNREADABLE)
    if found["key"].decode() != key.public_bytes_raw().hex():
        text = f"was made with another key, {found['key'][:16].decode()}…"
        raise _refused(path, text, "ask whom you trust for their public key")
    try:
        key.verify(bytes.fromhex(found["signature"].decode()), found["signed"])
    except InvalidSignature:
        raise _refused(path, "is forged or damaged", "trust neither it nor the file") from None
    stated, actual = found["signed"].splitlines(), _statement(archive).splitlines()
    for number, file in enumerate(archive.files, 1):
        if stated[number : number + 1] != actual[number : number + 1]:
            hint = "it was changed or written anew since: trust it only if that was you, and sign it again"
            raise _refused(file, f"is not the file that {path.name!r} signs", hint)
    if len(stated) != len(actual):
        raise _refused(path, "signs other files, too", "get the whole set of shards")


def read_signer(archive: Archive) -> str | None:
    """The public key, in hex, that the signature beside a file names; None without one. Nothing is checked."""
    path = signature_of(archive)
    if not path.exists():
        return None
    found = _FORM.fullmatch(_read(path))
    if found is None:
        raise _refused(path, *_UNREADABLE)
    return found["key"].decode()


def signature_of(archive: Archive) -> Path:
    """Where the signature of a file lies: beside it."""
    return archive.path.with_name(archive.path.name + SUFFIX)


def _statement(archive: Archive) -> bytes:
    return _HEAD + b"".join(f"{digest} {size}\n".encode() for digest, size in archive.sha256())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        hint = "it lies beside its file; `subbit sign` makes one"
        raise _refused(path, f"cannot be read: {error.strerror}", hint) from None


def _load(path: Path, *, private: bool) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ed25519
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
    except ImportError:
        text = "signatures need the package cryptography"
        raise SubbitError(text, kind="cryptography", hint=_INSTALL) from None
    kind = "private" if private else "public"
    try:
        data = path.read_bytes()
        key = load_pem_private_key(data, None) if private else load_pem_public_key(data)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", kind="key", path=path, hint="check the name") from None
    except TypeError:
        text = "the key has a password"
        raise UsageError(text, kind="key", path=path, hint="openssl pkey -in KEY.pem -out PLAIN.pem") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"holds no {kind} key in PEM", kind="key", path=path, hint=_MAKE) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey):
        raise UsageError(f"holds a {kind} key of another kind than Ed25519", kind="key", path=path, hint=_MAKE)
    return key


def _refused(path: Path, text: str, hint: str) -> SubbitError:
    return SubbitError(text, kind="signature", path=path, hint=hint)
