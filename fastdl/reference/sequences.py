"""Sequences: what one-hot rows and their letters are."""

import numpy as np

#: What each ambiguity code of the IUPAC stands for.
IUPAC = dict(zip("RYSWKMBDHVN", ["AG", "CT", "CG", "AT", "GT", "AC", "CGT", "AGT", "ACT", "ACG", "ACGT"]))
#: How each peer encodes.
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
        order = alphabet.upper().replace("U", "T")
        named |= {code: np.isin(list(order), list(bases)) / len(bases) for code, bases in IUPAC.items()}
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
        rows = np.vstack([rows, table(alphabet, "iupac", "strict", float)[[ord(c) for c in IUPAC]]])
        letters += "".join(IUPAC)
    return rows, letters


def one_hot_decode(x, *, alphabet="ACGT", unknown="zero", layout="last", unknown_char="N"):
    """The letter of each row as S1; a row that stands for none gives NUL."""
    x = np.swapaxes(x, -1, -2) if layout == "first" else x
    letters = np.zeros(x.shape[:-1], np.uint8)
    for row, letter in zip(*choices(alphabet, unknown, unknown_char)):
        # In the precision of x: a third is another number in float16 than in float64.
        letters[(x == row.astype(x.dtype if x.dtype.kind == "f" else float)).all(axis=-1)] = ord(letter)
    return letters.view("S1")
