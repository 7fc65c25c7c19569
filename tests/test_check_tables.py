"""Tables of pandas, polars and pyarrow as arrays of numbers."""

import decimal

import numpy as np
import pytest

import fastdl
from fastdl import _check

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

A, B = np.array([1.5, -2.0, 4.25, 8.0]), np.array([3, 1, 4, 1])
C = np.array([True, False, True, True])
WANT = np.column_stack([A, B, C]).astype(np.float64)


class Stream:
    """What gives an Arrow stream and nothing else."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Interchange:
    """What has the `__dataframe__` protocol and nothing else."""

    def __init__(self, table):
        self.table = table

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self.table.__dataframe__(nan_as_null, allow_copy)


PANDAS = pd.DataFrame({"a": A, "b": B, "c": C})
ARROW = pa.table({"a": A, "b": B, "c": C})
TABLES = {
    "pandas": PANDAS,
    "nullable": PANDAS.convert_dtypes(),
    "Arrow-backed": PANDAS.convert_dtypes(dtype_backend="pyarrow"),
    "objects": PANDAS.astype(object),
    "categories": PANDAS.astype({"b": "category"}),
    "polars": pl.DataFrame({"a": A, "b": B, "c": C}),
    "lazy": pl.LazyFrame({"a": A, "b": B, "c": C}),
    "pyarrow": ARROW,
    "record batch": ARROW.to_batches()[0],
    "chunks": pa.concat_tables([ARROW.slice(0, 1), ARROW.slice(1)]),
    "dictionary": ARROW.set_column(1, "b", ARROW["b"].dictionary_encode()),
    "decimal": ARROW.set_column(1, "b", pa.array([decimal.Decimal(int(b)) for b in B])),
    "stream": Stream(ARROW),
    "interchange": Interchange(ARROW),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_of_table_has_the_same_numbers_and_names(kind):
    got, names = _check.table("X", TABLES[kind])
    assert got.dtype == np.float64
    assert (got == WANT).all()
    assert names == ["a", "b", "c"]


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_of_table_gives_the_same_fit_to_the_bit(kind):
    want = fastdl.fit_lp(WANT[:, :2], A + B, 2.0)
    table = TABLES[kind]
    if kind in ("stream", "interchange"):
        table = type(table)(ARROW.select(["a", "b"]))
    elif kind in ("lazy", "polars") or kind in ("pyarrow", "record batch", "chunks", "dictionary", "decimal"):
        table = table.select(["a", "b"])
    else:
        table = table[["a", "b"]]
    got = fastdl.fit_lp(table, A + B, 2.0)
    assert got.w.tobytes() == want.w.tobytes()
    assert got.b == want.b


MISSING = {
    "nullable": pd.Series([1, None, 3], dtype="Int32"),
    "Arrow-backed": pd.Series([1, None, 3], dtype="int64[pyarrow]"),
    "objects": pd.Series([1, None, 3.0], dtype=object),
    "polars": pl.Series([1, None, 3]),
    "pyarrow": pa.array([1, None, 3]),
    "chunked": pa.chunked_array([[1, None], [3]]),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_missing_value_is_nan(kind):
    got = _check.asarray("y", MISSING[kind])
    assert got.dtype == np.float64
    assert np.array_equal(got, [1, np.nan, 3], equal_nan=True)


@pytest.mark.parametrize(
    "column",
    [pd.Series([True, None], dtype="boolean"), pl.Series([True, None]), pa.array([True, None])],
    ids=["pandas", "polars", "pyarrow"],
)
def test_a_missing_bool_is_nan(column):
    assert np.array_equal(_check.asarray("y", column), [1, np.nan], equal_nan=True)


def test_small_floats_stay_small():
    for table in (
        pd.DataFrame({"a": A.astype("f4")}),
        pl.DataFrame({"a": A.astype("f4")}),
        pa.table({"a": A.astype("f4")}),
    ):
        assert _check.table("X", table)[0].dtype == np.float32


TEXT = {
    "pandas": PANDAS.assign(city=["Oslo", "Rome", "Bern", "Oslo"]),
    "string": PANDAS.assign(city=pd.array(["Oslo", "Rome", "Bern", "Oslo"], "string")),
    "Arrow-backed": PANDAS.assign(city=pd.array(["Oslo", "Rome", "Bern", "Oslo"], "string[pyarrow]")),
    "category": PANDAS.assign(city=pd.Categorical(["Oslo", "Rome", "Bern", "Oslo"])),
    "polars": pl.DataFrame({"a": A, "city": ["Oslo", "Rome", "Bern", "Oslo"]}),
    "pyarrow": ARROW.append_column("city", pa.array(["Oslo", "Rome", "Bern", "Oslo"])),
    "dates": PANDAS.assign(city=pd.date_range("2024", periods=4)),
    "polars dates": pl.DataFrame({"city": pd.date_range("2024", periods=4)}),
}


@pytest.mark.parametrize("kind", TEXT)
def test_a_column_without_numbers_is_named(kind):
    with pytest.raises(fastdl.InputTypeError, match=r"X column 'city'.* must be numeric"):
        fastdl.fit_lp(TEXT[kind], A)


def test_an_empty_table_has_its_columns():
    assert _check.table("X", ARROW.slice(0, 0))[0].shape == (0, 3)
    assert _check.table("X", pd.DataFrame(index=range(3)))[0].shape == (3, 0)


@pytest.mark.parametrize("kind", ["pandas", "nullable", "polars", "pyarrow"])
def test_a_value_that_is_not_finite_is_named_with_its_column(kind):
    table = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}.get(kind, pd.DataFrame)(
        {"height": [1.0, 2.0, 3.0], "price": [1.0, 2.0, None]}
    )
    table = table.convert_dtypes() if kind == "nullable" else table
    with pytest.raises(fastdl.InputError, match="X must be finite, got nan in row 2, column 'price'"):
        fastdl.fit_lp(table, [1.0, 2.0, 3.0])


def test_categories_of_numbers():
    for column in (pd.Series([2, 1, 2], dtype="category"), pd.Categorical([2, 1, 2]), pd.CategoricalIndex([2, 1, 2])):
        got = _check.asarray("y", column)
        assert got.dtype == np.int64 and got.tolist() == [2, 1, 2]
    got = _check.asarray("y", pd.Series([2, None, 1], dtype="category"))
    assert np.array_equal(got, [2, np.nan, 1], equal_nan=True)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_estimators_name_a_column_of_text_too(kind):
    estimators = pytest.importorskip("fastdl.estimators")
    for estimator in (estimators.PolynomialRegressor(degree=1), estimators.NetworkRegressor(epochs=1)):
        with pytest.raises((fastdl.InputTypeError, ValueError), match="'city'"):
            estimator.fit(TEXT[kind], A)


def test_a_stream_of_batches_is_read_once():
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"a": [1.0, 2.0, 3.0, 5.0], "b": [0.0, 1.0, 0.0, 1.0]})
    fit = fastdl.fit_lp(table.to_reader(max_chunksize=2), [1.0, 2.0, 3.0, 5.0])
    want = fastdl.fit_lp(table, [1.0, 2.0, 3.0, 5.0])
    assert fit.w.tobytes() == want.w.tobytes()
    bad = pyarrow.table({"a": [1.0, 2.0], "b": ["x", "y"]}).to_reader()
    with pytest.raises(fastdl.InputTypeError, match="column 'b' must be numeric"):
        fastdl.fit_lp(bad, [1.0, 2.0])


def test_intervals_are_no_numbers():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1.0, 2.0], "b": [pandas.Interval(0, 1)] * 2})
    with pytest.raises(fastdl.InputTypeError, match="column 'b' must be numeric"):
        fastdl.fit_lp(table, [1.0, 2.0])
