"""The errors: what they say reaches a caller in another process."""

import pickle

import numpy as np
import pytest

import fastdl
from fastdl.errors import FileError, InputError, InputTypeError, MissingExtra

RAISED = {
    "a NaN": lambda: fastdl.mu_law_encode(np.array([0.5, np.nan])),
    "not defined": lambda: fastdl.feature_map(np.array([[-1.0]]), ["log"], invalid="raise"),
    "a value": lambda: fastdl.mu_law_encode(np.zeros(3), 1),
    "a type": lambda: fastdl.vandermonde(["a"], 2),
    "a file": lambda: fastdl.files.open_points("nowhere.las"),
}


def error_of(call):
    with pytest.raises(fastdl.FastdlError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("name", RAISED)
def test_errors_are_the_same_after_pickling(name):
    error = error_of(RAISED[name])
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_place_in_a_file_is_kept():
    again = pickle.loads(pickle.dumps(FileError("a.csv", "is wrong", line=3)))
    assert (again.path, again.line, again.offset) == ("a.csv", 3, None)
    assert str(again) == "a.csv at line 3: is wrong"


@pytest.mark.parametrize("kind", [InputError, InputTypeError, MissingExtra])
def test_errors_are_those_of_the_language_too(kind):
    assert issubclass(kind, fastdl.FastdlError)
    assert issubclass(kind, (ValueError, TypeError, ImportError))
