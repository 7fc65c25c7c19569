"""Writes LAS and LAZ files: like a LAS file that the cloud comes from, or else as LAS 1.4."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastdl._typing import Array
from fastdl.errors import InputError
from fastdl.files.points import laz
from fastdl.files.points.fields import Field, record_dtype, unique
from fastdl.files.points.las import LasReader, integer_ends
from fastdl.files.points.las_fields import EXTRA_TYPES, standard_fields
from fastdl.files.points.las_header import HEADER_SIZES, RECORD_SIZES, Evlr, LasHeader, Vlr
from fastdl.files.points.sorted_rows import CloudRows

#: For each point format with waveform packets, the same one without.
_WITHOUT_WAVEFORMS = {4: 1, 5: 3, 9: 6, 10: 8}
_COLOURS = ("red", "green", "blue")
_NAME = 32  # bytes of an extra column's name
_WKT, _WAVEFORM_BITS = 0x10, 0x06  # of the global encoding
_COPY = 1 << 20  # bytes copied at once


@dataclass
class Plan:
    """A file to write: its header, the place of each column in a record, and the other records of the file."""

    header: bytearray
    fields: list[Field]
    columns: dict[str, Field]  # the place of each of the cloud's columns in the record
    size: int
    vlrs: list[bytes]
    between: bytes = b""
    evlrs: list[Evlr] = field(default_factory=list)
    source: Path | None = None
    renamed: dict[str, str] = field(default_factory=dict)
    narrow: frozenset[str] = frozenset()  # 8-bit colours, which LAS's specification puts in the upper byte of 16 bits

    @property
    def point_format(self) -> int:
        """0 to 10."""
        return self.header[104] & 0x3F

    def put(self, kind: str, at: int, *values: float) -> None:
        """Set numbers of the header, of the types `kind` of `struct`, from byte `at` on."""
        struct.pack_into("<" + kind, self.header, at, *values)


def write_las(file: IO[bytes], rows: CloudRows, like: object = None, *, compress: bool = False) -> dict[str, str]:
    """Write a LAS or LAZ file with every column of `rows`; returns the new names of columns that were renamed.

    If `like` is a LAS file, its point format, scale, offset, projection and header texts are taken over; waveforms are
    left out, and LAS 1.0 becomes 1.2. Otherwise LAS 1.4 is written: columns of a LAS field's name and range become
    that field (8-bit colours in the upper byte of 16 bits), the others extra bytes. The scale of coordinates is then
    0.0001, or the least larger power of ten for which the whole cloud fits in 32 bits.
    """
    plan = _plan_like(like, rows) if isinstance(like, LasReader) else _new_plan(rows)
    lazrs = laz.import_lazrs("writing") if compress else None
    vlrs = plan.vlrs
    if lazrs is not None:
        plain = RECORD_SIZES[plan.point_format]
        packing = lazrs.LazVlr.new_for_compression(plan.point_format, plan.size - plain)
        vlrs = [*vlrs, _vlr(*laz.LASZIP, packing.record_data())]
    start = len(plan.header) + sum(map(len, vlrs)) + len(plan.between)
    plan.header[104] = plan.point_format | (0x80 if compress else 0)
    plan.put("H", 105, plan.size)
    plan.put("II", 96, start, len(vlrs))
    file.write(b"".join([plan.header, *vlrs, plan.between]))
    if lazrs is not None:
        compressor = lazrs.ParLasZipCompressor(file, packing)
        totals = _write_points(plan, rows, like, compressor.compress_many)
        compressor.done()
    else:
        totals = _write_points(plan, rows, like, file.write)
    file.seek(0, 2)
    _finish(file, plan, totals)
    return plan.renamed


@dataclass
class _Totals:
    """What the header says about the points; `low` and `high` are the extremes of their integers X, Y, Z."""

    points: int = 0
    low: Array = field(default_factory=lambda: np.full(3, 2**31 - 1, np.int64))
    high: Array = field(default_factory=lambda: np.full(3, -(2**31), np.int64))
    returns: Array = field(default_factory=lambda: np.zeros(16, np.int64))


def _write_points(plan: Plan, rows: CloudRows, like: object, write: Callable[[Any], object]) -> _Totals:
    totals = _Totals()
    own = record_dtype(plan.fields, plan.size)
    # The source's records are written unchanged, without waveform packets.
    source = like if isinstance(like, LasReader) and rows.schema == like.record else None
    for block in rows.blocks():
        out = _records(plan, own, block) if source is None else _cut(block, source, plan)
        if not len(out):
            continue
        low, high = integer_ends(out)
        totals.low, totals.high = np.minimum(totals.low, low), np.maximum(totals.high, high)
        returns = next(f for f in plan.fields if f.name == "return_number").read(out)
        totals.returns += np.bincount(returns, minlength=16)[:16]
        totals.points += len(out)
        write(out.view(np.uint8).reshape(-1).data)
    return totals


def _cut(block: Array, like: LasReader, plan: Plan) -> Array:
    """Records without their waveform packets: the standard fields, and the extra bytes behind them."""
    own = record_dtype(plan.fields, plan.size)
    if plan.size == like.record.itemsize:
        return np.ascontiguousarray(block).view(own)
    raw = np.ascontiguousarray(block).view(np.uint8).reshape(len(block), like.record.itemsize)
    standard, packet = RECORD_SIZES[plan.point_format], RECORD_SIZES[like.header.point_format]
    return np.ascontiguousarray(np.hstack([raw[:, :standard], raw[:, packet:]])).reshape(-1).view(own)


def _records(plan: Plan, own: np.dtype, block: Array) -> Array:
    """The rows of a block as LAS records."""
    out = np.zeros(len(block), own)
    raw = bytes(plan.header)
    scales, offsets = (np.frombuffer(raw, "<f8", 3, at) for at in (131, 155))
    for axis, scale, offset in zip("xyz", scales, offsets):
        steps = np.rint((block[axis] - offset) / scale)
        if not ((steps >= -(2**31)) & (steps < 2**31)).all():
            raise InputError(f"{axis} does not fit in a LAS file's 32-bit integers of {scale}")
        out[axis.upper()] = steps
    for name, place in plan.columns.items():
        column = block[name]
        if place.mask and len(column) and int(column.max()) > place.mask:
            raise InputError(f"column {name} holds {column.max()}, but LAS has room for 0 to {place.mask}")
        place.write(out, column * np.uint16(256) if name in plan.narrow else column)
    return out


def _finish(file: IO[bytes], plan: Plan, totals: _Totals) -> None:
    """Write the records after the points, and the numbers of the header that are known only at the end."""
    at = file.tell()
    if plan.evlrs and plan.source is not None:
        with open(plan.source, "rb") as source:
            for evlr in plan.evlrs:
                source.seek(evlr.start)
                for start in range(0, evlr.size, _COPY):
                    file.write(source.read(min(_COPY, evlr.size - start)))
    raw = bytes(plan.header)
    scales, offsets = (np.frombuffer(raw, "<f8", 3, place) for place in (131, 155))
    low, high = (totals.low * scales + offsets, totals.high * scales + offsets) if totals.points else np.zeros((2, 3))
    plan.put("6d", 179, *np.stack([high, low], axis=1).ravel())
    legacy = plan.point_format < 6 and totals.points < 2**32
    plan.put("I", 107, totals.points if legacy else 0)
    plan.put("5I", 111, *(totals.returns[1:6] if legacy else np.zeros(5, int)))
    minor = plan.header[25]
    if minor < 4 and not legacy:
        raise InputError(f"LAS 1.{minor} has no room for {totals.points} points")
    if minor >= 3:
        plan.put("Q", 227, 0)
    if minor >= 4:
        plan.put("QI", 235, at if plan.evlrs else 0, len(plan.evlrs))
        plan.put("Q15Q", 247, totals.points, *totals.returns[1:16])
    file.seek(0)
    file.write(plan.header)


def _plan_like(like: LasReader, rows: CloudRows) -> Plan:
    """The plan of a file like `like`."""
    old: LasHeader = like.header
    header = bytearray(old.raw)
    form = _WITHOUT_WAVEFORMS.get(old.point_format, old.point_format)
    less = RECORD_SIZES[old.point_format] - RECORD_SIZES[form]
    header[104] = form
    if old.minor == 0:
        header[25], header[6:8] = 2, b"\0\0"
    if old.minor >= 3:
        header[6] &= ~_WAVEFORM_BITS & 0xFF
    vlrs = [v.raw for v in old.vlrs if not _is_left_out(v)]
    moved = [Field(f.name, f.offset - less * (f.offset >= RECORD_SIZES[old.point_format]), f.dtype, f.shift, f.mask,
                   f.scale, f.zero) for f in like.fields.values()]  # fmt: skip
    standard = {f.name: f for f in standard_fields(form)}
    fields = [standard.get(f.name, f) if f.offset < RECORD_SIZES[form] else f for f in moved]
    by_name = dict(zip(like.columns, fields))
    names = [n for n in (rows.schema.names or ()) if n in by_name and n not in ("x", "y", "z")]
    between = old.between if old.minor else b""
    copc = any(v.user.lower() == b"copc" for v in old.vlrs)
    return Plan(
        header, fields, {n: by_name[n] for n in names}, old.record_size - less, vlrs, b"" if copc else between,
        [e for e in old.evlrs if not _is_left_out(e)], like.path,
    )  # fmt: skip


def _is_left_out(record: Vlr | Evlr) -> bool:
    """Whether a record does not apply to the new file: COPC's hierarchy, the compression, or waveforms."""
    user = record.user.lower()
    waveform = user == b"lasf_spec" and (100 <= record.number < 355 or record.number == 65535)
    return user == b"copc" or (user, record.number) == laz.LASZIP or waveform


