"""One table of how to call each function and what is promised of it: for the equivalence tests, and to compare builds.

To add a kernel, add a Case to the list of its stem.
"""

from __future__ import annotations

from tests.case import Case
from tests.cases_audio import CASES_AUDIO
from tests.cases_features import CASES_FEATURES
from tests.cases_losses import CASES_LOSSES
from tests.cases_points import CASES_POINTS
from tests.cases_sequences import CASES_SEQUENCES

CASES: list[Case] = [
    *CASES_AUDIO,
    *CASES_POINTS,
    *CASES_SEQUENCES,
    *CASES_LOSSES,
    *CASES_FEATURES,
]
import numpy as np

from tests.cases_graphs import graphs_cases

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """One way to call one public function."""

    stem: str
    function: str
    make: Callable[[np.random.Generator, int], Arguments]
    label: str = ""
    rtol: float = 0.0
    moved: float = 0.0
    sizes: tuple[int, ...] = (0, 1, 2, 7, 160, 4099)
    threads: tuple[int, ...] = field(default=(1, 2, 3))

    def __str__(self) -> str:
        return f"{self.function}[{self.label}]" if self.label else self.function


def pcm(rng: np.random.Generator, n: int) -> np.ndarray:
    """n int16 samples over the whole range, so that no value is rare."""
    return rng.integers(-32768, 32768, n, dtype=np.int16)


def audio_cases() -> list[Case]:
    cases = []
    for dialect in ("wavenet", "librosa", "nnmnkwii"):
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
            cases.append(
                Case(
                    "audio",
                    "g711_encode",
                    lambda rng, n, law=law, dialect=dialect: ((pcm(rng, n), law), {"dialect": dialect}),
                    f"{law}-{dialect}",
                    moved=3,
                )
            )
        cases.append(
            Case(
                "audio",
                "g711_decode",
                lambda rng, n, law=law: ((rng.integers(0, 256, n, dtype=np.uint8), law), {}),
                law,
                moved=3,
            )
        )
    return cases


CASES: list[Case] = audio_cases()
CASES += graphs_cases(Case)
