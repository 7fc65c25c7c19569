"""Readers and writers of audio files: every kind of WAV, and what soundfile reads."""

import io
import struct

import numpy as np
import pytest

import fastdl
from fastdl.cli import main
from fastdl.files.audio import wav
from fastdl.files.audio.recordings import open_audio, read_audio
from tests.audio_wav_files import (
    FILES,
    RATE,
    X,
    chunk,
    fmt,
    riff,
)


def test_writers_make_what_readers_read(tmp_path):
    for encoding, x in (("pcm16", X), ("float32", (X / 32768).astype(np.float32)), ("mu", fastdl.g711_encode(X[:999]))):
        data = io.BytesIO()
        writer = wav.WavWriter(data, RATE, 1, encoding)
        for part in np.array_split(x, 7):
            writer.write(part)
        writer.finish()
        (tmp_path / "x.wav").write_bytes(data.getvalue())
        reader = open_audio(tmp_path / "x.wav")
        got = np.concatenate(list(reader.chunks(100)))
        assert (reader.rate, reader.frames) == (RATE, len(x))
        np.testing.assert_array_equal(got, fastdl.g711_decode(x) if encoding == "mu" else x)


def test_a_wav_above_4_gib_becomes_rf64():
    writer = wav.WavWriter(io.BytesIO(), RATE, 2)
    small = writer._header()
    writer.size = 5 << 30
    large = writer._header()
    assert len(small) == len(large)
    assert small[:4] == b"RIFF"
    assert large[:4] == b"RF64"
    assert struct.unpack("<Q", large[28:36])[0] == 5 << 30


def test_an_empty_data_chunk_before_others_is_empty(tmp_path):
    body = b"WAVE" + chunk(b"fmt ", fmt()) + chunk(b"data", b"") + chunk(b"LIST", b"INFOISFT\x04\0\0\0Lavf")
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert open_audio(tmp_path / "x.wav").frames == 0
    assert main(["encode-audio", str(tmp_path / "x.wav"), "-o", str(tmp_path / "x.npy")]) == 0
    assert np.load(tmp_path / "x.npy").shape == (0,)


def test_a_size_that_wrapped_at_4_gib_is_said(tmp_path):
    with open(tmp_path / "x.wav", "wb") as file:
        file.write(riff(fmt(), b"", data_size=1000))
        file.truncate(44 + (1 << 32) + 1000)  # a hole: no disk is used
    reader = open_audio(tmp_path / "x.wav")
    assert reader.frames == ((1 << 32) + 1000) // 2
    assert "wrapped at 4 GiB" in reader.notes[0]
    np.testing.assert_array_equal(reader[-3:], [0, 0, 0])


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32"])
def test_other_kinds_of_wav_go_to_soundfile(tmp_path, subtype):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "x.wav"
    soundfile.write(path, (8000 * np.sin(np.arange(RATE) / 9)).astype(np.int16), 8000, subtype=subtype)
    want, _ = soundfile.read(path, dtype="int16")
    got = np.concatenate(list(open_audio(path).chunks(1000)))
    np.testing.assert_array_equal(got if got.dtype == np.int16 else (got * 32768).astype(np.int16), want)


def test_flac_without_its_length_is_read_to_the_end(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "x.flac"
    soundfile.write(path, X, RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits of STREAMINFO that hold the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert main(["encode-audio", str(path), "-o", str(tmp_path / "x.npy")]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), fastdl.mu_law_encode(X))


@pytest.mark.parametrize("name", ["pcm16", "pcm24", "float64", "mu", "big-endian", "rf64"])
def test_a_part_is_that_part_of_the_whole(tmp_path, name):
    path = tmp_path / "x.wav"
    path.write_bytes(FILES[name])
    whole = read_audio(path)
    np.testing.assert_array_equal(read_audio(path, 1234, 77), whole[1234:1311])
    np.testing.assert_array_equal(open_audio(path)[-10:], whole[-10:])
    assert len(open_audio(path)[4000:10]) == 0
    with pytest.raises(fastdl.InputError, match="which has 5000"):
        read_audio(path, 4990, 11)
