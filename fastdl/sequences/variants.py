"""Variants: letters that stand elsewhere than in the reference, put into sequences and windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.sequences._letters import as_letters

_LETTERS = frozenset("ACGTUNRYSWKMBDHVacgtunryswkmbdhv")


class Variants:
    """Substitutions, insertions and deletions, sorted by sequence and place.

    Parameters
    ----------
    chroms : text, length N, or one str for all
        The sequence of each.
    positions : array_like of int, shape (N,)
        The place of the first letter of `refs`, from 0 (a VCF file counts from 1).
    refs, alts : text, length N
        The letters in the reference, and those that stand instead; either may be empty.

    Raises
    ------
    InputError
        For lengths that differ, places below 0 and what are no letters.

    Examples
    --------
    >>> from fastdl.sequences import Variants
    >>> Variants("chr1", [7, 3], ["A", "CG"], ["T", "C"])
    Variants(2 on 1 sequence)
    """

    def __init__(self, chroms: ArrayLike, positions: ArrayLike, refs: ArrayLike, alts: ArrayLike):
        at = _check.array("positions", positions, ("i", "u"), 1) if np.size(positions) else np.zeros(0, np.int64)
        if len(at) and (at.min() < 0 or at.max() >= 1 << 60):
            raise _check.InputError(f"positions must be 0 or more, got {at.min()} to {at.max()}")
        names = [chroms] * len(at) if isinstance(chroms, str) else _check.texts("chroms", chroms) or []
        before, after = (_check.texts(name, value) or [] for name, value in (("refs", refs), ("alts", alts)))
        _check.same_length(chroms=names, positions=at, refs=before, alts=after)
        for name, column in (("refs", before), ("alts", after)):
            for i, text in enumerate(column):
                if not isinstance(text, str) or not _LETTERS.issuperset(text):
                    raise _check.InputError(f"{name} must be letters of bases, got {text!r} at index {i}")
        self.chroms: list[str] = names
        self.positions: Array = np.frombuffer(at.astype(np.int64).tobytes(), np.int64)
        self.refs: list[str] = before
        self.alts: list[str] = after
        self._places: dict[str, tuple[Array, Array, int]] = {}  # rows by place, their places, the longest ref
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            groups.setdefault(name, []).append(i)
        for name, members in groups.items():
            rows = np.array(members)[np.argsort(self.positions[members], kind="stable")]
            self._places[name] = rows, self.positions[rows], max(len(before[i]) for i in members)

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        count = len(self._places)
        return f"Variants({len(self)} on {count} sequence{'s' * (count != 1)})"

    def within(self, chrom: str, start: int) -> Iterable[int]:
        """The rows of a sequence, by place, from the first that may reach beyond `start`."""
        rows, places, longest = self._places.get(chrom, (np.zeros(0, np.int64), np.zeros(0, np.int64), 0))
        return iter(rows[int(places.searchsorted(start - longest)) :].tolist())


def apply_variants(seq: ArrayLike, positions: ArrayLike, refs: ArrayLike, alts: ArrayLike) -> Array:
    """Put variants into a sequence, as `bcftools consensus` does.

    Parameters
    ----------
    seq : str, bytes, bytearray, memoryview, or 1-D array of S1 or uint8
        The reference.
    positions, refs, alts
        As in `Variants`, in any order.

    Returns
    -------
    ndarray of uint8
        The letters; ``.tobytes().decode()`` makes a str of them.

    Raises
    ------
    InputError
        For a reference allele that is not there (case does not count), and variants that overlap.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.apply_variants("AACGT", [1, 3], ["AC", "G"], ["A", "TT"]).tobytes()
    b'AATTT'
    """
    x = as_letters(seq)
    if x.ndim != 1:
        raise _check.InputError(f"seq must have 1 dimension, got shape {x.shape}")
    variants = Variants("seq", positions, refs, alts)
    for i, position in enumerate(variants.positions.tolist()):
        _check_reference(variants, i, x[position : position + len(variants.refs[i])])
    parts, at = [], 0
    for step in _steps(variants, variants.within("seq", 0), -1):
        parts += [x[at : step.place], as_letters(step.alt)]
        at = step.place + step.size
    return np.concatenate([*parts, x[at:]])


def alter_window(
    fetch: Callable[[str, int, int], Array],
    chrom: str,
    start: int,
    length: int,
    *,
    variants: Variants,
    rows: Iterable[int],
    checked: set[int],
) -> Array:
    """The letters of a window that begins at reference base `start`, with variants (by place) in it, at most `length`.

    fetch(chrom, start, stop) gives letters of the reference, less at its ends. What a deletion takes away at the start
    is not there, and what is inserted before the first base does not belong to the window.
    """
    low = max(start, 0)
    wanted = max(start + length - low, 0)  # letters: what lies before the sequence is padding
    parts: list[Array] = []
    at, total = low, 0
    for step in _steps(variants, rows, low):
        if total + step.place - at >= wanted:
            break
        if step.row not in checked:
            first = int(variants.positions[step.row])
            _check_reference(variants, step.row, fetch(chrom, first, first + len(variants.refs[step.row])))
            checked.add(step.row)
        parts += [fetch(chrom, at, step.place), as_letters(step.alt)]
        total += step.place - at + len(step.alt)
        at = step.place + step.size
    parts.append(fetch(chrom, at, at + max(wanted - total, 0)))
    return np.concatenate(parts)[:wanted]


class _Step(NamedTuple):
    """A variant without the letters that its alleles begin with alike."""

    row: int
    place: int
    size: int  # letters of the reference that go
    alt: str  # what comes


def _steps(variants: Variants, rows: Iterable[int], low: int) -> Iterator[_Step]:
    """Variants by place, as far as they lie at `low` or later, and apart."""
    at, inserted = max(low, 0), -1
    for row in rows:
        place, ref, alt = int(variants.positions[row]), variants.refs[row], variants.alts[row]
        alike = next((i for i, (a, b) in enumerate(zip(ref.upper(), alt.upper())) if a != b), min(len(ref), len(alt)))
        place, size, alt = place + alike, len(ref) - alike, alt[alike:]
        if place < low:
            place, size, alt = low, max(place + size - low, 0), alt[low - place :]
            if not size:
                continue
        if not (size or alt) or (not size and place == low):
            continue
        if place < at or (not size and place == inserted):
            problem = f"the variant at {variants.chroms[row]}:{variants.positions[row]} overlaps the one before it"
            raise _check.InputError(f"{problem}; leave one of them out")
        yield _Step(row, place, size, alt)
        at, inserted = place + size, place if not size else -1


def _check_reference(variants: Variants, row: int, there: Array) -> None:
    """An error where the reference has other letters than the variant says; case does not count."""
    ref, found = variants.refs[row], there.tobytes().decode("latin1")
    if found.upper() != ref.upper():
        place = f"{variants.chroms[row]}:{int(variants.positions[row])} (from 0)"
        raise _check.InputError(
            f"refs must be the letters of the genome: {ref!r} at {place}, but it has {found!r} there"
        )
