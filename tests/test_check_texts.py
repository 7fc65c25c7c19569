"""Text in every container that holds it, through one adapter."""

import numpy as np
import pytest

import fastdl
from fastdl import _check

WORDS = ["AC", "GTT", "", "N"]


def containers():
    yield "list", WORDS
    yield "tuple", tuple(WORDS)
    yield "array of U", np.array(WORDS)
    yield "array of objects", np.array(WORDS, object)
    yield "StringDType", np.array(WORDS, np.dtypes.StringDType())
    pandas = pytest.importorskip("pandas")
    for dtype in ("object", "category", "string"):
        yield f"pandas {dtype}", pandas.Series(WORDS, dtype=dtype, index=[3, 1, 2, 0])
    yield "pandas Index", pandas.Index(WORDS)
    yield "pandas Categorical", pandas.Categorical(WORDS)
    pyarrow = pytest.importorskip("pyarrow")
    yield "pandas arrow", pandas.Series(WORDS, dtype="string[pyarrow]")
    yield "pyarrow", pyarrow.array(WORDS)
    yield "pyarrow dictionary", pyarrow.array(WORDS).dictionary_encode()
    yield "pyarrow chunked", pyarrow.chunked_array([WORDS[:1], WORDS[1:]])
    polars = pytest.importorskip("polars")
    yield "polars", polars.Series(WORDS)
    yield "polars categorical", polars.Series(WORDS, dtype=polars.Categorical)


def test_text_in_every_container():
    for label, value in containers():
        assert _check.texts("x", value) == WORDS, label


def test_what_is_no_text_is_none():
    for value in ("ACGT", b"AC", [], [1, 2], np.arange(3), np.array(3), {"a"}, None, 3, [None, 1.5]):
        assert _check.texts("x", value) is None


def test_missing_and_mixed_are_named():
    pandas = pytest.importorskip("pandas")
    for value in (["a", None], np.array(["a", np.nan], object), pandas.Series(["a", None], dtype="string")):
        with pytest.raises(fastdl.InputError, match=r"missing values, got .* at index 1"):
            _check.texts("x", value)
    with pytest.raises(fastdl.InputTypeError, match="got int at index 2"):
        _check.texts("x", ["a", b"b", 3])
    with pytest.raises(fastdl.InputError, match="masked"):
        _check.texts("x", np.ma.array(["a", "b"], mask=[0, 1]))
