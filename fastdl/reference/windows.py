"""Windows of a genome: what stands in them."""

import numpy as np

from fastdl.reference import bases, sequences


def unpack(packed, length, unknown=(), masked=()):
    """The bases of 2-bit codes (T, C, A, G, from the high bits down): N where unknown, lower case where masked."""
    codes = (packed[:, None] >> np.array([6, 4, 2, 0], np.uint8) & 3).reshape(-1)[:length]
    bases = np.frombuffer(b"TCAG", np.uint8)[codes]
    for start, stop in unknown:
        bases[start:stop] = ord("N")
    for start, stop in masked:
        bases[start:stop] |= 0x20
    return bases


def encode(genome, starts, length, lows, highs, reverse, rows, other, blank):
    """(B, length, channels): the row of each byte, `blank` outside lows to highs; reverse windows are read backwards
    by the rows of the `other` strand."""
    at = starts[:, None] + np.arange(length)
    at[reverse] = at[reverse, ::-1]
    inside = (at >= lows[:, None]) & (at < highs[:, None])
    result = np.empty((*at.shape, rows.shape[1]), rows.dtype)
    result[:] = blank
    backwards = np.broadcast_to(reverse[:, None], at.shape)
    for which, table in ((inside & ~backwards, rows), (inside & backwards, other)):
        result[which] = table[genome[at[which]]]
    return result


def one_hot_windows(genome, starts, length, *, strand=None, pad=None, layout="last", alphabet="ACGT", **how):
    """Windows of a byte or 2-bit genome as one-hot rows, those with strand "-" as the other strand."""
    if hasattr(genome, "packed"):
        genome = unpack(genome.packed, len(genome), genome.unknown, genome.masked)
    genome, starts = sequences.data(genome), np.asarray(starts, np.int64)
    reverse = np.zeros(len(starts), bool) if strand is None else np.array([s == "-" for s in strand], bool)
    how = {name: value for name, value in sequences.settings(**how).items() if name != "layout"}
    rows = sequences.table(alphabet, **how)
    blank = np.zeros_like(rows[0]) if pad is None else rows[ord(pad)]
    ends = np.zeros_like(starts), np.full_like(starts, len(genome))
    other = rows[bases.complement(alphabet)]
    result = encode(genome, starts, length, *ends, reverse, rows, other, blank)
    return np.ascontiguousarray(np.swapaxes(result, -1, -2)) if layout == "first" else result
