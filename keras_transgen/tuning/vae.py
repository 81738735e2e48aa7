"""Searches for the variational autoencoder with the highest evidence lower bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_transgen.generative import VAE
from keras_transgen.generative.likelihoods import get_likelihood
from keras_transgen.generative.networks import (
    convolutional_decoder,
    convolutional_encoder,
    dense_decoder,
    dense_encoder,
)
from keras_transgen.tuning.domains import log_range
from keras_transgen.tuning.fresh_parts import fresh
from keras_transgen.tuning.package_hyper_model import (
    BATCH_SIZE,
    JIT_COMPILE,
    PackageHyperModel,
    model_arguments,
    present,
)
from keras_transgen.tuning.search_space import Hyperparameter

BOUND = "val_negative_elbo"
_SMALLEST_SIDE = 4
_OF_MODEL = ("latent_dim", "free_bits", "beta", "prior", "num_importance_samples")


class NegativeElbo(keras.callbacks.Callback):
    """Logs `val_negative_elbo`: reconstruction and KL of the validation data, in nats an example.

    Unlike `val_loss` it means the same whatever `beta`, `free_bits` or the number of importance
    samples a model is trained with, so it can be compared between trials.
    """

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None and "val_kl" in logs:
            logs[BOUND] = logs["val_reconstruction"] + logs["val_kl"]


class VAEHyperModel(PackageHyperModel):
    """A search over variational autoencoders.

    It goes into any tuner of Keras Tuner as it is. `space=` changes the search space as in
    `TransferHyperModel`:

    | name | default | exists for |
    | --- | --- | --- |
    | `latent_dim` | 8, 16, 32, 64 | |
    | `network` | `convolutional`, `dense`; dense only for vectors | |
    | `filters` | 16, 32, 64: of the first convolution | `network` convolutional |
    | `hidden_units` | 128, 256, 512: of each dense layer | |
    | `learning_rate` | 3e-4 to 3e-3, log; of Adam | |
    | `free_bits` | 0, 0.05, 0.2 nats a latent unit | |
    | `batch_size` | that of `tuner.search` | |
    | `beta`, `prior`, `num_importance_samples` | the model's | |
    | `jit_compile` | `"auto"` (also: `True`, `False`), as in `VAE.compile` | |

    The objective is the negative evidence lower bound of the validation data in nats per example,
    `val_negative_elbo`, with a KL of full weight whatever `beta` and `free_bits` a trial trains
    with. It can be compared for one likelihood only, which therefore is an argument and no part of
    the space.

    Args:
        input_shape: Shape of one example: `(height, width, channels)` or `(features,)`.
        space: What to change in the space above.
        likelihood: As in `VAE`. Defaults to `"bernoulli"`.
        chief_timeout: As in `TransferHyperModel`.
        name: As in `keras_tuner.HyperModel`.
        tunable: As in `keras_tuner.HyperModel`.
        **arguments: Further arguments of `VAE` for all trials, such as `seed`.

    Raises:
        ValueError: A hyperparameter, a choice or an argument does not exist, or there is nothing to
            choose from.
        ConnectionError: The chief of a distributed search does not answer.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        search = ktg.tuning.VAEHyperModel(
            (8, 8, 1), space={"network": "dense", "hidden_units": [32, 64], "latent_dim": [2, 8]}
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=1, directory="runs")
        tuner.search(images[:512], validation_data=images[512:576], epochs=1, verbose=0)
        (best,) = tuner.get_best_models()
        best.save("vae.keras")
        ```

    Reference:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2013.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        space: Mapping[str, Any] | None = None,
        likelihood: Any = "bernoulli",
        chief_timeout: float = 600.0,
        name: str | None = None,
        tunable: bool = True,
        **arguments: Any,
    ) -> None:
        taken = ("input_shape", "likelihood", "encoder", "decoder", *_OF_MODEL)
        arguments = model_arguments(type(self).__name__, VAE, arguments, taken)
        self.input_shape = tuple(int(size) for size in input_shape)
        self.likelihood = likelihood
        fixed = {
            "input_shape": list(self.input_shape),
            "likelihood": likelihood if isinstance(likelihood, str) else type(likelihood).__name__,
        }
        known = _known(self.input_shape)
        super().__init__(known, space, fixed, arguments, chief_timeout, name, tunable)

    @property
    def objective(self) -> keras_tuner.Objective:
        """The negative evidence lower bound of the validation data, nats per example."""
        return keras_tuner.Objective(BOUND, "min")

    def logged(self, model: Any, validated: bool) -> set[str]:
        names = {"loss", "reconstruction", "kl"}
        if not validated:
            return names
        return names | {f"val_{name}" for name in names} | {"val_active_units", BOUND}

    def watchers(self, x: Any, y: Any, kwargs: dict[str, Any]) -> list[keras.callbacks.Callback]:
        return [NegativeElbo()]

    def make(self, values: dict[str, Any]) -> keras.Model:
        encoder, decoder = self._networks(values)
        model = VAE(
            self.input_shape,
            likelihood=fresh(self.likelihood),
            encoder=encoder,
            decoder=decoder,
            **present(values, _OF_MODEL),
            **fresh(self.arguments),
        )
        model.compile(
            keras.optimizers.Adam(values["learning_rate"]), **present(values, ["jit_compile"])
        )
        return model

    def _networks(self, values: dict[str, Any]) -> tuple[keras.Model, keras.Model]:
        likelihood = get_likelihood(fresh(self.likelihood))
        likelihood.prepare(self.input_shape)
        outputs = likelihood.parameter_shape() or self.input_shape
        latent_dim, units = values["latent_dim"], values["hidden_units"]
        if values["network"] == "convolutional":
            widths = {"base_filters": values["filters"], "hidden_units": units}
            return (
                convolutional_encoder(self.input_shape, **widths),
                convolutional_decoder(latent_dim, outputs, **widths),
            )
        return (
            dense_encoder(self.input_shape, (units, units)),
            dense_decoder(latent_dim, outputs, (units, units)),
        )


def _known(shape: tuple[int, ...]) -> Sequence[Hyperparameter]:
    images = len(shape) == 3 and min(shape[:2]) >= _SMALLEST_SIDE
    networks = ("convolutional", "dense") if images else ("dense",)
    return (
        Hyperparameter("latent_dim", (8, 16, 32, 64)),
        Hyperparameter("network", networks, allowed=networks),
        Hyperparameter("filters", (16, 32, 64), {"network": ("convolutional",)}),
        Hyperparameter("hidden_units", (128, 256, 512)),
        Hyperparameter("learning_rate", log_range(3e-4, 3e-3, 1e-3)),
        Hyperparameter("free_bits", (0.0, 0.05, 0.2)),
        BATCH_SIZE,
        JIT_COMPILE,
        *(Hyperparameter(name) for name in _OF_MODEL[2:]),
    )
