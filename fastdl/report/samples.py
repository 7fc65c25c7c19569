"""Synthetic data for the report, tests and benchmarks: a voice, a street, a club, a gene, noisy points, incomes."""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array
from fastdl.graphs.graph import Graph

#: Samples a second of `voice`.
RATE = 16000
#: Formants (Hz) of the vowels of "a-e-i-o-u", as of a low voice.
_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))


def voice(seconds: float = 2.0, seed: int = 0) -> Array:
    """A voice-like recording as int16: pulses of a gliding pitch through formants, with breath and pauses."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * t) + 4 * np.sin(2 * np.pi * 5 * t)
    phase = np.cumsum(pitch) / RATE
    source = np.diff(np.floor(phase), prepend=0) + 0.02 * rng.standard_normal(len(t))
    part = np.minimum((t / seconds * len(_VOWELS)).astype(int), len(_VOWELS) - 1)
    spoken = np.zeros(len(t))
    ring = np.arange(int(0.04 * RATE)) / RATE
    for k, formants in enumerate(_VOWELS):
        waves = [np.exp(-90 * ring) * np.sin(2 * np.pi * f * ring) / (i + 1) for i, f in enumerate(formants)]
        answer = np.sum(waves, axis=0)
        within = t / seconds * len(_VOWELS) - k
        envelope = np.clip(np.minimum(within, 0.9 - within) * 8, 0, 1) * (part == k)
        spoken += np.convolve(source, answer)[: len(t)] * envelope
    return np.round(spoken / np.abs(spoken).max() * 0.6 * 32767 + rng.normal(0, 8, len(t))).astype(np.int16)


#: The part of the street that the report looks at: x, y, z from, x, y, z to (m).
STREET_RANGE = (-40.0, -20.0, -2.0, 40.0, 20.0, 4.0)
_HEIGHT = 1.73  # of the scanner above the road
#: Boxes (x0, y0, z0, x1, y1, z1) above the road, and how much light they return: houses, cars, a bus, a wall.
_BOXES = (
    ((-60, 11, 0, -12, 20, 9), 0.35),
    ((-8, 12, 0, 22, 20, 12), 0.45),
    ((27, 10, 0, 70, 20, 7), 0.3),
    ((-70, -20, 0, -3, -11, 10), 0.4),
    ((2, -20, 0, 60, -12, 8), 0.5),
    ((8, -4.5, 0, 12.4, -2.7, 1.5), 0.8),
    ((18, -4.6, 0, 22.3, -2.8, 1.6), 0.7),
    ((-16, 2.5, 0, -11.6, 4.3, 1.5), 0.75),
    ((26, 2.2, 0, 38, 4.8, 3.1), 0.85),
    ((-30, -4.4, 0, -25.7, -2.6, 1.5), 0.65),
    ((5, 7.5, 0, 5.6, 8.1, 1.8), 0.55),
    ((13, -8.4, 0, 13.5, -7.9, 1.7), 0.55),
)
#: Trunks and lamp posts (x, y, radius, height).
_POSTS = tuple((float(x), y, 0.15, 6.0) for x in range(-36, 40, 9) for y in (9.0, -9.5))


def street_scan(beams: int = 64, turn: int = 1875, seed: int = 0) -> Array:
    """One turn of a lidar in a street as float32 (x, y, z, intensity): rays cast at boxes, posts and the road."""
    rng = np.random.default_rng(seed)
    up = np.deg2rad(np.linspace(2.0, -24.8, beams))
    around = np.linspace(-np.pi, np.pi, turn, endpoint=False)
    rise, angle = (a.reshape(-1) for a in np.meshgrid(up, around, indexing="ij"))
    ray = np.stack([np.cos(rise) * np.cos(angle), np.cos(rise) * np.sin(angle), np.sin(rise)])
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(ray[2] < 0, -_HEIGHT / ray[2], np.inf)
        light = np.full(len(far), 0.2)
        for box, shine in _BOXES:
            ends = np.array(box, float).reshape(2, 3, 1) - [[0], [0], [_HEIGHT]]
            walls = ends / ray
            enter, leave = walls.min(axis=0).max(axis=0), walls.max(axis=0).min(axis=0)
            hit = (enter <= leave) & (enter > 0) & (enter < far)
            far, light = np.where(hit, enter, far), np.where(hit, shine, light)
        flat = ray[0] ** 2 + ray[1] ** 2
        for x, y, radius, height in _POSTS:
            along = (ray[0] * x + ray[1] * y) / flat
            past = along**2 - (x * x + y * y - radius * radius) / flat
            enter = along - np.sqrt(past)
            hit = (past > 0) & (enter > 0) & (enter < far) & (enter * ray[2] + _HEIGHT < height)
            far, light = np.where(hit, enter, far), np.where(hit, 0.6, light)
    seen = (far < 90) & (rng.random(len(far)) > 0.03)
    far = far[seen] + rng.normal(0, 0.015, seen.sum())
    shine = np.clip(light[seen] + rng.normal(0, 0.05, seen.sum()), 0, 1)
    return np.column_stack([(ray[:, seen] * far).T, shine]).astype(np.float32)


#: The friendships of a karate club (Zachary, "Conflict and fission in small groups", 1977).
_FRIENDS = {
    0: (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31),
    1: (2, 3, 7, 13, 17, 19, 21, 30),
    2: (3, 7, 8, 9, 13, 27, 28, 32),
    3: (7, 12, 13),
    4: (6, 10),
    5: (6, 10, 16),
    6: (16,),
    8: (30, 32, 33),
    9: (33,),
    13: (33,),
    14: (32, 33),
    15: (32, 33),
    18: (32, 33),
    19: (33,),
    20: (32, 33),
    22: (32, 33),
    23: (25, 27, 29, 32, 33),
    24: (25, 27, 31),
    25: (31,),
    26: (29, 33),
    27: (33,),
    28: (31, 33),
    29: (32, 33),
    30: (32, 33),
    31: (32, 33),
    32: (33,),
}
#: Those who stayed with the instructor (0) when the club split; the others went with the president (33).
KARATE_INSTRUCTOR = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 16, 17, 19, 21)


def karate_club() -> Graph:
    """34 members, 78 friendships, each an edge in both directions."""
    pairs = np.array([(a, b) for a, friends in _FRIENDS.items() for b in friends])
    return Graph.from_edges(np.concatenate([pairs, pairs[:, ::-1]]))


#: A sequence that is put together like a small gene: (what it is, its letters).
GENE = (
    ("upstream", "GCCGNNNNCG"),
    ("TATA box", "TATAAAAG"),
    ("5' UTR", "GGCTCCACTC"),
    ("start", "ATG"),
    ("exon", "GCTCTGCGGAAACTG"),
    ("splice sites and intron, in lower case", "gtaagtctcttttctcag"),
    ("exon", "CGTTTCAAGGAC"),
    ("stop", "TAA"),
    ("poly-A signal", "AATAAA"),
)


def incomes(n: int = 100_000, seed: int = 7) -> Array:
    """A skewed target: most values small, a few very large, in thousands."""
    return 30 * np.exp(0.8 * np.random.default_rng(seed).standard_normal(n))


def rising_curve() -> tuple[Array, Array]:
    """Twelve noisy observations of a curve that rises in waves, on [0, 10]."""
    rng = np.random.default_rng(3)
    x = np.linspace(0.3, 9.7, 12) + rng.uniform(-0.3, 0.3, 12)
    return x, np.sin(x) + 0.15 * x + rng.normal(0, 0.25, len(x))


def line_with_outlier() -> tuple[Array, Array]:
    """Twenty points about y = 0.8 x + 1, and one far from it."""
    rng = np.random.default_rng(4)
    x = np.linspace(0, 10, 21)
    y = 0.8 * x + 1 + 0.25 * rng.standard_normal(21)
    y[18] = -4
    return x, y


def line_with_false_readings() -> tuple[Array, Array]:
    """Sixty points about y = x + 1, six of them far off on one side."""
    rng = np.random.default_rng(8)
    x = np.sort(rng.uniform(0, 10, 60))
    y = x + 1 + 0.4 * rng.standard_normal(60)
    y[-9:-3] = rng.uniform(-6, 0, 6)
    return x, y


def heavy_tails(rows: int, weights: Array, freedom: float, seed: int) -> tuple[Array, Array]:
    """Rows of normal columns, and their weighted sum with errors of Student's t with `freedom` degrees of freedom."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, len(weights)))
    return X, X @ np.asarray(weights, float) + rng.standard_t(freedom, rows)


def wave(x: Array) -> Array:
    """The curve that `noisy_wave` observes with errors."""
    return np.sin(1.3 * x)


def noisy_wave() -> tuple[Array, Array]:
    """Forty-five observations of a wave on [0, 8], with errors of 0.4."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 8, 45))
    return x, wave(x) + rng.normal(0, 0.4, len(x))


def wave_with_step(x: Array) -> Array:
    """The curve that `noisy_step` observes with errors."""
    return 0.5 * np.sin(3 * x) + (x > 0.4)


def noisy_step(n: int = 400, seed: int = 0, noise: float = 0.1) -> tuple[Array, Array]:
    """Observations of a wave with a step on [-2, 2]."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, n)
    return x, wave_with_step(x) + noise * rng.standard_normal(n)
