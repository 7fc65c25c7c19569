"""The kernels of files: LZF, the compression inside PCD files; rows of numbers in text; and writing small files."""

from __future__ import annotations

import numpy as np


def decompress(source: np.ndarray, target: np.ndarray) -> int:
    """Decompress `source`, which must fill `target` exactly; returns -1, or the offset in `source` of an error.

    A byte below 32 is followed by that many literal bytes and one more. Any other byte begins a copy of earlier output:
    its upper three bits are the length - 2 (if 7, the next byte is added), the rest and the next byte distance - 1.
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


def parse_rows(
    text: np.ndarray,
    separator: int,
    columns: np.ndarray,
    powers: np.ndarray,
    words: np.ndarray,
    state: np.ndarray,
) -> bool:
    """Fill rows of 8-byte words from lines of numbers; returns False at a line that is not a row.

    columns: rows (kind, low, high), where kind is 0 for float64, 1 for int64 from low to high, 2 for uint64.
    separator: 0 for blanks, else the byte between numbers, which may have blanks around it; an empty float is NaN.
    state: the offset of the first byte not parsed, the number of rows filled, and the number of lines passed (blank
    ones too). A last line without a line end is left. `powers` is a table of the compiled kernel.
    """
    del powers
    data = text.tobytes()
    while state[1] < len(words):
        end = data.find(b"\n", state[0])
        if end < 0:
            break
        line = data[state[0] : end].strip()
        if line:
            tokens = [t.strip() for t in line.split(bytes([separator]))] if separator else line.split()
            row = None if len(tokens) != len(columns) else [_word(t, *c) for t, c in zip(tokens, columns.tolist())]
            if row is None or None in row:
                return False
            words[state[1]] = row
            state[1] += 1
        state[0] = end + 1
        state[2] += 1
    return True


def _word(token: bytes, kind: int, low: int, high: int) -> int | None:
    """The 64 bits of a number, or None."""
    if b"_" in token or (not token and kind):
        return None
    try:
        if kind == 0:
            return int(np.float64(token or b"nan").view(np.uint64))
        value = int(token) if token.lstrip(b"+-").isdigit() else float(token)
    except (ValueError, OverflowError):
        return None
    if value != value or abs(value) == float("inf") or int(value) != value:
        return None
    if type(value) is float and abs(value) > 2**53:
        return None
    low, high = (0, 2**64 - 1) if kind == 2 else (low, high)
    return int(value) % 2**64 if low <= int(value) <= high else None


def write_files(names: np.ndarray, data: np.ndarray, ends: np.ndarray, done: np.ndarray) -> None:
    """Write no file: the caller writes those that are not `done`."""
    del names, data, ends
    done[:] = 0


def name_files(temporaries: np.ndarray, targets: np.ndarray, ends: np.ndarray, found: np.ndarray) -> None:
    """Rename no file: the caller renames those for which `found` is 0."""
    del temporaries, targets, ends
    found[:] = 0
