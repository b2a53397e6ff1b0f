"""The shell around the commands: help, exit codes, imports, progress, completion."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
import pytest
from safetensors.numpy import save_file

from subbit.version import __version__
from subbit_cli.errors import run
from subbit_cli.main import subbit as group
from subbit_cli.options import dtype, size
from subbit_cli.reference import PATH, reference, walk
from tests.cli.process import subbit

_HEAVY = ("numpy", "numba", "torch", "rich", "ml_dtypes", "safetensors", "gguf")


def test_reference_is_current() -> None:
    assert PATH.read_text(encoding="utf-8") == reference(), "run python -m subbit_cli.reference"


@pytest.mark.parametrize("context", list(walk(group)), ids=lambda context: context.command_path)
def test_every_option_and_argument_is_documented(context: click.Context) -> None:
    assert context.command.help
    if context.parent is not None:
        assert not context.command.get_short_help_str(50).endswith("...")
    for parameter in context.command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
        else:
            assert parameter.make_metavar(context) in context.command.help


def imported(code: str, cwd: Path) -> set[str]:
    """Heavy modules that a child has imported after running `code`."""
    code += f"; import sys, json; print(json.dumps([name for name in {_HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "args",
    [["--help"], ["inspect", "bits-per-weight", "m.sbit"], ["inspect", "tensors", "m.sbit"],
     ["inspect", "header", "m.sbit"], ["verify", "m.sbit"]],
    ids=" ".join,
)  # fmt: skip
def test_light_commands_import_nothing_heavy(home: Path, args: list[str]) -> None:
    code = f"from subbit_cli.main import subbit; subbit({args!r}, standalone_mode=False)"
    assert imported(code, home) == set()


def test_importing_subbit_is_light_and_compressing_needs_no_torch(home: Path, tmp_path: Path) -> None:
    assert imported("import subbit, subbit.analysis, subbit.errors", tmp_path) == set()
    args = ["compress", str(home / "m.safetensors"), "-o", "m.sbit", "--dry-run"]
    found = imported(f"from subbit_cli.main import subbit; subbit({args!r}, standalone_mode=False)", tmp_path)
    assert "numpy" in found
    assert not found & {"torch", "rich"}


def test_small_files_do_without_numba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUBBIT_KERNELS", raising=False)
    for name, side in (("small", 64), ("large", 300)):
        save_file({"w": np.random.default_rng(0).standard_normal((side, side), np.float32)}, tmp_path / name)
    call = "from subbit_cli.main import subbit; subbit({!r}, standalone_mode=False)"
    compress = ["compress", "small", "-o", "small.sbit", "--bits", "2"]
    decompress = ["decompress", "small.sbit", "-o", "small.safetensors"]
    for args in (compress, decompress):
        assert "numba" not in imported(call.format(args), tmp_path)
    assert "numba" in imported(call.format(["compress", "large", "--dry-run", "--bits", "2"]), tmp_path)


def test_version_and_help_where_no_command_is_named(tmp_path: Path) -> None:
    assert subbit("--version", cwd=tmp_path).ok() == f"subbit {__version__}\n"
    assert subbit(cwd=tmp_path).ok() == subbit("--help", cwd=tmp_path).ok()
    assert "bits-per-weight" in subbit("inspect", cwd=tmp_path).ok()


@pytest.mark.parametrize(
    "args", [["nonsense"], ["compress"], ["compress", "m", "--bots", "1"], ["compress", "m", "--shard-size", "4x"],
             ["compress", "m", "--signs", "odd"], ["decompress", "m", "--dtype", "int8"], ["completion"]],
    ids=" ".join,
)  # fmt: skip
def test_usage_errors(args: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["subbit", *args])
    assert run(group) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("subbit: error: ")
    assert err.endswith("--help)\n")


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [(KeyboardInterrupt(), 130, "interrupted"), (MemoryError(), 1, "out of memory"),
     (OSError(5, "it burns", "disk"), 1, "disk: it burns"), (KeyError("x"), 1, "KeyError: 'x' (this is a bug")],
)  # fmt: skip
@pytest.mark.parametrize("debug", [False, True])
def test_no_traceback_unless_asked(
    raised: BaseException, code: int, words: str, debug: bool, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    @click.command()
    def command() -> None:
        raise raised

    monkeypatch.setattr(sys, "argv", ["subbit"])
    monkeypatch.setenv("SUBBIT_DEBUG", "1" if debug else "0")
    assert run(command) == code
    err = capfd.readouterr().err
    assert err.splitlines()[-1].startswith("subbit: error: " + words)
    assert ("Traceback" in err) is debug


def test_closed_and_full_outputs_make_no_noise(home: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "subbit_cli", "inspect", "header", "m.sbit"]
    done = subprocess.run(command, cwd=home, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(command, cwd=home, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "subbit: error: No space left on device\n")


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_goes_to_a_terminal_only(home: Path, tmp_path: Path, quiet: bool) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "subbit_cli", "decompress", "m.sbit", "-o", str(tmp_path / "out")]
    env = {**os.environ, "SUBBIT_KERNELS": "plain", "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        command + ["-q"] * quiet, cwd=home, stdout=subprocess.PIPE, stderr=slave, env=env, text=True, check=True
    )
    os.write(slave, b".")
    os.close(slave)
    shown = b""
    while not shown.endswith(b"."):  # a read gives a page at most
        shown += os.read(master, 1 << 20)
    os.close(master)
    assert (b"decompress" in shown) is not quiet
    assert done.stdout.startswith("wrote ")


def test_progress_tells_what_is_left(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {f"{k}.weight": random.standard_normal((256, 256), np.float32) for k in range(20)}
    save_file(arrays, tmp_path / "m.safetensors")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "subbit_cli", "compress", "m.safetensors", "--bits", "0.5"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=slave, env=env)
    os.close(slave)
    shown = bytearray()
    with suppress(OSError):  # the terminal is gone once the process is
        while part := os.read(master, 1 << 16):
            shown += part
    os.close(master)
    assert running.wait() == 0
    assert re.search(rb"compress[^\n]*\d:\d\d:\d\d", shown)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, tmp_path: Path) -> None:
    assert "_SUBBIT_COMPLETE" in subbit("completion", shell, cwd=tmp_path).ok()


def test_completion_completes(tmp_path: Path) -> None:
    env = {**os.environ, "_SUBBIT_COMPLETE": "bash_complete", "COMP_WORDS": "subbit comp", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "subbit_cli"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["plain,compress", "plain,completion"]


def test_sizes_and_types() -> None:
    assert [size(text) for text in ("4GB", "1.5 gib", "500m", "7", "2KiB")] == [
        4 * 10**9, 3 * 2**29, 500 * 10**6, 7, 2048,
    ]  # fmt: skip
    assert [dtype(text) for text in ("bf16", "FP16", "f32", "fp64", "bfloat16")] == [
        "bfloat16", "float16", "float32", "float64", "bfloat16",
    ]  # fmt: skip
    for text in ("", "-1", "4i", "GB", "1e3", "nan"):
        with pytest.raises(click.BadParameter):
            size(text)
