"""One record of training options for networks, gradient descent and random search, and its fields as keywords."""

import inspect
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

import fastdl
from fastdl.linear.training_options import SCHEDULES, RunKeywords, TrainingKeywords
from fastdl.network.fit import NetworkKeywords

rng = np.random.default_rng(0)
X = rng.standard_normal((120, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * rng.standard_normal(120)
FUNCTIONS = {
    "fit_network": lambda **keywords: fastdl.fit_network(X, Y, 3, **keywords),
    "fit_network_classifier": lambda **keywords: fastdl.fit_network_classifier(X, Y > 0, 3, **keywords),
    "gradient_descent": lambda **keywords: fastdl.gradient_descent(X, Y, **keywords),
    "random_search": lambda **keywords: fastdl.random_search(X, Y, 1, candidates=20, refine=2, **keywords),
}
every = pytest.mark.parametrize("name", [*FUNCTIONS])
FEW = fastdl.TrainingOptions(epochs=3, batch_size=40, seed=7)


@every
def test_a_record_is_its_fields_as_keywords(name):
    train = FUNCTIONS[name]
    known = RunKeywords if name == "random_search" else TrainingKeywords
    used = {field: getattr(FEW, field) for field in known.__annotations__}
    assert train(options=FEW).loss == train(**used).loss
    assert train(options=FEW, seed=8).loss == train(options=replace(FEW, seed=8)).loss != train(options=FEW).loss


def test_defaults_are_those_of_the_function():
    few = {"epochs": 2, "seed": 1}
    network = fastdl.fit_network(X, Y, 3, batch_size=64, learning_rate=0.01, **few)
    assert network.loss == fastdl.fit_network(X, Y, 3, options=fastdl.TrainingOptions(**few)).loss
    history = fastdl.gradient_descent(X, Y, options=fastdl.TrainingOptions()).history
    assert len(history["loss"]) == 201
    assert history["learning_rate"][0] == 0.1


@every
def test_a_misspelt_keyword_is_an_error_that_names_the_nearest(name):
    with pytest.raises(fastdl.InputTypeError, match=f"{name} has no keyword 'seeds'; did you mean 'seed'"):
        FUNCTIONS[name](seeds=3)
    with pytest.raises(fastdl.InputTypeError, match=r"its keywords are .*options"):
        FUNCTIONS[name](qqqqqq=3)
    with pytest.raises(TypeError, match="options must be TrainingOptions, got dict"):
        FUNCTIONS[name](options={"seed": 3})


def test_what_a_function_does_not_use():
    with pytest.raises(fastdl.InputTypeError, match="random_search has no keyword 'epochs'"):
        FUNCTIONS["random_search"](epochs=3)
    with pytest.raises(fastdl.InputTypeError, match="gradient_descent has no keyword 'weight_decay'"):
        FUNCTIONS["gradient_descent"](weight_decay=0.1)
    with pytest.raises(fastdl.InputTypeError, match=r"method 'random' knows no option 'epochs'; its options are .*pro"):
        fastdl.fit_lp(X, Y, 1, method="random", epochs=3)
    with pytest.raises(fastdl.InputError, match="optimizer must be one of 'adam', 'sgd', got 'lbfgs'"):
        fastdl.fit_network(X, Y, options=fastdl.TrainingOptions(optimizer="lbfgs"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("optimizer", "adams", "optimizer must be one of"),
        ("learning_rate", 0, "learning_rate must be above 0"),
        ("momentum", 1, "momentum must be below 1"),
        ("momentum", -0.1, "momentum must be between 0 and 1"),
        ("schedule", "cosin", "schedule must be one of"),
        ("batch_size", 0, "batch_size must be at least 1"),
        ("epochs", 2.5, "epochs must be an integer"),
        ("patience", 0, "patience must be at least 1"),
        ("seed", -1, "seed must be at least 0"),
        ("threads", 0, "threads must be at least 1"),
        ("progress", 3, "progress must be callable, got int"),
    ],
)
def test_wrong_options_say_so(field, value, message):
    with pytest.raises(fastdl.FastdlError, match=message):
        fastdl.TrainingOptions(**{field: value})


def test_the_record_is_a_value():
    assert pickle.loads(pickle.dumps(FEW)) == FEW == eval(repr(FEW), {"TrainingOptions": fastdl.TrainingOptions})
    assert len({FEW, replace(FEW), fastdl.TrainingOptions(seed=np.int64(7), epochs=np.int8(3), batch_size=40)}) == 1
    with pytest.raises(FrozenInstanceError):
        FEW.seed = 3


def test_keywords_for_type_checkers_are_the_fields():
    record = inspect.signature(fastdl.TrainingOptions).parameters
    names = {field.name for field in fields(fastdl.TrainingOptions)}
    assert set(TrainingKeywords.__annotations__) == names == set(record)
    accepted = set(inspect.signature(fastdl.fit_network).parameters) - {
        "X",
        "y",
        "hidden",
        "p",
        "sample_weight",
        "keywords",
    }
    assert set(NetworkKeywords.__annotations__) == names | accepted


@pytest.mark.parametrize("schedule", [*SCHEDULES])
def test_schedules_begin_at_1_and_never_rise(schedule):
    factors = fastdl.TrainingOptions(schedule=schedule).rate_factors(np.linspace(0, 1, 100))
    assert factors[0] == 1
    assert (np.diff(factors) <= 0).all()
    assert (factors >= 0).all()


def test_estimators_pass_their_parameters_on():
    from fastdl.estimators import NetworkClassifier, NetworkRegressor

    options = fastdl.TrainingOptions(optimizer="sgd", momentum=0.5, epochs=4, batch_size=30, seed=2)
    some = {"optimizer": "sgd", "momentum": 0.5, "epochs": 4, "batch_size": 30, "random_state": 2}
    some["validation_fraction"] = None
    assert NetworkRegressor(3, **some).fit(X, Y).loss_ == fastdl.fit_network(X, Y, 3, options=options).loss
    labels = Y > 0
    classes = fastdl.fit_network_classifier(X, labels, 3, options=options)
    assert NetworkClassifier(3, **some).fit(X, labels).loss_ == classes.loss
    learned = fastdl.LearnedFeatures(3, options=options).fit(X, Y)
    assert learned.network.loss == fastdl.fit_network(X, Y, 3, options=options).loss
