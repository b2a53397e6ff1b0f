"""Every block of Python and shell in README and docs/ runs: those of a page in order, in one folder.

A comment before a block says where that is not so: `<!-- not run: WHY -->`, or `<!-- run as: TEXT → OTHER -->` where
only figures are smaller here. Commands of subbit run in this process, others in one of their own; the defaults of
--tokens and --window are smaller, so that a short text serves.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from subbit_cli.main import subbit
from tests.tiny_llama import TEXT, save_tiny_llama

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?:^<!-- (not run|run as): (.*?) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEW = {command: {"tokens": 64, "window": 16} for command in ("compress", "calibrate", "eval")}
MOST_SKIPPED = 4
"""Blocks that are not run, all pages together."""


class Block(NamedTuple):
    language: str
    code: str
    skipped: str


def blocks(page: Path) -> list[Block]:
    found = []
    for how, what, language, code in FENCE.findall(page.read_text("utf-8")):
        if how == "run as":
            old, new = what.split(" → ")
            assert old in code, f"{page.name}: no {old} in the block below 'run as'"
            code = code.replace(old, new)
        found.append(Block(language, code, what if how == "not run" else ""))
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages presume: a language model, texts, a fine-tune and its parent, keys."""
    home = tmp_path_factory.mktemp("home")
    save_tiny_llama(home, hidden_size=64, intermediate_size=96, num_key_value_heads=2, vocab_size=70)
    (home / "model").rename(home / "MODEL_DIR")
    tokenizer = home / "MODEL_DIR" / "tokenizer.json"  # as those of GPT-2 and its kin split texts
    tokenizer.write_text(tokenizer.read_text().replace('"add_prefix_space": true', '"add_prefix_space": false'))
    for name in ("corpus.txt", "held_out.txt"):
        (home / name).write_text(TEXT * 8)
    weights = load_file(home / "MODEL_DIR" / "model.safetensors")
    save_file(weights, home / "model.safetensors")
    save_file(weights, home / "parent.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    save_file(weights | {name: weights[name] * 1.01}, home / "tuned.safetensors")
    for command in ("genpkey -algorithm ed25519 -out key.pem", "pkey -in key.pem -pubout -out pub.pem"):
        subprocess.run(["openssl", *command.split()], cwd=home, check=True, capture_output=True)
    shell(f"subbit compress {home}/MODEL_DIR -o {home}/model.sbit")
    return home


def shell(code: str) -> None:
    """Run line by line; `> FILE` takes what a command prints."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        words, target = (words[:-2], words[-1]) if ">" in words else (words, None)
        if words[0] == "subbit":
            out = in_process(words[1:])
        else:
            words = [sys.executable if words[0] == "python" else words[0], *words[1:]]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            out = done.stdout
        if target:
            Path(target).write_text(out, "utf-8")


def in_process(words: list[str]) -> str:
    result = CliRunner().invoke(subbit, words, default_map=FEW)
    assert result.exit_code == 0, f"subbit {shlex.join(words)}\n{result.output}\n{result.exception!r}"
    return result.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_blocks_run(page: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    shutil.copytree(home, folder)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": "docs"}
    for block in blocks(page):
        if block.skipped:
            continue
        if block.language == "sh":
            if "-o model.sbit" in block.code:
                (folder / "model.sbit").unlink(missing_ok=True)  # the page makes its own
            shell(block.code)
        elif block.language == "python":
            exec(compile(block.code, f"{page.name}: {block.code.splitlines()[0]}", "exec"), names)  # noqa: S102


def test_every_block_says_what_it_is() -> None:
    every = [(page, block) for page in PAGES for block in blocks(page)]
    for page in PAGES:
        assert page.read_text("utf-8").count("```") == 2 * len(blocks(page)), page
    for page, block in every:
        assert block.language in {"sh", "python"}, f"{page.name}: a block of '{block.language}'"
    assert sum(bool(block.skipped) for _, block in every) <= MOST_SKIPPED
    assert not [block for _, block in every if block.skipped and len(block.skipped) < 20]


@pytest.mark.parametrize(
    ("language", "code"), [("sh", "subbit verify absent.sbit\n"), ("sh", "python -c 'raise SystemExit(1)'\n")]
)
def test_a_broken_block_fails(language: str, code: str) -> None:
    with pytest.raises(AssertionError):
        shell(code)
