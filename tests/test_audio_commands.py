"""encode-audio and decode-audio on every kind of file, good and bad."""

import json
import os
import signal
import subprocess
import sys
import time
import wave

import numpy as np
import pytest

import fastdl
from fastdl.cli import main
from fastdl.files.audio.recordings import open_audio, read_audio
from tests.audio_wav_files import BIG, FILES, RATE, RAW, X, fmt, riff


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
    }.get(name.partition(",")[0] if name.startswith("mu") else name, X)
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
def test_damaged_files_are_errors_that_say_what_is_wrong(tmp_path, name, capsys):
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
def test_sources_that_are_not_there_are_named(tmp_path, monkeypatch, capsys, arguments, words):
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


def test_truncated_files_are_read_where_that_is_asked(tmp_path, capsys):
    (tmp_path / "x.wav").write_bytes(FILES["pcm16"][:6001])
    assert encode(tmp_path / "x.wav", tmp_path / "x.npy", "--allow-truncated") == 0
    assert "10000 bytes of samples announced, 5957 there" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), fastdl.mu_law_encode(X[:2978]))


def floats(tmp_path, changes):
    x = (X / np.float32(40000)).astype("<f4")
    for at, value in changes.items():
        x[at] = value
    (tmp_path / "x.wav").write_bytes(riff(fmt(3, bits=32), x.tobytes()))
    return x


@pytest.mark.parametrize("command", [["encode-audio"], ["encode-audio", "--law", "a"], ["decode-audio"]])
def test_nan_and_clipping_are_told_in_every_direction(tmp_path, capsys, command):
    floats(tmp_path, {10: 3, 11: -2, 2500: np.nan})
    run = [*command, str(tmp_path / "x.wav"), "-o", f"{tmp_path / 'out'}{os.sep}"]
    assert main(run) == 1
    assert "x.wav: sample 2500 is NaN" in capsys.readouterr().err
    assert main([*run, "--nan", "7"]) == 0
    assert "2 samples outside [-1, 1] were clipped" in capsys.readouterr().out
    (written,) = [p for p in (tmp_path / "out").iterdir() if p.suffix in (".npy", ".wav")]
    if command == ["encode-audio"]:
        assert np.load(written)[2500] == 7
    elif command == ["decode-audio"]:
        assert read_audio(written)[2500] == 7
    else:
        assert read_audio(written)[2500] == fastdl.g711_decode([7], "a")[0]


def test_rate_and_mono(tmp_path):
    soxr = pytest.importorskip("soxr")
    stereo = (9000 * np.sin(np.arange(96000) / 30)[:, None] * [1, 0.5]).astype(np.int16)
    (tmp_path / "x.wav").write_bytes(riff(fmt(channels=2), stereo.tobytes()))
    assert encode(tmp_path / "x.wav", tmp_path / "x.npy", "--mono", "--rate", "8000") == 0
    mono = (stereo / np.float32(32768)).mean(axis=1)
    want = soxr.resample(mono, RATE, 8000)
    codes = np.load(tmp_path / "x.npy")
    assert codes.shape == want.shape
    assert np.abs(codes.astype(int) - fastdl.mu_law_encode(want)).max() <= 1
    assert json.loads((tmp_path / "x.npy.json").read_text())["rate"] == 8000


def test_samples_without_a_header(tmp_path, capsys):
    X.astype(">i2").tofile(tmp_path / "x.pcm")
    assert encode(tmp_path / "x.pcm", tmp_path / "x.npy", "--raw", "s16be,16000,2") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), fastdl.mu_law_encode(X.reshape(-1, 2)))
    fastdl.g711_encode(X).tofile(tmp_path / "y.ul")
    assert main(["decode-audio", str(tmp_path / "y.ul"), "-o", str(tmp_path / "y.wav")]) == 0
    np.testing.assert_array_equal(read_audio(tmp_path / "y.wav"), fastdl.g711_decode(fastdl.g711_encode(X)))
    for layout in ("s16", "s16le,8000", "s16le,8000,0", "s17,8000,1", "s16le,\u00b2,1", "s16le," + "9" * 5000 + ",1"):
        assert encode(tmp_path / "x.pcm", tmp_path / "z.npy", "--raw", layout) == 1
        assert "ENCODING,RATE" in (message := capsys.readouterr().err) or "must" in message


