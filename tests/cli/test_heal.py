from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.process import subbit
from tests.subbit.torch.healing.test_language import folder

__all__ = ["folder"]


def test_it_writes_a_better_file_and_says_what_it_cost(folder: Path) -> None:
    result = subbit("heal", "model.sbit", "--teacher", "model", "--text", "text.txt", "--steps", "8", "--threads", "1",
                    "-o", "better.sbit", "--json", cwd=folder).json()  # fmt: skip
    assert result["version"] == 1
    assert result["steps"] == 8
    assert result["after"]["loss"] < result["before"]["loss"]
    assert result["size_after"]["bytes"] == (folder / "better.sbit").stat().st_size
    subbit("verify", "better.sbit", cwd=folder).ok()


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--minutes", "0"), "minutes"), (("-o", "model.sbit"), "exists"), (("--rank", "-1"), "rank")],
)
def test_requests_that_mean_nothing_are_usage_errors(folder: Path, options: tuple[str, ...], words: str) -> None:
    message = subbit("heal", "model.sbit", "--teacher", "model", "--text", "text.txt", *options, cwd=folder).error(2)
    assert words in message
