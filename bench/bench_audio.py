"""Audio: reference, fastdl and peers, on the same samples, from one packet to more than the caches hold."""

import importlib
import warnings
from functools import lru_cache

import numpy as np
import pytest

import fastdl
from bench import equal, result_of
from fastdl.reference import audio as reference

SIZES = {"160": 160, "L2": 200_000, "L3": 4_000_000, "DRAM": 50_000_000}
sizes = pytest.mark.parametrize("size", ["160", "L2", pytest.param("L3", marks=pytest.mark.more), "DRAM"])


@lru_cache(2)
def samples(n):
    return np.random.default_rng(0).integers(-32768, 32768, n, dtype=np.int16)


def torchaudio_formula(torch, x, mu=255.0):
    """torchaudio's functional.mu_law_encoding, on floats as its loader makes them."""
    x, mu = x / 32768.0, torch.tensor(mu)
    y = torch.sign(x) * torch.log1p(mu * torch.abs(x)) / torch.log1p(mu)
    return ((y + 1) / 2 * mu + 0.5).to(torch.int64)


@sizes
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "reference", "torchaudio formula", "librosa", "np.take"])
def bench_mu_law_encode(compare, size, who):
    x = samples(SIZES[size])
    out = result_of(x.shape, np.uint8)
    want = fastdl.mu_law_encode(x)
    check = equal(want)
    if who.startswith("fastdl"):
        threads = 2 if "2" in who else 1
        run = lambda: fastdl.mu_law_encode(x, out=out, threads=threads)
    elif who == "reference":
        if len(x) > 5_000_000:
            pytest.skip("minutes")
        run = lambda: reference.mu_law_encode(x)
    elif who == "torchaudio formula":
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        tensor = torch.from_numpy(x)
        run = lambda: torchaudio_formula(torch, tensor)
    elif who == "librosa":
        librosa = pytest.importorskip("librosa")
        floats, check = x / np.float32(32768), equal(fastdl.mu_law_encode(x, dialect="librosa").astype(int) - 128)
        run = lambda: librosa.mu_compress(floats)
    else:
        table = fastdl.mu_law_encode(np.arange(65536, dtype=np.uint16).view(np.int16))
        run = lambda: np.take(table, x.view(np.uint16), out=out)
    compare(f"mu-law encode, {size}", who, run, items=len(x), moved=3, check=check)


@pytest.mark.parametrize("kind", ["float32", "24 bits"])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "torchaudio formula"])
def bench_mu_law_encode_others(compare, kind, who):
    """Samples that are no int16: floats of [-1, 1], and integers of 24 bits as soundfile reads them, in int32."""
    whole = samples(SIZES["L3"]).astype(np.int32) << 16
    x, options = (whole, {"bits": 32}) if kind == "24 bits" else (whole.astype(np.float32) / np.float32(2**31), {})
    want = fastdl.mu_law_encode(x, **options)
    out, check = np.empty_like(want), equal(want)
    if who == "torchaudio formula":
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        tensor = torch.from_numpy(x if kind == "float32" else x.astype(np.float32) / np.float32(2**31))
        run = lambda: torchaudio_formula(torch, tensor * 32768)
        # Rounded in float32, a sample beside an edge may go to the other side.
        check = lambda got: np.testing.assert_allclose(got.numpy(), want, atol=1)
    else:
        run = lambda: fastdl.mu_law_encode(x, out=out, threads=2 if "2" in who else 1, **options)
    compare(f"mu-law encode of {kind}, 4 M", who, run, items=len(x), moved=5, check=check)


@sizes
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "np.take", "torchaudio formula"])
def bench_mu_law_decode(compare, size, who):
    codes = fastdl.mu_law_encode(samples(SIZES[size]))
    out = result_of(codes.shape, np.float32)
    want = fastdl.mu_law_decode(codes)
    check = equal(want)
    if who.startswith("fastdl"):
        threads = 2 if "2" in who else 1
        run = lambda: fastdl.mu_law_decode(codes, out=out, threads=threads)
    elif who == "np.take":
        table = fastdl.mu_law_decode(np.arange(256))
        run = lambda: np.take(table, codes, out=out)
    else:
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        tensor = torch.from_numpy(codes)

        def run():
            s = tensor.float() / 255.0 * 2 - 1.0
            return torch.sign(s) * (torch.exp(torch.abs(s) * float(np.log1p(255.0))) - 1.0) / 255.0

        check = lambda got: np.testing.assert_allclose(got.numpy(), want, atol=1e-6)
    compare(f"mu-law decode to float32, {size}", who, run, items=len(codes), moved=5, check=check)


@sizes
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "audioop"])
def bench_g711_encode(compare, size, who):
    x = samples(SIZES[size])
    out, want = result_of(x.shape, np.uint8), fastdl.g711_encode(x, dialect="sun")
    check = equal(want)
    if who == "audioop":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.11 and 3.12 still have their own
                audioop = importlib.import_module("audioop")
        except ImportError:
            pytest.skip("needs audioop, or audioop-lts from Python 3.13")
        data = x.tobytes()
        run = lambda: audioop.lin2ulaw(data, 2)
        check = lambda got: equal(want)(np.frombuffer(got, np.uint8))
    else:
        threads = 2 if "2" in who else 1
        run = lambda: fastdl.g711_encode(x, dialect="sun", out=out, threads=threads)
    compare(f"G.711 mu-law encode, {size}", who, run, items=len(x), moved=3, check=check)
