"""Audio beyond equality with the reference: every code of every dialect, bounds, NaN, integers and floats alike."""

import zlib

import numpy as np
import pytest

import fastdl
from fastdl.audio import _tables as tables
from fastdl.audio import mu_law
from fastdl.reference import audio as reference

SWEEP = np.arange(-32768, 32768).astype(np.int16)


def crc(codes):
    return f"{zlib.crc32(np.ascontiguousarray(codes).tobytes()):08X}"


@pytest.mark.parametrize(
    ("q", "dialect", "want"),
    [
        (256, "wavenet", "B82A88FC"),
        (256, "nnmnkwii", "AD527C2B"),
        (257, "nnmnkwii", "08CBBD06"),
        (256, "librosa", "F50E8761"),
        (256, "nsynth", "3939AA21"),
    ],
)
def test_every_mu_law_class(q, dialect, want):
    codes = fastdl.mu_law_encode(SWEEP, q, dialect=dialect)
    assert crc(codes.astype(np.uint8)) == want
    for x in (SWEEP / np.float32(32768), SWEEP / 32768, SWEEP.astype(">i2")):
        np.testing.assert_array_equal(fastdl.mu_law_encode(x, q, dialect=dialect, threads=2), codes)
    for x, bits in ((SWEEP.astype(np.int32) << 16, 32), (SWEEP.astype(np.int64), 16), (SWEEP.astype(">i4") << 8, 24)):
        np.testing.assert_array_equal(fastdl.mu_law_encode(x, q, dialect=dialect, bits=bits, threads=2), codes)


@pytest.mark.parametrize(
    ("law", "dialect", "want"),
    [
        ("mu", "itu", "6399D432"),
        ("mu", "sun", "3B7C3A3E"),
        ("mu", "libsndfile", "EB8EDAA8"),
        ("mu", "ffmpeg", "1C421BEC"),
        ("a", "itu", "9133796E"),
        ("a", "sun", "9133796E"),
        ("a", "ffmpeg", "9FA4BDF1"),
    ],
)
def test_every_g711_code(law, dialect, want):
    codes = fastdl.g711_encode(SWEEP, law, dialect=dialect)
    assert crc(codes) == want
    np.testing.assert_array_equal(fastdl.g711_encode(SWEEP / np.float32(32768), law, dialect=dialect), codes)


def test_g711_decodes_as_the_standard_says():
    codes = np.arange(256, dtype=np.uint8)
    assert crc(fastdl.g711_decode(codes, "mu").astype("<i2")) == "0C847A9F"
    assert crc(fastdl.g711_decode(codes, "a").astype("<i2")) == "9D764657"


def test_libsndfile_a_law_differs_from_itu_where_known():
    assert (fastdl.g711_encode(SWEEP, "a", dialect="libsndfile") != fastdl.g711_encode(SWEEP, "a")).sum() == 127


def test_codes_of_the_published_floats():
    x = [-1, 1, 0.6, -0.25, 0.01, 0.33, -0.9999, 0.42, 0.1, -0.45]
    assert fastdl.mu_law_encode(x).tolist() == [0, 255, 243, 32, 157, 230, 0, 235, 203, 18]


@pytest.mark.parametrize("q", [2, 3, 16, 255, 256, 257, 1000, 65536])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_encode_undoes_decode(q, dtype):
    codes = np.arange(q)
    np.testing.assert_array_equal(fastdl.mu_law_encode(fastdl.mu_law_decode(codes, q, dtype=dtype), q), codes)
    if q == 256:
        np.testing.assert_array_equal(fastdl.mu_law_encode(fastdl.mu_law_decode(codes, dtype="int16")), codes)


@pytest.mark.parametrize("law", mu_law.LAWS)
def test_g711_encode_undoes_decode(law):
    codes = np.setdiff1d(np.arange(256), [0x7F] if law == "mu" else [])  # mu-law has two zeros
    np.testing.assert_array_equal(fastdl.g711_encode(fastdl.g711_decode(codes, law), law), codes)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dialect", mu_law.MU_LAW_DIALECTS)
@pytest.mark.parametrize("q", [2, 5, 256, 1024])
def test_floats_beside_every_edge(q, dialect, dtype):
    edges = tables._edges(q, dialect, np.dtype(dtype))
    x = np.concatenate([edges, np.nextafter(edges, -2, dtype=dtype), np.nextafter(edges, 2, dtype=dtype)])
    x = np.concatenate([x, np.array([0.0, -0.0, 1e-30, -1e-30, 5e-45, np.inf, -np.inf, 1, -1, 1e30], dtype)])
    np.testing.assert_array_equal(
        fastdl.mu_law_encode(x, q, dialect=dialect), reference.mu_law_encode(x, q, dialect=dialect)
    )


