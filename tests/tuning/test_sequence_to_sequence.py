"""Searches over translators: by what held-out targets cost, or by BLEU of what is written."""

import importlib

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.tuning import SequenceToSequenceHyperModel


def pairs(count, seed):
    """Words of a few letters, and the same backwards in capitals."""
    draws = np.random.default_rng(seed)
    sources = ["".join(draws.choice(list("abcd"), draws.integers(1, 6))) for _ in range(count)]
    return sources, [each[::-1].upper() for each in sources]


TRAIN, HELD_OUT = pairs(40, 0), pairs(12, 1)
BOTH = ktg.Vocabulary.characters(["abcdABCD"])
SOURCE, TARGET = (ktg.Vocabulary.characters([each]) for each in ("abcd", "ABCD"))
SMALL = {"num_layers": 1, "model_dim": [8, 16], "num_heads": 2, "dropout": 0.0,
         "label_smoothing": [0.0, 0.3], "jit_compile": False}  # fmt: skip


def search_of(space=SMALL, **arguments):
    keras.utils.set_random_seed(3)
    return SequenceToSequenceHyperModel(BOTH, context_length=16, space=space, seed=0, **arguments)


def tuner_of(search, folder, **arguments):
    return keras_tuner.RandomSearch(
        search, search.objective, seed=1, directory=str(folder), **{"max_trials": 2, **arguments}
    )


def nats_a_token(model, sources, targets):
    tokens = sum(len(target) + 1 for target in targets)
    return -float(model.log_likelihood(sources, targets).sum()) / tokens


@pytest.mark.slow
@pytest.mark.long
def test_the_score_is_what_held_out_targets_cost_the_best_model(tmp_path):
    """Without label smoothing, whatever a trial trains with."""
    space = {**SMALL, "model_dim": 8, "learning_rate": 2e-3}
    tuner = tuner_of(search_of(space), tmp_path)
    data = {"validation_data": HELD_OUT, "batch_tokens": 64}
    tuner.search(*TRAIN, epochs=2, verbose=0, **data)
    trials = tuner.oracle.get_best_trials(2)
    assert {trial.hyperparameters.get("label_smoothing") for trial in trials} == {0.0, 0.3}
    assert trials[0].score < trials[1].score
    for trial, model in zip(trials, tuner.get_best_models(2)):
        assert nats_a_token(model, *HELD_OUT) == pytest.approx(trial.score, rel=1e-5)
    best = tuner.get_best_models()[0]
    best.save(tmp_path / "best.keras")
    loaded = ktg.load_model(tmp_path / "best.keras")
    measured = loaded.evaluate(*HELD_OUT, verbose=0, return_dict=True)["loss"]
    assert measured == pytest.approx(trials[0].score, rel=1e-5)
    # The same seeds find the same, of generators too, which are spent after one trial.
    again = tuner_of(search_of(space), tmp_path / "again")
    again.search(*((each for each in part) for part in TRAIN), epochs=2, verbose=0, **data)
    assert [trial.score for trial in again.oracle.get_best_trials(2)] == [
        trial.score for trial in trials
    ]


@pytest.mark.slow
@pytest.mark.long
def test_the_score_may_be_bleu_of_the_translations(tmp_path):
    sacrebleu = pytest.importorskip("sacrebleu")
    sources, targets = (list(each) for each in TRAIN)
    # Words, so that BLEU has grams of four.
    source = [" ".join(each) for each in sources]
    target = [" ".join(each.lower()) for each in targets]
    search = SequenceToSequenceHyperModel(
        ktg.Vocabulary.characters(source),
        context_length=16,
        space={**SMALL, "label_smoothing": 0.0, "model_dim": 16, "learning_rate": [2e-2, 5e-3]},
        score="bleu",
        translations=30,
        seed=0,
    )
    assert str(search.objective) == 'Objective(name="val_bleu", direction="max")'
    tuner = tuner_of(search, tmp_path)
    tuner.search(source, target, validation_data=(source, target), epochs=12, verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    assert trial.score == max(each.score for each in tuner.oracle.trials.values())
    assert trial.score > 0
    # The same thirty for every trial, by the generator that the search draws with.
    rows = np.sort(np.random.default_rng(0).choice(len(source), 30, replace=False))
    (best,) = tuner.get_best_models()
    found = best.generate([source[row] for row in rows])
    reached = sacrebleu.corpus_bleu(found, [[target[row] for row in rows]]).score
    assert trial.score == pytest.approx(reached, rel=1e-6)


def test_bleu_without_its_library_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"keras-transgen\[text\]"):
        search_of(score="bleu")


