"""Splits: exact, permutations, the same for any cut of the rows."""

import numpy as np
import pytest

import fastdl
from fastdl.reference import _selection_kernels
from fastdl.reference import selection as reference
from fastdl.selection import _permutation


def largest_remainder(n, ratios):
    """By hand, in integers: ratios are tenths."""
    sizes, rest = [n * r // 10 for r in ratios], [n * r % 10 for r in ratios]
    for i in sorted(range(len(ratios)), key=lambda i: -rest[i])[: n - sum(sizes)]:
        sizes[i] += 1
    return sizes


class TestSplit:
    def test_sizes_are_exact_for_any_n(self):
        for n in range(2001):
            for ratios in ((7, 2, 1), (8, 2), (5, 3, 2), (10,), (0, 10)):
                parts = fastdl.split(n, ratios, seed=n)
                assert np.bincount(parts.parts(), minlength=len(ratios)).tolist() == parts.sizes.tolist()
                assert parts.sizes.tolist() == reference.part_sizes(n, ratios).tolist()
                assert parts.sizes.sum() == n

    def test_places_are_a_permutation(self):
        for n in [*range(1, 300), 1023, 1024, 1025, 4096, 65_537, 1_000_003]:
            keys = reference.keys(n)
            places = _permutation.ranks(range(n), n, keys)
            np.testing.assert_array_equal(np.sort(places), np.arange(n))
            np.testing.assert_array_equal(places, reference.ranks(np.arange(n), n, keys))

    def test_any_range_of_rows_is_the_same(self):
        parts = fastdl.split(700_001, seed=5)
        whole = parts.parts()
        np.testing.assert_array_equal(parts.parts(threads=3), whole)
        for start, stop in (
            (0, 0),
            (0, 1),
            (5, 6),
            (511, 1025),
            (262_143, 600_000),
            (700_000, 700_001),
            (700_001, 700_001),
        ):
            np.testing.assert_array_equal(parts.parts(start, stop), whole[start:stop])
        rows = np.random.default_rng(0).integers(0, 700_001, 1000)
        np.testing.assert_array_equal(parts.part(rows), whole[rows])
        np.testing.assert_array_equal(parts.part(rows.reshape(10, 100).astype(np.int32)), whole[rows].reshape(10, 100))
        assert isinstance(parts.part(3), int) and parts.part(3) == whole[3]
        assert parts.part([]).shape == (0,)
        for k, rows in enumerate((parts.train, parts.valid, parts.test)):
            np.testing.assert_array_equal(rows, np.flatnonzero(whole == k))
        out = np.empty(10, np.uint8)
        assert parts.parts(4, 14, out=out) is out

    def test_larger_than_any_index_array(self):
        n = 10**18
        parts = fastdl.split(n, seed=3)
        codes = parts.parts(n - 100_000, n)
        np.testing.assert_allclose(np.bincount(codes) / len(codes), (0.7, 0.2, 0.1), atol=0.01)
        rows = np.arange(n - 50, n)
        np.testing.assert_array_equal(reference.parts(rows, n, parts.sizes, reference.keys(3)), codes[-50:])
        assert fastdl.split(2**62, seed=0).part(2**62 - 1) in (0, 1, 2)

    def test_is_uniform_over_seeds(self):
        for n, seeds in ((7, 3000), (20, 2000)):
            place, pairs = np.zeros((n, n)), np.zeros((n, n))
            for seed in range(seeds):
                places = _permutation.ranks(range(n), n, reference.keys(seed))
                place[np.arange(n), places] += 1
                early = places < n // 2
                pairs += np.outer(early, early)
            freedom = (n - 1) ** 2
            chi2 = ((place - seeds / n) ** 2 / (seeds / n)).sum()
            assert abs(chi2 - freedom) < 5 * np.sqrt(2 * freedom)
            p = (n // 2) * (n // 2 - 1) / (n * (n - 1))
            apart = (pairs[np.triu_indices(n, 1)] - seeds * p) / np.sqrt(seeds * p * (1 - p))
            assert np.abs(apart).max() < 5

    def test_neighbours_are_independent(self):
        codes = fastdl.split(400_000, (1, 1), seed=9).parts().astype(float)
        for lag in (1, 2, 632, 633, 634):  # the grid has 633 rows
            assert abs(np.corrcoef(codes[:-lag], codes[lag:])[0, 1]) < 5 / np.sqrt(400_000)

    def test_seeds_differ_and_folds_are_not_parts(self):
        a, b = (fastdl.split(1000, seed=s).parts() for s in (0, 1))
        assert 400 < (a == b).sum() < 700
        fold = fastdl.k_fold(1000, 10, seed=0).folds()
        assert (fold[fastdl.split(1000, seed=0).test] == 9).sum() < 60

    @pytest.mark.parametrize("ratios", [(7, 2, 1), (1, 1), (1, 0, 3), (5, 4, 3, 2, 1, 1, 1)])
    def test_stratified_parts_have_their_sizes_and_every_class_its_share(self, ratios):
        rng = np.random.default_rng(0)
        for n, classes in ((1003, 4), (1000, 1000), (999, 300), (60, 7), (8, 3)):
            labels = rng.permutation(np.arange(n) % classes if classes > 100 else rng.integers(0, classes, n) ** 2)
            parts = fastdl.split(n, ratios, seed=1, stratify=labels)
            assert parts.sizes.tolist() == reference.part_sizes(n, ratios).tolist()
            assert np.bincount(parts.parts(), minlength=len(ratios)).tolist() == parts.sizes.tolist()
            for label in np.unique(labels):
                got = np.bincount(parts.parts()[labels == label], minlength=len(ratios))
                share = (labels == label).sum() * np.array(ratios) / sum(ratios)
                assert (np.abs(got - share) < 1.5).all(), (n, label, got, share)

    def test_stratified_totals_of_many_small_classes(self):
        # Rounded class by class, 4,000 rows in classes of 4 were [3000, 1000, 0].
        parts = fastdl.split(4000, (0.7, 0.2, 0.1), seed=0, stratify=np.arange(4000) // 4)
        assert parts.sizes.tolist() == [2800, 800, 400]

    def test_stratified_folds_are_even(self):
        labels = np.random.default_rng(0).choice(["ant", "bee", "cat", "dog"], 1003, p=[0.6, 0.3, 0.09, 0.01])
        parts = fastdl.split(1003, seed=1, stratify=labels)
        assert parts.sizes.sum() == 1003 and parts.part(np.arange(5)).tolist() == parts.parts(0, 5).tolist()
        folds = fastdl.k_fold(1003, 5, seed=1, stratify=labels)
        assert np.ptp(folds.sizes) <= 1
        for label in np.unique(labels):
            assert np.ptp(np.bincount(folds.folds()[labels == label], minlength=5)) <= 1

    def test_groups_are_never_torn(self):
        groups = np.random.default_rng(0).integers(0, 200, 5000)
        for parts in (fastdl.split(5000, seed=1, groups=groups), fastdl.k_fold(5000, 5, seed=1, groups=groups)):
            codes = parts.parts()
            for g in range(200):
                assert len(set(codes[groups == g])) <= 1
            want = (0.7, 0.2, 0.1) if len(parts) == 3 else np.full(5, 0.2)
            np.testing.assert_allclose(parts.sizes / 5000, want, atol=0.01)
        other = fastdl.split(5000, seed=2, groups=groups).parts()
        assert (other != fastdl.split(5000, seed=1, groups=groups).parts()).any()

    def test_groups_are_as_near_as_whole_groups_allow(self):
        big = np.r_[np.zeros(90), np.arange(1, 11)].astype(int)
        sizes = fastdl.split(100, seed=0, groups=big).sizes
        assert sizes[0] == 90 and sizes[1:].min() >= 3
        for seed in range(20):
            groups = np.random.default_rng(seed).integers(0, 30, 1000)
            assert np.abs(fastdl.split(1000, seed=seed, groups=groups).sizes - [700, 200, 100]).max() <= 5

    def test_stratified_groups(self):
        rng = np.random.default_rng(0)
        groups = rng.integers(0, 300, 6000)
        labels = (groups % 3 == 0).astype(int)
        for parts, want in (
            (fastdl.split(6000, seed=1, groups=groups, stratify=labels), np.array([0.7, 0.2, 0.1])),
            (fastdl.k_fold(6000, 5, seed=1, groups=groups, stratify=labels), np.full(5, 0.2)),
        ):
            codes = parts.parts()
            assert all(len(set(codes[groups == g])) == 1 for g in range(300))
            for label in (0, 1):
                share = np.bincount(codes[labels == label], minlength=len(want)) / (labels == label).sum()
                np.testing.assert_allclose(share, want, atol=0.02)

    def test_ordered_parts_go_by_time(self):
        times = np.random.default_rng(0).permutation(1000)
        for order in (times, times.astype("datetime64[s]"), (times * 0.5).tolist()):
            codes = fastdl.split(1000, order=order).parts()
            np.testing.assert_array_equal(codes, np.searchsorted([700, 900], times, side="right"))
        assert fastdl.split(10, order="rows").parts().tolist() == [0] * 7 + [1, 1, 2]
        with pytest.raises(fastdl.InputTypeError, match="seed must be an integer, got None"):
            fastdl.split(10)

    def test_labels_of_any_kind(self):
        pd, pa, pl = (pytest.importorskip(m) for m in ("pandas", "pyarrow", "polars"))
        names = np.random.default_rng(0).choice(["ant", "bee", "cat"], 300)
        want = fastdl.split(300, seed=1, stratify=names).parts()
        series = pd.Series(names)
        kinds = [names.tolist(), names.astype(object), series, series.astype("category"), series.astype("string")]
        kinds += [series.astype("string[pyarrow]"), pa.array(names.tolist()), pl.Series(names.tolist())]
        for labels in kinds:
            for name in ("stratify", "groups"):
                got = fastdl.split(300, seed=1, **{name: labels}).parts()
                assert name == "groups" or (got == want).all()
        whole = fastdl.split(300, seed=1, stratify=names == "ant").parts()
        for labels in (pd.Series(names == "ant", dtype="boolean"), pd.Series((names == "ant") * 1, dtype="Int8")):
            assert (fastdl.split(300, seed=1, stratify=labels).parts() == whole).all()
        fastdl.split(300, seed=1, groups=pd.date_range("2024", periods=300))
        for missing in (pd.Series(["a", None]), pd.Series([1, None], dtype="Int8"), pd.to_datetime(["2024", None])):
            with pytest.raises(fastdl.InputError, match="index 1"):
                fastdl.split(2, seed=0, stratify=missing)

    def test_bytes_that_end_in_zeros_are_labels_of_their_own(self):
        labels = [b"a", b"a\0"] * 50
        codes = fastdl.split(100, (1, 1), seed=0, groups=labels).parts()
        assert {codes[0], codes[1]} == {0, 1}

    def test_empty(self):
        parts = fastdl.split(0, seed=0)
        assert parts.train.shape == parts.parts().shape == (0,) and parts.train.dtype == np.int64
        assert fastdl.split(0, seed=0, stratify=[]).sizes.tolist() == [0, 0, 0]
        assert fastdl.split(0, seed=0, groups=[]).sizes.tolist() == [0, 0, 0]
        assert fastdl.split(1, seed=0).train.tolist() == [0]

    def test_more_parts_than_a_byte(self):
        parts = fastdl.split(3000, np.ones(300), seed=0)
        assert parts.parts().dtype == np.int32 and set(np.bincount(parts.parts())) == {10}
        many = fastdl.k_fold(700, 700, seed=0)
        assert sorted(many.folds().tolist()) == list(range(700))

    def test_errors(self):
        for call, words in (
            (lambda: fastdl.split(-1, seed=0), "n must be"),
            (lambda: fastdl.split(2**62 + 1, seed=0), "n must be"),
            (lambda: fastdl.split(5, (), seed=0), "ratios must not be empty"),
            (lambda: fastdl.split(5, (0.5, -0.1), seed=0), r"ratios\[1\] must be at least 0"),
            (lambda: fastdl.split(5, (0, 0), seed=0), "sum above 0"),
            (lambda: fastdl.split(5, (np.nan, 1), seed=0), "finite"),
            (lambda: fastdl.split(5, seed=-1), "seed must be at least 0"),
            (lambda: fastdl.split(5, seed=0, stratify=[1, 2]), r"stratify must have shape \(5,\)"),
            (lambda: fastdl.split(2, order=[1, 2], groups=[1, 2]), "order goes with neither"),
            (lambda: fastdl.split(2, seed=0, groups=[1, np.nan]), "groups must be finite"),
            (lambda: fastdl.split(5, seed=0).part(5), "between 0 and 4"),
            (lambda: fastdl.split(5, seed=0).part([-1]), "between 0 and 4"),
            (lambda: fastdl.split(5, seed=0).parts(3, 2), "stop must be"),
            (lambda: fastdl.split(5, (1, 1), seed=0).valid, "no validation part"),
            (lambda: fastdl.k_fold(5, 6, seed=0), "k must be at most the number of rows, 5"),
            (lambda: fastdl.k_fold(5, 1, seed=0), "k must be at least 2"),
            (lambda: fastdl.k_fold(5, 4, seed=0, groups=[0, 0, 1, 1, 2]), "number of groups, 3"),
            (lambda: next(fastdl.k_fold(5, 2, seed=0).split(np.ones(4))), "X must have the 5 rows"),
        ):
            with pytest.raises(fastdl.InputError, match=words):
                call()
        with pytest.raises(fastdl.InputTypeError, match="ratios must be a sequence"):
            fastdl.split(5, 0.5, seed=0)
        with pytest.raises(fastdl.InputTypeError, match="seed must be an integer"):
            fastdl.split(5, seed=0.5)


class TestKFold:
    def test_folds_cover_every_row_once(self):
        for n, k in ((2, 2), (10, 3), (1000, 7), (100_003, 5)):
            folds = fastdl.k_fold(n, k, seed=4)
            assert np.ptp(folds.sizes) <= 1
            held = np.concatenate([test for _, test in folds])
            np.testing.assert_array_equal(np.sort(held), np.arange(n))
            for i, (train, test) in enumerate(folds):
                assert len(train) + len(test) == n and not len(np.intersect1d(train, test))
                assert (folds.fold(test) == i).all()

    def test_serves_scikit_learn(self):
        linear_model, model_selection = (
            pytest.importorskip(f"sklearn.{m}") for m in ("linear_model", "model_selection")
        )
        rng = np.random.default_rng(0)
        X = rng.standard_normal((300, 3))
        y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(300)
        folds = fastdl.k_fold(300, 4, seed=0)
        scores = [
            model_selection.cross_val_score(linear_model.LinearRegression(), X, y, cv=cv)
            for cv in (folds, list(folds), model_selection.PredefinedSplit(folds.folds()))
        ]
        assert len(scores[0]) == 4
        np.testing.assert_array_equal(scores[0], scores[1])
        np.testing.assert_array_equal(scores[0], scores[2])

    def test_serves_the_losses(self):
        X, y, folds = np.ones((10, 1)), np.arange(10.0), fastdl.k_fold(10, 5, seed=0)
        got = fastdl.lp_loss(X, y, np.zeros((5, 1)), folds=folds.folds(), part="test")
        np.testing.assert_allclose(got, [(y[test] ** 2).sum() for _, test in folds])


def test_reference_and_kernel_agree(monkeypatch):
    parts, folds = fastdl.split(10_007, seed=2), fastdl.k_fold(10_007, 9, seed=2)
    want = parts.parts(), folds.folds(), parts.part(np.arange(100))
    monkeypatch.setattr(_permutation, "kernel", _selection_kernels)
    for got, w in zip((parts.parts(), folds.folds(), parts.part(np.arange(100))), want):
        assert got.dtype == w.dtype
        np.testing.assert_array_equal(got, w)
