"""Windows of genomes as a dataset."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.files.sequences.bed import Regions, read_regions
from fastdl.files.sequences.fasta import Fasta
from fastdl.files.sequences.genome import Genome
from fastdl.files.sequences.twobit import TwoBit
from fastdl.files.sequences.vcf import read_vcf
from fastdl.sequences.variants import Variants
from fastdl.torch._batches import WholeBatch
from fastdl.torch._epochs import Draws, Epochs, row_numbers

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = _check.extra("torch", "torch", "fastdl.torch")
_REVERSAL = ("none", "random", "always")


class GenomeWindows(Epochs, torch.utils.data.Dataset):
    """One-hot windows of a genome, and their targets, for `torch.utils.data.DataLoader`.

    Parameters
    ----------
    genome : str, Path, Fasta, TwoBit or Genome
        FASTA (plain or bgzip) or 2bit.
    regions : str, Path, Regions, or (chroms, starts) or (chroms, starts, strand)
        A BED or narrowPeak file, or a table (.csv, .tsv, .parquet) of regions, in whose middles the windows are; or the
        first base of each window.
    length : int
        Bases of a window.
    targets : array_like, shape (N,) or (N, ...), optional
        One for each region; an array, also a memory-mapped one, or a dataset of h5py or zarr.
    center : {"middle", "summit"}
        The position of a file's region that is the middle of the window.
    jitter : int
        Windows are shifted by up to so many bases to either side, at random in each epoch. Targets are not moved.
    reverse_complement : {"none", "random", "always"}
        Whether windows are read from the other strand; "random" decides by chance for each window and epoch.
    reverse_targets : int or sequence of int, optional
        The axes of a target (counted in one of them, from 0) that are reversed with its window: 0 for a profile (L,),
        (0, 1) for a profile of two strands (L, 2) or (2, L).
    variants : Variants, str or Path, optional
        Variants, or a VCF file of them, applied to each window that contains their position.
    seed : int
        Random draws depend on it, the epoch and the window's index only, not on the workers or the batches.
    layout, dtype : optional
        As in `fastdl.one_hot`; here "first", (4, length), and float32 by default.
    **encoding
        Further settings of `fastdl.one_hot_windows`: unknown, case, ignore, like, pad.

    Notes
    -----
    An item is a window as a tensor, or (window, target). `DataLoader` gets whole batches in one call, by
    `__getitems__`. Workers may be started by fork, spawn or forkserver: each opens the file itself. Call `set_epoch`
    before each pass for new draws; persistent workers see it, too.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.torch import GenomeWindows
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.fa")
    >>> _ = path.write_text(">one\\nACGTACGT\\n")
    >>> windows = GenomeWindows(path, (["one", "one"], [0, 3]), 4, targets=[0.5, 1.0])
    >>> x, y = windows[1]
    >>> tuple(x.shape), x.argmax(dim=0).tolist(), float(y)
    ((4, 4), [3, 0, 1, 2], 1.0)
    """

    def __init__(
        self,
        genome: str | Path | Fasta | TwoBit | Genome,
        regions: Regions | str | Path | Sequence[ArrayLike | Sequence[str]],
        length: int,
        *,
        targets: ArrayLike | None = None,
        center: str = "middle",
        jitter: int = 0,
        reverse_complement: str = "none",
        reverse_targets: int | Sequence[int] = (),
        variants: Variants | str | Path | None = None,
        seed: int = 0,
        layout: str = "first",
        dtype: DTypeLike = "float32",
        **encoding: Any,
    ):
        super().__init__()
        self.genome = genome if isinstance(genome, Genome) else Genome(genome)
        self.length = _check.integer("length", length, 1)
        self.jitter = _check.integer("jitter", jitter, 0, 1 << 40)
        self.reverse_complement = _check.one_of("reverse_complement", reverse_complement, _REVERSAL)
        self.seed = _check.integer("seed", seed, 0)
        self.variants = read_vcf(variants) if isinstance(variants, (str, Path)) else variants
        self.chroms, self.starts, self.backwards = _windows(regions, self.length, center)
        self.encoding = {"layout": layout, "dtype": dtype, **encoding}
        axes = [reverse_targets] if isinstance(reverse_targets, int) else list(reverse_targets)
        self.reverse_targets = tuple(_check.integer("reverse_targets", axis, 0) for axis in axes)
        # An array, or a dataset of h5py or zarr.
        self.targets: Any = targets if targets is None or hasattr(targets, "shape") else np.asarray(targets)
        if self.targets is not None:
            _check.same_length(targets=cast(Sized, self.targets), regions=self.chroms)
            if any(axis >= len(self.targets.shape) - 1 for axis in self.reverse_targets):
                shape = tuple(self.targets.shape[1:])
                raise _check.InputError(f"reverse_targets must be axes of a target of shape {shape}, got {axes}")
        self._draws_of = Draws(self.seed)
        self.genome.windows(self.chroms[:1], self.starts[:1], self.length, variants=self.variants, **self.encoding)
        known = self.genome.lengths
        unknown = next((name for name in dict.fromkeys(self.chroms) if name not in known), None)
        if unknown is not None:
            self.genome.fetch(unknown, 0, 1)  # raises the error that suggests a name

    def __len__(self) -> int:
        return len(self.chroms)

    def __getitem__(self, index: int) -> Tensor | tuple[Tensor, Tensor]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Sequence[Any]:
        """The items of a batch: windows, or (window, target) pairs."""
        x, y = self.batch(indices)
        return list(x) if y is None else WholeBatch(x, y)

    def batch(self, indices: ArrayLike) -> tuple[Tensor, Tensor | None]:
        """The windows (B, 4, length) and targets of some regions, in one call.

        Parameters
        ----------
        indices : sequence of int
            The indices of regions; negative ones count from the end.

        Returns
        -------
        (Tensor, Tensor or None)
        """
        rows = row_numbers(indices, len(self))
        shift, turned = self._draws(rows)
        chroms = [self.chroms[row] for row in rows.tolist()]
        strand = np.where(self.backwards[rows] ^ turned, -1, 1)
        x = self.genome.windows(
            chroms, self.starts[rows] + shift, self.length, strand=strand, variants=self.variants, **self.encoding
        )
        return torch.from_numpy(x), self._targets(rows, turned)

    def _draws(self, rows: Array) -> tuple[Array, Array]:
        """The shift of each window, and whether it is reversed, drawn by seed, epoch and row."""
        always = self.reverse_complement == "always"
        if not self.jitter and self.reverse_complement != "random":
            return np.zeros(len(rows), np.int64), np.full(len(rows), always)
        numbers = self._draws_of.uniform(self.epoch, rows)
        shift = (numbers[0] * (2 * self.jitter + 1)).astype(np.int64) - self.jitter
        turned = numbers[1] < 0.5 if self.reverse_complement == "random" else np.full(len(rows), always)
        return shift, turned

    def _targets(self, rows: Array, turned: Array) -> Tensor | None:
        if self.targets is None:
            return None
        order = np.argsort(rows, kind="stable")  # h5py and zarr read ascending rows faster
        y = np.empty((len(rows), *self.targets.shape[1:]), np.asarray(self.targets[:0]).dtype)
        if isinstance(self.targets, np.ndarray):
            y[...] = self.targets[rows]
        else:
            y[order] = np.stack([np.asarray(self.targets[int(row)]) for row in rows[order]]) if len(rows) else y
        if self.reverse_targets and turned.any():
            y[turned] = np.flip(y[turned], tuple(axis + 1 for axis in self.reverse_targets))
        return torch.from_numpy(y)


def _windows(regions: object, length: int, center: str) -> tuple[list[str], Array, Array]:
    """(chroms, starts, whether on the reverse strand) of the windows of regions."""
    if isinstance(regions, (str, Path)):
        parts = list(read_regions(regions, negative=True))
        chroms = [name for part in parts for name in part.names]
        starts = np.concatenate([np.zeros(0, np.int64), *(part.windows(length, center) for part in parts)])
        return chroms, starts, np.array([sign == "-" for part in parts for sign in part.strand], bool)
    if isinstance(regions, Regions):
        backwards = np.array([sign == "-" for sign in regions.strand], bool)
        return list(regions.names), regions.windows(length, center), backwards
    if not isinstance(regions, (tuple, list)) or len(regions) not in (2, 3):
        raise _check.InputTypeError("regions must be a file, Regions, (chroms, starts) or (chroms, starts, strand)")
    starts = _check.array("starts", regions[1], ("i", "u"), 1).astype(np.int64)
    chroms = [regions[0]] * len(starts) if isinstance(regions[0], str) else _check.texts("chroms", regions[0]) or []
    _check.same_length(chroms=chroms, starts=starts)
    strand = _check.texts("strand", list(regions[2])) if len(regions) == 3 else ["+"] * len(starts)
    _check.same_length(strand=strand, starts=starts)
    return chroms, starts, np.array([sign == "-" for sign in strand or []], bool)
