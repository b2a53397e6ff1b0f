"""A compressed model that is fetched from a hub: a server on this machine, and the packages' own client."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

import subbit
from subbit.model.folder import write_folder
from tests.tiny_llama import save_tiny_llama, transformers

hf = pytest.importorskip("subbit.torch.hf")
COMMIT = "a" * 40
LOAD = """
import sys, torch, subbit.torch.hf, transformers
model = transformers.AutoModelForCausalLM.from_pretrained("user/tiny")
with torch.no_grad():
    torch.save(model(torch.arange(20)[None]).logits, sys.argv[1])
"""


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as serves one model's files."""

    def __init__(self, folder: Path, *args: Any) -> None:
        self.folder = folder
        super().__init__(*args)

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        if "/tree/" in self.path:
            sizes = {path.name: path.stat().st_size for path in self.folder.iterdir()}
            files = [{"type": "file", "path": name, "size": size, "oid": COMMIT} for name, size in sizes.items()]
            self.answer(200, json.dumps(files).encode())
        elif self.path.startswith("/api/models/"):
            files = [{"rfilename": path.name} for path in self.folder.iterdir()]
            self.answer(200, json.dumps({"id": "user/tiny", "sha": COMMIT, "siblings": files}).encode())
        elif (self.folder / name).is_file():
            content = (self.folder / name).read_bytes()
            self.answer(200, content, {"ETag": f'"{sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT})
        else:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """In silence."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, tmp_path / "out"))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_weights_are_fetched_too(tmp_path: Path, hub: str) -> None:
    save_tiny_llama(tmp_path)
    subbit.compress(tmp_path / "model", tmp_path / "m.sbit", bits=3.0)
    write_folder(tmp_path / "m.sbit", tmp_path / "out")
    here = {
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "SUBBIT_KERNELS": "plain",
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "logits")], env={**os.environ, **here},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        assert torch.equal(model(torch.arange(20)[None]).logits, torch.load(tmp_path / "logits"))


def test_pushing_goes_through_save_pretrained() -> None:
    push = inspect.getsource(transformers.utils.hub.PushToHubMixin.push_to_hub)
    assert "self.save_pretrained(" in push
