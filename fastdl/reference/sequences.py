"""Sequences: one-hot rows, windows, reverse complements, k-mers, minimizers and variants."""

import itertools

import numpy as np

#: The bases that each IUPAC ambiguity code stands for.
IUPAC = dict(zip("RYSWKMBDHVN", ["AG", "CT", "CG", "AT", "GT", "AC", "CGT", "AGT", "ACT", "ACG", "ACGT"]))
#: The same for amino acids (IUPAC-IUB, 1983): B, Z and J are two each, X is any.
AMINO = {"B": "DN", "Z": "EQ", "J": "IL", "X": "ACDEFGHIKLMNPQRSTVWY"}
#: The settings by which each of these libraries encodes.
LIKE = {
    "seqpro": {"unknown": "zero", "case": "strict", "layout": "last", "dtype": "uint8", "ignore": ""},
    "tangermeme": {"unknown": "raise", "case": "strict", "layout": "first", "dtype": "int8", "ignore": "N"},
    "selene": {"unknown": "uniform", "case": "fold", "layout": "last", "dtype": "float32", "ignore": ""},
    "kipoiseq": {"unknown": "n-uniform", "case": "strict", "layout": "last", "dtype": "float32", "ignore": ""},
    "enformer": {"unknown": "zero", "case": "strict", "layout": "last", "dtype": "float32", "ignore": ""},
    "basenji": {"unknown": "zero", "case": "fold", "layout": "last", "dtype": "bool", "ignore": ""},
}
DEFAULT = {"unknown": "zero", "case": "fold", "layout": "last", "dtype": "uint8", "ignore": ""}


def settings(like=None, **given):
    """unknown, case, layout, dtype, ignore: as given, else the peer's, else the default (float32 for fractions)."""
    given = {name: value for name, value in given.items() if value is not None}
    if like is None and given.get("unknown") in ("uniform", "n-uniform", "iupac"):
        given = {"dtype": "float32", **given}
    return {**(DEFAULT if like is None else LIKE[like]), **given}


def table(alphabet, unknown, case, dtype, ignore=""):
    """The row of each byte, (256, channels)."""
    n = len(alphabet)
    rows = np.zeros((256, n + (unknown == "channel")))
    named = {letter: np.eye(*rows.shape[1:])[i] for i, letter in enumerate(alphabet)}
    if unknown == "uniform":
        rows[:] = 1 / n
    elif unknown == "channel":
        rows[:, n] = 1
    elif unknown == "n-uniform":
        named["N"] = np.full(n, 1 / n)
    elif unknown == "iupac":
        order = alphabet.upper().replace("U", "T") if n == 4 else alphabet.upper()
        codes = IUPAC if n == 4 else AMINO
        named |= {code: np.isin(list(order), list(each)) / len(each) for code, each in codes.items()}
    named |= {letter: np.zeros(rows.shape[1]) for letter in ignore}
    for letter, row in named.items():
        for each in {letter.upper(), letter.lower()} if case == "fold" else {letter}:
            rows[ord(each)] = row
    return rows.astype(dtype)


def data(seq):
    """Bytes as an array of uint8."""
    if isinstance(seq, str):
        seq = seq.encode("ascii")
    return np.array(seq).view(np.uint8) if isinstance(seq, np.ndarray) else np.frombuffer(seq, np.uint8)


def one_hot(seq, *, alphabet="ACGT", unknown=None, case=None, layout=None, dtype=None, ignore=None, like=None):
    """Rows (..., L, channels), or (..., channels, L)."""
    how = settings(like, unknown=unknown, case=case, layout=layout, dtype=dtype, ignore=ignore)
    rows = table(alphabet, how["unknown"], how["case"], how["dtype"], how["ignore"])[data(seq)]
    return np.ascontiguousarray(np.swapaxes(rows, -1, -2)) if how["layout"] == "first" else rows


def choices(alphabet, unknown, unknown_char):
    """The rows that may be decoded, and the letter of each."""
    n = len(alphabet)
    letters = alphabet + (unknown_char if unknown != "raise" else "")
    rows = np.eye(n + 1, n)[: len(letters)]
    if unknown == "channel":
        return np.eye(n + 1), letters
    if unknown in ("uniform", "n-uniform"):
        rows, letters = np.vstack([rows, np.full(n, 1 / n)]), letters + unknown_char
    elif unknown == "iupac":
        codes = IUPAC if n == 4 else AMINO
        rows = np.vstack([rows, table(alphabet, "iupac", "strict", float)[[ord(c) for c in codes]]])
        letters += "".join(codes)
    return rows, letters


