"""Least squares against the certified values of NIST's Statistical Reference Datasets, and beside NumPy's QR."""

import numpy as np
import pytest

import fastdl

STEPS = np.arange(21.0)
#: Wampler's third set; the fourth and fifth have 100 and 10,000 times its distance from the polynomial.
WAMPLER_3 = np.array(
    [760, -2042, 2111, -1684, 3888, 1858, 11379, 17560, 39287, 64382, 113159, 175108, 273291, 400186, 581243, 811568,
     1121004, 1506550, 2002767, 2611612, 3369180.0]
)  # fmt: skip
SUM = sum(STEPS**k for k in range(6))
LONGLEY = np.array(
    [
        60323,
        83.0,
        234289,
        2356,
        1590,
        107608,
        1947,
        61122,
        88.5,
        259426,
        2325,
        1456,
        108632,
        1948,
        60171,
        88.2,
        258054,
        3682,
        1616,
        109773,
        1949,
        61187,
        89.5,
        284599,
        3351,
        1650,
        110929,
        1950,
        63221,
        96.2,
        328975,
        2099,
        3099,
        112075,
        1951,
        63639,
        98.1,
        346999,
        1932,
        3594,
        113270,
        1952,
        64989,
        99.0,
        365385,
        1870,
        3547,
        115094,
        1953,
        63761,
        100.0,
        363112,
        3578,
        3350,
        116219,
        1954,
        66019,
        101.2,
        397469,
        2904,
        3048,
        117388,
        1955,
        67857,
        104.6,
        419180,
        2822,
        2857,
        118734,
        1956,
        68169,
        108.4,
        442769,
        2936,
        2798,
        120445,
        1957,
        66513,
        110.8,
        444546,
        4681,
        2637,
        121950,
        1958,
        68655,
        112.6,
        482704,
        3813,
        2552,
        123366,
        1959,
        69564,
        114.2,
        502601,
        3931,
        2514,
        125368,
        1960,
        69331,
        115.7,
        518173,
        4806,
        2572,
        127852,
        1961,
        70551,
        116.9,
        554894,
        4007,
        2827,
        130081,
        1962,
    ],
    float,
).reshape(16, 7)
PONTIUS = np.array(
    [
        0.11019,
        0.21956,
        0.32949,
        0.43899,
        0.54803,
        0.65694,
        0.76562,
        0.87487,
        0.98292,
        1.09146,
        1.20001,
        1.30822,
        1.41599,
        1.52399,
        1.63194,
        1.73947,
        1.84646,
        1.95392,
        2.06128,
        2.16844,
        0.11052,
        0.22018,
        0.32939,
        0.43886,
        0.54798,
        0.65739,
        0.76596,
        0.87474,
        0.98300,
        1.09150,
        1.20004,
        1.30818,
        1.41613,
        1.52408,
        1.63159,
        1.73965,
        1.84696,
        1.95445,
        2.06177,
        2.16829,
    ],
    float,
)


def powers(x, degree):
    return np.column_stack([x**k for k in range(1, degree + 1)])


LOADS = np.tile(np.arange(150_000.0, 3_000_001.0, 150_000.0), 2)
SETS = {
    "Wampler1": (powers(STEPS, 5), SUM, np.ones(6)),
    "Wampler2": (powers(STEPS, 5), sum((STEPS / 10) ** k for k in range(6)), 10.0 ** -np.arange(6)),
    "Wampler3": (powers(STEPS, 5), WAMPLER_3, np.ones(6)),
    "Wampler4": (powers(STEPS, 5), SUM + 100 * (WAMPLER_3 - SUM), np.ones(6)),
    "Wampler5": (powers(STEPS, 5), SUM + 10_000 * (WAMPLER_3 - SUM), np.ones(6)),
    "Longley": (
        LONGLEY[:, 1:],
        LONGLEY[:, 0],
        [-3482258.63459582, 15.0618722713733, -0.358191792925910e-1, -2.02022980381683, -1.03322686717359,
         -0.511041056535807e-1, 1829.15146461355],
    ),
    "Pontius": (powers(LOADS, 2), PONTIUS, [0.673565789473684e-3, 0.732059160401003e-6, -0.316081871345029e-14]),
}  # fmt: skip


def digits(found, certified):
    """The digits that the worst coefficient has in common with the certified ones, of which there are 15."""
    off = np.abs(np.asarray(found) - certified) / np.abs(certified)
    return float(min(15, -np.log10(off.max() + 1e-300)))


@pytest.mark.parametrize("name", SETS)
def test_certified_digits(name):
    X, y, certified = SETS[name]
    fit = fastdl.fit_lp(X, y)
    ours = digits(np.append(fit.b, fit.w), np.asarray(certified))
    Q, R = np.linalg.qr(np.column_stack([np.ones(len(y)), X]))
    by_qr = digits(np.linalg.solve(R, Q.T @ y), np.asarray(certified))
    print(f"{name}: {ours:0.1f} digits, by QR {by_qr:0.1f}")
    assert ours >= 9
    assert ours >= by_qr
    assert fit.certificate.lower <= fit.loss
