"""Searches over language models: what they compare is what held-out texts cost."""

import keras
import keras_tuner
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.tuning import LanguageModelHyperModel

WORDS = ["to", "be", "or", "not", "the", "question", "sea", "of", "troubles"]


def sentences(count, seed):
    draws = np.random.default_rng(seed)
    return [" ".join(draws.choice(WORDS, draws.integers(1, 5))) for _ in range(count)]


TEXTS, HELD_OUT = sentences(40, 0), sentences(10, 1)
VOCABULARY = ktg.Vocabulary.characters(TEXTS)
SMALL = {"num_layers": 1, "model_dim": [8, 16], "num_heads": 2, "dropout": 0.0,
         "jit_compile": False}  # fmt: skip


def search_of(space=SMALL, **arguments):
    keras.utils.set_random_seed(3)
    return LanguageModelHyperModel(VOCABULARY, 32, space=space, seed=0, **arguments)


def tuner_of(search, folder, kind=keras_tuner.RandomSearch, **arguments):
    limits = {"max_epochs": 2, "factor": 2} if kind is keras_tuner.Hyperband else {"max_trials": 2}
    return kind(search, search.objective, seed=1, directory=str(folder), **{**limits, **arguments})


def nats_a_token(model, texts):
    """By the log likelihoods of whole texts, each with its end."""
    tokens = sum(len(text) + 1 for text in texts)
    return -float(model.log_likelihood(texts).sum()) / tokens


def trial_values(search, **values):
    hp = keras_tuner.HyperParameters()
    hp.values = values
    search.declare_hyperparameters(hp)
    return hp