def one_hot_decode(x, *, alphabet="ACGT", unknown="zero", layout="last", unknown_char=None):
    """The letter of each row as S1; a row that stands for none gives NUL."""
    unknown_char = unknown_char or ("X" if "N" in alphabet else "N")
    x = np.swapaxes(x, -1, -2) if layout == "first" else x
    letters = np.zeros(x.shape[:-1], np.uint8)
    for row, letter in zip(*choices(alphabet, unknown, unknown_char)):
        # In the precision of x: a third is another number in float16 than in float64.
        letters[(x == row.astype(x.dtype if x.dtype.kind == "f" else float)).all(axis=-1)] = ord(letter)
    return letters.view("S1")


def unpack(packed, length, unknown=(), masked=()):
    """The bases of 2-bit codes (T, C, A, G, from the high bits down): N where unknown, lower case where masked."""
    codes = (packed[:, None] >> np.array([6, 4, 2, 0], np.uint8) & 3).reshape(-1)[:length]
    bases = np.frombuffer(b"TCAG", np.uint8)[codes]
    for start, stop in unknown:
        bases[max(start, 0) : stop] = ord("N")
    for start, stop in masked:
        bases[max(start, 0) : stop] |= 0x20
    return bases


def encode(genome, spans, length, tables, pads):
    """(B, length, channels): the row of each byte, padding outside lows to highs; reverse windows are read backwards.

    `spans` are starts, lows, highs and whether each is reverse; `tables` and `pads` hold the rows, and the row of
    padding, of the forward and of the reverse strand.
    """
    starts, lows, highs, reverse = spans
    at = starts[:, None] + np.arange(length)
    at[reverse] = at[reverse, ::-1]
    inside = (at >= lows[:, None]) & (at < highs[:, None])
    backwards = np.broadcast_to(reverse[:, None], at.shape)
    result = np.empty((*at.shape, tables[0].shape[1]), tables[0].dtype)
    for which, rows, pad in zip((~backwards, backwards), tables, pads):
        result[which] = pad
        result[which & inside] = rows[genome[at[which & inside]]]
    return result


def one_hot_windows(genome, starts, length, *, strand=None, pad=None, layout="last", alphabet="ACGT", **how):
    """Windows of a byte or 2-bit genome as one-hot rows, those with strand "-" as the other strand, padding too."""
    if hasattr(genome, "packed"):
        genome = unpack(genome.packed, len(genome), genome.unknown, genome.masked)
    genome, starts = data(genome), np.asarray(starts, np.int64)
    reverse = np.zeros(len(starts), bool) if strand is None else np.array([s == "-" for s in strand], bool)
    how = {name: value for name, value in settings(**how).items() if name != "layout"}
    rows = table(alphabet, **how)
    tables = rows, rows[complement(alphabet)]
    pads = [np.zeros_like(rows[0]) if pad is None else each[ord(pad)] for each in tables]
    ends = np.zeros_like(starts), np.full_like(starts, len(genome))
    result = encode(genome, (starts, *ends, reverse), length, tables, pads)
    return np.ascontiguousarray(np.swapaxes(result, -1, -2)) if layout == "first" else result


def complement(alphabet="ACGT"):
    """The complement of each byte: bases and IUPAC codes in both cases; others are their own."""
    t = "U" if "U" in alphabet.upper() else "T"
    pairs = dict(zip("ATUCGYRWSKMDHBVN", f"{t}AAGCRYWSMKHDVBN"))
    other = np.arange(256, dtype=np.uint8)
    for one, two in pairs.items():
        other[ord(one)], other[ord(one.lower())] = ord(two), ord(two.lower())
    return other


def reverse_complement(seq, *, alphabet="ACGT", layout=None):
    """The other strand, of bytes along the last axis or of one-hot rows; further channels stay where they are."""
    if layout is None:
        return complement(alphabet)[data(seq)[..., ::-1]]
    other = [alphabet.upper().index(chr(c)) for c in complement(alphabet)[data(alphabet.upper())]]
    channels = [*other, *range(len(other), seq.shape[-1 if layout == "last" else -2])]
    return seq[..., ::-1, :][..., channels] if layout == "last" else seq[..., channels, ::-1]


