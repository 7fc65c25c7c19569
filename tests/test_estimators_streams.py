"""Estimators of chunks, of weighted rows and classes, in pipelines that route weights and set outputs."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

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

rng = np.random.default_rng(9)
X = rng.standard_normal((300, 3)) + np.array([0, 5, -100])
Y = X @ [1.0, -2.0, 0.5] + 3 + rng.normal(size=300)
S = rng.integers(0, 3, 300).astype(float)
LABELS = np.array(["a", "b", "c"])[np.digitize(Y, np.quantile(Y, [0.3, 0.7]))]
CHUNKS = [slice(0, 1), slice(1, 130), slice(130, 300)]


@pytest.mark.parametrize("targets", [Y, np.column_stack([Y, -Y])], ids=["one", "two"])
@pytest.mark.parametrize("intercept", [True, False])
def test_regressor_of_chunks_is_that_of_all_rows(targets, intercept):
    model = LpRegressor(fit_intercept=intercept)
    for rows in CHUNKS:
        assert model.partial_fit(X[rows], targets[rows], sample_weight=S[rows] + 1) is model
    want = LpRegressor(fit_intercept=intercept).fit(X, targets, sample_weight=S + 1)
    np.testing.assert_allclose(model.coef_, want.coef_, rtol=1e-10)
    np.testing.assert_allclose(model.intercept_, want.intercept_, rtol=1e-9)
    np.testing.assert_allclose(model.loss_, want.loss_, rtol=1e-9)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict(X), want.predict(X))
    assert not hasattr(model.fit(X, targets), "state_")


@pytest.mark.parametrize("labels", [LABELS, LABELS == "a"], ids=["three", "two"])
def test_classifier_of_chunks_is_that_of_all_rows(labels):
    model = LpClassifier(class_weight={labels[0]: 2.0})
    for rows in CHUNKS:
        model.partial_fit(X[rows], labels[rows], classes=np.unique(labels))
    want = LpClassifier(class_weight={labels[0]: 2.0}).fit(X, labels)
    np.testing.assert_allclose(model.decision_function(X), want.decision_function(X), rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(model.predict(X), want.predict(X))


def test_what_partial_fit_refuses():
    assert not hasattr(LpRegressor(p=1), "partial_fit")
    with pytest.raises(InputError, match="must be given all classes"):
        LpClassifier().partial_fit(X, LABELS)
    with pytest.raises(InputError, match="give a dict"):
        LpClassifier(class_weight="balanced").partial_fit(X, LABELS, classes=np.unique(LABELS))
    with pytest.raises(ValueError, match="features"):
        LpRegressor().partial_fit(X, Y).partial_fit(X[:, :2], Y)


def test_domains_of_chunks_are_those_of_all_rows():
    model = VandermondeFeatures(2)
    for rows in CHUNKS:
        model.partial_fit(X[rows])
    np.testing.assert_array_equal(model.domain_, VandermondeFeatures(2).fit(X).domain_)


def test_classifier_fits_all_classes_in_one_pass_to_the_bit():
    model = LpClassifier().fit(X, LABELS)
    for k, label in enumerate("abc"):
        one = fastdl.fit_lp(X, np.where(label == LABELS, 1.0, -1.0))
        np.testing.assert_array_equal(model.coef_[k], one.w)
        assert model.certificate_[k] == one.certificate


CLASSIFIERS = [LpClassifier(), LpClassifier(p=1), LogisticClassifier(), NetworkClassifier(8, epochs=20)]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=repr)
def test_class_weight_is_weight_of_rows(model):
    weight = {"a": 3.0, "b": 1.0, "c": 0.5}
    rows = np.array([weight[label] for label in LABELS])
    got = model.set_params(class_weight=weight).fit(X, LABELS).decision_function(X)
    want = model.set_params(class_weight=None).fit(X, LABELS, sample_weight=rows).decision_function(X)
    np.testing.assert_array_equal(got, want)
    balanced = model.set_params(class_weight="balanced").fit(X, LABELS).decision_function(X)
    counts = np.unique(LABELS, return_inverse=True)[1]
    rows = (len(LABELS) / (3 * np.bincount(counts)))[counts]
    np.testing.assert_allclose(
        balanced, model.set_params(class_weight=None).fit(X, LABELS, sample_weight=rows).decision_function(X), rtol=1e-6
    )


@pytest.mark.parametrize("labels", [LABELS, LABELS == "a"], ids=["three", "two"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_logistic_classifier_is_scikit_learn_s(labels, class_weight):
    peer = LogisticRegression(C=0.5, tol=1e-12, solver="newton-cholesky", class_weight=class_weight).fit(X, labels)
    model = LogisticClassifier(2.0, class_weight=class_weight).fit(X, labels)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=2e-6)
    np.testing.assert_array_equal(model.classes_, peer.classes_)


MODELS = [LpRegressor(), LpRegressor(p=1), NetworkRegressor(4, epochs=5)]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_weights_are_routed(model):
    with config_context(enable_metadata_routing=True):
        asking = model.__class__(**model.get_params()).set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=True)
        pipeline = make_pipeline(VandermondeFeatures(2), asking)
        pipeline.fit(X, Y, sample_weight=S)
        plain = model.__class__(**model.get_params()).fit(VandermondeFeatures(2).fit_transform(X), Y, sample_weight=S)
        np.testing.assert_allclose(pipeline.predict(X), plain.predict(VandermondeFeatures(2).fit(X).transform(X)))
        found = cross_validate(pipeline, X, Y, params={"sample_weight": S}, cv=3)
        assert np.isfinite(found["test_score"]).all()
        search = GridSearchCV(pipeline, {"vandermondefeatures__degree": [1, 2]}, cv=3).fit(X, Y, sample_weight=S)
        assert search.best_params_["vandermondefeatures__degree"] in (1, 2)


@pytest.mark.parametrize(
    "model", [*CLASSIFIERS, PolynomialRegressor(2), PolynomialRegressor("auto", folds=3)], ids=repr
)
def test_weights_of_other_models_are_routed(model):
    y = LABELS if hasattr(model, "decision_function") else Y
    plain = clone(model).fit(X, y, sample_weight=S)
    unweighted = clone(model).fit(X, y)
    with config_context(enable_metadata_routing=True):
        asking = clone(model).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(FunctionTransformer(), asking).fit(X, y, sample_weight=S)
        ignoring = clone(model).set_fit_request(sample_weight=False)
        without = make_pipeline(FunctionTransformer(), ignoring).fit(X, y)
    values = [m.predict(X) for m in (pipeline, plain, without, unweighted)]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[2], values[3])
    weighted, equal = (
        m.decision_function(X) if hasattr(m, "decision_function") else m.predict(X) for m in (plain, unweighted)
    )
    assert (weighted != equal).any()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(
    "model", [*MODELS, *CLASSIFIERS, PolynomialRegressor(2), VandermondeFeatures(2), FeatureMap()], ids=repr
)
def test_models_know_the_names_of_their_columns(model, library):
    frames = pytest.importorskip(library)
    y = LABELS if hasattr(model, "decision_function") else Y
    table = frames.DataFrame({name: X[:, k] for k, name in enumerate("uvw")})
    fitted = clone(model).fit(table, y)
    assert fitted.feature_names_in_.tolist() == ["u", "v", "w"]
    ask = fitted.predict if hasattr(fitted, "predict") else fitted.transform
    np.testing.assert_array_equal(ask(table), ask(table[["u", "v", "w"]]))
    for wrong in (table[["w", "v", "u"]], table[["u", "v"]]):
        with pytest.raises(ValueError, match="feature names"):
            ask(wrong)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        ask(X)


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize(
    ("transformer", "data"),
    [
        (VandermondeFeatures(2), X),
        (FeatureMap(), X),
        (MuLawEncoder(), rng.uniform(-1, 1, (4, 6))),
        (NucleotideOneHot(), ["ACGT", "TT"]),
        (VoxelGridTransformer(1.0, (0, 0, 0, 2, 1, 1)), [rng.uniform(0, 1, (9, 3)), rng.uniform(0, 1, (2, 3))]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_transformer_names_and_sets_its_output(transformer, data, container):
    pytest.importorskip(container)
    plain = transformer.set_output(transform="default").fit_transform(data)
    table = transformer.set_output(transform=container).fit_transform(data)
    transformer.set_output(transform="default")
    assert list(table.columns) == transformer.get_feature_names_out().tolist()
    np.testing.assert_array_equal(table.to_numpy(), plain)


def parameters(model):
    if hasattr(model, "coef_"):
        return np.column_stack([model.coef_, np.atleast_1d(model.intercept_)]) if model.coef_.ndim == 2 else model.coef_
    return [part.tolist() for part in (*model.model_.weights, *model.model_.biases)]


@pytest.mark.parametrize("model", [*MODELS, *CLASSIFIERS], ids=repr)
def test_tables_of_any_library_give_the_same_fit(model):
    pandas, polars, pyarrow = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    y = LABELS if hasattr(model, "decision_function") else Y
    want = pickle.dumps(parameters(model.fit(X, y)))
    columns = {name: X[:, k] for k, name in enumerate("uvw")}
    for table in (pandas.DataFrame(columns), polars.DataFrame(columns), pyarrow.table(columns)):
        assert pickle.dumps(parameters(model.fit(table, y))) == want
    frame = pandas.DataFrame(columns).assign(v="text")
    with pytest.raises(InputTypeError, match="'v'"):
        model.fit(frame, y)


def test_networks_do_not_follow_noise_by_default():
    """On scikit-learn's small data of patients a network as it is given predicts better than least squares do."""
    rows, targets = load_diabetes(return_X_y=True)
    folds = KFold(5, shuffle=True, random_state=0)
    network = make_pipeline(StandardScaler(), NetworkRegressor())
    assert cross_val_score(network, rows, targets, cv=folds).mean() > 0.44
    rows, labels = load_breast_cancer(return_X_y=True)
    network = make_pipeline(StandardScaler(), NetworkClassifier())
    assert cross_val_score(network, rows, labels, cv=folds).mean() > 0.96


