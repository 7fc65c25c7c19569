"""Rows of numbers in text, parsed exactly, in chunks; an error names the line that is not such a row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _kernels
from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.reference import files as reference

kernel = _kernels.load("files_numbers") or reference

_READ = 1 << 20  # bytes read at once
_LINE = 1 << 20  # bytes: a longer line is an error


@lru_cache(maxsize=1)
def powers_of_five() -> Array:
    """5^q for q from -342 to 308 as 128 bits in two halves, by which the kernel rounds w 10^q to a float64.

    For q >= 0 the upper 128 bits of 5^q, truncated; for q < 0 those of 1 / 5^-q, rounded up: the table of Lemire,
    "Number parsing at a gigabyte per second", Software: Practice and Experience, 2021.
    """
    words = []
    for q in range(-342, 309):
        if q >= 0:
            power = 5**q
            bits = power.bit_length() - 128
            power = power >> bits if bits >= 0 else power << -bits
        else:
            z = (5**-q - 1).bit_length()
            power = 2 ** (z + 127 if q >= -27 else 2 * z + 128) // 5**-q + 1
            power >>= max(power.bit_length() - 128, 0)
        words += [power >> 64, power & (1 << 64) - 1]
    return np.array(words, np.uint64)


class TextRows:
    """Rows of numbers of a file from its current position on: `total` of them, or all up to the end."""

    def __init__(self, path: Path, dtype: np.dtype, line: int, total: int | None = None, separator: str = ""):
        self.path, self.dtype, self.line, self.total = path, dtype, line, total
        self.separator = ord(separator) if separator.strip() else 0
        kinds = [dtype[name] for name in dtype.names or ()]
        limits = [(np.iinfo(k).min, min(np.iinfo(k).max, 2**63 - 1)) if k.kind in "iu" else (0, 0) for k in kinds]
        which = [2 if k == np.uint64 else int(k.kind in "iu") for k in kinds]
        self.columns = np.array([(w, *ends) for w, ends in zip(which, limits)], np.int64).reshape(-1, 3)

    def chunks(self, file: IO[bytes], size: int) -> Iterator[Array]:
        """Records of at most `size` rows; blank lines do not count."""
        buffer, at, done, ended = b"", 0, 0, False
        while self.total is None or done < self.total:
            wanted = size if self.total is None else min(size, self.total - done)
            words = np.empty((wanted, len(self.columns)), np.uint64)
            state = np.array([at, 0, 0], np.int64)
            while True:
                before = int(state[2])
                data = np.frombuffer(buffer, np.uint8)
                good = kernel.parse_rows(data, self.separator, self.columns, powers_of_five(), words, state)
                self.line += int(state[2]) - before
                if not good:
                    self._refuse(buffer, int(state[0]))
                if state[1] == wanted or ended:
                    break
                rest = buffer[state[0] :]
                if len(rest) > _LINE:
                    raise FileError(self.path, f"a line of more than {_LINE} bytes", line=self.line + 1)
                more = file.read(_READ)
                ended = not more
                buffer = rest + (more or b"\n" * bool(rest))
                state[0] = 0
            at, filled = int(state[0]), int(state[1])
            done += filled
            if filled:
                yield self._records(words[:filled])
            if filled < wanted:
                if self.total is None:
                    return
                problem = f"truncated: {self.total} points announced, {done} there"
                raise FileError(self.path, problem, line=self.line + 1)

    def _refuse(self, buffer: bytes, at: int) -> None:
        row = buffer[at : at + 200].split(b"\n")[0].decode("utf-8", "replace").strip()
        names = self.dtype.names or ()
        wanted = f"{len(names)} numbers ({', '.join(names[:20])}{', ...' if len(names) > 20 else ''})"
        kinds = sorted({str(self.dtype[n]) for n in names if self.dtype[n].kind in "iu"})
        wanted += f" of which some are {', '.join(kinds)}" if kinds else ""
        raise FileError(self.path, f"{row[:80]!r} is not {wanted}", line=self.line + 1)

    def _records(self, words: Array) -> Array:
        out = np.empty(len(words), self.dtype)
        with np.errstate(over="ignore"):
            for k, name in enumerate(self.dtype.names or ()):
                column = words[:, k]
                kind = self.dtype[name].kind
                out[name] = column if kind == "u" else column.view(np.int64 if kind == "i" else np.float64)
        return out
