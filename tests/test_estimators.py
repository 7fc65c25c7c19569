"""The estimators: scikit-learn's own checks, agreement with the functions, pipelines, searches, and what is refused."""

import importlib
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator,
    check_estimator_cloneable,
    check_estimator_repr,
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_set_params,
)

import fastdl
from fastdl import InputError, InputTypeError
from fastdl.estimators import (
    FeatureMap,
    LogisticClassifier,
    LpClassifier,
    LpRegressor,
    MuLawEncoder,
    NetworkClassifier,
    NetworkRegressor,
    NucleotideOneHot,
    PolynomialRegressor,
    VandermondeFeatures,
    VoxelGridTransformer,
)
from fastdl.selection.splits import k_fold

rng = np.random.default_rng(5)
X = rng.standard_normal((200, 3))
Y = X @ [1.0, -2.0, 0.5] + 3 + rng.laplace(size=200)
S = rng.integers(0, 3, 200)
RANGE = (0, 0, 0, 2, 1, 1)
CLOUDS = [rng.uniform(0, 1, (n, 4)) * [2, 1, 1, 5] for n in (5, 1, 30)]

TABLES = [
    LpRegressor(),
    LpRegressor(p=1),
    LpRegressor(p=1.5, fit_intercept=False),
    LpClassifier(),
    LpClassifier(p=1),
    LpClassifier(p=1.5),
    LogisticClassifier(),
    NetworkClassifier(8, epochs=60),
    PolynomialRegressor(),
    PolynomialRegressor(2, p=1),
    NetworkRegressor(8, epochs=60),
    VandermondeFeatures(),
    VandermondeFeatures(2, basis="monomial", domain=None, include_bias=False),
    FeatureMap(),
    MuLawEncoder(),
]
OTHERS = [NucleotideOneHot(), VoxelGridTransformer(1.0, RANGE)]


