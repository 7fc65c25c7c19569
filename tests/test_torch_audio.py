"""AudioWindows: what a data loader gets, from any number of workers."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl.files import WavWriter

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # threads that wait for each other on a busy machine take minutes

from fastdl.torch import AudioWindows  # noqa: E402

RATE = 8000


@pytest.fixture
def folder(tmp_path):
    for name, n in (("a", 5000), ("b", 40), ("c", 3001)):
        with open(tmp_path / f"{name}.wav", "wb") as file:
            writer = WavWriter(file, RATE, 1)
            x = np.random.default_rng(n).integers(-32768, 32768, n, dtype=np.int16)
            writer.write(x)
            writer.finish()
    return tmp_path


def signal(n):
    return np.random.default_rng(n).integers(-32768, 32768, n, dtype=np.int16)


def batches(windows, workers, context=None):
    loader = torch.utils.data.DataLoader(windows, 4, num_workers=workers, multiprocessing_context=context)
    return [torch.stack(batch).numpy() for batch in loader]


def test_regular_windows_are_those_of_the_signal(folder):
    windows = AudioWindows(folder, 1000, crops="regular")
    assert len(windows) == 4 + 3  # the 5,000th sample of a would be the target of a fifth
    codes, targets = windows[5]
    want = fastdl.mu_law_encode(signal(3001)[1000:2001])
    np.testing.assert_array_equal(codes, want[:-1])
    np.testing.assert_array_equal(targets, want[1:])
    np.testing.assert_array_equal(windows[-1][1], fastdl.mu_law_encode(signal(3001)[2001:3001]))


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_the_batches_of_one_process(folder, context):
    windows = AudioWindows(folder, 256, seed=3)
    windows.set_epoch(2)
    alone = batches(windows, 0)
    for got, want in zip(batches(windows, 2, context), alone, strict=True):
        np.testing.assert_array_equal(got, want)
    windows.set_epoch(3)
    assert any((a != b).any() for a, b in zip(batches(windows, 0), alone, strict=True))
    again = pickle.loads(pickle.dumps(AudioWindows(folder, 256, seed=3)))
    again.set_epoch(2)
    for got, want in zip(batches(again, 0), alone, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_workers_do_not_share_the_places_of_open_files(folder, context):
    windows = AudioWindows(folder, 100, crops="regular")
    want = [windows.batch(range(k, min(k + 4, len(windows)))) for k in range(0, len(windows), 4)]  # all files are open
    for got, (codes, targets) in zip(batches(windows, 2, context), want, strict=True):
        np.testing.assert_array_equal(got, np.stack([codes, targets]))


def test_a_batch_is_not_stacked_again(folder):
    windows = AudioWindows(folder, 256, seed=3)
    items = windows.__getitems__([0, 5, -1])
    codes, targets = torch.utils.data.default_collate(items)
    assert codes.data_ptr() == items.tensors[0].data_ptr()
    assert codes.is_contiguous() and targets.is_contiguous()
    for k, index in enumerate((0, 5, len(windows) - 1)):
        for got, part, alone in zip((codes, targets), items[k], windows[index], strict=True):
            assert torch.equal(got[k], alone)
            assert torch.equal(part, alone)
    some = torch.utils.data.Subset(windows, [5, 1, 3])
    both = torch.utils.data.ConcatDataset([some, windows])
    (got,), (first, *_) = (list(torch.utils.data.DataLoader(data, 3)) for data in (some, both))
    for a, b, index in zip(got, first, (0, 1), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a[0], windows[5][index])
    part = torch.utils.data.default_collate([*items[:2], windows[1]])  # a batch that somebody put together
    assert torch.equal(part[0], torch.stack([codes[0], codes[1], windows[1][0]]))


def formula(x, channels):
    """Van den Oord et al., equation of section 2.2, and torchaudio's rounding, in float64."""
    mu, x = channels - 1, x / 32768
    y = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.trunc((y + 1) / 2 * mu + 0.5).astype(np.int64)


@pytest.mark.parametrize("length", [1, 7, 64, 1001, 2999])
@pytest.mark.parametrize(("dtype", "channels"), [("int64", 256), ("int32", 256), ("uint8", 200), ("int64", 300)])
def test_classes_and_targets_by_the_formula(folder, length, dtype, channels):
    options = {"quantization_channels": channels, "dtype": getattr(torch, dtype)}
    windows = AudioWindows(folder, length, crops="regular", **options)
    codes, targets = windows.batch(range(len(windows)))
    assert codes.dtype == targets.dtype == getattr(torch, dtype)
    want = [formula(signal(n), channels) for n in (5000, 40, 3001)]
    rows = [(x, k) for x in want for k in range(0, len(x) - length, length)]
    np.testing.assert_array_equal(codes, [x[k : k + length] for x, k in rows])
    np.testing.assert_array_equal(targets, [x[k + 1 : k + 1 + length] for x, k in rows])


