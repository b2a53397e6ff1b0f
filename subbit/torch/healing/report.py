"""What healing did: held-out figures and bits, before and after."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from subbit.torch.healing.state import Figures

__all__ = ["HealReport", "Size"]


@dataclass(frozen=True)
class Size:
    """Bytes of a file, and bits of its coded tensors and of the whole file a weight."""

    bytes: int
    coded_bits_per_weight: float
    bits_per_weight: float


@dataclass(frozen=True)
class HealReport:
    """The file that was written, measured as it stands on disk, on data that nothing was tuned on.

    `loss` is KL to the teacher in nats a token for language models. `stopped` is "budget", "early" (nothing improved
    any more) or "nonfinite" (a loss was NaN or infinite; the best numbers before it were written).
    """

    path: Path
    before: Figures
    after: Figures
    size_before: Size
    size_after: Size
    steps: int
    best_step: int
    seconds: float
    stopped: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, version 1."""
        return {"version": 1, **asdict(self), "path": str(self.path)}

    def __str__(self) -> str:
        def row(name: str, size: Size, figures: Figures) -> str:
            bits = f"{size.coded_bits_per_weight:9.4f}{size.bits_per_weight:9.4f}{size.bytes:14,}"
            perplexity = "" if figures.perplexity is None else f"{figures.perplexity:12.2f}"
            return f"{name:<7}{bits}{figures.loss:10.4f}{perplexity}"

        perplexity = "" if self.before.perplexity is None else f"{'perplexity':>12}"
        heading = f"{'':<7}{'coded':>9}{'file':>9}{'bytes':>14}{'loss':>10}{perplexity}"
        rows = [row("before", self.size_before, self.before), row("after", self.size_after, self.after)]
        return "\n".join([heading, *rows])
