"""One-hot windows of a genome in a file: on either strand, shifted at random, with variants."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.files.sequences.fasta import Fasta
from fastdl.files.sequences.fastq import Fastq
from fastdl.files.sequences.genomes import open_sequences
from fastdl.files.sequences.names import missing
from fastdl.files.sequences.twobit import TwoBit
from fastdl.files.sequences.vcf import read_vcf
from fastdl.sequences import _settings
from fastdl.sequences._letters import offsets_of
from fastdl.sequences._window_encoder import Windows, encode_windows, strands, window_starts
from fastdl.sequences.variants import Variants, alter_window

_FARTHEST = 1 << 60


class Genome:
    """A genome in a file, from which windows are read and encoded.

    Parameters
    ----------
    path : str, Path, Fasta or TwoBit
        FASTA (plain or bgzip) or 2bit, or a reader of one.

    Notes
    -----
    Only the windows are read. One object can be used by many threads and after a fork; it is pickled as its path.

    Examples
    --------
    >>> import pathlib, tempfile, fastdl
    >>> from fastdl.files import Genome
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.fa")
    >>> _ = path.write_text(">one\\nACGT\\nAC\\n>two\\nGGG\\n")
    >>> genome = Genome(path)
    >>> x = genome.windows(["one", "two"], [2, 1], 3, strand="+-")
    >>> [fastdl.one_hot_decode(w, unknown_char="-").tobytes() for w in x]
    [b'GTA', b'-CC']
    """

    def __init__(self, path: str | Path | Fasta | TwoBit):
        reader = path if isinstance(path, (Fasta, TwoBit)) else open_sequences(path)
        if isinstance(reader, Fastq):
            raise _check.FileError(reader.path, "holds reads, which have no places; windows need FASTA or 2bit")
        self.reader: Fasta | TwoBit = reader
        self.path = reader.path
        self._lengths: dict[str, int] | None = None

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a later window opens it again."""
        self.reader.close()

    @property
    def lengths(self) -> dict[str, int]:
        """The length of each sequence, in the order of the file."""
        if self._lengths is None:
            self._lengths = self.reader.lengths
        return self._lengths

    def fetch(self, chrom: str, start: int, stop: int) -> Array:
        """Letters start to stop of a sequence as uint8; positions outside are left out."""
        return self.reader.fetch(chrom, start, stop)

    def windows(
        self,
        chroms: str | Iterable[str],
        starts: ArrayLike,
        length: int,
        *,
        strand: ArrayLike | None = None,
        jitter: int = 0,
        seed: int | None = None,
        variants: Variants | str | Path | None = None,
        alphabet: str = "ACGT",
        unknown: str | None = None,
        case: str | None = None,
        layout: str | None = None,
        dtype: DTypeLike | None = None,
        ignore: str | None = None,
        like: str | None = None,
        pad: str | None = None,
        out: Array | None = None,
        threads: int | None = 1,
    ) -> Array:
        """Encode windows as one-hot rows.

        Parameters
        ----------
        chroms : str, or text in any container, length B
            The sequence of each window, or of all.
        starts : array_like of int, shape (B,)
            Its first base, from 0; windows may reach, or lie, beyond the ends.
        length : int
            Bases of a window.
        strand : optional
            As in `fastdl.one_hot_windows`, "both" too; or "random", drawn for each window.
        jitter : int
            Each window is shifted by a number of bases drawn uniformly from -jitter to jitter.
        seed : int, optional
            The seed of the draws. Without one they differ from call to call.
        variants : Variants, str or Path, optional
            Variants, or a VCF file of them, applied to each window that contains their position. Windows keep their
            length: after an insertion or deletion the bases that follow move.
        alphabet, unknown, case, layout, dtype, ignore, like, pad, out, threads
            As in `fastdl.one_hot_windows`.

        Returns
        -------
        ndarray
            (B, length, A) or (B, A, length); of strand "both" (B, 2, length, A) or (B, 2, A, length).

        Raises
        ------
        InputError
            For a name that the genome does not have, a reference allele that differs from it, variants that overlap,
            and as `fastdl.one_hot_windows`.
        """
        encoding = _settings.settings(
            alphabet, unknown=unknown, case=case, layout=layout, dtype=dtype, ignore=ignore, like=like
        )
        length = _check.integer("length", length, 0)
        at = window_starts(starts, -_FARTHEST, _FARTHEST)
        names = self._names(chroms, len(at))
        rng = np.random.default_rng(seed)
        jitter = _check.integer("jitter", jitter, 0, 1 << 40)
        if jitter:
            at = at + rng.integers(-jitter, jitter, len(at), endpoint=True)
        if isinstance(strand, str) and strand == "random":
            strand = rng.choice(["+", "-"], len(at))
        shape: tuple[int, ...] = encoding.shape(len(at), length)
        both = isinstance(strand, str) and strand == "both"
        if both:
            shape = shape[0], 2, *shape[1:]
        result = _check.out("out", out, shape, encoding.dtype)
        letters, windows = self._letters(names, at, length, _as_variants(variants))
        if both:
            starts, lows, highs = (np.repeat(each, 2) for each in windows[:3])
            windows = windows._replace(starts=starts, lows=lows, highs=highs)
            strand = "+-" * len(at)
        windows = windows._replace(backwards=strands(strand, len(windows.starts)))
        encode_windows(letters, windows, encoding, pad, result.reshape(-1, *shape[-2:]), threads)
        return result

    def variant_windows(self, variants: Variants | str | Path, length: int, **settings: Any) -> tuple[Array, Array]:
        """Windows around each variant, without and with it: the two inputs of a model that predicts its effect.

        Parameters
        ----------
        variants : Variants, str or Path
            N variants, each applied to its own window only; or a VCF file of them.
        length : int
            Bases of a window; the variant's first base is at ``length // 2``.
        **settings
            As in `windows`.

        Returns
        -------
        (ndarray, ndarray)
            With the reference and with the alternative allele, each as `windows` gives them.
        """
        found = _as_variants(variants)
        if found is None:
            raise _check.InputTypeError("variants must be Variants or a VCF file, got None")
        length = _check.integer("length", length, 0)
        encoding = {name: settings.pop(name) for name in _ENCODING if name in settings}
        starts = found.positions - length // 2
        reference = self.windows(found.chroms, starts, length, **encoding, **settings)
        how = _settings.settings(**{"alphabet": "ACGT", **encoding})
        letters, windows = self._letters(found.chroms, starts, length, found, each=True)
        windows = windows._replace(backwards=strands(settings.get("strand"), len(starts)))
        alternative = np.empty(how.shape(len(starts), length), how.dtype)
        encode_windows(letters, windows, how, settings.get("pad"), alternative, settings.get("threads", 1))
        return reference, alternative

    def _names(self, chroms: str | Iterable[str], count: int) -> list[str]:
        if isinstance(chroms, str):
            names: list[Any] = [chroms] * count
        else:
            names = _check.texts("chroms", chroms) or list(chroms)
        _check.same_length(chroms=names, starts=range(count))
        known = self.lengths
        for name in set(names):
            if name not in known:
                raise missing(self.path, name, known)
        return names

    def _letters(
        self, names: list[str], starts: Array, length: int, variants: Variants | None, each: bool = False
    ) -> tuple[Array, Windows]:
        """The letters of windows end to end, and where the windows are in them.

        With `each`, variant k is applied to window k only; else every variant to each window that it is in.
        """
        fetch = self.reader.fetch
        if variants is None:
            parts = _fetch_in_order(self.reader, names, starts.tolist(), length)
        else:
            parts = []
            checked: set[int] = set()
            for k, (name, start) in enumerate(zip(names, starts.tolist())):
                chosen = [k] if each else variants.within(name, start)
                parts.append(alter_window(fetch, name, start, length, variants=variants, rows=chosen, checked=checked))
        ends = offsets_of([len(part) for part in parts])
        lows, highs = ends[:-1], ends[1:]
        # Of a window that starts before 0, only the bases from 0 on were fetched.
        first = lows - np.clip(-starts, 0, length)
        letters = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
        return letters, Windows(first, lows, highs, np.zeros(len(starts), np.uint8), length)


