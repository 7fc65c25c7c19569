"""Windows of recordings for training: fastdl's data set, and soundfile with the formula of torchaudio."""

import numpy as np
import pytest

from bench.bench_audio import torchaudio_formula

RECORDINGS, SECONDS, RATE, LENGTH, BATCH = 4, 60, 16_000, 8_000, 32


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    soundfile = pytest.importorskip("soundfile")
    folder, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    for k in range(RECORDINGS):
        samples = (rng.standard_normal(SECONDS * RATE) * 4000).clip(-32768, 32767).astype(np.int16)
        soundfile.write(folder / f"{k}.wav", samples, RATE)
    return folder


@pytest.mark.parametrize("who", ["fastdl", "soundfile + torch formula"])
def bench_audio_windows(compare, recordings, who):
    torch = pytest.importorskip("torch")
    soundfile = pytest.importorskip("soundfile")
    torch.set_num_threads(1)
    from fastdl.torch import AudioWindows

    ours = AudioWindows(recordings, LENGTH, crops="regular")

    class Theirs(torch.utils.data.Dataset):
        def __init__(self):
            paths = sorted(recordings.glob("*.wav"))
            most = (SECONDS * RATE - 1 - LENGTH) // LENGTH + 1
            self.windows = [(path, k * LENGTH) for path in paths for k in range(most)]

        def __len__(self):
            return len(self.windows)

        def __getitem__(self, index):
            path, start = self.windows[index]
            x, _ = soundfile.read(path, LENGTH + 1, start, dtype="int16")
            codes = torchaudio_formula(torch, torch.from_numpy(x))
            return codes[:-1], codes[1:]

    data = ours if who == "fastdl" else Theirs()
    loader = torch.utils.data.DataLoader(data, BATCH)

    def run():
        return torch.cat([codes for codes, _ in loader])

    def check(got):
        want = torch.cat([codes for codes, _ in torch.utils.data.DataLoader(ours, BATCH)])
        assert got.shape == want.shape
        assert (got != want).float().mean() < 1e-3  # the formula in float32 errs at edges of classes

    compare("an epoch of windows of 4 minutes, 16 kHz", who, run, items=len(data) * LENGTH, moved=2 + 16, check=check)