@pytest.mark.parametrize("estimator", TABLES, ids=repr)
def test_scikit_learns_checks(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(results) > 40
    assert not [(r["check_name"], r["exception"]) for r in results if r["status"] not in ("passed", "skipped")]


@pytest.mark.parametrize("estimator", OTHERS, ids=repr)
@pytest.mark.parametrize(
    "check",
    [
        check_do_not_raise_errors_in_init_or_set_params,
        check_estimator_cloneable,
        check_estimator_repr,
        check_get_params_invariance,
        check_no_attributes_set_in_init,
        check_set_params,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_checks_of_what_takes_no_table(estimator, check):
    check(type(estimator).__name__, estimator)


def test_they_are_names_of_fastdl_but_not_of_a_star_import():
    assert fastdl.LpRegressor is LpRegressor
    assert "LpRegressor" in dir(fastdl) and "LpRegressor" not in fastdl.__all__


def test_a_missing_scikit_learn_is_said(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("fastdl.estimators")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(fastdl.MissingExtra, match=r"fastdl\.estimators needs sklearn; .*'fastdl-kernels\[fit\]'"):
        importlib.import_module("fastdl.estimators")


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_lp_regressor_is_fit_lp(p):
    model, fit = LpRegressor(p).fit(X, Y, S), fastdl.fit_lp(X, Y, p, sample_weight=S)
    assert (model.coef_ == fit.w).all() and model.intercept_ == fit.b and model.certificate_ == fit.certificate
    assert (model.predict(X) == fit.predict(X)).all() and model.loss_ == fit.loss


def test_lp_regressor_agrees_with_scikit_learn():
    theirs = LinearRegression().fit(X, Y)
    np.testing.assert_allclose(LpRegressor().fit(X, Y).coef_, theirs.coef_, rtol=1e-10)
    median = QuantileRegressor(quantile=0.5, alpha=0).fit(X, Y)
    np.testing.assert_allclose(LpRegressor(1).fit(X, Y).coef_, median.coef_, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_several_targets_are_several_models(k):
    T = np.stack([Y * (j + 1) + X[:, 0] for j in range(k)], axis=1)
    model = LpRegressor(1).fit(X, T)
    assert model.coef_.shape == (k, 3) and model.predict(X).shape == (k and (200, k))
    for j in range(k):
        single = LpRegressor(1).fit(X, T[:, j])
        assert (model.coef_[j] == single.coef_).all() and model.certificate_[j] == single.certificate_


@pytest.mark.parametrize("scale", [1e-9, 1, 1e9])
def test_units_do_not_matter(scale):
    far = X * [1e-6, 1, 1e6] + [0, 1e6, 0]
    model = LpRegressor(1.5).fit(far, Y * scale)
    np.testing.assert_allclose(model.predict(far), LpRegressor(1.5).fit(X, Y).predict(X) * scale, rtol=1e-5)
    labels = np.where(Y > 3, "high", "low")
    assert (LpClassifier().fit(far, labels).predict(far) == LpClassifier().fit(X, labels).predict(X)).all()


def test_options_reach_the_method():
    rough = LpRegressor(1, method="random", options={"candidates": 16, "refine": 1}, random_state=3).fit(X, Y)
    again = LpRegressor(1, method="random", options={"candidates": 16, "refine": 1}, random_state=3).fit(X, Y)
    assert rough.model_.method == "random" and (rough.coef_ == again.coef_).all()
    assert len(rough.history_["loss"]) == 2
    drawn = LpRegressor(1, method="random", random_state=np.random.RandomState(0)).fit(X, Y)
    assert drawn.loss_ >= LpRegressor(1).fit(X, Y).loss_


def test_weights_drop_and_repeat_rows():
    bad = X.copy()
    bad[S == 0] *= 1e3
    repeated = np.repeat(np.arange(200), S)
    for model in (LpRegressor(1.5, tol=1e-13), PolynomialRegressor(2)):
        weighted = clone(model).fit(bad, Y, S).predict(X)
        np.testing.assert_allclose(weighted, model.fit(X[repeated], Y[repeated]).predict(X), rtol=1e-6, atol=1e-8)
    with pytest.raises(InputError, match="must not be zero in every row"):
        LpRegressor().fit(X, Y, 0 * S)
    with pytest.raises(InputError, match="a weight for each of 200 rows, got 3"):
        LpRegressor().fit(X, Y, [1, 2, 3])


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [3, 7], ["a", "b", "c"], [1.0, 3.0, 2.0]])
def test_classifier_labels(labels):
    y = np.array(labels)[np.digitize(Y, np.quantile(Y, np.linspace(0, 1, len(labels) + 1)[1:-1]))]
    model = LpClassifier().fit(X, y)
    assert model.classes_.tolist() == sorted(labels) and model.predict(X).dtype == np.array(labels).dtype
    assert model.score(X, y) > 0.6
    scores = model.decision_function(X)
    if len(labels) == 2:
        assert scores.shape == (200,)
        assert (model.predict(X) == np.where(scores > 0, *model.classes_[::-1])).all()
    else:
        assert (model.predict(X) == model.classes_[scores.argmax(axis=1)]).all()
    assert (LpClassifier().fit(X, y.astype(object)).predict(X) == model.predict(X)).all()


def test_classifier_refuses_one_class():
    with pytest.raises(InputError, match="at least two classes, got one class: 'a'"):
        LpClassifier().fit(X, ["a"] * 200)


def test_polynomial_degree_of_one_column():
    x = rng.uniform(-3, 5, (400, 1))
    y = x[:, 0] ** 3 - 2 * x[:, 0] + rng.normal(0, 0.5, 400)
    model = PolynomialRegressor(rule="one_se", threads=2).fit(x, y)
    assert model.degree_ == 3 and model.coef_.shape == (3,) and model.certificate_.gap < 1e-9
    assert model.curves_["degree"].tolist() == list(range(16)) and set(model.curves_) == {
        "degree",
        "train",
        "valid",
        "valid_se",
    }
    exact = np.polynomial.Chebyshev.fit(x[:, 0], y, 3)(x[:, 0])
    np.testing.assert_allclose(model.predict(x), exact, rtol=1e-8, atol=1e-8)


def test_polynomial_degree_of_several_columns():
    y = X[:, 0] * X[:, 1] - X[:, 2] ** 2 + rng.normal(0, 0.1, 200)
    model = PolynomialRegressor(max_degree=9, rule="one_se").fit(X, y)
    assert model.degree_ == 2 and model.score(X, y) > 0.95
    assert model.curves_["degree"].tolist() == [0, 1, 2, 3, 4, 5, 6]  # 84 columns; 120 of degree 7
    assert PolynomialRegressor(0).fit(X, y).predict(X).std() < 1e-12


def test_a_column_without_width():
    flat = np.column_stack([X[:, 0], np.full(200, 7.0), np.zeros(200)])
    assert np.isfinite(PolynomialRegressor(2).fit(flat, Y).predict(flat)).all()
    assert np.isfinite(VandermondeFeatures(4).fit_transform(flat)).all()


def test_network_regressor_is_fit_network():
    model = NetworkRegressor(4, 1.5, epochs=5, random_state=2, validation_fraction=0.25).fit(X, Y)
    fit = fastdl.fit_network(X, Y, 4, 1.5, epochs=5, seed=2, valid=0.25)
    assert (model.predict(X) == fit.predict(X)).all() and len(model.history_["valid"]) == 5


@pytest.mark.parametrize("basis", ["monomial", "chebyshev", "legendre"])
@pytest.mark.parametrize("domain", ["learn", None, (-4, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vandermonde_features(basis, domain, dtype):
    x = X.astype(dtype)
    out = VandermondeFeatures(3, basis=basis, domain=domain).fit_transform(x)
    assert out.shape == (200, 10) and out.dtype == dtype and (out[:, 0] == 1).all()
    for j in range(3):
        ends = (x[:, j].min(), x[:, j].max()) if domain == "learn" else domain
        want = fastdl.vandermonde(x[:, j], 3, basis=basis, domain=ends)
        assert (out[:, 1 + 3 * j : 4 + 3 * j] == want[:, 1:]).all()


def test_names_of_features():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    cheb = VandermondeFeatures(2).set_output(transform="pandas").fit(frame)
    assert cheb.transform(frame).columns.tolist() == ["1", "T1(a)", "T2(a)", "T1(b)", "T2(b)", "T1(c)", "T2(c)"]
    powers = VandermondeFeatures(2, basis="monomial", include_bias=False).fit(frame)
    assert powers.get_feature_names_out().tolist() == ["a", "a^2", "b", "b^2", "c", "c^2"]

    def product(u, v):
        return u * v

    mapped = FeatureMap(["identity", ("exp", [0, 2]), (product, (0, 1))]).set_output(transform="pandas")
    out = mapped.fit_transform(frame)
    assert out.columns.tolist() == ["a", "b", "c", "exp(a)", "exp(c)", "product(a, b)"]
    np.testing.assert_array_equal(out["product(a, b)"], X[:, 0] * X[:, 1])
    codes = MuLawEncoder().set_output(transform="pandas").fit_transform(frame)
    assert codes.columns.tolist() == ["a", "b", "c"]
    coder = NucleotideOneHot().set_output(transform="pandas").fit(["AC"])
    assert coder.transform(pandas.Series(["AC", "TT"])).columns.tolist()[:5] == ["0_A", "0_C", "0_G", "0_T", "1_A"]


def test_feature_map_is_feature_map():
    functions = ["identity", ("log", 0)]
    positive = np.abs(X) + 1
    out = FeatureMap(functions).fit_transform(positive)
    assert (out == fastdl.feature_map(positive, functions)).all()
    with pytest.raises(InputError, match="log"):
        FeatureMap(functions, invalid="raise").fit(X).transform(X)
    with pytest.raises(InputError, match="must be one of"):
        FeatureMap(["sine"]).fit(X)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_mu_law_encoder_is_mu_law_encode_and_decode(dtype):
    x = (rng.uniform(-1, 1, (4, 50)) * (32767 if dtype is np.int16 else 1)).astype(dtype)
    encoder = MuLawEncoder(dtype=dtype, threads=2)
    codes = encoder.fit_transform(x)
    assert (codes == fastdl.mu_law_encode(x)).all() and codes.dtype == np.uint8
    back = encoder.inverse_transform(codes)
    assert back.dtype == dtype and (encoder.transform(back) == codes).all()
    with pytest.raises(InputError, match="between 2 and 65536"):
        MuLawEncoder(1).fit(x)


def test_nucleotides_of_every_container_are_one_hot():
    sequences = ["ACGT", "TTNA"]
    kinds = [
        sequences,
        np.array(sequences),
        np.array(sequences, object)[:, None],
        [s.encode() for s in sequences],
        np.array([list(s) for s in sequences], "S1"),
    ]
    want = fastdl.one_hot(sequences, dtype=np.float32)
    for given in kinds:
        coder = NucleotideOneHot().fit(given)
        assert (coder.transform(given) == want.reshape(2, 16)).all()
        assert coder.inverse_transform(want.reshape(2, 16)).tolist() == sequences
    cube = NucleotideOneHot(flatten=False, unknown="channel").fit_transform(sequences)
    assert cube.shape == (2, 4, 5)
    coder = NucleotideOneHot(unknown="channel").fit(sequences)
    assert len(coder.get_feature_names_out()) == 20 and coder.get_feature_names_out()[4] == "0_other"
    assert coder.inverse_transform(coder.transform(sequences)).tolist() == sequences
    with pytest.raises(InputError, match="length must be at least 5"):
        coder.transform(["ACGTA"])
    with pytest.raises(InputTypeError, match="put it in a list"):
        coder.fit("ACGT")
    with pytest.raises(InputTypeError, match="int at index 1"):
        coder.fit(["A", 3])
    with pytest.raises(InputError, match="at least one letter"):
        coder.fit([])
    with pytest.raises(NotFittedError):
        NucleotideOneHot().transform(sequences)


@pytest.mark.parametrize("reduce", ["mean", ((0, "count"),), [(3, "max"), (2, "mean")]])
def test_voxel_grid_transformer_is_voxel_grid(reduce):
    grids = VoxelGridTransformer(0.5, RANGE, reduce=reduce).fit(CLOUDS)
    rows = grids.transform(CLOUDS)
    want = [
        fastdl.voxel_grid(c, 0.5, RANGE, reduce=list(reduce) if isinstance(reduce, tuple) else reduce) for c in CLOUDS
    ]
    assert rows.shape == (3, want[0].size) and len(grids.get_feature_names_out()) == want[0].size
    np.testing.assert_array_equal(rows, np.stack(want).reshape(3, -1))
    cubes = clone(grids).set_params(flatten=False).fit_transform(CLOUDS)
    np.testing.assert_array_equal(cubes, np.stack(want))
    with pytest.raises(InputError, match=r"must have 4 columns, got \(2, 3\) at index 0"):
        grids.transform([[[0, 0, 0], [1, 0, 0]]])
    with pytest.raises(InputError, match="at least one cloud"):
        grids.fit([])


@pytest.mark.parametrize("estimator", [*TABLES, *OTHERS], ids=repr)
def test_clone_and_pickle(estimator):
    data = CLOUDS if isinstance(estimator, VoxelGridTransformer) else ["ACGT", "GG"]
    data = data if estimator in OTHERS else X
    y = np.where(Y > 3, "high", "low") if hasattr(estimator, "decision_function") else Y
    fitted = clone(estimator).fit(data, y)
    again = pickle.loads(pickle.dumps(fitted))
    work = "predict" if hasattr(fitted, "predict") else "transform"
    np.testing.assert_array_equal(getattr(again, work)(data), getattr(fitted, work)(data))


def test_pipelines_searches_and_folds():
    x = rng.uniform(-2, 2, (200, 1))
    y = np.sin(2 * x[:, 0]) + rng.normal(0, 0.1, 200)
    pipeline = make_pipeline(VandermondeFeatures(include_bias=False), LpRegressor())
    search = GridSearchCV(
        pipeline, {"vandermondefeatures__degree": [1, 3, 7], "lpregressor__p": [1, 2]}, cv=k_fold(200, 5, seed=0)
    ).fit(x, y)
    assert search.best_params_["vandermondefeatures__degree"] == 7 and search.best_score_ > 0.9
    scores = cross_val_score(pipeline, x, y, cv=k_fold(200, 4, seed=1))
    by_hand = [clone(pipeline).fit(x[a], y[a]).score(x[b], y[b]) for a, b in k_fold(200, 4, seed=1)]
    assert scores.tolist() == by_hand
    reads = make_pipeline(NucleotideOneHot(), LpClassifier())
    assert reads.fit(["AAT", "AAG", "TTA", "TTC"], ["a", "a", "t", "t"]).predict(["AAC", "TTG"]).tolist() == ["a", "t"]
    clouds = make_pipeline(VoxelGridTransformer(0.5, RANGE), LpRegressor())
    assert np.allclose(clouds.fit(CLOUDS, [1.0, 2.0, 3.0]).predict(CLOUDS), [1, 2, 3])


@pytest.mark.parametrize("p", [0, -1, np.nan])
def test_what_the_fit_refuses(p):
    with pytest.raises(InputError, match="p must be"):
        LpRegressor(p).fit(X, Y)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (VandermondeFeatures(-1), "degree must be at least 0"),
        (VandermondeFeatures(0, include_bias=False), "no column"),
        (VandermondeFeatures(basis="sines"), "basis must be one of"),
        (VandermondeFeatures(domain="all"), "domain must be one of 'learn'"),
        (PolynomialRegressor("best"), "degree must be one of 'auto'"),
        (PolynomialRegressor(folds=1), "folds must be at least 2"),
        (LpRegressor(method="magic"), "method must be one of"),
    ],
    ids=repr,
)
def test_settings_are_checked_in_fit(estimator, message):
    with pytest.raises(InputError, match=message):
        estimator.fit(X, Y)


def test_inputs_of_many_kinds():
    want = LpRegressor(1).fit(X, Y).coef_
    strided = np.repeat(X, 2, axis=1)[:, ::2]
    fixed = X.copy()
    fixed.flags.writeable = False
    for given in (X.tolist(), strided, np.asfortranarray(X), X.astype(">f8"), fixed):
        assert (LpRegressor(1).fit(given, Y).coef_ == want).all()
    counts = LpRegressor().fit(np.arange(12).reshape(6, 2), np.arange(6))
    assert counts.score(np.arange(12).reshape(6, 2), np.arange(6)) > 1 - 1e-12


def test_many_threads_at_once():
    def work(p):
        return make_pipeline(VandermondeFeatures(3), LpRegressor(p, threads=2)).fit(X, Y).predict(X)

    powers = [1, 1.5, 2] * 4
    with ThreadPoolExecutor(6) as pool:
        for got, p in zip(pool.map(work, powers), powers):
            np.testing.assert_array_equal(got, work(p))
