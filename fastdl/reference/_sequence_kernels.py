"""The sequence kernels in NumPy, with the names and arguments of the compiled ones, for where these are not built."""

import numpy as np

from fastdl.reference import sequences


def one_hot_rows(x, tables, out):
    """The rows (n, width in bytes) of n letters."""
    out[...] = tables.row_bytes[x].reshape(-1)


def one_hot_planes(x, tables, out, start, stop):
    """The channels of positions start to stop of every sequence of x (B, L), in out (B, channels, L in bytes)."""
    entries = tables.column_bytes.reshape(len(tables.column_bytes), 256, tables.entry)
    part = entries[:, x[:, start:stop]]  # (channels, B, n, bytes)
    part = part.transpose(1, 0, 2, 3).reshape(len(x), len(entries), -1)
    out[:, :, start * tables.entry : stop * tables.entry] = part


def find_unknown(x, known):
    """The index of the first byte that is not known, or -1."""
    bad = np.flatnonzero(known[x] == 0)
    return int(bad[0]) if len(bad) else -1


def _rows(x, n, channels, row):
    """Values as (n, channels), whichever axis comes first in memory."""
    return x.reshape(channels, n).T if row == 1 and channels > 1 else x.reshape(n, channels)


def decode_4(x, letters, zero, out):
    """The letters of rows of four bytes; `zero` for rows of zeros, NUL for any other row."""
    rows, names = np.eye(5, 4, dtype=np.uint8), [*letters[:4], zero]
    out[...] = 0
    for one, name in zip(rows, names):
        out[(x.reshape(-1, 4) == one).all(axis=1)] = name


def decode(x, rows, letters, choice, row, channel, out):
    """The letter of each row of x, or NUL; `row` and `channel` are the strides of x in values."""
    values = _rows(x, len(out), rows.shape[1], row)
    out[...] = 0
    for one, name in zip(rows, letters):
        out[(values == one).all(axis=1)] = name


def decode_many(x, letters, channels, zero, row, channel, out):
    """As `decode`, for one-hot rows of any number of channels."""
    values = _rows(x, len(out), channels, row)
    ones, others = (values == 1).sum(axis=1), (values != 0).sum(axis=1)
    found = np.where(ones == 1, letters[np.minimum((values == 1).argmax(axis=1), len(letters) - 1)], zero)
    out[...] = np.where((ones != others) | (ones > 1), 0, found)


def encode_windows(genome, spans, forward, reverse_, first, length, out):
    """Write windows as bytes; returns (window, position) of the first unknown byte if that is an error, else None."""
    x, letters, unknown, masked = genome
    at = (*spans[:3], spans[3].astype(bool))
    if letters is not None:
        x = sequences.unpack(x, 4 * len(x), unknown, masked)
    (ahead, blank), (back, back_blank) = forward, reverse_
    if ahead.known is not None:
        wrong, fine = 1 - ahead.known[:, None], np.zeros(1, np.uint8)
        bad = sequences.encode(x, at, length, (wrong, wrong), (fine, fine))
        if bad.any():
            window, place, _ = np.argwhere(bad)[0]
            return int(window), int(place)
    pads = [pad.view(ahead.rows.dtype) for pad in (blank, back_blank)]
    tables = ahead.rows, back.rows
    rows = sequences.encode(x, at, length, tables, pads)
    rows = np.ascontiguousarray(np.swapaxes(rows, -1, -2) if first else rows)
    out[...] = rows.view(np.uint8).reshape(out.shape)
    return None


def unpack(packed, start, out):
    """The letters from start on, of (codes, letters of a packed byte, unknown, masked)."""
    x, _, unknown, masked = packed
    out[...] = sequences.unpack(x, 4 * len(x), unknown, masked)[start : start + len(out)]


def complement_letters(x, t, out):
    """The other strand of n letters; t is what A becomes, T or U."""
    out[...] = sequences.complement("ACGU" if t == ord("U") else "ACGT")[x[::-1]]


def complement_rows_of_4(x, out):
    """The other strand of rows of four bytes in the order A, C, G, T: both axes reversed."""
    out[...] = x[::-1]


def number_kmers(x, code, k, canonical, out):
    """The number of each k-mer of n + k - 1 letters."""
    out[...] = sequences.kmer_index(x, k, canonical=canonical)


def count_kmers(x, code, k, canonical, counts):
    """Add the k-mers of n + k - 1 letters to counts (4^k,)."""
    numbers = sequences.kmer_index(x, k, canonical=canonical)
    counts += np.bincount(numbers[numbers >= 0], minlength=len(counts))


def minimizers(numbers, k, keys, queue, hashed, out):
    """Write the places of the minimizers of n k-mers to out (n,); returns how many there are."""
    places = sequences.minimizer_places(numbers, k, len(queue), hashed)
    out[: len(places)] = places
    return len(places)


def small_one_hot(*arguments):
    """Returns None: NumPy has no faster way for few items, so the shell takes its general one."""


small_complement = small_decode = small_one_hot
