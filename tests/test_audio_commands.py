"""encode-audio and decode-audio on every kind of file, good and bad."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import wave

import numpy as np
import pytest

import fastdl
from fastdl.cli import main
from fastdl.files.audio import _wav_header, wav
from fastdl.files.audio.recordings import open_audio

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


def encode(source, target, *options):
    return main(["encode-audio", str(source), "-o", str(target), *options])


@pytest.mark.parametrize("name", FILES)
def test_wav_kinds(tmp_path, name, capsys):
    (tmp_path / "x.wav").write_bytes(FILES[name])
    assert encode(tmp_path / "x.wav", tmp_path / "x.npy") == 0
    assert "encoded 1 file, 0.3 s of sound" in capsys.readouterr().out
    heard = {
        "pcm8": X >> 8 << 8,
        "mu": fastdl.g711_decode(fastdl.g711_encode(X)),
        "a": fastdl.g711_decode(fastdl.g711_encode(X, "a"), "a"),
    }.get(name, X)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), fastdl.mu_law_encode(heard))
    coding = json.loads((tmp_path / "x.npy.json").read_text())
    assert (coding["rate"], coding["channels"], coding["quantization_channels"]) == (RATE, 1, 256)


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "AIFF", "W64", "RF64", "CAF"])
def test_kinds_that_soundfile_writes(tmp_path, kind):
    soundfile = pytest.importorskip("soundfile")
    x = (8000 * np.sin(np.arange(RATE) / 9)).astype(np.int16)
    path = tmp_path / f"x.{kind.lower()}"
    soundfile.write(path, x, RATE, format=kind)
    assert encode(path, tmp_path / "x.npy") == 0
    codes = np.load(tmp_path / "x.npy")
    if kind == "OGG":
        assert np.abs(codes.astype(int) - fastdl.mu_law_encode(x)).mean() < 5
    else:
        np.testing.assert_array_equal(codes, fastdl.mu_law_encode(x))


@pytest.mark.parametrize("channels", [2, 3])
def test_many_channels(tmp_path, channels):
    frames = X[: len(X) // channels * channels].reshape(-1, channels)
    (tmp_path / "x.wav").write_bytes(riff(fmt(channels=channels), frames.tobytes()))
    assert encode(tmp_path / "x.wav", tmp_path / "x.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), fastdl.mu_law_encode(frames))
    assert main(["decode-audio", str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.wav")]) == 0
    with wave.open(str(tmp_path / "y.wav")) as file:
        assert (file.getnchannels(), file.getnframes()) == (channels, len(frames))


@pytest.mark.parametrize(
    "options", [["--channels", "1000"], ["--dialect", "librosa"], ["--law", "mu", "--format", "raw"]]
)
@pytest.mark.parametrize("ending", ["npy", "raw"])
def test_decode_undoes_encode(tmp_path, options, ending):
    (tmp_path / "x.wav").write_bytes(FILES["pcm16"])
    ending = "raw" if "raw" in options else ending
    assert encode(tmp_path / "x.wav", tmp_path / f"c.{ending}", *options) == 0
    assert main(["decode-audio", str(tmp_path / f"c.{ending}"), "-o", str(tmp_path / "y.wav")]) == 0
    with wave.open(str(tmp_path / "y.wav")) as file:
        assert file.getframerate() == RATE
        y = np.frombuffer(file.readframes(len(X)), np.int16)
    if "--law" in options:
        want = fastdl.g711_decode(fastdl.g711_encode(X))
    else:
        q, dialect = (1000, "wavenet") if "1000" in options else (256, "librosa")
        codes = fastdl.mu_law_encode(X, q, dialect=dialect)
        want = fastdl.mu_law_decode(codes, q, dialect=dialect, dtype="int16")
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("law", ["mu", "a"])
def test_a_g711_wav_opens_in_another_program(tmp_path, law):
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "x.wav").write_bytes(FILES["pcm16"])
    assert encode(tmp_path / "x.wav", tmp_path / "y.wav", "--law", law) == 0
    y, rate = soundfile.read(tmp_path / "y.wav", dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(y, fastdl.g711_decode(fastdl.g711_encode(X, law), law))


BAD = {
    "empty": (b"", "is empty"),
    "random": (np.random.default_rng(1).bytes(4096), "not a recording"),
    "header only": (FILES["pcm16"][:30], "truncated"),
    "no data": (FILES["pcm16"][:36], "no data chunk"),
    "half the samples": (
        FILES["pcm16"][:6000],
        "at byte 6000: truncated: 10000 bytes of samples announced, 5956 there",
    ),
    "within a frame": (riff(fmt(channels=2), RAW[:10]), "within a frame of 4 bytes"),
    "odd format": (riff(fmt(tag=85), RAW), "format 0x55"),
    "no channels": (riff(fmt(channels=0), RAW), "0 channels"),
    "truncated w64": (FILES["w64"][:5000], "truncated"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path, name, capsys):
    if name == "random":
        pytest.importorskip("soundfile")
    data, words = BAD[name]
    (tmp_path / "x.wav").write_bytes(data)
    (tmp_path / "out").mkdir()
    assert encode(tmp_path / "x.wav", tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert words in message
    assert str(tmp_path / "x.wav") in message
    assert list((tmp_path / "out").iterdir()) == []


def test_one_bad_file_does_not_stop_the_others(tmp_path, capsys):
    for name, data in (("a", FILES["pcm16"]), ("b", b"RIFF"), ("c", FILES["rf64"])):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "x.wav").write_bytes(data)
    assert encode(tmp_path / "in", tmp_path / "out") == 1
    assert "; 1 failed" in capsys.readouterr().out
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.npy")) == [
        "a/x.npy",
        "c/x.npy",
    ]


def test_a_target_is_not_replaced_unless_asked(tmp_path, capsys):
    (tmp_path / "x.wav").write_bytes(FILES["pcm16"])
    target = tmp_path / "x.npy"
    target.write_bytes(b"mine")
    assert encode(tmp_path / "x.wav", target) == 1
    assert "exists; --overwrite replaces it" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert encode(tmp_path / "x.wav", target, "--overwrite") == 0
    assert encode(tmp_path / "x.wav", tmp_path / "x.wav", "--law", "mu", "--overwrite") == 1
    assert "is the input itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x.wav", "-o", "y"], "no such file"),
        ([".", "-o", "y"], "holds no file ending in"),
        (["x*.wav", "-o", "y"], "no such file"),
    ],
)
def test_wrong_sources(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(["encode-audio", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_wrong_options(tmp_path, capsys):
    (tmp_path / "x.wav").write_bytes(FILES["pcm16"])
    for options, words in [
        (["--channels", "1"], "--channels must be between 2 and 65536, got 1"),
        (["--dialect", "itu"], "--dialect must be one of 'wavenet'"),
        (["--law", "mu", "--channels", "512"], "must be 256 with --law"),
        (["--format", "wav"], "a .wav holds G.711 codes only"),
    ]:
        assert encode(tmp_path / "x.wav", tmp_path / "out", *options) == 1
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["encode-audio"])


def test_codes_without_their_sidecar_say_so(tmp_path, capsys):
    np.save(tmp_path / "c.npy", np.zeros(3, np.uint8))
    assert main(["decode-audio", str(tmp_path / "c.npy"), "-o", str(tmp_path / "y.wav")]) == 1
    assert "cannot be decoded without c.npy.json" in capsys.readouterr().err
    assert not (tmp_path / "y.wav").exists()


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_killed_half_way_leaves_nothing_under_the_name(tmp_path):
    source, target = tmp_path / "x.wav", tmp_path / "x.npy"
    with open(source, "wb") as file:
        file.write(riff(fmt(), b"", data_size=BIG, size=BIG))
        file.truncate(3_000_000_000)  # a hole: no disk is used
    child = subprocess.Popen([sys.executable, "-m", "fastdl", "encode-audio", source, "-o", target])
    while not list(tmp_path.glob(".fastdl-*")):
        time.sleep(0.005)
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    assert not target.exists()
    for part in tmp_path.glob(".fastdl-*"):
        part.unlink()


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


def test_real_recordings(tmp_path, shared_data):
    soundfile = pytest.importorskip("soundfile")
    assert main(["encode-audio", str(shared_data / "speech"), "-o", str(tmp_path / "codes")]) == 0
    assert main(["encode-audio", str(shared_data / "speech"), "-o", str(tmp_path / "u"), "--law", "mu"]) == 0
    assert main(["decode-audio", str(tmp_path / "codes"), "-o", str(tmp_path / "back")]) == 0
    sources = sorted((shared_data / "speech").glob("*.wav"))
    for source in sources:
        x, rate = soundfile.read(source, dtype="int16")
        codes = np.load(tmp_path / "codes" / f"{source.stem}.npy")
        np.testing.assert_array_equal(codes, fastdl.mu_law_encode(x))
        u, u_rate = soundfile.read(tmp_path / "u" / source.name, dtype="int16")
        assert rate == u_rate
        np.testing.assert_array_equal(u, fastdl.g711_decode(fastdl.g711_encode(x)))
        back, _ = soundfile.read(tmp_path / "back" / source.name, dtype="int16")
        np.testing.assert_array_equal(fastdl.mu_law_encode(back), codes)
    assert len(sources) >= 8


def test_info_and_help_say_what_they_should(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("fastdl", "numpy", "numba", "kernels", "CPU level", "threads", "bandwidth", "GB/s"):
        assert word in text
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "encode-audio" in capsys.readouterr().out
