"""WAV files of every kind, written byte by byte from their definitions."""

import struct

import numpy as np

import fastdl
from fastdl.files.audio import _wav_header

RATE = 16000


X = np.random.default_rng(0).integers(-32768, 32768, 5000, dtype=np.int16)


PCM_GUID = struct.pack("<I", 1) + _wav_header.GUID_TAIL


def chunk(name, data, size=None):
    return name + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def fmt(tag=1, channels=1, bits=16, extra=b""):
    width = channels * (bits + 7) // 8
    return struct.pack("<HHIIHH", tag, channels, RATE, RATE * width, width, bits) + extra


def riff(form, data, *, name=b"RIFF", size=None, before=b"", data_size=None):
    body = b"WAVE" + before + chunk(b"fmt ", form) + chunk(b"data", data, data_size)
    return name + struct.pack("<I", len(body) if size is None else size) + body


def w64(form, data):
    def part(name, body):
        return name + _wav_header.W64_TAIL + struct.pack("<Q", len(body) + 24) + body + b"\0" * (-len(body) % 8)

    body = b"wave" + _wav_header.W64_TAIL + part(b"fmt ", form) + part(b"data", data)
    return _wav_header.W64_RIFF + struct.pack("<Q", len(body) + 24) + body


def ds64(data_size):
    return chunk(b"ds64", struct.pack("<QQQI", 0, data_size, 0, 0))


def pcm24(x):
    return (x.astype(np.int32) << 8).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def aligned24(x):
    """24 bits in the upper bytes of four."""
    return (x.astype("<i4") << 16).tobytes()


RAW = X.tobytes()


BIG = 0xFFFFFFFF


EXTENSIBLE = struct.pack("<HHI", 22, 16, 4) + PCM_GUID


FILES = {
    "pcm16": riff(fmt(), RAW),
    "pcm8": riff(fmt(bits=8), ((X >> 8) + 128).astype(np.uint8).tobytes()),
    "pcm24": riff(fmt(bits=24), pcm24(X)),
    "pcm32": riff(fmt(bits=32), (X.astype("<i4") << 16).tobytes()),
    "float32": riff(fmt(3, bits=32), (X / np.float32(32768)).astype("<f4").tobytes()),
    "float64": riff(fmt(3, bits=64), (X / 32768).astype("<f8").tobytes()),
    "extensible": riff(fmt(0xFFFE, extra=EXTENSIBLE), RAW),
    "mu": riff(fmt(7, bits=8), fastdl.g711_encode(X).tobytes()),
    "a": riff(fmt(6, bits=8), fastdl.g711_encode(X, "a").tobytes()),
    "rf64": riff(fmt(), RAW, name=b"RF64", size=BIG, before=ds64(len(RAW)), data_size=BIG),
    "bw64": riff(fmt(), RAW, name=b"BW64", size=BIG, before=ds64(len(RAW)), data_size=BIG),
    "w64": w64(fmt(), RAW),
    "size 0": riff(fmt(), RAW, data_size=0),
    "size unknown": riff(fmt(), RAW, size=BIG, data_size=BIG),
    "sox pipe": riff(fmt(), RAW, size=0x7FFFF024, data_size=0x7FFFF000),
    "arecord": riff(fmt(), RAW, size=2_000_000_036, data_size=2_000_000_000),
    "int32 maximum": riff(fmt(), RAW, size=0x7FFFFFFF, data_size=0x7FFFFFFF - 36),
    "size unknown, cut frame": riff(fmt(), RAW, data_size=0x80000000) + b"x",
    "rf64, data 0": riff(fmt(), RAW, name=b"RF64", size=BIG, before=ds64(len(RAW)), data_size=0)
    + chunk(b"LIST", b"ab"),
    "24 bits in 4": riff(struct.pack("<HHIIHH", 1, 1, RATE, 4 * RATE, 4, 24), aligned24(X)),
    "mu, bits 0": riff(struct.pack("<HHIIHH", 7, 1, RATE, RATE, 1, 0), fastdl.g711_encode(X).tobytes()),
    "mu, bits 16": riff(struct.pack("<HHIIHH", 7, 1, RATE, RATE, 1, 16), fastdl.g711_encode(X).tobytes()),
    "odd chunk before": riff(fmt(), RAW, before=chunk(b"LIST", b"abc")),
    "trailing chunk": riff(fmt(), RAW) + chunk(b"LIST", b"abcd"),
    "big-endian": b"RIFX"
    + struct.pack(">I", 36 + len(RAW))
    + b"WAVEfmt "
    + struct.pack(">IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    + b"data"
    + struct.pack(">I", len(RAW))
    + X.astype(">i2").tobytes(),
}
