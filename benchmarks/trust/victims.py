"""What is overwritten while it is killed: files and sets of subbit, and the files of others.

Write number `n` leaves what only `n` leaves; reading checks every byte and says which write it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from subbit_formats.sbit import ShardedWriter, Writer, open_reader

__all__ = ["CASES", "Victim"]

_ITEMS = 1 << 18
_TENSORS = 4


def _content(number: int, tensor: int) -> np.ndarray:
    """A mebibyte that depends on the number in every item."""
    return np.arange(_ITEMS, dtype=np.uint32) * np.uint32(2 * tensor + 1) + np.uint32(number)


class Victim(ABC):
    """Something in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def write(self, number: int) -> None:
        """Overwrite what is there."""

    @abstractmethod
    def tensors(self) -> Mapping[str, np.ndarray]:
        """Open it, with all the checks that it has."""

    def read(self) -> int:
        """The number of the write that is there; an error where it is torn."""
        tensors = self.tensors()
        number = int(tensors["0"][0])
        for tensor in range(self.count(number)):
            if not np.array_equal(tensors[str(tensor)], _content(number, tensor)):
                raise ValueError(f"tensor {tensor} is not that of write {number}: silent damage")
        return number

    def count(self, number: int) -> int:
        """How many tensors a write has."""
        return _TENSORS

    def leftovers(self) -> list[str]:
        """Names of hidden files: what a killed writer left."""
        return sorted(path.name for path in self.folder.iterdir() if path.name.startswith("."))

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        """What a write consists of."""
        return {str(tensor): _content(number, tensor) for tensor in range(self.count(number))}


class SbitFile(Victim):
    """One `.sbit` file."""

    def write(self, number: int) -> None:
        with self.writer() as writer:
            for name, array in self.arrays(number).items():
                writer.add(name, shape=array.shape, dtype="uint32", codec="c", knobs={}, sections={"s": array.data})

    def writer(self) -> Writer | ShardedWriter:
        """How it is written."""
        return Writer(self.folder / "m.sbit", force=True)

    def tensors(self) -> Mapping[str, np.ndarray]:
        with open_reader(self.folder / "m.sbit") as reader:
            reader.verify()
            return {name: np.frombuffer(bytes(reader.section(name, "s")), np.uint32) for name in reader.tensors}


class SbitShards(SbitFile):
    """A set of four shards."""

    def writer(self) -> Writer | ShardedWriter:
        return ShardedWriter(self.folder / "m.sbit", _ITEMS, force=True)


class SbitChanging(SbitShards):
    """Sets of two, three, four shards in turn: names come and go."""

    def count(self, number: int) -> int:
        return 2 + number % 3


class Safetensors(Victim):
    """`safetensors.numpy.save_file`."""

    def write(self, number: int) -> None:
        from safetensors.numpy import save_file

        save_file(self.arrays(number), self.folder / "m.safetensors")

    def tensors(self) -> Mapping[str, np.ndarray]:
        from safetensors.numpy import load_file

        return load_file(self.folder / "m.safetensors")


class Torch(Victim):
    """`torch.save`."""

    def write(self, number: int) -> None:
        import torch

        torch.save({name: torch.from_numpy(a.view(np.int32)) for name, a in self.arrays(number).items()}, self._path)

    def tensors(self) -> Mapping[str, np.ndarray]:
        import torch

        return {name: tensor.numpy().view(np.uint32) for name, tensor in torch.load(self._path).items()}

    @property
    def _path(self) -> Path:
        return self.folder / "m.pt"


class Gguf(Victim):
    """gguf-py's writer."""

    def write(self, number: int) -> None:
        from gguf import GGUFWriter

        writer = GGUFWriter(self.folder / "m.gguf", "llama")
        for name, array in self.arrays(number).items():
            writer.add_tensor(name, array.view(np.int32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def tensors(self) -> Mapping[str, np.ndarray]:
        from gguf import GGUFReader

        return {t.name: np.array(t.data).view(np.uint32) for t in GGUFReader(self.folder / "m.gguf").tensors}


class Careless(SbitFile):
    """The same bytes written in place: what the harness must notice."""

    def write(self, number: int) -> None:
        whole = self.folder / "whole"
        with Writer(whole, force=True) as writer:
            for name, array in self.arrays(number).items():
                writer.add(name, shape=array.shape, dtype="uint32", codec="c", knobs={}, sections={"s": array.data})
        (self.folder / "m.sbit").write_bytes(whole.read_bytes())


CASES = {
    "file": SbitFile, "shards": SbitShards, "changing": SbitChanging, "safetensors": Safetensors, "torch": Torch,
    "gguf": Gguf, "careless": Careless,
}  # fmt: skip
