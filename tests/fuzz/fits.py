"""Fits of hostile data against exact arithmetic: no bound above the optimum, no loss that is not the model's.

`python -m tests.fuzz fits --count 100000 --seed 1` prints every failure with the number that makes it again, and the
counts. `--only NUMBER` runs one data set. A crash, an error that is not of the data, and a fit without an end within a
minute are failures too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
import warnings
from fractions import Fraction
from functools import partial

import numpy as np

from fastdl.errors import InputError
from tests.fuzz import _fit_data, _fit_problems

_PART = 50  # data sets that a process takes at once
_SILENCE = 60  # seconds of the processor that a data set may take


def failure(seed, number):
    """What is wrong with the fit of data set `number`, or None."""
    rng = np.random.default_rng([seed, number])
    data = _fit_data.draw(rng)
    try:
        for one in _fit_problems.judged_fits(rng, data):
            if wrong := _wrong(one, data):
                return f"{one.name} {getattr(one, 'p', '')}, {data}: {wrong}"
    except InputError as error:
        return None if _may_be_refused(str(error)) else f"{data}: InputError: {error}"
    except _TooLong:
        raise
    except Exception as error:  # any, of the judge too: the number of the data set must be told
        return f"{data}: {type(error).__name__}: {error}"
    return None


def _may_be_refused(error):
    """Whether this is what a fit may say of data that float64 does not hold."""
    return "runs out of digits and of range" in error


def _wrong(judged, data):
    """What is wrong with one fit."""
    fit = judged.fit
    upper, lower, gap, _ = fit.certificate
    if not np.isfinite([upper, lower, gap, *np.ravel(fit.w), *np.ravel(fit.b)]).all():
        return None if _out_of_range(judged, data) else f"not finite: {fit}"
    if upper != fit.loss:
        return f"upper {upper} is not the loss {fit.loss}"
    own, least = judged.own_loss(), judged.least()
    least = own if least is None else min(own, least)
    if lower > least:
        return f"lower {lower!r} above the least {float(least)!r} by {float(lower / least - 1) if least else lower:.1e}"
    # Weights of a common size are taken out of the sum, which may then be below the least float.
    nothing = type(own)(2) ** -1000 * max(1, Fraction(float(np.max(data.s))))
    if abs(own - type(own)(fit.loss)) > own / 10**9 + judged.rounding() + nothing:
        return f"the loss of (w, b) is {float(own)}, not {fit.loss}"
    return None


def _out_of_range(judged, data):
    """Whether the loss may be beyond the largest float."""
    used = np.asarray(data.s) > 0
    y, s = np.abs(np.asarray(data.y)[used]), np.asarray(data.s)[used]
    p = max(getattr(judged, "p", 1.0), 2.0)
    with np.errstate(divide="ignore"):
        return p * np.log10(y.max()) + np.log10(s.max()) > 290


class _TooLong(Exception):
    """A data set took longer than it may."""


def _stop(*_):
    raise _TooLong


def _told(seed, number):
    """The failure of a data set, or that it does not end."""
    if not hasattr(signal, "SIGVTALRM"):  # on Windows
        return failure(seed, number)
    signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _SILENCE)
    try:
        return failure(seed, number)
    except _TooLong:
        return f"no end within {_SILENCE} s"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def failures(seed, first):
    """The failures of the data sets from `first` on that a process takes at once."""
    warnings.simplefilter("ignore")  # of gaps above the tolerance: the bound is what is looked at here
    found = ((number, _told(seed, number)) for number in range(first, first + _PART))
    return [(number, text) for number, text in found if text]


def main(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz fits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--count", type=int, default=sys.maxsize, help="data sets at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    options = parser.parse_args(arguments)
    if options.only is not None:
        print(failure(options.seed, options.only))
        return 0
    end, done, failed = time.monotonic() + options.seconds, 0, 0
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        parts = pool.imap_unordered(partial(failures, options.seed), range(0, options.count, _PART))
        for found in parts:
            done += _PART
            failed += len(found)
            for number, text in found:
                print(f"--seed {options.seed} --only {number}: {text}", file=sys.stderr)
            if time.monotonic() > end:
                pool.terminate()
                break
    print(f"fits: {done} data sets, seed {options.seed}, {failed} failures")
    return int(failed > 0)