_ENCODING = ("alphabet", "unknown", "case", "layout", "dtype", "ignore", "like")


def _fetch_in_order(reader: Fasta | TwoBit, names: list[str], starts: list[int], length: int) -> list[Array]:
    """The letters of each window; compressed text is read in the order of the file, to decompress each block once."""
    if not (isinstance(reader, Fasta) and reader.packed):
        fetch = reader.fetch
        return [fetch(name, start, start + length) for name, start in zip(names, starts)]
    parts: list[Any] = [None] * len(names)
    index = reader.index
    for k in sorted(range(len(names)), key=lambda k: (index[names[k]].offset, starts[k])):
        parts[k] = reader.fetch(names[k], starts[k], starts[k] + length)
    return parts


def _as_variants(variants: Variants | str | Path | None) -> Variants | None:
    if isinstance(variants, (str, Path)):
        return read_vcf(variants)
    if variants is not None and not isinstance(variants, Variants):
        raise _check.InputTypeError(f"variants must be Variants or a VCF file, got {type(variants).__name__}")
    return variants


def one_hot_regions(
    genome: Fasta | TwoBit | Genome, names: str | Iterable[str], starts: ArrayLike, length: int, **settings: Any
) -> Array:
    """Encode windows of a genome in a file: a shorthand for `Genome.windows`.

    Parameters
    ----------
    genome : Genome, Fasta or TwoBit
        The file.
    names : text, length B
        The sequence of each window.
    starts, length, **settings
        As in `Genome.windows`.

    Returns
    -------
    ndarray
        (B, length, A) or (B, A, length).

    Examples
    --------
    >>> import pathlib, tempfile, fastdl
    >>> from fastdl.files import Fasta, one_hot_regions
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.fa")
    >>> _ = path.write_text(">one\\nACGT\\nAC\\n")
    >>> with Fasta(path) as genome:
    ...     x = one_hot_regions(genome, ["one", "one"], [2, 2], 3, strand="+-")
    >>> [fastdl.one_hot_decode(w).tobytes() for w in x]
    [b'GTA', b'TAC']
    """
    source = genome if isinstance(genome, Genome) else Genome(genome)
    return source.windows(names, starts, length, **settings)
