"""Windows of genomes in a training loop: the same items whatever the workers, targets turned with their windows."""

import numpy as np
import pytest

import fastdl
from tests.sequences_text_files import bgzip, fasta, text_of, twobit

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # threads that wait for each other on a busy machine take minutes

from fastdl.torch import GenomeWindows  # noqa: E402  torch may be absent

LENGTH = 50


@pytest.fixture(scope="module")
def genome():
    rng = np.random.default_rng(0)
    return {"one": text_of(rng, 5003, "ACGTacgtN"), "two": text_of(rng, 900, "ACGT")}


@pytest.fixture(params=["fasta", "bgzip", "2bit"])
def path(request, tmp_path, genome):
    path = tmp_path / "a.fa"
    data = {"fasta": fasta(genome), "bgzip": bgzip(fasta(genome)), "2bit": twobit(genome)}[request.param]
    path.write_bytes(data)
    return path


def windows(path, **settings):
    rng = np.random.default_rng(1)
    chroms = rng.choice(["one", "two"], 40).tolist()
    return GenomeWindows(
        path, (chroms, rng.integers(-20, 900, 40), rng.choice(["+", "-"], 40).tolist()), LENGTH, **settings
    )


def test_items_are_windows(path, genome):
    data = windows(path, targets=np.arange(40))
    assert len(data) == 40
    for k in (0, 7, -1):
        x, y = data[k]
        strand = "-" if data.backwards[k] else "+"
        start = [int(data.starts[k])]
        want = fastdl.one_hot_windows(genome[data.chroms[k]], start, LENGTH, strand=strand, layout="first")
        np.testing.assert_array_equal(x.numpy(), want[0])
        assert x.dtype == torch.float32
        assert int(y) == k % 40
    with pytest.raises(IndexError):
        data[40]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_same_batches_for_any_workers(tmp_path, genome, method):
    path = tmp_path / "a.2bit"
    path.write_bytes(twobit(genome))
    data = windows(path, targets=np.arange(40), jitter=5, reverse_complement="random", seed=3)
    data[0]  # opens the file here: a worker must not share what is open
    alone = list(torch.utils.data.DataLoader(data, batch_size=7))
    context = torch.multiprocessing.get_context(method)
    loader = torch.utils.data.DataLoader(
        data, batch_size=7, num_workers=2, multiprocessing_context=context, persistent_workers=True
    )
    epochs = []
    for epoch in (0, 1, 0):
        data.set_epoch(epoch)
        epochs.append(list(loader))
    for (x, y), (u, v), (w, _), (z, _) in zip(alone, epochs[0], epochs[1], epochs[2]):
        assert torch.equal(x, u)
        assert torch.equal(y, v)
        assert torch.equal(x, z)
        assert not torch.equal(x, w)


def test_draws_are_even_and_of_the_seed(path):
    data = windows(path, jitter=3, reverse_complement="random")
    shifts, turned = zip(*(data._draws(np.arange(40)) for e in range(200) if data.set_epoch(e) is None))
    shifts, turned = np.concatenate(shifts), np.concatenate(turned)
    counts = np.bincount(shifts + 3, minlength=7)
    assert counts.min() > 1000
    assert counts.sum() == 8000
    assert 0.47 < turned.mean() < 0.53
    assert abs(np.corrcoef(shifts, turned)[0, 1]) < 0.05
    other = windows(path, jitter=3, seed=1)
    assert not np.array_equal(other._draws(np.arange(40))[0], windows(path, jitter=3)._draws(np.arange(40))[0])


def test_targets_turn_with_their_windows(path):
    profile = np.random.default_rng(0).normal(size=(40, LENGTH, 2)).astype(np.float32)
    plain = windows(path, targets=profile)
    turned = windows(path, targets=profile, reverse_complement="always", reverse_targets=(0, 1))
    x, y = plain.batch(range(40))
    u, v = turned.batch(range(40))
    assert torch.equal(u, x.flip(1, 2))
    assert torch.equal(v, y.flip(1, 2))
    with pytest.raises(fastdl.InputError, match="axes of a target of shape"):
        windows(path, targets=profile, reverse_targets=2)


def test_regions_of_files_and_variants(tmp_path, path, genome):
    bed, vcf = tmp_path / "a.bed", tmp_path / "a.vcf"
    bed.write_text("two\t100\t110\tx\t0\t-\t1\t1\t1\t2\ntwo\t300\t340\n")
    place = 320
    letter = "G" if genome["two"][place] != "G" else "C"
    vcf.write_text(f"##x\n#CHROM\tPOS\tID\tREF\tALT\ntwo\t{place + 1}\t.\t{genome['two'][place]}\t{letter}\n")
    data = GenomeWindows(path, bed, LENGTH, variants=vcf, center="summit")
    assert data.starts.tolist() == [102 - 25, 320 - 25]
    x, y = data.batch([1])
    assert y is None
    assert fastdl.one_hot_decode(x.numpy(), layout="first").tobytes()[25:26].decode() == letter
    with pytest.raises(fastdl.InputError, match="did you mean 'two'"):
        GenomeWindows(path, (["chrtwo"], [3]), 4)
    with pytest.raises(fastdl.InputError, match="lengths must agree"):
        GenomeWindows(path, (["two"], [3]), 4, targets=[1, 2])
