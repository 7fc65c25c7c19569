"""LZF decompression: the kernel against its reference, on good, corrupt and hostile bytes."""

import numpy as np
import pytest

from fastdl import _kernels
from fastdl.reference import files as reference

kernel = _kernels.load("files_lzf")
ways = pytest.mark.parametrize("way", [kernel, reference], ids=["kernel", "reference"])


def compress(data):
    """A plain LZF compressor: the longest match at the last place of the next three bytes."""
    out, literals, seen, i = bytearray(), bytearray(), {}, 0

    def flush():
        for k in range(0, len(literals), 32):
            part = literals[k : k + 32]
            out.extend((len(part) - 1, *part))
        literals.clear()

    while i < len(data):
        key = bytes(data[i : i + 3])
        at = seen.get(key, -1)
        if len(key) == 3:
            seen[key] = i
        if at >= 0 and i - at <= 8192:
            length = 3
            while length < 264 and i + length < len(data) and data[at + length] == data[i + length]:
                length += 1
            flush()
            distance, short = i - at - 1, length - 2
            out.append((min(short, 7) << 5) | (distance >> 8))
            if short >= 7:
                out.append(short - 7)
            out.append(distance & 255)
            i += length
        else:
            literals.append(data[i])
            i += 1
    flush()
    return bytes(out)


def decompress(way, data, size):
    if way is None:
        pytest.skip("the kernel is not built or not used")
    target = np.zeros(size, np.uint8)
    return way.decompress(np.frombuffer(data, np.uint8), target), target.tobytes()


def samples():
    rng = np.random.default_rng(0)
    yield b"a"
    yield b"abcabcabcabcabcabcabc"
    yield bytes(100_000)
    yield rng.bytes(5000)
    yield rng.integers(0, 4, 20_000, dtype=np.uint8).tobytes()
    yield np.cumsum(rng.normal(size=5000)).astype("<f4").tobytes()


@ways
def test_gives_back_what_was_compressed(way):
    for data in samples():
        assert decompress(way, compress(data), len(data)) == (-1, data)


@ways
def test_literals_and_copies_by_hand(way):
    assert decompress(way, b"\x02abc", 3) == (-1, b"abc")
    assert decompress(way, b"\x00a\x20\x00", 4) == (-1, b"aaaa")  # copy 3 from distance 1
    assert decompress(way, b"\x01ab\xe0\x01\x01", 12) == (-1, b"ab" * 6)  # the long form: 7 + 2 + 1


@ways
@pytest.mark.parametrize(
    ("data", "size", "place"),
    [
        (b"\x02ab", 3, 0),  # literals end early
        (b"\x02abc", 2, 0),  # more than was announced
        (b"\x02abc", 4, 4),  # less than was announced
        (b"\x00a\x20\x01", 4, 2),  # from before the start
        (b"\x20\x00", 3, 0),
        (b"\x00a\x20", 4, 2),  # distance missing
        (b"\x00a\xe0", 99, 2),  # length missing
        (b"\x00a\xe0\x05", 99, 2),
        (b"\x00a\xe0\xff\x00", 200, 2),  # a copy over the end
    ],
)
def test_corrupt_data_tells_where(way, data, size, place):
    assert decompress(way, data, size)[0] == place


def test_kernel_and_reference_agree_on_anything():
    rng = np.random.default_rng(1)
    for k in range(3000):
        data = bytearray(compress(rng.integers(0, 3, 60, dtype=np.uint8).tobytes()) if k % 2 else rng.bytes(1 + k % 40))
        data[rng.integers(len(data))] = rng.integers(256)
        size = int(rng.integers(1, 120))
        got, want = decompress(kernel, data, size), decompress(reference, data, size)
        assert got[0] == want[0]
        if got[0] == -1:
            assert got[1] == want[1]


@ways
def test_writes_nothing_outside(way):
    if way is None:
        pytest.skip("the kernel is not built or not used")
    rng = np.random.default_rng(2)
    room = np.full(300, 77, np.uint8)
    for _ in range(500):
        way.decompress(np.frombuffer(rng.bytes(200), np.uint8), room[100:200])
        assert (room[:100] == 77).all()
        assert (room[200:] == 77).all()
