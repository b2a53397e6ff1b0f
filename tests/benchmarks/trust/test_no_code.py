from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.trust import no_code
from benchmarks.trust.pickles import evil_checkpoints, runs_in_torch
from benchmarks.trust.source_calls import dangers

WATCHED = """
import ctypes, pickle, socket, sys
from pathlib import Path
from benchmarks.trust.audited import Watch

named = Path(sys.argv[1])
watch = Watch([named])
sys.addaudithook(watch)
watch.on = True
try:
    named.open("rb").close()
    {}
finally:
    watch.on = False
    print(len(watch.bad), watch.bad[:1])
"""


def test_loading_runs_no_code() -> None:
    proofs = no_code.prove(0.002)
    assert [proof.failures for proof in proofs] == [()] * 4
    assert [proof.tried > least for proof, least in zip(proofs, (60, 20, 10_000, 190), strict=True)] == [True] * 4
    assert "runs the code of 140" in proofs[3].note


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("pass", ""), ("eval('1')", "compile"), ("import wave", "import"), ("Path(sys.argv[2]).open()", "open"),
        ("named.open('ab')", "open"), ("pickle.loads(pickle.dumps(Path))", "pickle.find_class"),
        ("socket.socket()", "socket"), ("ctypes.CDLL(None)", "ctypes.dlopen"),
    ],
)  # fmt: skip
def test_the_hook_hears(tmp_path: Path, line: str, event: str) -> None:
    paths = [tmp_path / "named", tmp_path / "other"]
    for path in paths:
        path.write_bytes(b"")
    command = [sys.executable, "-c", WATCHED.format(line), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0 []" if not event else "1 " if event == "open" else "")
    assert event in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)", "exec(text)", "import pickle", "from subprocess import run", "os.system(text)", "os.execv(text)",
        "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=yes)", "import_module(config['module'])",
        "import urllib.request",
    ],
)  # fmt: skip
def test_the_source_is_searched(line: str) -> None:
    assert len(list(dangers(ast.parse(line), "subbit/model/file.py"))) == 1


def test_the_pickles_are_evil(tmp_path: Path) -> None:
    sentinel = tmp_path / "ran"
    assert runs_in_torch(next(evil_checkpoints(tmp_path, sentinel)), sentinel)