def kmer_index(seq, k, *, canonical=False):
    """Numbers of the k-mers, base 4, the first base the highest digit; -1 where one holds an unknown base."""
    dtype = np.int32 if k <= 15 else np.int64
    x = data(seq)
    code = np.full(256, -1, np.int64)
    for i, base in enumerate("ACGT"):
        code[[ord(base), ord(base.lower())]] = i
    n = max(x.shape[-1] - k + 1, 0)
    digits = [code[x[..., j : j + n]] for j in range(k)]
    forward = sum((d << 2 * (k - 1 - j) for j, d in enumerate(digits)), np.zeros((*x.shape[:-1], n), np.int64))
    if canonical:
        forward = np.minimum(forward, sum((3 - d) << 2 * j for j, d in enumerate(digits)))
    return np.where(np.any([d < 0 for d in digits], axis=0), -1, forward).astype(dtype)


def kmer_count(seq, k, *, canonical=False):
    """How often each of the 4^k k-mers occurs."""
    numbers = kmer_index(seq, k, canonical=canonical)
    return np.bincount(numbers[numbers >= 0], minlength=4**k).astype(np.int64)


def mix(key, k):
    """Thomas Wang's invertible hash of 2k bits, as minimap2 orders k-mers."""
    mask = np.uint64((1 << 2 * k) - 1)
    key = np.asarray(key).astype(np.uint64)
    u = np.uint64
    key = (~key + (key << u(21))) & mask
    key = key ^ key >> u(24)
    key = (key + (key << u(3)) + (key << u(8))) & mask
    key = key ^ key >> u(14)
    key = (key + (key << u(2)) + (key << u(4))) & mask
    key = key ^ key >> u(28)
    return (key + (key << u(31))) & mask


def minimizer_places(numbers, k, w, hashed):
    """Where the least k-mer of each w neighbouring ones stands, the first of equals; no window holds an unknown one."""
    n = len(numbers)
    if n < w:
        return np.zeros(0, np.int64)
    keys = mix(np.maximum(numbers, 0), k) if hashed else np.maximum(numbers, 0).astype(np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view
    places = windows(keys, w).argmin(axis=1) + np.arange(n - w + 1)
    return np.unique(places[(windows(numbers, w) >= 0).all(axis=1)]).astype(np.int64)


def minimizers(seq, k, w, *, canonical=True, order="hash"):
    """(places, numbers, strands) of the minimizers of one sequence."""
    numbers, forward = kmer_index(seq, k, canonical=canonical), kmer_index(seq, k)
    places = minimizer_places(numbers, k, w, order == "hash")
    strands = np.where(numbers[places] == forward[places], 1, -1).astype(np.int8)
    return places, numbers[places], strands


def apply_variants(seq, positions, refs, alts):
    """The sequence with each ref at its position (sorted, apart) replaced by its alt, one after the other."""
    text, parts, at = data(seq).tobytes(), [], 0
    for position, ref, alt in zip(positions, refs, alts):
        parts += [text[at:position], alt.encode()]
        at = position + len(ref)
    return b"".join([*parts, text[at:]])


def kmer_tokens(seqs, k, *, stride=1, letters="ACGT", special=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")):
    """(ids, mask): of each sequence [CLS], the numbers of its k-mers behind the special tokens, [SEP]; padded."""
    pad, unknown, begin, end = (special.index(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
    words = ["".join(word) for word in itertools.product(letters, repeat=k)]
    number = {word: len(special) + i for i, word in enumerate(words)}
    rows = [
        [begin, *(number.get(s[i : i + k].upper(), unknown) for i in range(0, len(s) - k + 1, stride)), end]
        for s in seqs
    ]
    width = max(map(len, rows), default=2)
    ids = np.array([row + [pad] * (width - len(row)) for row in rows], np.int64).reshape(len(rows), width)
    return ids, np.array([[i < len(row) for i in range(width)] for row in rows], bool).reshape(len(rows), width)


def padding_mask(seqs):
    """Where sequences that are padded to the longest hold letters."""
    return np.arange(max(map(len, seqs), default=0)) < np.array([len(s) for s in seqs], int)[:, None]


def kmer_vocabulary(k, *, letters="ACGT", special=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")):
    """The tokens of `kmer_tokens` by their numbers."""
    return [*special, *("".join(word) for word in itertools.product(letters, repeat=k))]
