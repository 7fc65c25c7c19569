"""Files within files: what is packed is taken out, changed, and packed again, so that changes come behind the sums.

gzip and bgzip, zip (.npz), Parquet, the pages of E57 and Ogg, and the chunks of RIFF, RF64 and AIFF.
"""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zipfile
from collections.abc import Callable

import numpy as np

Rng = np.random.Generator
Change = Callable[[bytes, Rng], bytes]

_PAGE = 1024  # bytes of a page of E57, the last four of them its sum


def find(data: bytes) -> Callable[[bytes, Rng, Change], bytes] | None:
    """What changes the inside of such a file; None for one that has none."""
    starts = {b"\x1f\x8b": _gzip, b"PK\x03\x04": _zip, b"ASTM-E57": _e57, b"OggS": _ogg, b"PAR1": _parquet}
    return next((way for start, way in starts.items() if data.startswith(start)), None)


def _gzip(data: bytes, rng: Rng, change: Change) -> bytes:
    text = gzip.decompress(data)
    if rng.random() < 0.8:
        text = change(text, rng)
    size = int(rng.choice([len(text) + 1, 1 + len(text) // 3, 100]))
    parts = [text[i : i + size] for i in range(0, max(len(text), 1), size)]
    members = [gzip.compress(part, int(rng.choice([0, 6])), mtime=0) for part in parts]
    way = rng.integers(6)
    if way == 0:
        members = [bgzip_block(part) for part in [*parts, b""]]
    elif way == 1:
        members.insert(int(rng.integers(len(members) + 1)), gzip.compress(b"", mtime=0))
    elif way == 2:
        members.append(_pick(rng, (bytes(7), bytes(3000), b"\x1f\x8b", b"more", members[0][:12])))
    elif way == 3:
        members[0] = members[0][:3] + b"\x08" + members[0][4:10] + b"a name\0" + members[0][10:]
    elif way == 4:
        k = int(rng.integers(len(members)))
        members[k] = change(members[k], rng)
    return b"".join(members)


def bgzip_block(data: bytes) -> bytes:
    """A block with its size, as bgzip has them."""
    deflated = gzip.compress(data, mtime=0)[10:]
    head = b"\x1f\x8b\x08\x04" + bytes(6) + struct.pack("<HBBHH", 6, 66, 67, 2, (17 + len(deflated)) & 0xFFFF)
    return head + deflated


def _zip(data: bytes, rng: Rng, change: Change) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    k = int(rng.integers(len(members)))
    name, held = members[k]
    way = rng.integers(8)
    if way < 4:
        members[k] = name, change(held, rng)
    elif way == 4:
        members[k] = _pick(rng, ("x.npy", ".npy", "../up.npy", "é.npy", name[:-4], "a/b.npy", "n" * 300 + ".npy")), held
    elif way == 5:
        del members[k]
    elif way == 6:
        members.append((name, change(held, rng)))
    else:
        members[k] = name, array(rng)
    return _zipped(
        members, int(_pick(rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))
    )


def _zipped(members: list[tuple[str, bytes]], packing: int) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", packing) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, held in members:
            archive.writestr(zipfile.ZipInfo(name), held, packing)  # of 1980, whenever it is made
    return out.getvalue()


def dateless(data: bytes) -> bytes:
    """A file without the time when it was made, so that a seed always gives the same damage."""
    if not data.startswith(b"PK\x03\x04"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return _zipped([(name, archive.read(name)) for name in archive.namelist()], zipfile.ZIP_DEFLATED)


def array(rng: Rng) -> bytes:
    """A whole .npy of another type or shape than is expected."""
    shape = _pick(rng, ((), (0,), (1,), (3,), (5, 0), (2, 7), (7, 2), (30, 3), (30, 4), (2, 3, 4), (3, 0, 2)))
    kind = _pick(
        rng, ("f8", ">f8", "f4", "f2", "i8", ">i4", "u8", "u1", "?", "c16", "S3", "U4", "M8[s]", "V5", "f8,i4")
    )
    out = io.BytesIO()
    x = rng.integers(-3, 50, shape).astype("i8")
    fields = kind in ("V5", "f8,i4", "M8[s]", "S3", "U4")
    y = np.zeros(shape, kind) if fields else x.astype(kind)
    np.save(out, np.asfortranarray(y) if rng.random() < 0.3 else y)
    return out.getvalue()


def _e57(data: bytes, rng: Rng, change: Change) -> bytes:
    """The pages without their sums are changed, and get new sums."""
    pages = [data[i : i + _PAGE] for i in range(0, len(data), _PAGE)]
    held = change(b"".join(page[:-4] for page in pages), rng)
    if rng.random() < 0.8:  # the size of the file, which the header has
        size = -(-len(held) // (_PAGE - 4)) * _PAGE
        held = held[:16] + struct.pack("<Q", size) + held[24:]
    rows = [held[i : i + _PAGE - 4] for i in range(0, len(held), _PAGE - 4)]
    rows = [row.ljust(_PAGE - 4, b"\0") for row in rows]
    return b"".join(row + struct.pack(">I", _crc32c(row)) for row in rows)


def _parquet(data: bytes, rng: Rng, change: Change) -> bytes:
    """A column is of another type, has holes, another name, or is not there."""
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(data))
    names, columns = list(table.column_names), [table.column(k) for k in range(table.num_columns)]
    k = int(rng.integers(len(names)))
    n = table.num_rows if rng.random() < 0.8 else int(_pick(rng, (0, 1)))
    columns = [column.slice(0, n) for column in columns]
    odd: list[list] = [
        [None] * n, [float("nan")] * n, [1.5] * n, [2.0] * n, [True] * n, ["a"] * n, ["7"] * n, [b"\xff"] * n,
        [[1]] * n, [{"a": 1}] * n, [2**63 - 1] * n, [-(2**63)] * n, [-1] * n, [None, *[3] * (n - 1)][:n], ["+"] * n,
        ["x\n\0é"] * n,
    ]  # fmt: skip
    way = rng.integers(8)
    if way < 4:
        columns[k] = pa.array(_pick(rng, odd))
    elif way == 4:
        kind = _pick(rng, (pa.uint64(), pa.int8(), pa.date32(), pa.timestamp("ns"), pa.decimal128(30, 3), pa.float16()))
        columns[k] = pa.array([1] * n, pa.int64()).cast(kind, safe=False) if kind != pa.date32() else pa.nulls(n, kind)
    elif way == 5:
        names[k] = _pick(rng, ("", "x", names[0], "é\n", "A" * 9000, "source", "start"))
    elif way == 6:
        columns[k] = pa.array(["a"] * n).dictionary_encode()
    else:
        del names[k], columns[k]
    out = io.BytesIO()
    parquet.write_table(pa.table(columns, names=names), out, row_group_size=int(_pick(rng, (7, 1000))))
    return out.getvalue() if rng.random() < 0.8 else change(out.getvalue(), rng)


def _ogg(data: bytes, rng: Rng, change: Change) -> bytes:
    """What the pages hold is changed, or their heads, and they get new sums."""
    pages = data.split(b"OggS")[1:]
    k = int(rng.integers(len(pages)))
    pages[k] = change(pages[k], rng)
    if rng.random() < 0.2:
        pages.insert(int(rng.integers(len(pages) + 1)), _pick(rng, pages))
    whole = (b"OggS" + page[:18] + bytes(4) + page[22:] for page in pages)
    return b"".join(page[:22] + struct.pack("<I", _ogg_sum(page)) + page[26:] for page in whole)


def _ogg_sum(page: bytes) -> int:
    value = 0
    for byte in page:
        value = value << 8 & 0xFFFFFFFF ^ _OGG_SUMS[value >> 24 ^ byte]
    return value


def _ogg_table() -> list[int]:
    table = []
    for k in range(256):
        value = k << 24
        for _ in range(8):
            value = value << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if value >> 31 else 0)
        table.append(value)
    return table


_OGG_SUMS = _ogg_table()


def _table() -> list[int]:
    table = []
    for k in range(256):
        for _ in range(8):
            k = k >> 1 ^ (0x82F63B78 if k & 1 else 0)
        table.append(k)
    return table


_SUMS = _table()


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _SUMS[(value ^ byte) & 255]
    return value ^ 0xFFFFFFFF


def chunks(data: bytes, rng: Rng) -> bytes:
    """The chunks of RIFF, RF64 or AIFF in another order, one of them twice, gone, of another size, or cut."""
    if data[:4] not in (b"RIFF", b"RF64", b"FORM"):
        return data
    order = "big" if data[:4] == b"FORM" else "little"
    found, at = [], 12
    while at + 8 <= len(data):
        size = min(int.from_bytes(data[at + 4 : at + 8], order), len(data) - at - 8)
        found.append(data[at : at + 8 + size + size % 2])
        at += 8 + size + size % 2
    if not found:
        return data
    i, j = (int(k) for k in rng.integers(len(found), size=2))
    way = rng.integers(6)
    if way == 0:
        found[i], found[j] = found[j], found[i]
    elif way == 1:
        found.insert(j, found[i])
    elif way == 2:
        del found[i]
    elif way == 3:
        found[i] = found[i][: int(rng.integers(len(found[i]) + 1))]
    elif way == 4:
        size = int(_pick(rng, (0, 1, 2, 3, 14, 15, 17, 39, 41, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)))
        found[i] = found[i][:4] + size.to_bytes(4, order) + found[i][8:]
    else:
        body = rng.bytes(int(rng.integers(0, 30)))
        name = _pick(rng, (b"LIST", b"fact", b"ds64", b"fmt ", b"data", b"JUNK", b"\0\0\0\0"))
        found.insert(j, name + len(body).to_bytes(4, order) + body)
    body = data[8:12] + b"".join(found)
    size = len(body) if rng.random() < 0.6 else int.from_bytes(data[4:8], order)
    return data[:4] + size.to_bytes(4, order) + body


def _pick(rng: Rng, choices):
    return choices[rng.integers(len(choices))]
