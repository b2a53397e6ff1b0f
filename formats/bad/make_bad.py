"""Write the bad files: each breaks one rule, and `errors.json` says which error it must give. Their only writer.

    python formats/bad/make_bad.py [--output FOLDER]

`container/` has files that break a rule of the container, `codecs/` files whose checksums are right and whose knobs or
sections no encoder writes, `shards/` indexes of two good shards. Errors are asked of the reader; one of another kind
than the case states is refused, and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import subbit
from formats.bad import codec_cases, container_cases, shard_cases
from subbit import SubbitError

HOME = Path(__file__).parent
ERRORS = "errors.json"
INDEX = ".sbit.index.json"
GROUPS = {
    "codecs": (".sbit", codec_cases.CASES),
    "container": (".sbit", container_cases.CASES),
    "shards": (INDEX, shard_cases.CASES),
}
"""Folder → how its files end, their cases."""


def refusal(path: Path) -> SubbitError | None:
    """The error that a file gives when all of it is verified and decoded; None for a good one."""
    try:
        with subbit.open(path) as file:
            file.archive.verify()
            for name in file.archive.tensors:
                file[name].decode()
    except SubbitError as error:
        return error
    return None


def fragment(message: str) -> str:
    """What of a message does not hang on the version of a library."""
    return message.split(": ")[0]


def write_all(folder: Path) -> dict[str, dict[str, str]]:
    """Write every bad file into `folder`; returns the kind and the message of the error that each gives."""
    errors = {}
    for group, (end, cases) in GROUPS.items():
        (folder / group).mkdir()
        if group == "shards":
            for name, data in shard_cases.SHARDS.items():
                (folder / group / name).write_bytes(data)
        for name, (kind, data) in cases.items():
            path = folder / group / (name + end)
            path.write_bytes(data)
            error = refusal(path)
            if error is None or error.kind != kind:
                raise SystemExit(f"{group}/{name} must be refused as {kind!r}, but: {error!r}")
            errors[f"{group}/{path.name}"] = {"kind": kind, "message": fragment(error.message)}
    text = json.dumps(errors, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / ERRORS).write_text(text, encoding="utf-8")
    return errors


def main() -> None:
    """Write all to a temporary folder and, if every file is refused as it must be, move it into place."""
    parser = argparse.ArgumentParser(description="Write the bad files and the errors that they must give.")
    parser.add_argument("--output", type=Path, default=HOME, help="folder to write to (this one)")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as name:
        errors = write_all(Path(name))
        for group in GROUPS:
            shutil.rmtree(output / group, ignore_errors=True)
        shutil.copytree(name, output, dirs_exist_ok=True)
    print(f"{len(errors)} bad files")


if __name__ == "__main__":
    main()
