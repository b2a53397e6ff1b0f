"""What stands row by row in a file, put in the order in which `turning` walks over it."""

from __future__ import annotations

import numpy as np

from subbit.kernels.plain.rows import unpack_rows

__all__ = ["columns", "events"]

_HALF_TURN = 1 << 15


def columns(packed: np.ndarray, width: int, order: np.ndarray, codes: np.ndarray) -> None:
    """Overwrite codes uint8[count, rows]: code j of row order[i] goes to codes[j, i].

    `packed` are rows of codes of `width` bits, 1 … 8, as `rows.pack_rows` writes them; `order` int32[rows].
    """
    codes[:] = unpack_rows(packed, len(codes), width)[order].T


def events(
    row_angles: np.ndarray, column_angles: np.ndarray, at: np.ndarray, turned: np.ndarray, negative: np.ndarray
) -> None:
    """Where the columns of each block change their signs, in the order of the rows.

    `row_angles` uint16[rows] rise within half a turn; column_angles uint16[blocks · dim]. Overwritten, each
    [blocks, dim]: `negative` bool, the signs at the first row; `turned` uint8, the block's columns as they change;
    `at` int32, the rows ≥ 1 from which on they have changed, the number of rows for those that do not.
    """
    turns = np.searchsorted(row_angles, -column_angles.astype(np.int64) & (_HALF_TURN - 1)).reshape(at.shape)
    turns[turns == 0] = row_angles.size  # the first row has turned already
    turned[:] = np.argsort(turns, axis=1, kind="stable")
    at[:] = np.take_along_axis(turns, turned.astype(np.int64), axis=1)
    negative[:] = (column_angles + row_angles[:1] >= _HALF_TURN).reshape(at.shape)