def test_both_roundings_of_the_256_class_kernel_agree():
    """A CPU level with fused multiply-add rounds once where another rounds twice: no class may hang on that."""
    coefficients = [-29.269189834594727, 67.33665466308594, -59.68377685546875, 28.215190887451172]
    coefficients = np.array([*coefficients, -7.4233293533325195, 0.8244989514350891], np.float32)
    want = fastdl.mu_law_encode(np.arange(32768).astype(np.int16)).astype(int) - 128
    for fused in (False, True):
        wide = np.longdouble if fused else np.float32

        def step(a, b, c, wide=wide):
            return (a.astype(wide) * wide(b) + wide(c) if np.isscalar(b) else a.astype(wide) * b + wide(c)).astype(
                np.float32
            )

        f = step(np.arange(32768, dtype=np.float32), np.float32(255 / 32768), np.float32(1))
        bits = f.view(np.int32)
        w = (bits & 0x7FFFFF | 0x3F800000).view(np.float32)
        p = np.full(len(w), coefficients[-1])
        for c in coefficients[-2::-1]:
            p = step(p, w.astype(wide), c)
        scaled = (bits - 0x3F800000).astype(np.float32).astype(wide) * wide(np.float32(1.8999004e-06))
        p = (scaled + p).astype(np.float32)
        np.testing.assert_array_equal(p.astype(np.int32), want)
        assert np.abs(p - np.rint(p))[1:].min() > 2e-5  # more than the roundings of either can move it


def test_clipping_is_counted():
    x = np.array([-1.5, -1, 0, 1, 1.0001, np.inf], np.float32)
    codes, clipped = fastdl.mu_law_encode(x, return_clipped=True)
    assert codes.tolist() == [0, 0, 128, 255, 255, 255]
    assert clipped == 3


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_is_an_error_unless_it_has_a_class(dtype):
    x = np.array([0.5, np.nan, -np.nan, -0.5], dtype)
    with pytest.raises(fastdl.InputError, match=r"NaN .* got 2, the first at index 1"):
        fastdl.mu_law_encode(x)
    codes = fastdl.mu_law_encode(x, nan=7)
    assert codes[1] == codes[2] == 7
    assert codes[0] == fastdl.mu_law_encode([0.5])[0]
    with pytest.raises(fastdl.InputError, match="NaN"):
        fastdl.g711_encode(x)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int32", "uint32"])
