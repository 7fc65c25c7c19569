"""LZF, the compression inside PCD files: what its bytes mean."""

from __future__ import annotations

import numpy as np


def decompress(source: np.ndarray, target: np.ndarray) -> int:
    """Fill `target` from `source`; -1 when it came out exactly, else the offset in `source` where it went wrong.

    A byte below 32 announces that many literal bytes and one. Another one begins a copy from earlier output: its upper
    three bits are the length less 2 (7: one more byte adds to it), the rest and the next byte the distance less 1.
    """
    data, n, i, out = source.tobytes(), len(source), 0, bytearray()
    while i < n:
        start, control = i, data[i]
        i += 1
        if control < 32:
            length = control + 1
            out += data[i : i + length]
            i += length
            if i > n:
                return start
        else:
            length = (control >> 5) + 2
            if length == 9:
                if i == n:
                    return start
                length += data[i]
                i += 1
            if i == n:
                return start
            distance = (control & 31) * 256 + data[i] + 1
            i += 1
            if distance > len(out):
                return start
            piece = out[-distance:]
            out += (piece * -(-length // distance))[:length]
        if len(out) > len(target):
            return start
    if len(out) < len(target):
        return n
    target[:] = np.frombuffer(out, np.uint8)
    return -1
