"""Recordings in files: many small ones against a plain loop, and the depths of samples against each other."""

import os
from tempfile import mkdtemp

import numpy as np
import pytest

import fastdl
from fastdl.cli import main

SMALL, RATE = 3000, 16000
LONG = 10_000_000  # samples


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """So many files of half a second, 16 bits a sample."""
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    for k in range(SMALL):
        soundfile.write(folder / f"{k:05d}.wav", (3000 * rng.standard_normal(RATE // 2)).astype(np.int16), RATE)
    return folder


@pytest.mark.parametrize("who", ["fastdl", "soundfile + encode + np.save"])
def bench_small_files(compare, tmp_path, recordings, who):
    """The loop writes no description beside its codes, keeps no record, and may leave half a file."""
    soundfile = pytest.importorskip("soundfile")

    def command():
        assert main(["encode-audio", str(recordings), "-o", mkdtemp(dir=tmp_path), "--no-sync", "--quiet"]) == 0

    def loop():
        folder = mkdtemp(dir=tmp_path)
        for name in sorted(os.listdir(recordings)):
            x, _ = soundfile.read(recordings / name, dtype="int16")
            np.save(os.path.join(folder, f"{name}.npy"), fastdl.mu_law_encode(x))

    compare("encode-audio, small files", who, command if who == "fastdl" else loop, items=SMALL)


@pytest.mark.parametrize("bits", [16, 24, 32])
def bench_depths(compare, tmp_path, bits):
    """What must move: the sample from the file, and one byte of code to another."""
    soundfile = pytest.importorskip("soundfile")
    x = (2**27 * np.random.default_rng(0).standard_normal(LONG)).astype(np.int32)
    soundfile.write(tmp_path / "x.wav", x, 48000, subtype=f"PCM_{bits}")
    arguments = ["encode-audio", str(tmp_path / "x.wav"), "-o", str(tmp_path / "x.npy"), "--overwrite", "--no-sync"]
    run = lambda: main([*arguments, "--quiet"])
    compare(f"encode-audio, WAV of {bits} bits", "fastdl", run, items=LONG, moved=bits // 8 + 1, limit="copy")
