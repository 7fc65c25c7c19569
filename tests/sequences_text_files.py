"""FASTA, FASTQ, bgzip and 2bit files of given sequences, written by their definitions."""

import gzip
import struct
import zlib

import numpy as np


def text_of(rng, n, letters="ACGTacgtNRY"):
    return "".join(rng.choice(list(letters), n))


def genome(rng):
    return {
        "one": text_of(rng, 1003),
        "two": "",
        "three": text_of(rng, 60),
        "four": text_of(rng, 5),
        "five": text_of(rng, 777),
    }


def fasta(sequences, width=60, end="\n", last=True):
    lines = []
    for name, text in sequences.items():
        lines.append(f">{name} a comment > here")
        lines += [text[i : i + width] for i in range(0, len(text), width)]
    return (end.join(lines) + (end if last else "")).encode()


def bgzip(data, size=1000):
    blocks = []
    for at in [*range(0, len(data), size), None]:
        part = b"" if at is None else data[at : at + size]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = packer.compress(part) + packer.flush()
        head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(body) + 25)
        blocks.append(head + body + struct.pack("<II", zlib.crc32(part), len(part)))
    return b"".join(blocks)


PACK = {"plain": lambda x: x, "gzip": gzip.compress, "bgzip": bgzip}


def fastq(reads, end="\n", last=True):
    lines = [x for i, read in enumerate(reads) for x in (f"@r{i} x", read, "+", "I" * len(read))]
    return (end.join(lines) + (end if last else "")).encode()


def twobit(sequences, order="<", version=0):
    width = 8 if version else 4
    records, index = b"", b""
    at = 16 + sum(1 + len(name) + width for name in sequences)
    for name, text in sequences.items():
        letters = np.array(list(text), "U1")
        codes = np.array(["TCAG".find(c) for c in text.upper()], int).clip(0)
        codes = np.append(codes, np.zeros(-len(codes) % 4, int)).reshape(-1, 4)
        body = struct.pack(order + "I", len(text))
        for which in (np.char.upper(letters) == "N", np.char.islower(letters)):
            runs = np.flatnonzero(np.diff(np.concatenate([[0], which, [0]]))).reshape(-1, 2)
            body += struct.pack(order + "I", len(runs)) + runs[:, 0].astype(order + "u4").tobytes()
            body += (runs[:, 1] - runs[:, 0]).astype(order + "u4").tobytes()
        body += struct.pack(order + "I", 0) + (codes @ [64, 16, 4, 1]).astype(np.uint8).tobytes()
        index += bytes([len(name)]) + name.encode() + struct.pack(order + ("Q" if version else "I"), at + len(records))
        records += body
    return struct.pack(order + "4I", 0x1A412743, version, len(sequences), 0) + index + records
