"""Searches over transfers: the space, the models, what trials share, and errors."""

import json

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.tuning import TransferHyperModel
from tests.tuning.tiny import few_digits, tiny_network

TUNERS = (
    keras_tuner.RandomSearch,
    keras_tuner.BayesianOptimization,
    keras_tuner.GridSearch,
    keras_tuner.Hyperband,
)
QUICK = {"kind": "feature", "head": ["linear", "nearest_centroid"], "l2": [0.1, 1.0]}


def search_of(space=None, **arguments):
    # The same weights each time: features, and searches, belong to a network.
    keras.utils.set_random_seed(5)
    return TransferHyperModel([tiny_network()], 10, space=space, **arguments)


def tuner_of(search, folder, kind=keras_tuner.RandomSearch, **arguments):
    if kind is keras_tuner.Hyperband:
        arguments = {"max_epochs": 3, **arguments}
    else:
        arguments = {"max_trials": 2, **arguments}
    return kind(search, **{"objective": search.objective, "seed": 1, "directory": str(folder),
                           **arguments})  # fmt: skip


def trial_values(search, **values):
    """A trial's hyperparameters: these, and the first or default of all others."""
    hp = keras_tuner.HyperParameters()
    hp.values = values
    search.declare_hyperparameters(hp)
    return hp


class Counted:
    """Data of a `tf.data` set, and how often it was gone through."""

    def __init__(self, x, y, batch_size=20):
        self.passes = 0

        def batches():
            self.passes += 1
            for start in range(0, len(x), batch_size):
                yield x[start : start + batch_size], y[start : start + batch_size]

        signature = (
            tf.TensorSpec([None, *x.shape[1:]], tf.float32),
            tf.TensorSpec([None], tf.int64),
        )
        self.data = tf.data.Dataset.from_generator(batches, output_signature=signature)


