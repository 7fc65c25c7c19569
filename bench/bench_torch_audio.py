"""Windows of recordings for training: fastdl's data set, and soundfile with the formula of torchaudio.

What a window of 16,000 samples takes, on a Zen 5 core: 32 KB copied out of the page cache 1.2 us where they are in a
cache of the CPU (3 us from memory) and as much again for the calls around it, the codes 2 us, 256 KB of classes and
targets 3 to 4 us, of which filling them with zeros would take 2 us. A batch of 32 windows that got new memory would
cost 2,000 page faults, more than all of that.
"""

import numpy as np
import pytest

from bench.bench_audio import torchaudio_formula

RECORDINGS, SECONDS, RATE, BATCH = 4, 300, 16_000, 32


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    soundfile = pytest.importorskip("soundfile")
    folder, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    for k in range(RECORDINGS):
        samples = (rng.standard_normal(SECONDS * RATE) * 4000).clip(-32768, 32767).astype(np.int16)
        soundfile.write(folder / f"{k}.wav", samples, RATE)
    return folder


def formula_windows(torch, folder, length, hold):
    """A data set of soundfile and torch's formula an item; its files stay open with `hold`."""
    soundfile = pytest.importorskip("soundfile")

    class Windows(torch.utils.data.Dataset):
        def __init__(self):
            paths = sorted(folder.glob("*.wav"))
            most = (SECONDS * RATE - 1 - length) // length + 1
            self.windows = [(path, k * length) for path in paths for k in range(most)]
            self.files = {path: soundfile.SoundFile(path) for path in paths} if hold else {}

        def __len__(self):
            return len(self.windows)

        def __getitem__(self, index):
            path, start = self.windows[index]
            if hold:
                file = self.files[path]
                file.seek(start)
                x = file.read(length + 1, dtype="int16")
            else:
                x, _ = soundfile.read(path, length + 1, start, dtype="int16")
            codes = torchaudio_formula(torch, torch.from_numpy(x))
            return codes[:-1], codes[1:]

    return Windows()


@pytest.mark.parametrize("length", [1024, 4096, 16_000])
@pytest.mark.parametrize("who", ["fastdl", "soundfile + torch formula", "soundfile held open + torch formula"])
def bench_audio_windows(compare, recordings, who, length):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from fastdl.torch import AudioWindows

    ours = AudioWindows(recordings, length, crops="regular")
    data = ours if who == "fastdl" else formula_windows(torch, recordings, length, "held" in who)
    loader = torch.utils.data.DataLoader(data, BATCH)

    def run():
        for _ in loader:
            pass

    def check(_):
        for (codes, targets), (want, after) in zip(loader, torch.utils.data.DataLoader(ours, BATCH), strict=True):
            assert codes.shape == want.shape
            assert targets.shape == after.shape
            assert (codes != want).float().mean() < 1e-3  # the formula in float32 errs at edges of classes
            assert (targets != after).float().mean() < 1e-3

    work = f"an epoch of windows of {length:,} samples"
    compare(work, who, run, items=len(data) * length, moved=2 + 16, check=check)
