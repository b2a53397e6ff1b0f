"""The scalar sections `deadzone` (two signs a level) and `lowbit` (one)."""

from __future__ import annotations

from itertools import accumulate, groupby

import numpy as np

from .parts import Coder, Stream


def scalar(rows: int, cols: int, data: bytes, signs: int) -> np.ndarray:
    step, stream = np.frombuffer(data, "<f4", 1), Stream(data, 4)

    def lines(present: bool) -> list[np.ndarray]:
        return [stream.numbers(n) if present else np.zeros(n, int) for n in (rows, cols)]

    last, base = stream.numbers(2)
    r, s = lines(last > 0)
    (q,) = stream.numbers(1)
    e, g = (np.float32(2.0 ** (codes * 2.0 ** (1 - q))) for codes in lines(q > 0))
    (most,) = stream.numbers(1)
    shares = stream.signed((last + 1) * most).reshape(most, last + 1)
    shares[:, 0] = 64 + np.cumsum(shares[:, 0])
    (grid,) = stream.numbers(1)
    near = min(4, most + 1)
    centres = np.cumsum(stream.signed((last + 1) * near).reshape(near, last + 1), 1) << grid
    (count,) = stream.numbers(1)
    places, far = np.cumsum(stream.numbers(count) + 1) - 1, stream.signed(count)
    height = max(1, 2**18 // cols)
    sizes = 2 * np.cumsum(stream.signed(-(-rows // height) - 1))
    ends = [*accumulate(sizes.tolist(), initial=stream.at), len(data)]
    where = np.clip((r[:, None] + s >> 1) - base, 0, last)
    order = np.argsort(-s, kind="stable")
    tables, levels = [Runs(codes.tolist(), signs) for codes in np.cumsum(shares, 1).T], np.zeros((rows, cols), int)
    for number, top in enumerate(range(0, rows, height)):
        here = where[top : top + height, order]
        found = block(data[ends[number] : ends[number + 1]], here, tables)
        levels[top : top + height, order] = np.reshape(found, here.shape)
    size = np.abs(levels)
    value = 256 * size + np.where(size < near, centres[np.minimum(size, near - 1), where], 0)
    values = (np.where(levels < 0, -value, value) / 256).astype("f4")
    values.flat[places] = far
    return values * ((step * e)[:, None] * g)


class Runs:
    """The symbols of a context: runs of zeros and the levels that end them."""

    def __init__(self, codes: list[int], signs: int) -> None:
        rest, chances = 2**30, []
        for k in codes:
            share = 16 * k * k if k <= 45 else 65536 - 16 * (90 - k) ** 2
            chances.append(max(rest * share >> 16, 1) if k and rest else 0)
            rest = max(rest - chances[-1], 1) if k < 90 and rest else 0
        chances.append(rest)
        self.signs, self.last = signs, max((x for x, p in enumerate(chances) if x and p >= 2**21), default=0)
        rare = chances[self.last + 1 :]
        ends = [(p // signs, p) for p in chances[1 : self.last + 1] for _ in range(signs)]
        if any(rare):
            ends.append((sum(rare), sum(rare)))
        zeros = [*accumulate(range(64), lambda mass, _: mass * chances[0] >> 30, initial=2**30)]
        fits = [m for m in (2, 4, 8, 16, 32, 64) if m * len(ends) <= 255 and zeros[m] >= 2**27]
        self.longest, self.width = max(fits, default=1), len(ends)
        masses = [max(zeros[run] * p >> 30, 1) if there else 0 for run in range(self.longest) for p, there in ends]
        self.bounds = slots([*masses, max(zeros[self.longest], 1) if chances[0] else 0])
        self.escaped = slots([p for p in rare for _ in range(signs)])


def slots(masses: list[int]) -> list[int]:
    free = 4096 - sum(mass > 0 for mass in masses)
    sums, counts = accumulate(masses, initial=0), accumulate((mass > 0 for mass in masses), initial=0)
    return [total * free // max(sum(masses), 1) + count for total, count in zip(sums, counts, strict=True)]


def block(data: bytes, where: np.ndarray, tables: list[Runs]) -> list[int]:
    lanes = 4 if where.size >= 2**17 else 1
    coder, found = Coder(data or b"\0\0\1\0" * lanes, lanes), []
    for context, segment in (part for row in where.tolist() for part in groupby(row)):
        left, table = len(list(segment)), tables[context]
        while left:
            most = min(table.longest, left)
            if coder.slot() >= (start := table.bounds[most * table.width]):
                coder.take(start, 4096)
                found += [0] * most
                left -= most
                continue
            (run, v), first = divmod(coder.symbol(table.bounds), table.width), 1
            if v == table.signs * table.last:
                v, first = coder.symbol(table.escaped), table.last + 1
            level = first + v // table.signs
            found += [0] * run + [-level if v % table.signs else level]
            left -= run + 1
    coder.finish()
    return found
