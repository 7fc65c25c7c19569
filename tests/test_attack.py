"""The parts of `tests.attack`: calls that agree, and a failing call that is shrunk and printed."""

import random

import numpy as np
import pytest

import fastdl
from tests.attack import changes, shrinking
from tests.attack.calls import CALLS, Pair, invent, problem
from tests.attack.more_cases import arguments


def a_call(function, **more):
    number = next(k for k, case in enumerate(CALLS) if case.function == function)
    return {"case": number, "n": 300, "seed": 5, "changes": [], **more}


def test_kernels_and_reference_agree_on_calls_at_random():
    rng, pair = random.Random(0), Pair()
    try:
        # The gradients of networks are the slowest of the references.
        numbers = [k for k, case in enumerate(CALLS) if case.stem in ("audio", "sequences", "losses", "features")]
        calls = [invent(rng, numbers) for _ in range(300)]
        wrong = pair.wrong(calls)
    finally:
        pair.close()
    assert not any(wrong), [(call, text) for call, text in zip(calls, wrong) if text]


def test_a_call_is_made_as_small_as_it_fails():
    call = a_call("lp_loss", changes=[[0, "nan"], [1, "strided"], ["threads", "threads", 3], [3, "value", 3]])

    def wrong(candidate):
        """As if NaN in X were a failure of calls that weigh rows."""
        _, args, kwargs = arguments(candidate)
        return "NaN is not expected" if kwargs is not None and np.isnan(args[0]).any() and len(args) > 4 else ""

    told = shrinking.report(call, wrong(call), wrong, seconds=60)
    lines = told.splitlines()
    assert lines[0].startswith("FAILED lp_loss") and lines[0].endswith(": NaN is not expected")
    assert "python -m tests.attack.calls" in lines[1]
    small = shrinking.shrink(call, lambda c: bool(wrong(c)), 60)
    _, (X, y, *_), kwargs = arguments(small)
    assert (X.shape, len(y), kwargs, small["changes"]) == ((1, 1), 1, {}, [])
    names = {}
    exec("\n".join(line.strip() for line in lines[2:-1]), names)
    assert lines[-1].strip().startswith("print(fastdl.lp_loss(np.array([[nan]]")
    assert np.isnan(eval(lines[-1].strip().removeprefix("print("[:-1]), names | {"fastdl": fastdl}))


def test_what_is_printed_makes_the_same_arguments():
    call = a_call("aggregate", n=20, changes=[[1, "reversed"]])
    case, args, kwargs = arguments(call)
    *imports, line = shrinking.reproduction(call)
    names = {}
    exec("\n".join(imports), names)
    again = eval(line.removeprefix("print"), names)
    np.testing.assert_array_equal(again, getattr(fastdl, case.function)(*args, **kwargs))


@pytest.mark.parametrize(
    ("kernel", "reference", "said"),
    [
        (("result", [np.ones(2)]), ("result", [np.ones(2)]), ""),
        (("result", [np.ones(2)]), ("result", [np.zeros(2)]), "Mismatched"),
        (("result", [np.ones(2)]), ("error", ("InputError", "no")), "the reference InputError: no"),
        (("error", ("InputError", "no")), ("error", ("InputTypeError", "no")), "errors differ"),
        (("error", ("raw KeyError", "x")), ("result", [np.ones(2)]), "the kernel raised raw KeyError"),
        (("died", "exit code -11"), ("result", [np.ones(2)]), "the kernel's process died: exit code -11"),
        (("skip", None), ("result", [np.ones(2)]), ""),
    ],
)
def test_answers_that_differ_are_told(kernel, reference, said):
    told = problem(a_call("mu_law_encode"), kernel, reference)
    assert said in told
    assert bool(told) == bool(said)


def test_every_public_name_is_called():
    from tests.attack.calls import untried

    assert untried() == []


def test_changes_keep_values_where_they_change_memory_alone():
    x = np.arange(24.0).reshape(4, 6)
    for name, change in changes.LAYOUTS.items():
        same = x[:1].repeat(4, 0) if name == "broadcast" else x
        np.testing.assert_array_equal(change(x), same, err_msg=name)