def _vlr(user: bytes, number: int, data: bytes) -> bytes:
    return struct.pack("<H16sHH32s", 0, user, number, len(data), b"") + data


def _new_plan(rows: CloudRows) -> Plan:
    """The plan of a LAS 1.4 file for columns that do not come from a LAS file."""
    schema = rows.schema
    names = [n for n in (schema.names or ()) if n not in ("x", "y", "z")]
    form = 7 if set(_COLOURS) <= {n.lower() for n in names} else 6
    standard = {f.name: f for f in standard_fields(form)}
    columns: dict[str, Field] = {}
    for name in sorted(names, key=lambda n: n != n.lower()):  # "intensity" before "Intensity"
        place = standard.get(name.lower())
        if place and place not in columns.values() and np.can_cast(schema[name], place.dtype, "safe"):
            columns[name] = place
    taken = {"x", "y", "z", "X", "Y", "Z", *standard}
    extra = [name for name in names if name not in columns]
    renamed, places = {}, []
    at = RECORD_SIZES[form]
    for name in extra:
        kind = _extra_type(schema[name])
        given = _extra_name(name, taken)
        places.append(Field(given, at, kind))
        columns[name] = places[-1]
        at += kind.itemsize
        if given != name:
            renamed[name] = given
    header = bytearray(HEADER_SIZES[4])
    vlrs = [_vlr(b"LASF_Spec", 4, b"".join(map(_descriptor, places)))] if places else []
    axes = [Field(axis, 4 * k, np.dtype("<i4")) for k, axis in enumerate("XYZ")]
    narrow = frozenset(n for n, f in columns.items() if f.name in _COLOURS and schema[n].itemsize == 1)
    plan = Plan(header, [*axes, *standard.values(), *places], columns, at, vlrs, renamed=renamed, narrow=narrow)
    header[:4], header[24:26], header[104] = b"LASF", b"\x01\x04", form
    header[58:64] = b"fastdl"
    plan.put("H", 6, _WKT)
    plan.put("H", 94, len(header))
    offsets, scale = _lattice(rows)
    plan.put("6d", 131, scale, scale, scale, *offsets)
    return plan


