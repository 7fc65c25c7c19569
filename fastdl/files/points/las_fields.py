"""The columns of a LAS point record: the attributes of the point formats, and extra bytes."""

from __future__ import annotations

import struct

import numpy as np

from fastdl.files.points.fields import Field, unique
from fastdl.files.points.las_header import RECORD_SIZES, LasHeader
from fastdl.files.points.reader import decode


def _bits(offset: int, *parts: tuple[str, int]) -> list[Field]:
    """The columns of one byte: (name, bits) from the lowest bit up."""
    fields, shift = [], 0
    for name, width in parts:
        fields.append(Field(name, offset, np.dtype(np.uint8), shift, (1 << width) - 1))
        shift += width
    return fields


def standard_fields(point_format: int) -> list[Field]:
    """The attributes of a point format, in the order of the record, without waveform packets."""

    def field(name: str, kind: str, offset: int) -> Field:
        return Field(name, offset, np.dtype(kind))

    fields = [field("intensity", "<u2", 12)]
    if point_format < 6:
        fields += _bits(
            14, ("return_number", 3), ("number_of_returns", 3), ("scan_direction_flag", 1), ("edge_of_flight_line", 1)
        )
        fields += _bits(15, ("classification", 5), ("synthetic", 1), ("key_point", 1), ("withheld", 1))
        fields += [
            field("scan_angle_rank", "i1", 16),
            field("user_data", "u1", 17),
            field("point_source_id", "<u2", 18),
        ]
        at = 20
    else:
        fields += _bits(14, ("return_number", 4), ("number_of_returns", 4))
        fields += _bits(15, ("synthetic", 1), ("key_point", 1), ("withheld", 1), ("overlap", 1), ("scanner_channel", 2))
        fields += _bits(15, ("", 6), ("scan_direction_flag", 1), ("edge_of_flight_line", 1))[1:]
        fields += [field("classification", "u1", 16), field("user_data", "u1", 17), field("scan_angle", "<i2", 18)]
        fields += [field("point_source_id", "<u2", 20)]
        at = 22
    if point_format not in (0, 2):
        fields.append(field("gps_time", "<f8", at))
        at += 8
    if point_format in (2, 3, 5, 7, 8, 10):
        fields += [field(name, "<u2", at + 2 * k) for k, name in enumerate(("red", "green", "blue"))]
        at += 6
    if point_format in (8, 10):
        fields.append(field("nir", "<u2", at))
    return fields


#: The dtypes of extra bytes: data type 1 is the first; 11 to 20 are pairs and 21 to 30 triples of these.
EXTRA_TYPES = ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8")
_DESCRIPTOR = 192  # bytes
_SCALED, _SHIFTED = 8, 16  # bits of a descriptor's options: it has a scale, an offset


def extra_fields(header: LasHeader) -> list[Field]:
    """The extra columns that the file describes, which follow the standard ones; undescribed bytes are skipped.

    Names are UTF-8, or else Latin 1; a name that is already in use gets a number.
    """
    described = header.vlr(b"lasf_spec", 4)
    at, end = RECORD_SIZES[header.point_format], header.record_size
    taken = {"x", "y", "z", "X", "Y", "Z", *(f.name for f in standard_fields(header.point_format))}
    fields = []
    data = described.data if described else b""
    for start in range(0, len(data) - len(data) % _DESCRIPTOR, _DESCRIPTOR):
        kind, options = data[start + 2], data[start + 3]
        raw = data[start + 4 : start + 36].partition(b"\0")[0]
        if kind == 0:  # untyped bytes, whose number is in `options`
            at += options
            continue
        if kind > 30:
            break
        dtype, count = np.dtype(EXTRA_TYPES[(kind - 1) % 10]), (kind - 1) // 10 + 1
        if at + count * dtype.itemsize > end:
            break
        name = decode(raw) or "extra"
        for k in range(count):
            steps = struct.unpack_from("<d", data, start + 112 + 8 * k)[0] if options & _SCALED else 1.0
            zero = struct.unpack_from("<d", data, start + 136 + 8 * k)[0] if options & _SHIFTED else 0.0
            scaled = bool(options & (_SCALED | _SHIFTED)) and np.isfinite(steps) and np.isfinite(zero) and steps != 0
            given = unique(name if count == 1 else f"{name}_{k}", taken)
            fields.append(Field(given, at, dtype, 0, 0, steps if scaled else None, zero if scaled else 0.0))
            at += dtype.itemsize
    return fields
