"""How ratios and times are written in the tables of benchmarks."""


def ratio(times: float) -> str:
    """Two digits, below 1 with two decimals."""
    return f"{times:.2f}" if times < 1 else f"{times:.2g}" if times < 100 else f"{times:.0f}"


def duration(seconds: float) -> str:
    """Three digits and the unit that fits."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            shown = f"{seconds / size:.3g}"
            return f"{float(shown):.0f} {unit}" if "e" in shown else f"{shown} {unit}"
    return f"{seconds * 1e9:.3g} ns"
