"""What held-out losses lead to, and a whole search on data where the answer is known."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.transfer import ParameterTransfer
from keras_transgen.transfer.fine_tuning_recipe import RATES, SHARES
from keras_transgen.transfer.recipe_choice import (
    chosen,
    grows_better,
    guessing_losses,
    held_out_losses,
    judged,
    leads_over_a_hill,
    number_of_folds,
    rate_of_short_trials,
)
from keras_transgen.transfer.recipe_search import on_the_way, trial_folds
from keras_transgen.transfer.rows_in_memory import in_memory
from keras_transgen.transfer.schedules import warm_up_and_decay
from keras_transgen.transfer.trial_rate import TrialRate
from tests.transfer.tiny import backbone

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("rows", "most", "folds"),
    [(40, 5, 5), (200, 5, 5), (300, 5, 4), (1000, 5, 1), (5000, 5, 1), (9, 3, 3)],
)
def test_as_many_folds_as_hold_out_two_hundred(rows, most, folds):
    assert number_of_folds(rows, most) == folds


def test_the_fall_and_its_error_are_paired():
    losses = RNG.uniform(size=(len(SHARES), 50))
    trial = judged(1e-3, losses)
    np.testing.assert_allclose(trial.losses, losses.mean(axis=1))
    falls = losses[0] - losses[3]
    assert trial.falls[3] == pytest.approx(falls.mean())
    assert trial.errors[3] == pytest.approx(np.std(falls, ddof=1) / np.sqrt(50))


def test_the_lowest_loss_is_chosen_where_the_fall_is_clear():
    base = RNG.uniform(1.0, 2.0, size=200)
    noise = RNG.normal(size=200)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    guessing = base + 1.0
    clear = np.stack([base, base - 0.1, base - 0.3, base - 0.2, base - 0.1])
    assert chosen({1e-3: clear, 3e-3: clear + 0.05}, guessing) == (1e-3, 0.5)
    # Standard error 0.01, falls of 1.4 and 1.6 of it.
    for fall, share in ((0.014, 0.0), (0.016, 0.25)):
        drowned = np.stack([base, *(base - fall + 0.01 * 200**0.5 * noise,) * 4])
        assert chosen({1e-3: drowned}, guessing) == (1e-3, share)
        # A probe that is no better than guessing has nothing to lose.
        assert chosen({1e-3: drowned}, base) == (1e-3, 0.25)
    worse = np.stack([base, *(base + 0.01,) * 4])
    assert chosen({1e-3: worse}, base) == (1e-3, 0.0)
    lost = np.stack([base, *(np.full(200, np.nan),) * 4])
    assert chosen({1e-3: clear, 1e-2: lost}, guessing) == (1e-3, 0.5)
    assert chosen({1e-2: lost}, guessing) == (1e-2, 0.0)


def test_the_smallest_move_that_is_as_good_is_taken():
    base = RNG.uniform(1.0, 2.0, size=100)
    noise = RNG.normal(size=100)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    best = base - 0.5
    # 0.4 and 0.6 of the standard error 0.01 above the best.
    for rise, share in ((0.004, 0.5), (0.006, 1.0)):
        near = best + rise + 0.1 * noise
        trial = np.stack([base, base, near, base, best])
        assert chosen({1e-3: trial}, base + 1.0) == (1e-3, share)
    higher = np.stack([base, base, base, base, best - 1e-6])
    assert chosen({1e-3: np.stack([base] * 4 + [best]), 3e-3: higher}, base + 1.0)[0] == 3e-3


def test_rates_that_diverge_are_none():
    assert rate_of_short_trials(np.array([0.4, 0.2, np.nan, np.inf])) == 1
    assert rate_of_short_trials(np.array([np.nan, np.nan])) == 0


@pytest.mark.slow
def test_losses_are_those_of_scikit_learn_at_the_best_temperature():
    from sklearn.metrics import log_loss

    logits, labels = RNG.normal(size=(50, 3)), RNG.integers(0, 3, 50)
    logits[np.arange(50), labels] += 1.0
    found = held_out_losses(7.0 * logits, np.eye(3)[labels], "classification")

    def at(factor):
        shares = np.exp(factor * logits) / np.exp(factor * logits).sum(axis=1, keepdims=True)
        return log_loss(labels, shares, labels=[0, 1, 2])

    # The example more, by which the temperature is found, costs a little.
    lowest = min(map(at, np.linspace(0.1, 4.0, 2000)))
    assert lowest - 1e-9 < found.mean() < 1.01 * lowest
    # How sure a model is makes no difference.
    np.testing.assert_allclose(
        held_out_losses(0.2 * logits, np.eye(3)[labels], "classification"), found, rtol=1e-3
    )
    several = held_out_losses(logits, np.eye(3)[labels], "multi_label")
    from scipy.special import log_expit

    signs = 2 * np.eye(3)[labels] - 1
    each = [-log_expit(signs * logits * f).sum(axis=1) for f in np.linspace(0.1, 4.0, 2000)]
    lowest = min(one.mean() for one in each)
    assert lowest - 1e-9 < several.mean() < 1.01 * lowest
    np.testing.assert_allclose(
        held_out_losses(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]), "regression"), [5.0]
    )
    assert np.isnan(
        held_out_losses(np.full((3, 2), np.inf), np.eye(2)[[0, 1, 1]], "multi_label")
    ).all()


@pytest.mark.parametrize("steps", [5, 40])
def test_a_trial_has_the_rates_of_the_training(steps):
    trial = TrialRate()
    trial.set(0.01, steps, 0.3, decays=True)
    expected = warm_up_and_decay(0.01, steps, 0.3)
    for step in range(steps):
        assert float(trial(step)) == pytest.approx(float(expected(step)), rel=1e-4)
        assert float(trial.with_share(0.5)(step)) == pytest.approx(
            0.5 * float(expected(step)), rel=1e-4
        )


def test_weights_on_the_way():
    (found,) = on_the_way([np.array([1.0, 3.0])], [np.array([3.0, -1.0])], 0.25)
    np.testing.assert_allclose(found, [1.5, 2.0])
    (found,) = on_the_way([np.array([1.0, 3.0])], [np.array([np.nan, np.inf])], 0.0)
    np.testing.assert_allclose(found, [1.0, 3.0])


def data(rows, seed=0):
    """Whether two places are bright alike: what no linear head on frozen features tells well."""
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 2, (2, rows))
    images = rng.uniform(0.0, 0.2, size=(rows, 8, 8, 1)).astype("float32")
    for image, first, second in zip(images, one, other):
        image[1:3, 1:3] += 0.8 * first
        image[1:3, 5:7] += 0.8 * second
    return images, (one + other) % 2


def model(**options):
    return ParameterTransfer(backbone(), 2, learning_rate="auto", seed=0, **options)


@pytest.mark.long
def test_a_search_takes_a_rate_that_learns_and_says_so(tmp_path):
    x, y = data(160)
    tuned = model()
    keras.utils.set_random_seed(0)
    history = tuned.fit(x, y, epochs=10, batch_size=16, verbose=0)
    recipe = tuned.recipe
    assert history.recipe is recipe
    assert recipe.rates == RATES
    assert recipe.folds == 5
    assert recipe.held_out == 160
    assert not recipe.kept_probe
    assert recipe.learning_rate >= 1e-3
    other, truth = data(300, seed=1)
    accuracy = (tuned.classify(other, verbose=0) == truth).mean()
    probe = model()
    probe.initialize_head(x, y)
    assert accuracy > (probe.classify(other, verbose=0) == truth).mean() + 0.01
    assert f"{recipe.learning_rate:.2g}" in str(recipe)
    said = []
    tuned.summary(print_fn=said.append)
    assert said[-1] == f"Before the first training: {recipe}"
    # What is found is not looked for again, after loading neither.
    tuned.save(tmp_path / "tuned.keras")
    tuned.fit(x, y, epochs=1, batch_size=16, verbose=0)
    assert tuned.recipe is recipe
    loaded = ktg.load_model(tmp_path / "tuned.keras")
    loaded.fit(x, y, epochs=1, batch_size=16, verbose=0)
    assert loaded.recipe is None
    for one, other in zip(tuned.weights, loaded.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)


class TooFast(ParameterTransfer):
    """All rates that are tried destroy."""

    def rates_to_try(self):
        return (0.3, 1.0)


@pytest.mark.long
def test_a_probe_that_nothing_betters_is_kept_bit_for_bit():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    x = rng.uniform(0.0, 0.4, size=(120, 8, 8, 1)).astype("float32")
    for image, label in zip(x, y):
        image[2 + label : 4 + label, 3:5] += 0.5
    kept = TooFast(backbone(), 2, seed=0)
    ended = []
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ended.append(logs))
    history = kept.fit(x, y, epochs=4, verbose=0, callbacks=[told])
    assert ended[0]["accuracy"] == history.history["accuracy"][0]
    assert kept.recipe.kept_probe
    assert "kept the probe" in str(kept.recipe)
    probe = model()
    probe.initialize_head(x, y)
    for one, other in zip(kept.weights, probe.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
    assert history.history["accuracy"] == pytest.approx(
        [(kept.classify(x, verbose=0) == y).mean()], abs=1e-6
    )
    # Whoever asks again is trained.
    before = kept.head.get_weights()[0]
    kept.compile(keras.optimizers.SGD(0.1))
    kept.fit(x, y, epochs=1, verbose=0)
    assert np.abs(before - kept.head.get_weights()[0]).max() > 1e-6
    assert int(kept.progress.step) == 4


@pytest.mark.long
def test_validation_data_judge_where_they_are_many():
    x, y = data(60)
    judge = data(220, seed=3)
    tuned = model()
    tuned.fit(x, y, epochs=1, verbose=0, validation_data=judge)
    assert (tuned.recipe.folds, tuned.recipe.held_out) == (0, 220)
    few = model()
    few.fit(x, y, epochs=1, verbose=0, validation_data=data(30, seed=3))
    assert (few.recipe.folds, few.recipe.held_out) == (5, 60)


def test_what_cannot_be_tried_is_told():
    x, y = data(16)
    head = [keras.layers.Dense(4, "relu"), keras.layers.Dense(2)]
    own = model(head=keras.Sequential(head), pooling="average")
    with pytest.warns(UserWarning, match="No learning rate was tried.*linear probe"):
        own.fit(x, y, epochs=1, verbose=0)
    assert own.recipe is None
    with pytest.raises(ValueError, match="'auto', or a number"):
        ParameterTransfer(backbone(), 2, learning_rate="best")


def test_folds_hold_out_every_row_once_but_the_only_one_of_its_class():
    targets = np.eye(4)[[0] * 7 + [1] * 5 + [2] * 2 + [3]]
    folds = trial_folds(targets, "classification", 0)
    assert folds.shape == (5, 15)
    np.testing.assert_array_equal(folds.sum(axis=0), [1] * 14 + [0])
    # Whatever is held out, each class is learnt from.
    assert all(len(np.unique(targets[~fold].argmax(axis=1))) == 4 for fold in folds)
    assert [int(fold.sum()) for fold in folds] == [3, 3, 3, 3, 2]
    # Fewer rows than folds, numbers to be predicted, and nothing to hold out.
    assert trial_folds(np.eye(2)[[0, 1, 0]], "classification", 0).sum(axis=1).tolist() == [1, 1]
    assert trial_folds(np.ones((3, 1)), "regression", 0).shape == (3, 3)
    assert len(trial_folds(np.eye(3), "classification", 0)) == 0


def test_one_example_of_each_class_trains_at_a_rate_that_is_told():
    x, y = data(16)
    rows = [int(np.flatnonzero(y == each)[0]) for each in (0, 1)]
    alone = model()
    with pytest.warns(UserWarning, match="no class has two examples.*0.0003 is taken"):
        alone.fit(x[rows], y[rows], epochs=1, verbose=0)
    assert alone.recipe is None
    schedule = alone.optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(3e-4)


@pytest.mark.parametrize("wrong", ["size", "labels"])
def test_validation_data_of_another_kind_are_refused_before_the_search(wrong):
    x, y = data(24)
    judge = data(220, seed=3)
    judge = (judge[0][:, :6], judge[1]) if wrong == "size" else (judge[0], judge[1] + 5)
    tuned = model()
    before = tuned.get_weights()
    with pytest.raises(ValueError, match="Received: "):
        tuned.fit(x, y, verbose=0, validation_data=judge)
    for one, other in zip(before, tuned.get_weights()):
        np.testing.assert_array_equal(one, other)


class Diverging(ParameterTransfer):
    """All rates but the lowest give numbers that are none."""

    def rates_to_try(self):
        return (1e-3, 1e20, 1e30)


@pytest.mark.long
def test_a_grid_that_diverges_takes_what_does_not():
    x, y = data(40)
    tuned = Diverging(backbone(), 2, seed=0)
    tuned.fit(x, y, epochs=2, verbose=0)
    assert np.isnan(tuned.recipe.short_losses[1:]).all()
    assert np.isfinite(tuned.recipe.short_losses[0])
    assert tuned.recipe.learning_rate == 1e-3
    assert all(np.isfinite(weight).all() for weight in tuned.get_weights())
    assert "nan" not in str(tuned.recipe)


class Interrupted(ParameterTransfer):
    """The search is stopped after some trials."""

    left = 0

    def settle_weights(self):
        super().settle_weights()
        type(self).left -= 1
        if type(self).left == 0:
            raise KeyboardInterrupt


def trials_written(folder):
    return sorted(file.name for file in folder.rglob("*.npy"))


@pytest.mark.long
def test_an_interrupted_search_goes_on_where_it_was(tmp_path):
    x, y = data(40)

    def fit(kind, folder):
        keras.utils.set_random_seed(0)
        made = kind(backbone(), 2, seed=0)
        backup = keras.callbacks.BackupAndRestore(folder)
        made.fit(x, y, epochs=2, verbose=0, callbacks=[backup])
        return made

    whole = fit(ParameterTransfer, tmp_path / "whole")
    Interrupted.left = 30
    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted, tmp_path / "parts")
    written = trials_written(tmp_path / "parts")
    assert 3 < len(written) < 30
    (file,) = (tmp_path / "parts").rglob(written[0])
    # Half a file counts as none.
    file.write_bytes(file.read_bytes()[:50])
    kept = {name: next((tmp_path / "parts").rglob(name)).stat().st_mtime_ns for name in written[1:]}
    Interrupted.left = -1
    seen = {}

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            for name in trials_written(tmp_path / "parts"):
                seen[name] = next((tmp_path / "parts").rglob(name)).stat().st_mtime_ns

    keras.utils.set_random_seed(0)
    again = ParameterTransfer(backbone(), 2, seed=0)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "parts")
    again.fit(x, y, epochs=2, verbose=0, callbacks=[Look(), backup])
    assert {name: seen[name] for name in kept} == kept
    assert written[0] in seen
    assert again.recipe.learning_rate == whole.recipe.learning_rate
    assert again.recipe.share == whole.recipe.share
    np.testing.assert_allclose(again.recipe.short_losses, whole.recipe.short_losses, rtol=1e-4)
    for one, other in zip(again.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(one, other, atol=1e-4)
    # What the training did not need any more is gone with the backup.
    assert not (tmp_path / "parts").exists()


def test_a_rate_that_leads_over_a_hill_is_not_taken():
    base = RNG.uniform(1.0, 2.0, size=200)
    hill = np.stack([base, base - 0.1, 1.5 * base, base - 0.5, base - 0.9])
    plain = np.stack([base, base - 0.05, base - 0.2, base - 0.3, base - 0.25])
    assert leads_over_a_hill(hill.mean(axis=1))
    assert leads_over_a_hill([1.0, 0.5, np.nan, 0.5, 0.5])
    assert not leads_over_a_hill([1.0, 1.19, 0.5, 0.5, 1.19])
    assert chosen({1e-3: plain, 3e-3: hill}, base + 1.0) == (1e-3, 0.75)
    assert chosen({3e-3: hill}, base + 1.0) == (3e-3, 0.0)
    assert not grows_better([plain, hill])
    assert grows_better([hill, plain - 0.7])
    lost = np.full((5, 200), np.nan)
    lost[0] = base
    assert not grows_better([plain, lost])


def test_guessing_is_by_the_shares_of_the_classes():
    from scipy.stats import entropy

    targets = np.eye(3)[[0] * 5 + [1] * 3 + [2] * 2]
    assert guessing_losses(targets, "classification").mean() == pytest.approx(
        entropy([0.5, 0.3, 0.2])
    )
    several = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    assert guessing_losses(several, "multi_label").mean() == pytest.approx(
        2 * entropy([0.75, 0.25])
    )
    numbers = RNG.normal(size=(20, 2))
    assert guessing_losses(numbers, "regression").mean() == pytest.approx(numbers.var(axis=0).sum())


@pytest.mark.parametrize("task", ["classification", "multi_label", "regression"])
def test_an_example_that_weighs_three_times_is_three_examples(task):
    logits, targets = RNG.normal(size=(60, 3)), np.eye(3)[RNG.integers(0, 3, 60)]
    times = np.where(targets[:, 0] == 1, 3, 1)
    repeated = np.repeat(logits, times, axis=0), np.repeat(targets, times, axis=0)
    weighed, many = (
        held_out_losses(logits, targets, task, times).mean(),
        held_out_losses(*repeated, task).mean(),
    )
    # The example more that sets the temperature is one among 60, or among more.
    assert weighed == pytest.approx(many, rel=1e-3 if task != "regression" else 1e-9)
    assert abs(held_out_losses(logits, targets, task).mean() - many) > 10 * abs(weighed - many)
    assert guessing_losses(targets, task, times).mean() == pytest.approx(
        guessing_losses(repeated[1], task).mean(), rel=1e-9
    )


def test_where_all_are_told_rightly_the_losses_are_not_zero():
    labels = np.arange(100) % 10
    sure, surer = (held_out_losses(k * np.eye(10)[labels], np.eye(10)[labels], "classification")
                   for k in (1.0, 50.0))  # fmt: skip
    np.testing.assert_allclose(sure, surer, rtol=1e-3)
    # One example more of no class in particular: 1/102 of it for each of nine others.
    assert sure.mean() == pytest.approx(-np.log(1 - 0.9 / 102), rel=1e-2)


@pytest.mark.long
def test_a_training_that_ends_elsewhere_than_its_trials_is_undone():
    x, y = data(160)
    tuned = Astray(backbone(), 2, seed=0)
    with pytest.warns(UserWarning, match="After the training: kept the probe"):
        history = tuned.fit(x, y, epochs=10, batch_size=16, verbose=0)
    assert tuned.recipe.went_astray
    assert tuned.recipe.kept_probe
    assert history.recipe is tuned.recipe
    probe = model()
    probe.initialize_head(x, y)
    for one, other in zip(tuned.weights, probe.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


class Astray(ParameterTransfer):
    """What trains in the end is not what was tried."""

    def default_optimizer(self, steps_per_epoch=None, epochs=None):
        return keras.optimizers.SGD(30.0)


class Fast(ParameterTransfer):
    """Two rates are tried."""

    def rates_to_try(self):
        return (1e-3, 3e-3)


@pytest.mark.long
def test_rows_sorted_by_class_may_keep_the_probe():
    x, y = data(96)
    order = np.argsort(y, kind="stable")
    kept = TooFast(backbone(), 2, seed=0)
    history = kept.fit(x[order], y[order], epochs=1, verbose=0)
    assert kept.recipe.kept_probe
    accuracy = (kept.classify(x, verbose=0) == y).mean()
    assert history.history["accuracy"] == pytest.approx([accuracy], abs=1e-6)


@pytest.mark.long
def test_metrics_alone_leave_the_search_to_the_model():
    x, y = data(60)
    named = Fast(backbone(), 2, seed=0)
    named.compile(metrics=[keras.metrics.SparseCategoricalAccuracy(name="right")])
    history = named.fit(x, y, epochs=2, verbose=0)
    assert named.recipe is not None
    assert set(history.history) == {"loss", "right"}
    if not named.recipe.kept_probe:
        steps = [float(named.optimizer._learning_rate(step)) for step in range(4)]
        assert max(steps) == pytest.approx(named.recipe.learning_rate, rel=1e-3)
    own = Fast(backbone(), 2, seed=0)
    own.compile("adam")
    own.fit(x, y, verbose=0)
    assert own.recipe is None


@pytest.mark.long
def test_rows_of_no_weight_and_tables_and_data_sets_are_tried_alike():
    import pandas as pd
    import tensorflow as tf

    x, y = data(60)
    flat = keras.Sequential([keras.Input((64,)), keras.layers.Dense(8, "relu")])

    def fitted(*given, **options):
        keras.utils.set_random_seed(0)
        network = keras.models.clone_model(flat)
        network.set_weights(flat.get_weights())
        made = Fast(network, 2, seed=0)
        made.fit(*given, epochs=1, verbose=0, **options)
        return made.recipe

    rows = x.reshape(60, 64)
    plain = fitted(rows, y)
    assert plain.held_out == 60
    table = fitted(pd.DataFrame(rows), pd.Series(y))
    np.testing.assert_allclose(table.short_losses, plain.short_losses, rtol=1e-4)
    slices = tf.data.Dataset.from_tensor_slices((rows, y))
    batches, others = (fitted(slices.shuffle(60, seed=seed).batch(32)) for seed in (1, 2))
    assert batches.held_out == 60
    np.testing.assert_allclose(batches.short_losses, others.short_losses, rtol=1e-4)
    more = np.concatenate([rows, 9.0 * rows[:20]]), np.concatenate([y, 1 - y[:20]])
    weighed = fitted(*more, sample_weight=np.array([1.0] * 60 + [0.0] * 20))
    assert weighed.held_out == 60
    np.testing.assert_allclose(weighed.short_losses, plain.short_losses, rtol=1e-3)
    # Validation examples that weigh nothing are not judged by, whatever they are.
    held = np.concatenate([rows] * 4), np.concatenate([y] * 4)
    judged = fitted(rows, y, validation_data=held)
    wrong = (np.concatenate([held[0], rows]), np.concatenate([held[1], 1 - y]))
    zeros = np.array([2.0] * 240 + [0.0] * 60)
    without = fitted(rows, y, validation_data=(*wrong, zeros))
    assert without.held_out == judged.held_out == 240
    np.testing.assert_allclose(without.short_losses, judged.short_losses, rtol=1e-5)
    by_class = fitted(rows, y, class_weight={0: 1.0, 1: 20.0}, validation_data=held)
    assert by_class.probe_loss != pytest.approx(judged.probe_loss, rel=0.1)


def test_a_data_set_without_batches_says_what_to_do():
    import tensorflow as tf

    x, y = data(16)
    with pytest.raises(ValueError, match=r"must give batches: data.batch\(32\)"):
        model().fit(tf.data.Dataset.from_tensor_slices((x, y)), verbose=0)


@pytest.mark.long
def test_each_delta_finds_a_rate_of_its_own():
    x, y = data(60)
    several = ktg.StructureTransfer(backbone(), 2, method="bias", seed=0)
    several.fit(x, y, epochs=1, verbose=0)
    first = several.recipe
    several.add_delta("other", "normalization")
    assert several.recipe is None
    several.fit(x, y, epochs=1, verbose=0)
    assert several.recipe is not None
    assert several.recipe is not first
    several.set_delta("bias")
    assert several.recipe is first
    # What was trained is not looked into again.
    before = several.recipe
    assert several.fit(x, y, epochs=1, verbose=0).recipe is None
    assert several.recipe is before


@pytest.mark.long
def test_metrics_are_the_models_own_after_an_evaluation_and_a_search():
    x, y = data(90)
    tuned = Fast(backbone(), 2, seed=0)
    tuned.evaluate(x, y, verbose=0)
    tuned.fit(x, y, batch_size=30, epochs=3, verbose=0)
    accuracy = tuned.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx((tuned.classify(x, verbose=0) == y).mean())
    names = [metric.name for metric in tuned.metrics]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"callbacks": [3]}, ValueError, "must be Keras callbacks.*a int among 1"),
        ({"epochs": 1.5}, ValueError, "epochs"),
        ({"foo": 3}, TypeError, "unexpected keyword argument 'foo'"),
    ],
)
def test_wrong_arguments_are_refused_before_the_search(arguments, error, message):
    x, y = data(24)
    tuned = Fast(backbone(), 2, seed=0)
    before = tuned.get_weights()
    with pytest.raises(error, match=message):
        tuned.fit(x, y, verbose=0, **arguments)
    for one, other in zip(before, tuned.get_weights()):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_data_without_a_known_end_and_validation_steps():
    import tensorflow as tf

    x, y = data(40)
    signature = (tf.TensorSpec((None, 8, 8, 1)), tf.TensorSpec((None,), tf.int64))

    def endless():
        while True:
            yield x, y

    data_set = tf.data.Dataset.from_generator(endless, output_signature=signature)
    kept = TooFast(backbone(), 2, seed=0)
    kept.fit(
        data_set,
        steps_per_epoch=1,
        epochs=1,
        verbose=0,
        validation_data=data_set,
        validation_steps=1,
    )
    assert kept.recipe.held_out == 40
    # Nothing of a training of no epochs is looked for.
    idle = Fast(backbone(), 2, seed=0)
    idle.fit(x, y, epochs=2, initial_epoch=2, verbose=0)
    assert idle.recipe is None


def test_examples_of_several_lengths_train_at_a_rate_that_is_told():
    import tensorflow as tf

    inputs = keras.Input((None,), dtype="int32")
    hidden = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(10, 8)(inputs))
    network = keras.Model(inputs, keras.layers.Dense(8)(hidden))

    def texts():
        for length in range(3, 9):
            yield np.ones((10, length), "int32"), np.arange(10) % 3

    batches = tf.data.Dataset.from_generator(
        texts,
        output_signature=(tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int64)),
    )
    padded = ParameterTransfer(network, 3)
    with pytest.warns(UserWarning, match="batches differ in the shape of their examples"):
        padded.fit(batches, epochs=1, verbose=0)
    assert padded.recipe is None


@pytest.mark.long
def test_an_interrupted_training_ends_where_it_would_have_ended():
    x, y = data(160)

    class Stop(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise KeyboardInterrupt

    def fit(*callbacks):
        keras.utils.set_random_seed(0)
        tuned = model()
        for callback in callbacks:
            with pytest.raises(KeyboardInterrupt):
                tuned.fit(x, y, epochs=5, batch_size=16, verbose=0, callbacks=[callback])
        tuned.fit(x, y, epochs=5, batch_size=16, verbose=0)
        return tuned

    plain, stopped = fit(), fit(Stop())
    assert not plain.recipe.kept_probe
    assert stopped.recipe == plain.recipe
    for one, other in zip(plain.get_weights(), stopped.get_weights()):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.long
def test_a_shuffled_data_set_gives_the_rows_in_one_order():
    import tensorflow as tf

    x, y = data(40)
    shuffled = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(40).batch(16)
    (first, size), (second, _) = (in_memory(shuffled, None, None) for _ in range(2))
    assert size == 16
    for one, other in zip(first[:2], second[:2]):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(np.sort(first[0].sum((1, 2, 3))), np.sort(x.sum((1, 2, 3))))


def small_network():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((64,)), keras.layers.Dense(4, "relu")])


def test_epochs_of_a_data_set_that_does_not_say_its_length_are_those_of_one_that_does():
    import tensorflow as tf

    x, y = data(60)
    known = tf.data.Dataset.from_tensor_slices((x.reshape(60, 64), y)).batch(10)
    unknown = known.filter(lambda *_: True)
    model = ParameterTransfer(small_network(), 2)
    assert int(unknown.cardinality()) < 0
    assert (
        model.default_epochs(unknown, None, None) == model.default_epochs(known, None, None) == 20
    )


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.LearningRateScheduler(lambda _, rate: rate),
        keras.callbacks.ReduceLROnPlateau(),
    ],
)
def test_callbacks_that_set_a_rate_are_refused_before_the_search(callback):
    x, y = data(60)
    model = ParameterTransfer(small_network(), 2)
    with pytest.raises(ValueError, match=f"schedule of its own.*{type(callback).__name__}"):
        model.fit(x.reshape(60, 64), y, callbacks=[callback], verbose=0)
    assert model.recipe is None


def test_more_steps_than_the_arrays_have_are_refused_before_the_search():
    x, y = data(60)
    with pytest.raises(ValueError, match="steps_per_epoch=50, arrays of 2 batches"):
        ParameterTransfer(small_network(), 2).fit(
            x.reshape(60, 64), y, steps_per_epoch=50, verbose=0
        )


@pytest.mark.slow
def test_a_training_that_fails_at_once_leaves_nothing_of_its_search():
    class Fails(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise RuntimeError("at once")

    x, y = data(60)
    model = Fast(small_network(), 2, seed=0)
    with pytest.raises(RuntimeError, match="at once"):
        model.fit(x.reshape(60, 64), y, callbacks=[Fails()], verbose=0)
    assert model.recipe is None
    assert model.finds_rate()


@pytest.mark.long
def test_a_backup_of_other_data_is_not_gone_on_with(tmp_path):
    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    x, y = data(60)
    x = x.reshape(60, 64)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(KeyboardInterrupt):
        Fast(small_network(), 2, seed=0).fit(x, y, callbacks=[backup(), Stops()], verbose=0)
    with pytest.raises(ValueError, match="training on other data"):
        Fast(small_network(), 2, seed=0).fit(x, 1 - y, callbacks=[backup()], verbose=0)
    Fast(small_network(), 2, seed=0).fit(x, y, callbacks=[backup()], verbose=0)


@pytest.mark.slow
def test_yes_and_no_are_classes():
    x, y = data(60)
    fitted = [
        ParameterTransfer(small_network(), 2, learning_rate=1e-3, seed=0).fit(
            x.reshape(60, 64), labels, verbose=0
        ).history["loss"]
        for labels in (y, y.astype(bool), y.astype(bool).tolist())
    ]  # fmt: skip
    np.testing.assert_allclose(fitted[1:], [fitted[0]] * 2, rtol=1e-6)
