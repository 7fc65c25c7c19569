"""The cases of sequences: letters of both cases, ambiguity codes and bytes that are none."""

from __future__ import annotations

import numpy as np

from tests.case import Case

SIZES = (0, 1, 2, 7, 63, 160, 9001)
LETTERS = np.frombuffer(b"ACGTACGTACGTacgtNnRYSWKMBDHVu-\x00\xff", np.uint8)
PROTEINS = "ACDEFGHIKLMNPQRSTVWY"


def letters(rng: np.random.Generator, n: int) -> np.ndarray:
    """n bytes, most of them bases."""
    x = rng.choice(LETTERS, n)
    x[:1] = 65  # numbers alone, as of tokens, are refused
    return x


def one_hot_cases() -> list[Case]:
    settings: list[dict] = [{"dtype": d} for d in ("bool", "uint8", "int8", "float16", "float32", "float64")]
    settings += [{"unknown": u} for u in ("uniform", "n-uniform", "iupac", "channel")]
    settings += [{"unknown": "iupac", "dtype": "float16"}, {"unknown": "channel", "dtype": "float32"}]
    settings += [{"like": name} for name in ("seqpro", "selene", "kipoiseq", "enformer", "basenji")]
    settings += [{"case": "strict"}, {"alphabet": PROTEINS}, {"alphabet": "UGCA", "unknown": "iupac"}]
    settings += [{"alphabet": "AC-"}, {"ignore": "A-", "unknown": "uniform"} | {"alphabet": "CGT"}]
    cases = []
    for how in settings:
        for layout in ("last", "first"):
            for batch in (0, 3):

                def one_hot(rng, n, how=how, layout=layout, batch=batch):
                    x = letters(rng, n * (batch or 1))
                    return (x.reshape(batch, n) if batch else x,), {**how, "layout": layout}

                label = "-".join([*map(str, how.values()), layout, *([str(batch)] if batch else [])])
                cases.append(Case("sequences", "one_hot", one_hot, label, sizes=SIZES))
    return cases


def decode_cases() -> list[Case]:
    from fastdl.reference import sequences as reference

    cases = []
    for dtype in ("bool", "uint8", "int64", "float16", "float32", "float64"):
        for unknown in ("zero", "channel", *(("uniform", "iupac") if dtype.startswith("float") else ())):
            for layout in ("last", "first"):
                for alphabet in ("ACGT", PROTEINS) if unknown != "iupac" else ("ACGT",):

                    def decode(rng, n, dtype=dtype, unknown=unknown, layout=layout, alphabet=alphabet):
                        how = {"alphabet": alphabet, "unknown": unknown, "layout": layout}
                        return (reference.one_hot(letters(rng, n), dtype=dtype, **how),), how

                    label = f"{dtype}-{unknown}-{layout}-{len(alphabet)}"
                    cases.append(Case("sequences", "one_hot_decode", decode, label, sizes=SIZES))
    return cases


def window_cases() -> list[Case]:
    cases = []
    for strand in (None, "+-"):
        for pad in (None, "G", "n"):
            for length in (1, 5, 300):
                for layout in ("last", "first"):
                    for more in ({}, {"unknown": "iupac"}, {"alphabet": "TGCA", "dtype": "float16", "case": "strict"}):

                        def windows(rng, n, strand=strand, pad=pad, length=length, layout=layout, more=more):
                            starts = rng.integers(-2 * length, n + 2 * length, max(n // 50, min(n, 3)))
                            how = {"pad": pad, "layout": layout, **more}
                            if strand:
                                how["strand"] = list(rng.choice(["+", "-"], len(starts)))
                            return (letters(rng, n), starts, length), how

                        label = "-".join(map(str, [strand, pad, length, layout, *more.values()]))
                        cases.append(Case("sequences", "one_hot_windows", windows, label, sizes=SIZES))
    return cases


def base_cases() -> list[Case]:
    cases = []
    for k in (1, 2, 8, 15, 16, 31):
        for canonical in (False, True):

            def kmers(rng, n, k=k, canonical=canonical):
                return (rng.choice(np.frombuffer(b"ACGTacgtACGTACGTACGTN", np.uint8), n), k), {"canonical": canonical}

            cases.append(Case("sequences", "kmer_index", kmers, f"{k}-{canonical}", sizes=SIZES))
    for k in (1, 5, 9):
        for canonical in (False, True):

            def counts(rng, n, k=k, canonical=canonical):
                return (letters(rng, n), k), {"canonical": canonical}

            cases.append(Case("sequences", "kmer_count", counts, f"{k}-{canonical}", sizes=SIZES, threads=()))
    for k, w in ((3, 1), (5, 4), (15, 10), (21, 11), (31, 50)):
        for order in ("hash", "lexicographic"):
            for canonical in (False, True):

                def words(rng, n, k=k, w=w, order=order, canonical=canonical):
                    x = rng.choice(np.frombuffer(b"ACGT", np.uint8), n)
                    x[::997] = ord("N")
                    x[n // 2 : n // 2 + 200] = ord("A")
                    return (x, k, w), {"order": order, "canonical": canonical}

                label = f"{k}-{w}-{order}-{canonical}"
                cases.append(Case("sequences", "minimizers", words, label, sizes=SIZES, threads=()))
    for k, stride in ((1, 1), (3, 1), (6, 6), (4, 3)):

        def tokens(rng, n, k=k, stride=stride):
            texts = ["".join(rng.choice(list("ACGTacgtN"), m)) for m in rng.integers(0, 40, min(n, 30))]
            return (texts, k), {"stride": stride, "letters": "ATCG"}

        cases.append(Case("sequences", "kmer_tokens", tokens, f"{k}-{stride}", sizes=(1, 2, 30), threads=()))
    for alphabet in ("ACGT", "ACGU"):

        def strand(rng, n, alphabet=alphabet):
            return (letters(rng, n),), {"alphabet": alphabet}

        cases.append(Case("sequences", "reverse_complement", strand, alphabet, sizes=SIZES))
    for layout in ("last", "first"):
        for dtype in ("uint8", "float32"):
            for channels, alphabet in ((4, "ACGT"), (5, "ACGT"), (4, "TCAG")):

                def rows(rng, n, layout=layout, dtype=dtype, channels=channels, alphabet=alphabet):
                    shape = (n, channels) if layout == "last" else (channels, n)
                    return (rng.integers(0, 9, shape).astype(dtype),), {"alphabet": alphabet, "layout": layout}

                label = f"rows-{layout}-{dtype}-{channels}-{alphabet}"
                cases.append(Case("sequences", "reverse_complement", rows, label, sizes=SIZES))
    return cases


CASES_SEQUENCES = one_hot_cases() + decode_cases() + window_cases() + base_cases()
