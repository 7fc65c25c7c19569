"""Recordings as other programs write them: every kind that libsndfile writes, and careless headers."""

import struct

import numpy as np
import pytest

from fastdl.errors import FileError
from fastdl.files import open_audio, read_audio

soundfile = pytest.importorskip("soundfile")

X = (8000 * np.random.default_rng(0).standard_normal(3000)).clip(-32768, 32767).astype(np.int16)
ENDINGS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "rf64",
    "W64": "w64",
    "FLAC": "flac",
    "AIFF": "aiff",
    "AU": "au",
    "CAF": "caf",
}
KINDS = [(form, kind) for form in ENDINGS for kind in soundfile.available_subtypes(form) if not kind.startswith("MPEG")]


def written(folder, form, kind, channels):
    """A file, or a skip where libsndfile cannot write it."""
    path = folder / f"x.{ENDINGS[form]}"
    try:
        soundfile.write(path, X if channels == 1 else X.reshape(-1, channels), 16000, subtype=kind, format=form)
    except (soundfile.LibsndfileError, ValueError) as error:
        pytest.skip(str(error))
    return path


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("form", "kind"), KINDS, ids="-".join)
def test_whatever_libsndfile_writes(tmp_path, form, kind, channels):
    """GSM, G.721 and others cannot be sought in; DWVW cannot be read by soundfile's own read."""
    path = written(tmp_path, form, kind, channels)
    got = read_audio(path)
    try:
        want, _ = soundfile.read(path, dtype="int16" if got.dtype == np.uint8 else got.dtype.name)
    except soundfile.LibsndfileError:
        assert kind.startswith("DWVW")
        want = (X / 32768).astype(got.dtype)
    samples = (got.astype(np.int16) - 128) << 8 if got.dtype == np.uint8 else got
    np.testing.assert_array_equal(samples, want)
    if kind != "DWVW_12":  # libsndfile finds its length only at its end
        np.testing.assert_array_equal(read_audio(path, 1001, 300), got[1001:1301])


def riff(*chunks, pad=True):
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (pad and len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def form(bits=16, align=2, tag=1, rate=8000):
    return struct.pack("<HHIIHH", tag, 1, rate, rate * align, align, bits)


def test_w64_of_a_pipe_of_sox(tmp_path):
    """libsndfile writes its header twice to what it cannot come back to, and once more behind the samples."""
    tail = bytes.fromhex("f3acd311 8cd100c0 4f8edb8a")

    def header(size):
        riff64 = bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000") + bytes(8) + b"wave" + tail
        kind = b"fmt " + tail + struct.pack("<Q", 40) + form()
        return riff64 + kind + b"data" + tail + struct.pack("<q", size)

    (tmp_path / "x.w64").write_bytes(header(23) + header(23) + X.tobytes() + header(-80))
    np.testing.assert_array_equal(read_audio(tmp_path / "x.w64"), X)
    (tmp_path / "x.w64").write_bytes(header(24) + X.tobytes())
    np.testing.assert_array_equal(read_audio(tmp_path / "x.w64"), X)


def test_adpcm_of_dialogic_in_pieces_of_any_length(tmp_path):
    """Of a .vox, libsndfile loses a sample of every read of an odd number."""
    data = np.random.default_rng(1).choice(np.array([0x80, 0x08, 0x19, 0x91, 0x3B], np.uint8), 2000)
    (tmp_path / "x.vox").write_bytes(data.tobytes())
    want, _ = soundfile.read(tmp_path / "x.vox", dtype="float32")
    np.testing.assert_array_equal(np.concatenate(list(open_audio(tmp_path / "x.vox").chunks(777))), want)
    np.testing.assert_array_equal(read_audio(tmp_path / "x.vox", 1001, 301), want[1001:1302])


@pytest.mark.parametrize("odd", [b"a", b"abcde", b"x" * 333])
@pytest.mark.parametrize("between", [False, True])
def test_chunks_of_odd_size_without_their_padding(tmp_path, odd, between):
    chunks = [(b"LIST", odd), (b"fmt ", form()), (b"data", X.tobytes())]
    if between:
        chunks[:2] = chunks[1::-1]
    for pad in (True, False):
        (tmp_path / "x.wav").write_bytes(riff(*chunks, pad=pad))
        np.testing.assert_array_equal(read_audio(tmp_path / "x.wav"), X)


@pytest.mark.parametrize(
    ("head", "samples", "want"),
    [
        (form(12), (X & ~15).tobytes(), X & ~15),
        (form(20, 3), np.insert(X.view(np.uint8).reshape(-1, 2), 0, 0, 1).tobytes(), X.astype(np.int32) << 16),
        (struct.pack("<HHIIHH", 1, 1, 8000, 1, 2, 16), X.tobytes(), X),
        (struct.pack("<HHIIHH", 1, 1, 8000, 0, 0, 16), X.tobytes(), X),
        (form() + b"\0\0", X.tobytes(), X),
        (form(32, 4, 3), (X / 32768).astype("<f4").tobytes(), (X / 32768).astype(np.float32)),
    ],
    ids=["12 bits in 2 bytes", "20 bits in 3", "wrong byte rate", "no alignment", "longer format", "float"],
)
def test_headers_of_other_writers(tmp_path, head, samples, want):
    (tmp_path / "x.wav").write_bytes(riff((b"fmt ", head), (b"data", samples)))
    np.testing.assert_array_equal(read_audio(tmp_path / "x.wav"), want)


@pytest.mark.parametrize("kind", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
@pytest.mark.parametrize("channels", [1, 2])
def test_caf_whose_size_is_not_known(tmp_path, kind, channels):
    """As it is written to a pipe: its samples go to the end of the file."""
    soundfile = pytest.importorskip("soundfile")

    path = tmp_path / "a.caf"
    soundfile.write(path, np.sin(np.arange(3000)).reshape(-1, channels), 8000, kind)
    want = open_audio(path).read()
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 12] = b"\xff" * 8
    path.write_bytes(data)
    recording = open_audio(path)
    assert recording.frames == 3000 // channels and not recording.is_estimate
    assert np.array_equal(recording.read(), want)
    assert np.array_equal(recording.read(100, 50), want[100:150])
    assert np.array_equal(np.concatenate(list(recording.chunks(77))), want)
    for size in (-1, -2, 2**62, 2**63 - 1, 5):
        path.write_bytes(data[:at] + b"junk" + (size % 2**64).to_bytes(8, "big"))
        with pytest.raises(FileError, match=r"a\.caf"):
            open_audio(path)