def test_dtypes_that_are_refused(folder):
    with pytest.raises(fastdl.InputError, match="dtype must be int32 or int64 for 257 classes"):
        AudioWindows(folder, 10, quantization_channels=257, dtype=torch.uint8)
    for dtype in (torch.float32, "int64", np.int64, None):
        with pytest.raises(fastdl.InputError, match="dtype must be one of"):
            AudioWindows(folder, 10, dtype=dtype)


HOLDERS = {
    "tensors": lambda codes, targets: (codes, targets),
    "a row": lambda codes, targets: (codes[3],),
    "an array": lambda codes, targets: (targets.numpy(),),
    "part of an array": lambda codes, targets: (targets.numpy()[2:, ::3],),
    "dlpack": lambda codes, targets: (np.from_dlpack(codes),),
    "a capsule": lambda codes, targets: (torch.from_dlpack(torch.utils.dlpack.to_dlpack(targets)),),
    "a storage": lambda codes, targets: (torch.empty(0, dtype=torch.int64).set_(codes.untyped_storage()),),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_memory_that_somebody_holds_is_not_used_again(folder, holder):
    windows = AudioWindows(folder, 2000, crops="regular")
    held = [HOLDERS[holder](*windows.batch([0, 1, 2] * 4)) for _ in range(6)]
    want = [[np.asarray(part).copy() for part in parts] for parts in held]
    for _ in range(6):
        windows.batch([2, 1, 0] * 4)
    for parts, before in zip(held, want, strict=True):
        for part, array in zip(parts, before, strict=True):
            np.testing.assert_array_equal(part, array)
    places = [np.asarray(part).__array_interface__["data"][0] for parts in held for part in parts]
    assert len(set(places)) == len(places)


def test_memory_that_nobody_holds_is_used_again(folder):
    windows = AudioWindows(folder, 2000, crops="regular")
    places = {windows.batch([0, 1, 2] * 4)[0].data_ptr() for _ in range(5)}
    assert len(places) == 1
    assert places.pop() % 64 == 0
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(lambda k: (k, windows.batch([k % 3] * 12)), range(200)))
    alone = [windows[k] for k in range(3)]
    for k, (codes, targets) in found:
        assert (codes == alone[k % 3][0]).all()
        assert (targets == alone[k % 3][1]).all()
    assert len({codes.data_ptr() for _, (codes, _) in found}) == 200


def test_more_files_than_stay_open(tmp_path):
    for k in range(70):
        with open(tmp_path / f"{k:02}.wav", "wb") as file:
            writer = WavWriter(file, RATE, 1)
            writer.write(np.full(9, 300 * k, np.int16))
            writer.finish()
    windows = AudioWindows(tmp_path, 8, crops="regular")
    for order in (range(70), range(69, -1, -1), [3, 3, 68, 0]):
        codes, _ = windows.batch(order)
        np.testing.assert_array_equal(codes[:, 0], fastdl.mu_law_encode(300 * np.array(order, np.int16)))
    assert len(windows.recordings[0].files._mine()) == 64
    with open(tmp_path / "69.wav", "r+b") as file:
        file.truncate(90)
    with pytest.raises(fastdl.FileError, match=r"69\.wav.* became shorter"):
        windows[69]