def test_integers_are_fractions_of_full_scale(dtype):
    info = np.iinfo(dtype)
    bits = info.bits if info.bits > 16 else None
    x = np.array([info.min, (info.min + info.max + 1) // 2, info.max], dtype)
    assert fastdl.mu_law_encode(x, bits=bits).tolist() == [0, 128, 255]
    assert fastdl.g711_encode(x, bits=bits)[1] == 0xFF
    np.testing.assert_array_equal(fastdl.mu_law_encode(x, bits=bits), reference.mu_law_encode(x))


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_wide_integers_need_their_bits(dtype):
    x = np.array([0, 1000, 32767], dtype)
    for encode in (fastdl.mu_law_encode, fastdl.g711_encode):
        with pytest.raises(fastdl.InputTypeError, match=r"x.astype\(np.int16\)"):
            encode(x)
        with pytest.raises(fastdl.InputError, match="with bits=8, got 32767"):
            encode(x, bits=8)
    if dtype.startswith("i"):
        np.testing.assert_array_equal(fastdl.mu_law_encode(x, bits=16), fastdl.mu_law_encode(x.astype(np.int16)))
        np.testing.assert_array_equal(fastdl.g711_encode(x, bits=16), fastdl.g711_encode(x.astype(np.int16)))


@pytest.mark.parametrize("bits", [24, 32])
@pytest.mark.parametrize("q", [256, 1024, 65536])
def test_large_samples_have_the_class_of_the_definition(bits, q):
    x = np.random.default_rng(5).integers(-(1 << (bits - 1)), 1 << (bits - 1), 3000).astype(np.int32)
    want = reference.mu_law_encode(x.astype(np.longdouble) / 2 ** (bits - 1), q)
    np.testing.assert_array_equal(fastdl.mu_law_encode(x, q, bits=bits), want)


def test_bytes_are_codes():
    np.testing.assert_array_equal(fastdl.g711_decode(b"\x00\xff"), [-32124, 0])
    np.testing.assert_array_equal(fastdl.mu_law_decode(bytearray(b"\x00\xff"), dtype="int16"), [-32768, 32767])
    assert fastdl.g711_decode(b"").shape == (0,)


def test_g711_counts_what_is_clipped_and_gives_nan_a_code():
    x = np.array([-1.5, 0.25, 1, np.nan, 2], np.float32)
    codes, clipped = fastdl.g711_encode(x, nan=0x7F, return_clipped=True)
    assert clipped == 2
    assert codes.tolist() == [0x00, fastdl.g711_encode([0.25])[0], 0x80, 0x7F, 0x80]


@pytest.mark.parametrize("shape", [(0,), (3, 0), (1,), (5, 2), ()])
def test_results_have_the_shape_of_their_input(shape):
    x = np.ones(shape, np.int16)
    assert fastdl.mu_law_encode(x).shape == shape
    assert fastdl.mu_law_decode(fastdl.mu_law_encode(x)).shape == shape
    assert fastdl.g711_decode(fastdl.g711_encode(x)).shape == shape


def test_lists_memoryviews_and_memory_maps(tmp_path):
    want = fastdl.mu_law_encode(SWEEP)
    np.testing.assert_array_equal(fastdl.mu_law_encode(memoryview(SWEEP)), want)
    SWEEP.tofile(tmp_path / "x")
    np.testing.assert_array_equal(fastdl.mu_law_encode(np.memmap(tmp_path / "x", np.int16, "r")), want)
    assert fastdl.mu_law_encode([]).dtype == np.uint8
    assert fastdl.mu_law_decode([]).dtype == np.float32


def test_torch_tensors_are_read_as_they_are():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(fastdl.mu_law_encode(torch.from_numpy(SWEEP)), fastdl.mu_law_encode(SWEEP))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: fastdl.mu_law_encode(["a"]),
            fastdl.InputTypeError,
            "x must be signed integers, unsigned integers or floats",
        ),
        (lambda: fastdl.mu_law_encode([True]), fastdl.InputTypeError, "got bool"),
        (lambda: fastdl.mu_law_encode([1.0], 1), fastdl.InputError, "between 2 and 65536, got 1"),
        (lambda: fastdl.mu_law_encode([1], 2.5), fastdl.InputTypeError, "must be an integer, got 2.5"),
        (
            lambda: fastdl.mu_law_encode([1], dialect="x"),
            fastdl.InputError,
            "'wavenet', 'librosa', 'nnmnkwii', 'nsynth', got 'x'",
        ),
        (
            lambda: fastdl.mu_law_encode(SWEEP, out=SWEEP),
            fastdl.InputError,
            "out must be a writable, aligned, C-contiguous uint8",
        ),
        (lambda: fastdl.mu_law_encode(SWEEP, threads=0), fastdl.InputError, "threads must be at least 1, got 0"),
        (lambda: fastdl.mu_law_decode([256]), fastdl.InputError, "codes must be between 0 and 255, got 256"),
        (lambda: fastdl.mu_law_decode([-1]), fastdl.InputError, "got -1"),
        (
            lambda: fastdl.mu_law_decode([0.5]),
            fastdl.InputTypeError,
            "codes must be unsigned integers or signed integers",
        ),
        (
            lambda: fastdl.mu_law_decode([1], dtype="int8"),
            fastdl.InputTypeError,
            "dtype must be float32, float64 or int16",
        ),
        (lambda: fastdl.g711_encode([1], "x"), fastdl.InputError, "law must be one of 'mu', 'a', got 'x'"),
    ],
)
def test_errors_say_what_was_wrong(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_out_is_filled_and_returned():
    out = np.empty(SWEEP.shape, np.uint8)
    assert fastdl.mu_law_encode(SWEEP, out=out) is out
    both = np.zeros(10, np.uint8)
    with pytest.raises(fastdl.InputError, match="must not overlap"):
        fastdl.mu_law_encode(both.view(np.int8), out=both)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_round_to_int16_as_the_definition_says(dtype):
    k = np.arange(-70000, 70001)
    x = np.concatenate([k / 65536, np.nextafter(k / 65536, 2), [np.inf, -np.inf, -0.0, 1e-30]]).astype(dtype)
    for law in mu_law.LAWS:
        codes, clipped = fastdl.g711_encode(x, law, return_clipped=True)
        np.testing.assert_array_equal(codes, reference.g711_encode(x, law))
        assert clipped == (np.abs(x) > 1).sum()


def test_bins_of_nsynth_and_their_centres_by_the_formulas_of_magenta():
    x = SWEEP / 32768
    signed = np.floor(np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) * 128)
    codes = fastdl.mu_law_encode(SWEEP, dialect="nsynth")
    np.testing.assert_array_equal(codes, np.minimum(signed, 127) + 128)
    out = (np.arange(-128, 128) + 0.5) * 2 / 256
    want = np.sign(out) / 255 * (256.0 ** np.abs(out) - 1)
    got = fastdl.mu_law_decode(np.arange(256), dialect="nsynth", dtype="float64")
    np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("q", [2, 3, 5, 255, 256, 257, 1024, 65536])
def test_centres_of_bins_are_in_their_bins(q):
    codes = np.arange(q)
    for dtype in ("float64", "float32"):
        x = fastdl.mu_law_decode(codes, q, dialect="nsynth", dtype=dtype)
        np.testing.assert_array_equal(fastdl.mu_law_encode(x, q, dialect="nsynth"), codes)
        np.testing.assert_array_equal(x, -x[::-1])
