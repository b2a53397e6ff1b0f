from __future__ import annotations

import json
from pathlib import Path

from formats.bad.forge import forge
from subbit.analysis.bits_per_weight import count_bits
from subbit.analysis.contents import count_parts, describe_file, list_tensors
from subbit_formats.sbit import ShardedWriter, Writer, open_reader


def test_every_byte_of_a_file_is_counted(tmp_path: Path) -> None:
    path = forge(tmp_path / "f.sbit")
    with open_reader(path) as archive:
        counted = count_bits(archive)
    size = path.stat().st_size
    assert counted["file"] == {"path": str(path), "bytes": size, "weights": 11, "bits_per_weight": 8 * size / 11}
    a, b = counted["tensors"]
    entry = '{"codec":1,"dtype":"bfloat16","name":"b","sections":[["codes",5],["none",0],["scales",1]],"shape":[2,4]},'
    assert b["bytes"] == 4 + 5 + 3 + 1 + 3 * 16 + len(entry)  # padding after "a", codes, padding, scales, digests
    codec = '{"id":"signs","knobs":{"bits":0.5,"seed":7}},'
    assert counted["coded"] == {
        "bytes": b["bytes"] + len(codec),
        "weights": 8,
        "bits_per_weight": b["bytes"] + len(codec),
    }
    assert (a["name"], a["shape"], a["codec"], a["weights"]) == ("a", [3], "dense", 3)
    assert json.loads(json.dumps(counted)) == counted


def test_no_weights_have_no_bits_per_weight(tmp_path: Path) -> None:
    with Writer(tmp_path / "e.sbit") as writer:
        writer.add("empty", shape=(0, 3), dtype="float32", codec="dense", knobs={}, sections={}, covered=False)
    with open_reader(tmp_path / "e.sbit") as archive:
        counted = count_bits(archive)
    parts = (counted["file"], counted["coded"], *counted["tensors"])
    assert [part["bits_per_weight"] for part in parts] == [None, None, None]
    assert counted["tensors"][0]["bytes"] > 0


def test_contents_of_a_file(tmp_path: Path) -> None:
    path = forge(tmp_path / "f.sbit")
    with open_reader(path) as archive:
        listed, described, parts = list_tensors(archive), describe_file(archive), count_parts(archive)
    assert listed["aliases"] == {"tied": "b"}
    assert listed["tensors"][1]["sections"] == {"codes": 5, "none": 0, "scales": 1}
    assert listed["tensors"][1]["knobs"] == {"bits": 0.5, "seed": 7}
    assert [t["covered"] for t in listed["tensors"]] == [False, True]
    assert (described["format"], described["extras"], described["metadata"]) == (
        "1.0", ["config.json"], {"made": "by hand"},
    )  # fmt: skip
    assert [(c["codec"], c["tensors"], c["weights"]) for c in described["codecs"]] == [("dense", 1, 3), ("signs", 1, 8)]
    assert (parts["tensors"], parts["sections"], parts["extras"]) == (2, 4, 1)


def test_contents_of_shards(tmp_path: Path) -> None:
    with ShardedWriter(tmp_path / "s.sbit", 1000) as writer:
        for name in ("a", "b"):
            writer.add(name, shape=(900,), dtype="int8", codec="dense", knobs={}, sections={"data": bytes(900)})
    with open_reader(tmp_path / "s.sbit") as archive:
        described, counted = describe_file(archive), count_bits(archive)
    paths = sorted(tmp_path.glob("s-*.sbit"))
    assert [(f["path"], f["bytes"]) for f in described["files"]] == [(str(p), p.stat().st_size) for p in paths]
    assert [bytes.fromhex(f["body_hash"]) for f in described["files"]] == [p.read_bytes()[64:80] for p in paths]
    assert counted["file"]["bytes"] == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert [t["name"] for t in counted["tensors"]] == ["a", "b"]