def test_float32_out(tmp_path):
    codes = fastdl.mu_law_encode(X)
    (tmp_path / "x.wav").write_bytes(FILES["pcm16"])
    assert encode(tmp_path / "x.wav", tmp_path / "x.npy") == 0
    assert main(["decode-audio", str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.wav"), "--dtype", "float32"]) == 0
    np.testing.assert_array_equal(read_audio(tmp_path / "y.wav"), fastdl.mu_law_decode(codes))


@pytest.mark.parametrize(
    "text",
    [
        '{"rate": 8000}',
        '{"rate": 8000, "channels": 1, "law": "mu", "dialect": "librosa"}',
        '{"rate": 8000, "channels": 1, "law": "mu", "speaker": "me"}',
        "null",
        "[]",
        "3",
        "[" * 100000,
        '{"rate":8000}',
        '{"rate":8000,"channels":2,"law":"wavenet"}',
        '{"rate":4294967296,"channels":1,"law":"wavenet"}',
        '{"rate":8000,"channels":1,"law":"wavenet","quantization_channels":"256"}',
        '{"rate":8000,"channels":1,"law":"wavenet","dialect":"itu"}',
        '{"rate":8000,"channels":1,"law":["mu"]}',
        '{"rate":8000,"channels":1,"law":"wavenet","dtype":"uint16"}',
    ],
)
def test_descriptions_that_contradict_the_codes(tmp_path, capsys, text):
    np.save(tmp_path / "c.npy", np.zeros(300, np.uint8))
    (tmp_path / "c.npy.json").write_text(text)
    assert main(["decode-audio", str(tmp_path / "c.npy"), "-o", str(tmp_path / "y.wav")]) == 1
    message = capsys.readouterr().err
    assert "c.npy.json" in message
    assert "Error" not in message


@pytest.mark.parametrize("name", ["c.csv", "y.flac", "y.WAV", "y.mp3"])
def test_names_that_lie_are_refused(tmp_path, capsys, name):
    (tmp_path / "x.wav").write_bytes(FILES["pcm16"])
    assert encode(tmp_path / "x.wav", tmp_path / name) == 1
    assert capsys.readouterr().err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize(
    ("encoding", "dtype", "bits"),
    [("s24", "i4", 24), ("s32", "i4", 32), ("f32", "f4", 0), ("u8", "u1", 8), ("s8", "i1", 8)],
)
def test_headerless_samples_of_every_width(tmp_path, order, encoding, dtype, bits):
    rng = np.random.default_rng(1)
    if bits:
        low, high = (0, 256) if encoding == "u8" else (-(1 << bits - 1), 1 << bits - 1)
        x = rng.integers(low, high, (500, 2)).astype(dtype)
    else:
        x = rng.uniform(-1, 1, (500, 2)).astype(dtype)
    big = order == "be"
    data = x.astype(x.dtype.newbyteorder(">" if big else "<")).tobytes()
    if bits == 24:
        wide = np.frombuffer(data, np.uint8).reshape(-1, 4)
        data = (wide[:, 1:] if big else wide[:, :3]).tobytes()
    name = encoding if encoding in ("u8", "s8") else encoding + order
    source = tmp_path / "x.raw"
    source.write_bytes(data)
    x = x << 8 if bits == 24 else x
    np.testing.assert_array_equal(open_audio(source, raw=f"{name},8000,2").read(3, 400), x[3:403])
    assert main(["encode-audio", str(source), "-o", str(tmp_path / "x.npy"), "--raw", f"{name},8000,2"]) == 0
    want = fastdl.mu_law_encode(x, bits=32 if x.dtype == np.int32 else None)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), want)
    source.write_bytes(data[:-1])
    assert main(["encode-audio", str(source), "-o", str(tmp_path / "y.npy"), "--raw", f"{name},8000,2"]) == 1
