"""Mu-law and A-law: what the codes mean."""

import numpy as np

# The widest float type, so that rounding cannot move a sample into the next class.
wide = np.longdouble

# How each WaveNet dialect turns the companded signal y in [-1, 1] into a class.
ROUND = {
    "wavenet": lambda y, mu: np.trunc((y + 1) / 2 * mu + wide(0.5)),
    "nnmnkwii": lambda y, mu: np.trunc((y + 1) / 2 * mu),
    "librosa": lambda y, mu: np.ceil((y + 1) / 2 * mu),
    # Q bins of equal width; (mu + 1) // 2 is added after the floor, since 1 - 1e-30 would round to 1 before it.
    "nsynth": lambda y, mu: np.minimum(np.floor(y * (mu + 1) / 2 + (mu + 1) % 2 / 2) + (mu + 1) // 2, mu),
}


def unit(x):
    """Samples as fractions of full scale: intN / 2^(N-1), unsigned ones around their middle, floats as they are."""
    if x.dtype.kind == "f":
        return x.astype(wide)
    half = wide(2) ** (8 * x.dtype.itemsize - 1)
    return (x.astype(wide) - (half if x.dtype.kind == "u" else 0)) / half


def mu_law_encode(x, quantization_channels=256, *, dialect="wavenet"):
    """Classes of samples; those outside [-1, 1] are clipped."""
    mu = wide(quantization_channels - 1)
    x = np.clip(unit(x), -1, 1)
    y = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return ROUND[dialect](y, mu).astype(np.uint8 if quantization_channels <= 256 else np.uint16)


def mu_law_decode(codes, quantization_channels=256, *, dialect="wavenet", dtype=np.float32):
    """Samples in [-1, 1] as floats, or times 32768, rounded and clipped, as int16."""
    mu = wide(quantization_channels - 1)
    codes = codes.astype(wide)
    if dialect == "librosa":
        s = (codes - quantization_channels // 2) * 2 / (1 + mu)
    elif dialect == "nsynth":
        s = (codes * 2 + 1 - quantization_channels) / (1 + mu)
    else:
        s = codes / mu * 2 - 1
    x = np.sign(s) * np.expm1(np.abs(s) * np.log1p(mu)) / mu
    return np.clip(np.rint(x * 32768), -32768, 32767).astype(dtype) if np.dtype(dtype) == np.int16 else x.astype(dtype)


def pcm16(x):
    """Samples as int16: other integers by their upper bits (or shifted up), floats times 32768, rounded and clipped."""
    if x.dtype.kind == "f":
        return np.clip(np.rint(x.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    bits = 8 * x.dtype.itemsize
    if x.dtype.kind == "u":
        x = (x ^ x.dtype.type(1 << (bits - 1))).view(f"i{x.dtype.itemsize}")
    return (x >> (bits - 16)).astype(np.int16) if bits >= 16 else x.astype(np.int16) << 8


def g711_encode(x, law="mu", *, dialect="itu"):
    """G.711 codes of samples (those of `pcm16`)."""
    x = pcm16(x).astype(np.int32)
    if dialect == "ffmpeg":
        return _nearest(x >> 2, law)
    negative = x < 0
    if law == "mu":
        magnitude = {
            "itu": (np.where(negative, ~x, x) >> 2) + 33,
            "sun": np.abs(x >> 2) + 33,
            "libsndfile": (np.minimum(np.abs(x), 32635) >> 2) + 33,
        }[dialect]
        return ~(_segment(np.minimum(magnitude, 0x1FFF), 6) | negative << 7).astype(np.uint8)
    magnitude = np.minimum(np.abs(x) >> 4, 2047) if dialect == "libsndfile" else np.where(negative, ~x, x) >> 4
    code = np.where(magnitude < 16, magnitude, _segment(np.maximum(magnitude, 16), 4 + 1) + 16)
    return ((code | ~negative << 7) ^ 0x55).astype(np.uint8)


def _segment(m, first):
    """Segment number and the four bits after the leading one: a float with a 4-bit mantissa."""
    exponent = np.frexp(m)[1] - 1
    return (exponent - (first - 1)) << 4 | (m >> (exponent - 4)) & 15


def _nearest(x, law):
    """The code whose value is nearest to 4 x, by decision points between neighbouring values."""
    flip = 0xFF if law == "mu" else 0xD5
    values = g711_decode(np.arange(128, dtype=np.uint8) ^ np.uint8(flip), law).astype(np.int32)
    edges = (values[:-1] + values[1:] + 4) >> 3
    # The most negative sample has no positive counterpart: it takes its neighbour's code.
    level = np.searchsorted(edges, np.abs(np.maximum(x, -8191)), side="right")
    return (level ^ np.where(x < 0, flip ^ 0x80, flip)).astype(np.uint8)


def g711_decode(codes, law="mu"):
    """Samples as int16."""
    if law == "mu":
        u = ~codes.astype(np.int32)
        value = (((u & 15) << 3) + 0x84 << (u >> 4 & 7)) - 0x84
        return np.where(u & 0x80, -value, value).astype(np.int16)
    a = codes.astype(np.int32) ^ 0x55
    e = a >> 4 & 7
    value = np.where(e > 0, (2 * (a & 15) + 33) << np.maximum(e + 2, 3), (2 * (a & 15) + 1) << 3)
    return np.where(a & 0x80, value, -value).astype(np.int16)


def unpack_24(raw, out):
    """Packed little-endian 24-bit samples as int32, in the upper bits."""
    four = np.zeros((len(out), 4), np.uint8)
    four[:, 1:] = raw.reshape(-1, 3)
    out[:] = four.view("<i4")[:, 0]


# The kernels of fastdl_ext.audio in NumPy, for where these are not built.


def mu_law_encode_256(x, codes):
    """Classes of int16 samples for Q = 256."""
    codes[:] = mu_law_encode(x)


def encode_by_table(bits, table, codes):
    """The entry of each sample's bits."""
    codes[:] = table[bits]


def encode_by_edges(x, edges, nan, codes):
    """Write a monotone step function of floats, by buckets; returns the numbers of samples clipped and of NaNs."""
    base, edge, first, shift = edges
    missing = np.isnan(x)
    held = np.clip(np.where(missing, x.dtype.type(1), x), -1, 1)
    bits = held.view(f"u{x.dtype.itemsize}")
    sign = 1 << (8 * x.dtype.itemsize - 1)
    magnitude = np.maximum(bits & bits.dtype.type(sign - 1), bits.dtype.type(first))
    bucket = (magnitude - bits.dtype.type(first) >> bits.dtype.type(shift)).astype(np.int64)
    bucket += len(base) // 2 * np.signbit(held)
    codes[:] = np.where(missing, nan, base[bucket] + (held >= edge[bucket]))
    return int((np.abs(x) > 1).sum()), int(missing.sum())


def encode_int32(x, scale, edges, codes):
    """`encode_by_edges` of x times a power of two."""
    encode_by_edges(x * np.float64(scale), edges, 0, codes)


def shift_codes(codes, inputs, targets):
    inputs[:], targets[:] = codes[:, :-1], codes[:, 1:]


def decode(codes, table, out, past=False):
    """The entry of each code; `past` the caches is a kernel's way to store it."""
    out[:] = table[codes]


def round_to_int16(x, out):
    """Write `pcm16` of floats, a NaN as 0; returns the numbers of samples clipped and of NaNs."""
    missing = np.isnan(x)
    out[:] = pcm16(np.where(missing, x.dtype.type(0), x))
    return int((np.abs(x) > 1).sum()), int(missing.sum())


def small_mu_law_encode_256(*arguments):
    """Returns None: NumPy has no faster way for few items, so the shell takes its general one."""


small_encode_by_edges = small_g711_encode = small_decode = small_mu_law_encode_256
