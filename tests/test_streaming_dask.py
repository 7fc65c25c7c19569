"""Dask's collections as chunks: the same fits and states as from arrays, here and on workers."""

import numpy as np
import pytest

import fastdl
from fastdl.streaming import dask_chunks, run

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")
rng = np.random.default_rng(4)
X = rng.normal(size=(1000, 3))
Y = X @ [1.0, -2.0, 0.5] + rng.laplace(size=1000)
S = rng.integers(1, 4, 1000).astype(float)


@pytest.fixture
def lazy():
    return da.from_array(X, chunks=(300, 2)), da.from_array(Y, chunks=450)


@pytest.mark.parametrize("p", [1, 1.5, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_has_the_bits_of_the_arrays(lazy, p, weighted):
    s = S if weighted else None
    fit = fastdl.fit_lp(*lazy, p, sample_weight=s)
    want = fastdl.fit_lp(X, Y, p, sample_weight=s)
    np.testing.assert_array_equal(fit.w, want.w)
    assert (fit.b, fit.loss) == (want.b, want.loss)


def test_frames_and_series():
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    table = pd.DataFrame(X, columns=list("abc")).assign(y=Y)
    frame = dd.from_pandas(table, npartitions=4)
    fit = fastdl.fit_lp(frame[["a", "b", "c"]], frame["y"], 1)
    np.testing.assert_array_equal(fit.w, fastdl.fit_lp(X, Y, 1).w)
    target = run(frame["y"], fastdl.StandardTarget())
    assert target.mean_ == pytest.approx(Y.mean(), rel=1e-12)


def test_delayed_chunks_feed_every_state():
    seen = []

    def read(k):
        seen.append(k)
        return X[k::4], Y[k::4]

    chunks = [dask.delayed(read)(k) for k in range(4)]
    state = run(chunks, fastdl.GramAccumulator())
    assert sorted(seen) == [0, 1, 2, 3]
    np.testing.assert_allclose(state.w, fastdl.fit_lp(X, Y, 2).w, rtol=1e-12)
    assert run(chunks, lambda chunk: len(chunk[1])) == [250] * 4


def test_nothing_is_computed_before_it_is_used():
    def fail():
        raise RuntimeError("computed")

    chunks = dask_chunks(da.from_delayed(dask.delayed(fail)(), (5, 2), float), np.zeros(5))
    assert len(chunks) == 1
    with pytest.raises(RuntimeError, match="computed"):
        run(chunks, fastdl.GramAccumulator())


def test_what_does_not_fit_is_said(lazy):
    with pytest.raises(fastdl.InputError, match="same length, got 1000 and 999"):
        dask_chunks(lazy[0], Y[:999])
    with pytest.raises(fastdl.InputError, match="same length, got 1000 and 500"):
        dask_chunks(lazy[0], lazy[1][:500])
    with pytest.raises(fastdl.InputError, match="X must be a Dask array or frame, got ndarray"):
        dask_chunks(X, Y)
    unknown = lazy[0][lazy[0][:, 0] > 0]
    with pytest.raises(fastdl.InputError, match="lengths that are not known"):
        dask_chunks(unknown, Y)
    with pytest.raises(fastdl.InputError, match="same parts, got 4 and 3"):
        dask_chunks(unknown, lazy[1])
