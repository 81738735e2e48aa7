import keras
import numpy as np
import pytest

from keras_transgen.plotting import plot_learning_curves
from tests.plotting.figure_checks import assert_readable

HISTORY = {
    "loss": [1.0, 0.5, 0.4],
    "accuracy": [0.5, 0.7, 0.9],
    "val_loss": [1.1, 0.6, 0.8],
    "val_accuracy": [0.4, 0.8, 0.6],
    "learning_rate": [1e-3, 1e-4, 1e-5],
}


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def test_every_metric_has_a_panel_with_its_values():
    figure = plot_learning_curves(HISTORY, title="A run")
    loss, accuracy, rate = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "loss",
        "accuracy",
        "learning rate",
    ]
    assert lines(loss) == {
        "training": [[1, 1.0], [2, 0.5], [3, 0.4]],
        "validation": [[1, 1.1], [2, 0.6], [3, 0.8]],
        "best 0.6 in epoch 2": [[2, 0.6]],
    }
    assert lines(accuracy)["best 0.8 in epoch 2"] == [[2, 0.8]]
    assert lines(rate) == {"training": [[1, 1e-3], [2, 1e-4], [3, 1e-5]]}
    assert rate.get_yscale() == "log"
    assert loss.get_yscale() == "linear"
    assert_readable(figure)


def test_what_fit_returns_is_taken():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0)
    (axes,) = plot_learning_curves(history).axes
    np.testing.assert_allclose(
        np.array(lines(axes)["training"])[:, 1], history.history["loss"], rtol=1e-12
    )


def test_metrics_choose_and_order_the_panels_and_lone_ones_are_drawn():
    figure = plot_learning_curves({**HISTORY, "val_only": [1, 2, 3]}, metrics=["accuracy", "only"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["accuracy", "only"]
    assert lines(figure.axes[1])["validation"] == [[1, 1], [2, 2], [3, 3]]


def test_many_metrics_one_epoch_and_nan_are_readable():
    names = ["generator_loss", "discriminator_loss", "real_score", "fake_score", "val_fid"]
    figure = plot_learning_curves({name: [0.5] for name in names})
    assert_readable(figure)
    assert sum(axes.get_visible() for axes in figure.axes) == 5
    assert [t for t in figure.axes[0].get_xticks() if 0.9 < t < 1.1] == [1]
    nan = plot_learning_curves({"loss": [1, np.nan], "val_loss": [np.nan, np.nan]})
    assert_readable(nan)
    part = plot_learning_curves({"loss": [1, 2, 3], "val_loss": [np.nan, 2.0, 3.0]})
    assert "best 2 in epoch 2" in lines(part.axes[0])


def test_a_best_epoch_is_marked_only_where_one_end_is_good():
    names = ["kl", "generator_loss", "real_score", "kernel_distance"]
    history = {f"val_{name}": [2.0, 1.0, 3.0] for name in names}
    figure = plot_learning_curves(history)
    marked = [axes for axes in figure.axes if any("best" in name for name in lines(axes))]
    assert [axes.get_title(loc="left") for axes in marked] == ["kernel distance"]


def test_notebooks_show_figures():
    picture = plot_learning_curves(HISTORY)._repr_png_()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"


def test_wrong_histories_are_refused():
    for empty in ({}, {"loss": []}):
        with pytest.raises(ValueError, match="at least one epoch"):
            plot_learning_curves(empty)
    with pytest.raises(ValueError, match=r"Received: \['acc'\]"):
        plot_learning_curves(HISTORY, metrics=["acc", "loss"])