def test_a_fifth_is_validated_on_from_100_rows_on():
    rows = np.random.default_rng(0).standard_normal((100, 2))
    kept = NetworkRegressor(4, epochs=3, patience=None).fit(rows, rows[:, 0])
    asked = fastdl.fit_network(rows, rows[:, 0], 4, valid=0.2, options=fastdl.TrainingOptions(epochs=3))
    assert kept.loss_ == asked.loss
    few = NetworkRegressor(4, epochs=3).fit(rows[:99], rows[:99, 0])
    assert few.loss_ == fastdl.fit_network(rows[:99], rows[:99, 0], 4, options=fastdl.TrainingOptions(epochs=3)).loss
    with pytest.raises(InputError, match="validation_fraction"):
        NetworkRegressor(validation_fraction="all").fit(rows, rows[:, 0])


@pytest.mark.parametrize("used", [2, 3, 80])
def test_rows_of_weight_0_do_not_count_for_a_validation_part(used):
    rows, weights = np.random.default_rng(0).standard_normal((100, 2)), np.zeros(100)
    weights[:used] = 1
    weighted = NetworkRegressor(4, epochs=3).fit(rows, rows[:, 0], sample_weight=weights)
    dropped = NetworkRegressor(4, epochs=3).fit(rows[:used], rows[:used, 0], sample_weight=np.ones(used))
    np.testing.assert_allclose(weighted.predict(rows), dropped.predict(rows))
