"""The cases of audio."""

from __future__ import annotations

import numpy as np

from tests.case import Case


def pcm(rng: np.random.Generator, n: int) -> np.ndarray:
    """n int16 samples over the whole range, so that no value is rare."""
    return rng.integers(-32768, 32768, n, dtype=np.int16)


def _cases() -> list[Case]:
    cases = []
    for dialect in ("wavenet", "librosa", "nnmnkwii", "nsynth"):
        for q in (256, 100, 1024):
            width = 1 if q <= 256 else 2
            for dtype in ("int16", "float32", "float64"):

                def encode(rng, n, q=q, dialect=dialect, dtype=dtype):
                    x = pcm(rng, n) if dtype == "int16" else rng.uniform(-1.1, 1.1, n).astype(dtype)
                    return (x, q), {"dialect": dialect}

                moved = np.dtype(dtype).itemsize + width
                cases.append(Case("audio", "mu_law_encode", encode, f"{dialect}-{q}-{dtype}", moved=moved))

                def decode(rng, n, q=q, dialect=dialect, dtype=dtype, width=width):
                    return (rng.integers(0, q, n, dtype=f"u{width}"), q), {"dialect": dialect, "dtype": dtype}

                cases.append(Case("audio", "mu_law_decode", decode, f"{dialect}-{q}-{dtype}", moved=moved))
    for law in ("mu", "a"):
        for dialect in ("itu", "sun", "libsndfile", "ffmpeg"):

            def g711_encode(rng, n, law=law, dialect=dialect):
                return (pcm(rng, n), law), {"dialect": dialect}

            cases.append(Case("audio", "g711_encode", g711_encode, f"{law}-{dialect}", moved=3))

        def g711_decode(rng, n, law=law):
            return (rng.integers(0, 256, n, dtype=np.uint8), law), {}

        cases.append(Case("audio", "g711_decode", g711_decode, law, moved=3))
    return cases


CASES_AUDIO = _cases()