@pytest.mark.slow
def test_the_score_is_what_held_out_texts_cost_the_best_model(tmp_path):
    tuner = tuner_of(search_of(), tmp_path)
    tuner.search(TEXTS, validation_data=HELD_OUT, batch_size=4, epochs=2, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    best = tuner.oracle.get_best_trials()[0]
    assert best.score == min(trial.score for trial in trials)
    (model,) = tuner.get_best_models()
    model.save(tmp_path / "best.keras")
    loaded = ktg.load_model(tmp_path / "best.keras")
    assert loaded.feature_dim == best.hyperparameters.get("model_dim")
    assert nats_a_token(loaded, HELD_OUT) == pytest.approx(best.score, rel=1e-5)
    measured = loaded.evaluate(HELD_OUT, verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(best.score, rel=1e-5)
    # Better than to know no more than how often each character comes.
    assert best.score < np.log(VOCABULARY.size)


@pytest.mark.long
def test_the_same_seeds_find_the_same_and_generators_serve_all_trials(tmp_path):
    scores = []
    for folder, texts in (("list", TEXTS), ("generator", (text for text in TEXTS))):
        tuner = tuner_of(search_of(), tmp_path / folder)
        tuner.search(texts, validation_data=HELD_OUT, batch_size=4, epochs=1, verbose=0)
        scores.append([trial.score for trial in tuner.oracle.trials.values()])
    assert scores[0] == scores[1]
    assert len({*scores[0]}) == 2


@pytest.mark.slow
@pytest.mark.long
def test_each_round_of_hyperband_warms_up_to_the_trials_rate_and_falls_to_a_tenth(tmp_path):
    rates = {}

    class Rates(keras.callbacks.Callback):
        def __deepcopy__(self, memo):
            return self

        def on_train_end(self, logs=None):
            optimizer = self.model.optimizer
            peak = max(float(optimizer._learning_rate(step)) for step in range(200))
            last = float(optimizer._learning_rate(int(optimizer.iterations)))
            rates[len(rates)] = (self.model.default_rate, peak, last)

    space = {**SMALL, "learning_rate": [1e-3, 4e-3]}
    tuner = tuner_of(search_of(space), tmp_path, keras_tuner.Hyperband)
    tuner.search(TEXTS, validation_data=HELD_OUT, batch_size=4, callbacks=[Rates()], verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert {trial.status for trial in trials} == {"COMPLETED"}, [t.message for t in trials]
    assert any(trial.hyperparameters.values["tuner/initial_epoch"] for trial in trials)
    assert len(rates) == len(trials)
    for rate, peak, last in rates.values():
        assert peak == pytest.approx(rate, rel=1e-4)
        assert last == pytest.approx(0.1 * rate, rel=1e-4)
    for trial, model in zip(tuner.oracle.get_best_trials(4), tuner.get_best_models(4)):
        assert nats_a_token(model, HELD_OUT) == pytest.approx(trial.score, rel=1e-5)


@pytest.mark.slow
def test_a_share_of_the_texts_may_be_held_out(tmp_path):
    tuner = tuner_of(search_of(), tmp_path, max_trials=1)
    tuner.search(TEXTS, validation_split=0.25, batch_size=4, epochs=1, verbose=0)
    rows = tuner.get_best_models()[0].entered("x", TEXTS, True)
    held_out = rows[int(np.floor(0.75 * len(rows))) :]
    (best,) = tuner.get_best_models()
    measured = best.evaluate(held_out, verbose=0, return_dict=True)["loss"]
    assert tuner.oracle.get_best_trials()[0].score == pytest.approx(measured, rel=1e-5)


@pytest.mark.slow
def test_values_become_the_model_they_name():
    search = search_of({**SMALL, "num_heads": [2, 4], "positions": ["rotary", "learned"],
                        "dropout": [0.1, 0.3], "feedforward_dim": 12})  # fmt: skip
    hp = trial_values(search, model_dim=16, num_heads=4, positions="learned", dropout=0.3,
                      learning_rate=2e-3)  # fmt: skip
    model = search.build(hp)
    assert isinstance(model, ktg.LanguageModel)
    config = model.get_config()
    asked = {"context_length": 32, "num_layers": 1, "model_dim": 16, "num_heads": 4,
             "dropout": 0.3, "positions": "learned", "feedforward_dim": 12}  # fmt: skip
    assert {name: config[name] for name in asked} == asked
    assert model.vocabulary.equals(VOCABULARY)
    assert int(model.progress.seed.numpy()) == 0
    # A model of the winner's values trains as any other, at the rate that was found.
    model.fit(TEXTS, batch_size=2, epochs=2, verbose=0)
    rates = [float(model.optimizer._learning_rate(step)) for step in range(100)]
    assert max(rates) == pytest.approx(2e-3)
    assert model.jit_compile is False


def test_the_default_space_makes_models():
    """Any default of sizes fits any other; the smallest and the largest build."""
    search = LanguageModelHyperModel(VOCABULARY, 16)
    assert search.space["model_dim"] == [64, 128, 256]
    for layers, dim in ((2, 64), (6, 256)):
        model = search.build(trial_values(search, num_layers=layers, model_dim=dim, dropout=0.0,
                                          learning_rate=1e-3))  # fmt: skip
        heads = model.get_config()["num_heads"]
        assert (model.get_config()["num_layers"], dim % heads) == (layers, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {"depth": 3}}, "no such hyperparameter"),
        ({"space": {"vocabulary": [VOCABULARY]}}, "no such hyperparameter"),
        ({"space": {"model_dim": [16, 24], "num_heads": [2, 8]}}, "model_dim=24 with num_heads=8"),
        (
            {"space": {"model_dim": {"min_value": 16, "max_value": 24}, "num_heads": 2}},
            "model_dim=17 with num_heads=2",
        ),
        ({"space": {"model_dim": 6, "num_heads": 2}}, "rotary positions"),
        ({"space": {"num_layers": [0, 1]}}, "'num_layers' must be whole numbers from 1 up"),
        ({"space": {"dropout": [0.0, 1.0]}}, "'dropout' must be at least 0 and below 1"),
        ({"space": {"dropout": "much"}}, r"dropout must be a number in \[0, 1\)"),
        ({"space": {"learning_rate": 0.0}}, "'learning_rate' must be numbers above 0"),
        ({"space": {"positions": "sinusoidal"}}, "must be of"),
        ({"dropout": 0.1}, "goes into space="),
        ({"width": 8}, "passes these arguments"),
        ({"context_length": 0}, "context_length must be a whole number"),
        ({"vocabulary": TEXTS}, r"vocabulary must be a Vocabulary: Vocabulary\.train"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LanguageModelHyperModel(**{"vocabulary": VOCABULARY, **arguments})


def test_ranges_whose_every_number_fits_are_welcome():
    for given in (
        {"min_value": 16, "max_value": 64, "step": 16},
        {"min_value": 16, "max_value": 64, "sampling": "log", "step": 2},
    ):
        search = LanguageModelHyperModel(VOCABULARY, space={"model_dim": given, "num_heads": 8})
        drawn = set()
        for seed in range(20):
            hp = keras_tuner.HyperParameters()
            search.declare_hyperparameters(hp)
            (dim,) = [each for each in hp.space if each.name == "model_dim"]
            drawn.add(dim.random_sample(seed))
        assert drawn <= set(search._space.possible("model_dim"))
        assert len(drawn) > 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (((TEXTS,), {}), r"Give tuner\.search validation_data"),
        ((([*TEXTS, ""],), {"validation_data": HELD_OUT}), "at least one character"),
        (((TEXTS,), {"validation_data": np.zeros([4, 50], "int32")}), "context_length"),
        (((TEXTS,), {"validation_data": (HELD_OUT, [0] * len(HELD_OUT))}), "labels"),
        (((TEXTS, [0] * len(TEXTS)), {"validation_data": HELD_OUT}), "texts alone"),
        ((("one text",), {"validation_data": HELD_OUT}), "must be a list of texts"),
        (((np.zeros([4, 50], "int32"),), {"validation_data": HELD_OUT}), "context_length"),
    ],
)
def test_wrong_data_end_the_search_before_a_trial_trains(data, message, tmp_path):
    trained = []

    class Note(keras.callbacks.Callback):
        def __deepcopy__(self, memo):
            return self

        def on_train_batch_end(self, batch, logs=None):
            trained.append(batch)

    args, kwargs = data
    tuner = tuner_of(search_of(), tmp_path)
    # A callback of the user's may log the objective: it is looked for when an epoch has ended.
    callbacks = [Note()] if "validation_data" in kwargs else []
    with pytest.raises(keras_tuner.errors.FatalValueError, match=message):
        tuner.search(*args, epochs=1, verbose=0, callbacks=callbacks, **kwargs)
    assert not trained
    assert len(tuner.oracle.trials) == 1


@pytest.mark.slow
def test_another_vocabulary_is_another_search(tmp_path):
    tuner_of(search_of(), tmp_path).search(
        TEXTS, validation_data=HELD_OUT, batch_size=8, epochs=1, verbose=0
    )
    other = LanguageModelHyperModel(ktg.Vocabulary.bytes(), 32, space=SMALL)
    tuner = tuner_of(other, tmp_path, max_trials=3)
    with pytest.raises(keras_tuner.errors.FatalValueError, match="another space"):
        tuner.search(TEXTS, validation_data=HELD_OUT, epochs=1, verbose=0)
