"""The second reader's scalar sections: `deadzone` and `lowbit`, from SPEC.md alone."""

from __future__ import annotations

import struct
from array import array
from itertools import accumulate

from tests.formats.golden.second_parts import Stream, f32, seen

POWERS = """
3f800000 3f82cd87 3f85aac3 3f88980f 3f8b95c2 3f8ea43a 3f91c3d3 3f94f4f0
3f9837f0 3f9b8d3a 3f9ef532 3fa27043 3fa5fed7 3fa9a15b 3fad583f 3fb123f6
3fb504f3 3fb8fbaf 3fbd08a4 3fc12c4d 3fc5672a 3fc9b9be 3fce248c 3fd2a81e
3fd744fd 3fdbfbb8 3fe0ccdf 3fe5b907 3feac0c7 3fefe4ba 3ff5257d 3ffa83b3
"""
STEPS = struct.unpack(">32f", bytes.fromhex(POWERS))


def scalar(rows: int, cols: int, data: bytes, signed: bool) -> array[float]:
    name, stream = "deadzone" if signed else "lowbit", Stream(data[4:])
    contexts, base = stream.numbers(2)
    contexts += 1
    r, s = [0] * rows, [0] * cols
    if contexts > 1:
        seen.add(f"{name}, contexts")
        r, s = stream.numbers(rows), stream.numbers(cols)
    (q,) = stream.numbers(1)
    e, g = [0] * rows, [0] * cols
    if q:
        seen.add(f"{name}, steps")
        e, g = stream.numbers(rows), stream.numbers(cols)
    levels = stream.numbers(1)[0] + 1
    shares = columns(stream.signed(contexts * (levels - 1)), contexts, 64)
    (grid,) = stream.numbers(1)
    centres = columns(stream.signed(contexts * min(4, levels)), contexts, None)
    (count,) = stream.numbers(1)
    places = [n - 1 for n in accumulate(gap + 1 for gap in stream.numbers(count))]
    far = stream.signed(count)
    high = max(1, 2**18 // cols)
    sizes = list(accumulate(stream.signed(-(-rows // high) - 1)))
    assert stream.x == 65536
    blocks, at = data[4 + stream.at :], 0
    seen.add(f"{len(sizes) + 1} blocks")
    tables = [Table(k, 2 if signed else 1) for k in zip(*shares, strict=True)] if shares else [Table((), 1)] * contexts
    order = sorted(range(cols), key=lambda j: -s[j])
    found: list[tuple[int, int]] = []
    for k, start in enumerate(range(0, rows, high)):
        end = at + 2 * sizes[k] if k < len(sizes) else len(blocks)
        part = [[min(max((r[i] + s[j] >> 1) - base, 0), contexts - 1) if contexts > 1 else 0 for j in order]
                for i in range(start, min(start + high, rows))]  # fmt: skip
        for line, where in zip(block(blocks[at:end], part, tables), part, strict=True):
            row = [(0, 0)] * cols
            for j, level, c in zip(order, line, where, strict=True):
                row[j] = level, c
            found += row
        at = end
    values = [value(level, c, centres, grid) for level, c in found]
    if count:
        seen.add(f"{name}, beyond")
        for place, v in zip(places, f32(far), strict=True):
            values[place] = v
    (step,) = struct.unpack_from("<f", data)
    units = f32(u * relative(y, q) for u in f32(step * relative(x, q) for x in e) for y in g)
    return f32(v * u for v, u in zip(values, units, strict=True))


def columns(moves: list[int], contexts: int, first: int | None) -> list[list[int]]:
    """Sums of differences along contexts, a level a list; from the first of the level before, or from 0."""
    found: list[list[int]] = []
    for k in range(0, len(moves), contexts):
        start = 0 if first is None else found[-1][0] if found else first
        found.append([start + total for total in accumulate(moves[k : k + contexts])])
    return found


def relative(code: int, q: int) -> float:
    k = code * 32 >> q - 1 if q else 0
    return STEPS[k % 32] * 2.0 ** (k // 32)


def value(level: int, c: int, centres: list[list[int]], grid: int) -> float:
    a = 256 * abs(level) + (centres[abs(level)][c] << grid if abs(level) < len(centres) else 0)
    return (-a if level < 0 else a) / 256


class Table:
    """The symbols of a context."""

    def __init__(self, codes: tuple[int, ...], signs: int) -> None:
        rest, p = 2**30, []
        for k in codes:
            share = 16 * k * k if k <= 45 else 65536 - 16 * (90 - k) ** 2
            p.append(0 if k == 0 or rest == 0 else max(rest * share >> 16, 1))
            rest = 0 if k == 90 or rest == 0 else max(rest - p[-1], 1)
        p.append(rest)
        self.last = max((level for level in range(1, len(p)) if p[level] >= 2**21), default=0)
        rare = sum(p[self.last + 1 :])
        ends = [x for x in p[1 : self.last + 1] for _ in range(signs)] + [rare] * (rare > 0)
        masses = [x // signs for x in ends]
        if rare:
            masses[-1] = rare
        self.signs, self.width = signs, len(ends)
        a = [2**30]
        while len(a) <= 64:
            a.append(a[-1] * p[0] >> 30)
        self.longest = 1
        while 2 * self.longest <= 64 and 2 * self.longest * self.width <= 255 and a[2 * self.longest] >= 2**27:
            self.longest *= 2
        pairs = list(zip(masses, ends, strict=True))
        table = [max(a[run] * m >> 30, 1) if x else 0 for run in range(self.longest) for m, x in pairs]
        self.bounds = slots([*table, max(a[self.longest], 1) if p[0] else 0])
        self.tail = slots([x for x in p[self.last + 1 :] for _ in range(signs)]) if rare else []
        self.certain = sum(x > 0 for x in [*table, p[0]]) == 1


def slots(masses: list[int]) -> list[int]:
    free = 4096 - sum(m > 0 for m in masses)
    sums, counts = accumulate([0, *masses]), accumulate([0, *(int(m > 0) for m in masses)])
    return [total * free // sum(masses) + count for total, count in zip(sums, counts, strict=True)]


class Coder:
    def __init__(self, data: bytes, weights: int, certain: bool) -> None:
        lanes = 4 if weights >= 2**17 else 1
        seen.add(f"{lanes} lanes of runs")
        self.x = [65536] * lanes if certain else list(struct.unpack_from(f"<{lanes}I", data))
        self.words = iter([] if certain else struct.unpack(f"<{len(data) // 2 - 2 * lanes}H", data[4 * lanes :]))
        self.n = 0
        assert not (certain and data)

    @property
    def slot(self) -> int:
        return self.x[self.n % len(self.x)] % 4096

    def symbol(self, bounds: list[int]) -> int:
        symbol = max(k for k, start in enumerate(bounds[:-1]) if start <= self.slot < bounds[k + 1])
        self.take(bounds[symbol], bounds[symbol + 1])
        return symbol

    def take(self, start: int, end: int) -> None:
        x = (end - start) * (self.x[self.n % len(self.x)] >> 12) + self.slot - start
        self.x[self.n % len(self.x)] = x if x >= 65536 else x << 16 | next(self.words)
        self.n += 1


def block(data: bytes, contexts: list[list[int]], tables: list[Table]) -> list[list[int]]:
    coder = Coder(data, sum(map(len, contexts)), all(table.certain for table in tables))
    found = []
    for row in contexts:
        levels: list[int] = []
        while len(levels) < len(row):
            c = row[len(levels)]
            segment(coder, tables[c], row.count(c), levels)
        found.append(levels)
    assert coder.x == [65536] * len(coder.x)
    assert next(coder.words, None) is None
    return found


def segment(coder: Coder, table: Table, left: int, levels: list[int]) -> None:
    while left:
        most = min(table.longest, left)
        start = table.bounds[most * table.width]
        if coder.slot >= start:
            coder.take(start, 4096)
            levels += [0] * most
            left -= most
            continue
        run, v = divmod(coder.symbol(table.bounds), table.width)
        first = 1
        if v == table.signs * table.last:
            seen.add("escapes")
            v, first = coder.symbol(table.tail), table.last + 1
        level = first + v // table.signs
        levels += [0] * run + [-level if v % table.signs else level]
        left -= run + 1