@pytest.mark.slow
def test_a_share_of_the_pairs_may_be_held_out(tmp_path):
    tuner = tuner_of(search_of(), tmp_path, max_trials=1)
    tuner.search(*TRAIN, validation_split=0.25, epochs=1, verbose=0)
    (best,) = tuner.get_best_models()
    cost = nats_a_token(best, TRAIN[0][30:], TRAIN[1][30:])
    assert tuner.oracle.get_best_trials()[0].score == pytest.approx(cost, rel=1e-5)


@pytest.mark.long
def test_values_become_the_model_they_name():
    search = search_of({**SMALL, "copying": [False, True], "batch_tokens": [32, 64]})
    hp = keras_tuner.HyperParameters()
    hp.values = {"model_dim": 16, "label_smoothing": 0.3, "copying": "True", "batch_tokens": 32,
                 "learning_rate": 4e-3}  # fmt: skip
    search.declare_hyperparameters(hp)
    model = search.build(hp)
    assert isinstance(model, ktg.SequenceToSequence)
    config = model.get_config()
    asked = {"context_length": 16, "num_layers": 1, "model_dim": 16, "num_heads": 2,
             "label_smoothing": 0.3, "copying": True, "dropout": 0.0}  # fmt: skip
    assert {name: config[name] for name in asked} == asked
    steps = []

    class Note(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)

    search.fit(hp, model, *TRAIN, epochs=1, callbacks=[Note()], verbose=0)
    rates = [float(model.optimizer._learning_rate(step)) for step in range(100)]
    assert max(rates) == pytest.approx(4e-3)
    # All sources and targets are of at most 8 tokens, 4 rows a batch: 40 rows are 10 batches.
    assert len(steps) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {"target_vocabulary": [TARGET]}}, "no such hyperparameter"),
        ({"space": {"label_smoothing": 1.0}}, r"label_smoothing must be a number in \[0, 1\)"),
        ({"space": {"batch_tokens": 0}}, "'batch_tokens' must be whole numbers"),
        ({"space": {"copying": [False, True]}}, "copying needs one vocabulary"),
        ({"copying": True}, "goes into space="),
        ({"score": "rouge"}, r"score must be one of \('loss', 'bleu'\)"),
        ({"translations": 0}, "translations must be a whole number"),
        ({"target_vocabulary": "de"}, "target_vocabulary must be a Vocabulary"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SequenceToSequenceHyperModel(
            **{"source_vocabulary": SOURCE, "target_vocabulary": TARGET, **arguments}
        )


TOKENS = tf.data.Dataset.from_tensors((np.ones([2, 4], "int32"), np.ones([2, 4], "int32")))


@pytest.mark.parametrize(
    ("args", "kwargs", "score", "message"),
    [
        (TRAIN, {}, "loss", r"Give tuner\.search validation_data"),
        (TRAIN, {"validation_data": HELD_OUT[0]}, "loss", "Each source needs a target"),
        (TRAIN, {"validation_data": (*HELD_OUT, None)}, "loss", "Received: 3 parts"),
        ((TRAIN[0],), {"validation_data": HELD_OUT}, "loss", "Each source needs a target"),
        ((TRAIN[0], TRAIN[1][:3]), {"validation_data": HELD_OUT}, "loss", "as many targets"),
        ((["abcd" * 9], ["A"]), {"validation_data": HELD_OUT}, "loss", "at most 16 tokens"),
        (TRAIN, {"validation_data": TOKENS}, "bleu", "BLEU compares texts"),
    ],
)
def test_wrong_data_end_the_search_before_a_trial_trains(args, kwargs, score, message, tmp_path):
    tuner = tuner_of(search_of(score=score), tmp_path)
    with pytest.raises(keras_tuner.errors.FatalValueError, match=message):
        tuner.search(*args, epochs=1, verbose=0, **kwargs)
    assert len(tuner.oracle.trials) == 1