@pytest.mark.parametrize("kind", TUNERS)
def test_goes_into_every_tuner_and_the_best_is_a_finished_model(kind, tmp_path):
    train, validation = few_digits()
    tuner = tuner_of(search_of(QUICK), tmp_path, kind)
    tuner.search(*train, validation_data=validation, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert len(trials) >= 2
    assert {trial.status for trial in trials} == {"COMPLETED"}
    (best,) = tuner.get_best_models()
    best.save(tmp_path / "best.keras")
    loaded = ktg.load_model(tmp_path / "best.keras")
    reached = np.mean(loaded.classify(validation[0], verbose=0) == validation[1])
    assert reached == pytest.approx(max(trial.score for trial in trials))
    # Folders of the search are nothing that a model of its own remembers.
    assert loaded.cache_dir is None


@pytest.mark.slow
def test_every_kind_trains_in_one_search(tmp_path):
    """Hyperband besides goes on from earlier trials' weights."""
    train, validation = few_digits()
    space = {"augmentation": "none", "layer_decay": 1.0, "normalization": "frozen"}
    tuner = tuner_of(search_of(space), tmp_path, keras_tuner.Hyperband, max_epochs=4)
    tuner.search(*train, validation_data=validation, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert {trial.status for trial in trials} == {"COMPLETED"}, [t.message for t in trials]
    kinds = {trial.hyperparameters.get("kind") for trial in trials}
    assert kinds == {"feature", "parameter", "structure"}
    assert any("tuner/trial_id" in trial.hyperparameters for trial in trials)
    for trial, model in zip(tuner.oracle.get_best_trials(8), tuner.get_best_models(8)):
        reached = np.mean(model.classify(validation[0], verbose=0) == validation[1])
        assert reached == pytest.approx(trial.score), trial.hyperparameters.values


def test_values_become_the_model_they_name():
    search = search_of({"label_smoothing": 0.3, "augmentation": ["none", "shift"]}, seed=7)
    model = search.build(
        trial_values(
            search,
            kind="parameter",
            learning_rate=2e-5,
            layer_decay=0.9,
            normalization="adapt",
            augmentation="shift",
        )
    )
    assert isinstance(model, ktg.ParameterTransfer)
    config = model.get_config()
    assert (config["learning_rate"], config["layer_decay"]) == (2e-5, 0.9)
    assert (config["label_smoothing"], config["seed"]) == (0.3, 7)
    assert model.backbone.normalization == "adapt"
    assert model.augmentation is not None

    model = search.build(
        trial_values(search, kind="structure", method="lora", rank=8, learning_rate_factor=2.0)
    )
    assert isinstance(model, ktg.StructureTransfer)
    assert model.deltas["lora"].arguments()["rank"] == 8
    own = type(model.deltas["lora"]).learning_rate
    schedule = model.default_optimizer(20, 1)._learning_rate
    assert max(float(schedule(step)) for step in range(20)) == pytest.approx(2 * own)

    model = search.build(
        trial_values(
            search,
            kind="feature",
            head="hidden",
            hidden_units=64,
            dropout=0.2,
            head_learning_rate=3e-3,
        )
    )
    assert isinstance(model, ktg.FeatureTransfer)
    assert [layer.get_config().get("units") for layer in model.head.layers] == [64, None, 10]
    assert model.head.layers[1].rate == 0.2
    assert float(model.optimizer.learning_rate) == pytest.approx(3e-3)


def test_a_trial_that_trains_the_backbone_leaves_the_others_theirs():
    network = tiny_network()
    before = [weight.numpy() for weight in network.weights]
    search = TransferHyperModel([network], 10, space={"augmentation": "none"})
    feature = search.build(trial_values(search, kind="feature", head="linear"))
    again = search.build(trial_values(search, kind="feature", head="linear"))
    assert again.backbone is feature.backbone
    for kind in ("parameter", "structure"):
        model = search.build(trial_values(search, kind=kind))
        assert model.backbone is not feature.backbone
        for weight in model.backbone.weights:
            weight.assign(weight + 1.0)
    for weight, frozen, value in zip(network.weights, feature.backbone.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)
        np.testing.assert_array_equal(frozen.numpy(), value)


@pytest.mark.slow
def test_features_are_extracted_once_for_all_trials(tmp_path):
    train, validation = few_digits()
    counted, held_out = Counted(*train), Counted(*validation)
    space = {"kind": "feature", "head": ["linear", "hidden"], "hidden_units": 8, "head_epochs": 1}
    tuner = tuner_of(search_of(space), tmp_path, max_trials=4)
    tuner.search(counted.data, validation_data=held_out.data, epochs=2, verbose=0)
    assert len({t.hyperparameters.get("head") for t in tuner.oracle.trials.values()}) == 2
    assert (counted.passes, held_out.passes) == (1, 1)


@pytest.mark.slow
def test_the_probe_of_trials_that_train_uses_them_too(tmp_path):
    """Two trials of two epochs: four passes to train, one to extract."""
    train, validation = few_digits()
    counted = Counted(*train)
    space = {"kind": ["parameter"], "normalization": "frozen", "augmentation": "none",
             "layer_decay": 1.0}  # fmt: skip
    tuner = tuner_of(search_of(space), tmp_path)
    tuner.search(counted.data, validation_data=validation, epochs=2, steps_per_epoch=3, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2, trials[0].message
    # Keras' own reading of the data set's structure must not count; it takes no batch.
    assert counted.passes == 1 + 2 * 2


def test_features_outlive_the_search_in_a_folder(tmp_path):
    train, validation = few_digits()
    cache = tmp_path / "features"
    before: dict = {}
    for number in range(2):
        tuner = tuner_of(search_of(QUICK, cache_dir=cache), tmp_path / str(number), max_trials=1)
        tuner.search(*train, validation_data=validation, verbose=0)
        files = {file: file.stat().st_mtime_ns for file in cache.rglob("*.npy")}
        if number:
            assert files == before
        before = files
    # Of the training and the validation data: features and labels.
    assert len(before) == 4


@pytest.mark.slow
def test_preprocessing_and_augmentation_of_ones_own(tmp_path):
    train, validation = few_digits()
    search = search_of(
        {"kind": ["feature", "parameter"], "head": "linear",
         "augmentation": {"flip": keras.layers.RandomFlip(), "none": None}},
        preprocessing=keras.layers.Rescaling(1 / 16),
    )  # fmt: skip
    model = search.build(trial_values(search, kind="parameter", augmentation="flip"))
    assert isinstance(model.augmentation, keras.layers.RandomFlip)
    assert model.preprocessing.scale == 1 / 16
    tuner = tuner_of(search, tmp_path, hyperparameters=trial_values(search, kind="feature"))
    tuner.search(train[0] * 16, train[1], validation_data=validation, epochs=1, verbose=0)
    assert tuner.oracle.get_best_trials()[0].score is not None


@pytest.mark.slow
def test_heads_of_ones_own(tmp_path):
    """A layer, copied for each trial, and a function that makes one; both have a learning rate."""
    train, validation = few_digits()
    layer = keras.layers.Dense(10, activation="linear", use_bias=False)
    heads = {"unbiased": layer, "made": lambda: keras.Sequential([keras.layers.Dense(10)])}
    search = search_of(
        {"kind": "feature", "head": heads, "head_learning_rate": 0.01, "head_epochs": 3}
    )
    tuner = tuner_of(search, tmp_path, keras_tuner.GridSearch)
    tuner.search(*train, validation_data=validation, epochs=1, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [trial.hyperparameters.get("head") for trial in trials] == ["unbiased", "made"]
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2, trials[0].message
    assert not layer.built
    assert trials[0].best_step < 3
    models = {
        trial.hyperparameters.get("head"): model
        for trial, model in zip(tuner.oracle.get_best_trials(2), tuner.get_best_models(2))
    }
    assert not models["unbiased"].head.use_bias
    assert isinstance(models["made"].head, keras.Sequential)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbones": [], "num_classes": 3}, "at least one backbone"),
        ({"backbones": ["digits", "digits"], "num_classes": 3}, "different names"),
        ({"backbones": ["digit"], "num_classes": 3}, "Did you mean 'digits'"),
        ({"backbones": "digits", "num_classes": 3, "space": {"kind": []}}, "at least one choice"),
        ({"backbones": "digits", "num_classes": 3, "space": {"ranks": 2}}, "Did you mean 'rank'"),
        ({"backbones": "digits", "num_classes": 3, "space": {"method": "qlora"}}, "qlora"),
        ({"backbones": "digits", "num_classes": 3, "dropout": 0.1}, "goes into space="),
        ({"backbones": "digits", "num_classes": 3, "task": "ranking"}, "ranking"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TransferHyperModel(**arguments)


@pytest.mark.parametrize(
    ("objective", "validated", "message"),
    [
        (None, False, r"Give tuner\.search validation_data.*Received.*val_accuracy"),
        (keras_tuner.Objective("val_f1", "max"), True, r"val_accuracy.*Received.*val_f1"),
        (["accuracy", keras_tuner.Objective("auc", "max")], True, r"Received.*\['auc'\]"),
    ],
)
def test_an_objective_that_is_not_logged_ends_the_search_before_training(
    tmp_path, objective, validated, message
):
    train, validation = few_digits()
    counted = Counted(*train)
    search = search_of(QUICK)
    tuner = tuner_of(search, tmp_path, objective=objective or search.objective)
    data = {"validation_data": validation} if validated else {}
    with pytest.raises(keras_tuner.errors.FatalValueError, match=message):
        tuner.search(counted.data, verbose=0, **data)
    assert counted.passes == 0


class LogsF1(keras.callbacks.Callback):
    def __init__(self, name="val_f1"):
        super().__init__()
        self.name = name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = 0.5


def test_an_objective_of_a_users_callback(tmp_path):
    train, validation = few_digits()
    tuner = tuner_of(search_of(QUICK), tmp_path, objective=keras_tuner.Objective("val_f1", "max"))
    tuner.search(*train, validation_data=validation, callbacks=[LogsF1()], verbose=0)
    assert tuner.oracle.get_best_trials()[0].score == 0.5
    other = tuner_of(search_of(QUICK), tmp_path / "other",
                     objective=keras_tuner.Objective("val_f1", "max"))  # fmt: skip
    with pytest.raises(keras_tuner.errors.FatalValueError, match=r"do not log.*val_f1"):
        other.search(*train, validation_data=validation, callbacks=[LogsF1("val_f2")], verbose=0)
    assert len(other.oracle.trials) == 1


def test_a_folder_of_another_space(tmp_path):
    train, validation = few_digits()
    tuner_of(search_of(QUICK), tmp_path, max_trials=1).search(
        *train, validation_data=validation, verbose=0
    )
    other = tuner_of(search_of({**QUICK, "l2": [0.5, 2.0]}), tmp_path, max_trials=3)
    with pytest.raises(keras_tuner.errors.FatalValueError, match=r"another space.*overwrite"):
        other.search(*train, validation_data=validation, verbose=0)
    # The same space goes on: one trial is there.
    same = tuner_of(search_of(QUICK), tmp_path, max_trials=2)
    same.search(*train, validation_data=validation, verbose=0)
    assert len(same.oracle.trials) == 2


def test_a_folder_of_another_hypermodel(tmp_path):
    train, validation = few_digits()

    def build(hp):
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(hp.Choice("rate", [1e-3, 1e-2])), loss, ["accuracy"])
        return model

    plain = keras_tuner.RandomSearch(build, "val_accuracy", max_trials=1, directory=str(tmp_path))
    plain.search(*train, validation_data=validation, verbose=0)
    tuner = tuner_of(search_of(QUICK), tmp_path, max_trials=2)
    message = f"another space.*without this package.*{tmp_path.name}"
    with pytest.raises(keras_tuner.errors.FatalValueError, match=message):
        tuner.search(*train, validation_data=validation, verbose=0)


def test_the_dtype_policy_of_the_search_is_that_of_its_trials(tmp_path):
    """Keras Tuner clears the session, and the policy with it, before each trial."""
    train, validation = few_digits()
    keras.config.set_dtype_policy("mixed_bfloat16")
    tuner = tuner_of(search_of(QUICK), tmp_path, max_trials=1)
    tuner.search(*train, validation_data=validation, verbose=0)
    assert tuner.get_best_models()[0].compute_dtype == "bfloat16"


@pytest.mark.slow
@pytest.mark.long
def test_trials_under_a_mirrored_strategy(tmp_path, two_replicas):
    train, validation = few_digits()
    space = {
        "kind": ["feature", "parameter"],
        "head": "hidden",
        "hidden_units": 8,
        "head_epochs": 1,
        "normalization": "frozen",
        "augmentation": "none",
        "layer_decay": 1.0,
        "dropout": 0.2,
        "head_learning_rate": 1e-3,
        "learning_rate": 1e-4,
    }
    tuner = tuner_of(
        search_of(space), tmp_path, keras_tuner.GridSearch, distribution_strategy=two_replicas
    )
    kinds = set()

    class Replicas(keras.callbacks.Callback):
        def __deepcopy__(self, memo):
            return self

        def on_train_begin(self, logs=None):
            assert self.model.distribute_strategy.num_replicas_in_sync == 2
            kinds.add(type(self.model).__name__)

    tuner.search(*train, validation_data=validation, epochs=1, batch_size=20,
                 callbacks=[Replicas()], verbose=0)  # fmt: skip
    statuses = [trial.status for trial in tuner.oracle.trials.values()]
    assert set(statuses) == {"COMPLETED"}, [t.message for t in tuner.oracle.trials.values()]
    assert kinds == {"FeatureTransfer", "ParameterTransfer"}
    (best,) = tuner.get_best_models()
    best.save(tmp_path / "best.keras")
    # What two replicas trained serves one.
    loaded = ktg.load_model(tmp_path / "best.keras")
    reached = np.mean(loaded.classify(validation[0], verbose=0) == validation[1])
    assert reached == pytest.approx(tuner.oracle.get_best_trials()[0].score)


def test_the_space_in_force_is_told():
    space = search_of({"kind": "feature", "head": "linear", "l2": ["sweep", 1.0]}).space
    assert json.loads(json.dumps(space)) == {
        "backbone": "tiny",
        "kind": "feature",
        "head": "linear",
        "l2": ["sweep", ["1.0", 1.0]],
    }


def test_a_registered_delta_is_a_choice_with_its_arguments(monkeypatch):
    from keras_transgen.transfer.deltas import DELTAS, Bias

    class OfMyOwn(Bias):
        def __init__(self, backbone, name="of_my_own", strength=1.0):
            super().__init__(backbone, name)
            self.strength = strength

    monkeypatch.setitem(DELTAS, "of_my_own", OfMyOwn)
    search = search_of(
        {"kind": "structure", "method": ["ia3", "of_my_own"], "strength": [0.5, 2.0]}
    )
    # Neither takes a rank.
    assert "rank" not in search.space
    values = {"learning_rate_factor": 1.0, "augmentation": "none"}
    hp = trial_values(search, method="of_my_own", strength=2.0, **values)
    assert search.build(hp).deltas["of_my_own"].strength == 2.0
    assert "ia3" in search.build(trial_values(search, method="ia3", **values)).deltas
