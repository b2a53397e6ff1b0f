"""Where a recovery stands, as a safetensors file beside the output: what was killed goes on from there."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from subbit.errors import SubbitError
from subbit.torch.state import as_array
from subbit_formats.safetensors_writer import SafetensorsWriter

__all__ = ["Checkpoint", "Figures", "State"]

if TYPE_CHECKING:
    from subbit.torch.healing.tuning import Tuner

_KEY = "subbit.heal"


@dataclass(frozen=True)
class Figures:
    """Held-out figures: the loss (for language models KL in nats a token), and perplexity where there are tokens."""

    loss: float
    perplexity: float | None = None

    @classmethod
    def of(cls, sums: torch.Tensor) -> Figures:
        """Means of the sums of `Objective.sums`."""
        loss, units, surprise, tokens = sums.tolist()
        mean = surprise / tokens if tokens else math.inf
        return cls(loss / max(units, 1), (math.exp(mean) if mean < 700 else math.inf) if tokens else None)


@dataclass
class State:
    """What a run has done: steps, seconds, figures before, the best loss, when that was, and (step, loss) of all."""

    step: int = 0
    seconds: float = 0.0
    before: Figures | None = None
    best: float = math.inf
    best_step: int = 0
    best_used: float = 0.0
    history: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> State:
        """From what `asdict` and JSON made of it."""
        before = Figures(**values.pop("before")) if values["before"] else None
        history = [(int(step), float(loss)) for step, loss in values.pop("history")]
        return cls(before=before, history=history, **{k: v for k, v in values.items() if k != "before"})


class Checkpoint:
    """The state of one run on disk; `run` says whose it is."""

    def __init__(self, output: Path, run: str, tuner: Tuner) -> None:
        self.path = output.with_name(output.name + ".healing")
        self._run, self._tuner = run, tuner

    def save(self) -> None:
        """Replace the file at once."""
        text = json.dumps({"run": self._run, **asdict(self._tuner.state)})
        arrays = {name: as_array(tensor.cpu()) for name, tensor in self._tuner.tensors().items()}
        described = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
        with SafetensorsWriter(self.path, described, {_KEY: text}, force=True) as writer:
            for name in writer.names:
                writer.write(arrays[name])

    def restore(self) -> None:
        """Go on where a killed run stood; raises :class:`SubbitError` (kind "resume") for damage and other runs."""
        if not self.path.exists():
            return
        from safetensors import SafetensorError, safe_open

        hint = "remove it to start anew"
        try:
            with safe_open(self.path, framework="pt") as file:
                values: dict[str, Any] = json.loads((file.metadata() or {}).get(_KEY, "{}"))
                if values.pop("run", None) != self._run:
                    text = "is the state of another run: other weights, data or options"
                    raise SubbitError(text, kind="resume", path=self.path, hint=hint)
                self._tuner.restore(State.from_dict(values), {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (SafetensorError, ValueError, TypeError, KeyError, OSError) as error:
            raise SubbitError(f"cannot be read: {error}", kind="resume", path=self.path, hint=hint) from None

    def remove(self) -> None:
        """Forget it: the run is done."""
        self.path.unlink(missing_ok=True)
