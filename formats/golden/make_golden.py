"""Write the goldens: small files that every later reader decodes to the same bytes. Their only writer.

    python formats/golden/make_golden.py [--output FOLDER] [--force]

They go to a folder named after `RELEASE`, their digests to `digests.json`. Files of a release stay for ever: where
an encoder writes other bytes after it, set `RELEASE` to the next one. A file that exists with other bytes is not
overwritten without --force, which is for layouts that were never released.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import zstandard
from golden_cases import FILES, PARENT, Tensors, weights

import subbit
from subbit import Codec, DeadZone, Dense, Uniform
from subbit.model.tensor import PARENT_KEY
from subbit_formats.sbit import ShardedWriter, Writer

RELEASE = "0.1"
HOME = Path(__file__).parent
DIGESTS = "digests.json"
ZSTD = "zstd"
"""Metadata key of the files that hold zstd frames: another version of the library may write other frames."""
_FRAMES = {ZSTD: ".".join(map(str, zstandard.ZSTD_VERSION))}
METADATA = {"base": {PARENT_KEY: PARENT}, "dense-frames": _FRAMES, "parent": _FRAMES}


def add_all(writer: Any, tensors: Tensors) -> None:
    """Encode the tensors and append them in the order of their names."""
    for name, (weight, codec, *given) in sorted(tensors.items(), key=lambda item: item[0]):
        encoded = subbit.encode(weight, codec, *given)
        writer.add(
            name, shape=encoded.shape, dtype=encoded.dtype, codec=encoded.codec, knobs=encoded.knobs,
            sections=encoded.sections, covered=encoded.codec != Dense.id,
        )  # fmt: skip


def write_all(folder: Path) -> None:
    """Write every golden into `folder`."""
    for name, tensors in FILES.items():
        with Writer(folder / f"{name}.sbit", METADATA.get(name, {})) as writer:
            add_all(writer, tensors())
    one: Tensors = {"w": (weights((2, 3), 80), Dense())}
    tiny: dict[str, Codec] = {"dense": Dense(), "deadzone": DeadZone(4.0), "uniform": Uniform()}
    for name, codec in tiny.items():
        with Writer(folder / f"tiny-{name}.sbit") as writer:
            add_all(writer, {"w": (one["w"][0], codec)})
    with Writer(folder / "aliases.sbit", {"made by": "make_golden", "ключ": "значение"}) as writer:
        add_all(writer, one | {"ä": (weights((5,), 81), Dense())})
        writer.alias("tied", "w")
        writer.extra("plain.txt", b"short")
    with Writer(folder / "extras.sbit", METADATA["dense-frames"]) as writer:
        add_all(writer, one)
        writer.extra("config.json", json.dumps({"layers": [0] * 200}).encode())
        writer.extra("plain.txt", b"text " * 20, compress=False)
    with ShardedWriter(folder / "shards.sbit", 2000, {"made by": "make_golden"}) as sharded:
        add_all(sharded, {f"w{k}": (weights((16, 16), 90 + k), Uniform(width=4)) for k in range(4)})
        sharded.alias("tied", "w3")
        sharded.extra("plain.txt", b"short")


def digests(folder: Path) -> dict[str, Any]:
    """The SHA-256 of each file, and of the elements of its tensors, little-endian."""
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        tensors = {
            name: {"dtype": value.dtype.name, "shape": list(value.shape), "sha256": sha256(value.tobytes())}
            for name, value in sorted(subbit.load(path, base=folder / PARENT).items())
        }
        found[f"{RELEASE}/{path.name}"] = {"sha256": sha256(path.read_bytes()), "tensors": tensors}
    return found


def sha256(data: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Write the goldens to a temporary folder, compare, and move them into place."""
    parser = argparse.ArgumentParser(description="Write the golden files of this release.")
    parser.add_argument("--output", type=Path, default=HOME, help="folder to write to (this one)")
    parser.add_argument("--force", action="store_true", help="overwrite files whose bytes have changed")
    options = parser.parse_args()
    target, index = options.output / RELEASE, options.output / DIGESTS
    known = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / RELEASE
        made.mkdir()
        write_all(made)
        now = digests(made)
        changed = [name for name, digest in now.items() if name in known and known[name] != digest]
        if changed and not options.force:
            parser.exit(1, f"not written, because these have changed: {', '.join(changed)} (--force overwrites)\n")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target)
    kept = {name: digest for name, digest in known.items() if not name.startswith(f"{RELEASE}/")}
    index.write_text(json.dumps(kept | now, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