def _extra_type(dtype: np.dtype) -> np.dtype:
    kind = np.dtype({"b": np.uint8}.get(dtype.kind, dtype)).newbyteorder("<")
    kind = np.dtype("<f4") if kind.itemsize == 2 and kind.kind == "f" else kind
    if kind.str not in {np.dtype(t).str for t in EXTRA_TYPES}:
        raise InputError(f"a LAS file cannot hold a column of {dtype}")
    return kind


def _extra_name(name: str, taken: set[str]) -> str:
    """A name of at most 32 bytes that is not taken yet."""
    clean = "".join(c if c.isprintable() else "_" for c in name) or "extra"
    if clean.lower() in taken and clean.lower() == clean:
        clean = f"{clean}_value"
    short = _cut_text(clean, _NAME)
    number = 2
    while short in taken:
        short, number = f"{_cut_text(clean, _NAME - 1 - len(str(number)))}_{number}", number + 1
    return unique(short, taken)


def _cut_text(text: str, size: int) -> str:
    """The longest beginning that takes at most `size` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def _descriptor(place: Field) -> bytes:
    kinds = [np.dtype(t).str for t in EXTRA_TYPES]
    return struct.pack("<xxBB32s156x", kinds.index(place.dtype.str) + 1, 0, place.name.encode())


def _lattice(rows: CloudRows) -> tuple[Array, float]:
    """The offsets and the scale of integers that can represent the whole cloud."""
    low, high = (np.floor(rows.low), rows.high) if rows.count else (np.zeros(3), np.zeros(3))
    step = 1e-4
    while (high - low).max() + 1 > step * (1 << 30):
        step *= 10
    return low, float(f"{step:.0e}")