def test_samples_of_every_kind(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    x = signal(600).astype(np.int32) << 16
    kinds = [
        ("wav", "PCM_U8"),
        ("wav", "PCM_24"),
        ("wav", "PCM_32"),
        ("wav", "FLOAT"),
        ("wav", "DOUBLE"),
        ("wav", "ULAW"),
    ]
    kinds += [("flac", "PCM_16"), ("flac", "PCM_24"), ("aiff", "PCM_16"), ("ogg", "VORBIS"), ("rf64", "PCM_16")]
    for suffix, subtype in kinds:
        soundfile.write(tmp_path / f"{subtype}.{suffix}", x, RATE, subtype)
        soundfile.write(tmp_path / f"{subtype}_two.{suffix}", np.stack([x, x[::-1]], axis=1), RATE, subtype)
    windows = AudioWindows(tmp_path, 100, crops="regular")
    codes, targets = windows.batch(range(len(windows)))
    alone = [AudioWindows([r.path], 100, crops="regular") for r in windows.recordings]
    np.testing.assert_array_equal(codes, torch.cat([one.batch(range(len(one)))[0] for one in alone]))
    backwards = [windows[k] for k in reversed(range(len(windows)))][::-1]
    assert torch.equal(codes, torch.stack([a for a, _ in backwards]))
    assert torch.equal(targets, torch.stack([b for _, b in backwards]))
    want = fastdl.mu_law_encode(x, bits=32)[100:200]
    for name in ("PCM_16.flac", "PCM_16.aiff", "PCM_16.rf64", "PCM_32.wav"):
        np.testing.assert_array_equal(AudioWindows(tmp_path / name, 100, crops="regular")[1][0], want)


def test_many_classes_and_none(folder):
    windows = AudioWindows(folder, 64, crops="regular", quantization_channels=60_000)
    codes, _ = windows.batch([0])
    np.testing.assert_array_equal(codes[0], fastdl.mu_law_encode(signal(5000)[:64], 60_000))
    assert windows.batch([])[1].shape == (0, 64)
    with pytest.raises(IndexError, match="got 900"):
        windows.batch([0, 900])


@pytest.mark.parametrize("count", [1, 2, 1000, 2**32 - 1, 2**32, 2**40 + 7])
def test_draws_are_the_upper_bits_of_a_product(count):
    from fastdl.torch._epochs import Draws

    indices = np.arange(50)
    first, _ = np.random.SeedSequence([7, 3]).generate_state(2, np.uint64).tolist()
    want = []
    for index in indices.tolist():  # SplitMix64 with Python's integers
        z = (first + index * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        want.append((z ^ (z >> 31)) * count >> 64)
    np.testing.assert_array_equal(Draws(7).integers(3, indices, count), want)


def test_persistent_workers_see_the_next_epoch(folder):
    windows = AudioWindows(folder, 256)
    loader = torch.utils.data.DataLoader(windows, 4, num_workers=1, persistent_workers=True)
    for epoch in (0, 1):
        windows.set_epoch(epoch)
        got = [torch.stack(batch).numpy() for batch in loader]
        for a, b in zip(got, batches(windows, 0), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_manifest_and_what_is_refused(folder):
    (folder / "list.txt").write_text("a.wav\n\nc.wav\n")
    assert len(AudioWindows(folder / "list.txt", 1000)) == 7
    with pytest.raises(fastdl.InputError, match="5002 samples"):
        AudioWindows(folder, 5001)
    with pytest.raises(fastdl.InputError, match=r"a\.wav: the rate must be 16000"):
        AudioWindows(folder, 10, rate=16000)
    with pytest.raises(fastdl.InputTypeError, match="source must be"):
        AudioWindows(3, 10)


def test_a_model_learns(folder):
    with open(folder / "tone.wav", "wb") as file:
        writer = WavWriter(file, RATE, 1)
        writer.write((12000 * np.sin(np.arange(20000) / 9)).astype(np.int16))
        writer.finish()
    torch.manual_seed(0)
    windows = AudioWindows(folder / "tone.wav", 200)
    model = torch.nn.Sequential(torch.nn.Embedding(256, 16), torch.nn.Linear(16, 256))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for epoch in range(2):
        windows.set_epoch(epoch)
        total = 0.0
        for codes, targets in torch.utils.data.DataLoader(windows, 8, num_workers=0):
            loss = torch.nn.functional.cross_entropy(model(codes).flatten(0, 1), targets.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        losses.append(total)
    assert losses[1] < 0.9 * losses[0]


class CausalNet(torch.nn.Module):
    """WaveNet's dilated causal convolutions with gates (van den Oord et al., 2016), four layers of eight channels."""

    def __init__(self, classes=256, channels=8, dilations=(1, 2, 4, 8)):
        super().__init__()
        self.embedding = torch.nn.Embedding(classes, channels)
        self.layers = torch.nn.ModuleList(torch.nn.Conv1d(channels, 2 * channels, 2, dilation=d) for d in dilations)
        self.output = torch.nn.Conv1d(channels, classes, 1)
        self.dilations = dilations

    def forward(self, codes):
        x = self.embedding(codes).transpose(1, 2)
        for layer, dilation in zip(self.layers, self.dilations):
            value, gate = layer(torch.nn.functional.pad(x, (dilation, 0))).chunk(2, dim=1)
            x = x + torch.tanh(value) * torch.sigmoid(gate)
        return self.output(x)


def train(folder, context, epochs=2):
    """The mean loss of each epoch, and all batches, from two workers."""
    torch.manual_seed(0)
    windows = AudioWindows(folder, 1024, seed=1)
    order = torch.Generator().manual_seed(5)
    loader = torch.utils.data.DataLoader(
        windows,
        8,
        shuffle=True,
        generator=order,
        num_workers=2,
        multiprocessing_context=context,
        persistent_workers=True,
    )
    model = CausalNet()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses, seen = [], []
    for epoch in range(epochs):
        windows.set_epoch(epoch)
        total = 0.0
        for codes, targets in loader:
            loss = torch.nn.functional.cross_entropy(model(codes), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
            seen.append(codes)
        losses.append(total / len(loader))
    return losses, seen


def test_a_wavenet_learns_speech_from_two_workers(shared_data):
    folder = shared_data / "speech"
    forked, batches = train(folder, "fork")
    spawned, again = train(folder, "spawn")
    assert forked[1] < 0.9 * forked[0]
    assert forked[1] < np.log(256)
    assert forked == spawned
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))
