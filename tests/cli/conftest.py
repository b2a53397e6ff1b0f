from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.process import save, subbit


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `m.safetensors` and the `m.sbit` that the command line made of it; tests write elsewhere."""
    folder = tmp_path_factory.mktemp("home")
    save(folder / "m.safetensors")
    subbit("compress", "m.safetensors", cwd=folder).ok()
    return folder
