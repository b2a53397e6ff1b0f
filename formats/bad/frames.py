"""zstd frames by hand, so that no version of the library decides their bytes (RFC 8878)."""

from __future__ import annotations

__all__ = ["frame", "repeated"]

_MAGIC = b"\x28\xb5\x2f\xfd"
_RAW, _RLE = 0, 1
_LARGEST_BLOCK = 1 << 17


def frame(content: bytes, stated: int | None = -1) -> bytes:
    """Content as it is, in one block; `stated` is another content size that the header states, or None for none."""
    size = len(content) if stated == -1 else stated
    return _MAGIC + _header(size) + _block(content, len(content), _RAW, last=True)


def repeated(size: int, stated: int | None = -1) -> bytes:
    """So many zeros: four bytes of frame for every 128 KiB."""
    sizes = [_LARGEST_BLOCK] * (size // _LARGEST_BLOCK) + [size % _LARGEST_BLOCK] * (size % _LARGEST_BLOCK > 0)
    blocks = b"".join(_block(b"\0", each, _RLE, last=k == len(sizes) - 1) for k, each in enumerate(sizes))
    return _MAGIC + _header(size if stated == -1 else stated) + blocks


def _header(size: int | None) -> bytes:
    return b"\0\x38" if size is None else b"\xe0" + size.to_bytes(8, "little")  # a window of 128 KiB, or one segment


def _block(data: bytes, size: int, kind: int, last: bool) -> bytes:
    return (last | kind << 1 | size << 3).to_bytes(3, "little") + data
