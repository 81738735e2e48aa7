"""WaveNet: the probability of each sample of a wave after those before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.generative.networks.condition_scale import ConditionScale
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.wavenet.asked_samples import asked_lengths, check_temperature
from keras_transgen.sequences.wavenet.clip_conditions import ClipConditions
from keras_transgen.sequences.wavenet.clip_lengths import ClipLengths
from keras_transgen.sequences.wavenet.clips import (
    Clips,
    check_waves,
    whole_clips,
    windows,
    with_lengths,
)
from keras_transgen.sequences.wavenet.generation import generated_waves
from keras_transgen.sequences.wavenet.known_conditions import (
    check_condition_arguments,
    condition_values,
    count_of,
    encoded_features,
    label_rows,
)
from keras_transgen.sequences.wavenet.likelihood import wave_nats
from keras_transgen.sequences.wavenet.sample_distributions import distribution_of
from keras_transgen.sequences.wavenet.sample_network import SampleNetwork
from keras_transgen.sequences.wavenet.wave_model import WaveModel
from keras_transgen.training import loss_weight
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.padded_sequences import lengths_of, values_and_mask
from keras_transgen.training.serving import Endpoint

_MOST_LAYERS = 400
_MOST = {"layers_per_stack": 24, "num_stacks": 100}
_LEVELS = {"mu_law": 256, "logistics": 65536}


@keras.saving.register_keras_serializable(package="keras_transgen")
class WaveNet(WaveModel):
    """Gated dilated causal convolutions over the samples of sound.

    `fit(waves, labels)` takes floats in [-1, 1]: a list of arrays `[samples]`, of any lengths, or
    an array `[count, samples]`, with `lengths=` where rows are padded. `loss` is the mean of -log p
    over the samples, in nats, given the clips' lengths; divided by log 2 it is bits a sample.

    **Where clips end.** Each sample is told its class, its speaker and how far in its clip it is,
    as a share of the clip's length. The length itself has a distribution of its own, the
    logarithm normal for each class and speaker, whose moments `fit` counts; `sample` without
    `seconds` draws from it, so that each clip has its own length.

    Args:
        sample_rate: Samples per second of all waves.
        num_classes: Classes, for labels that are ints `[count]`; `None` (default) without.
        num_speakers: Speakers, the same; with both, labels are a pair `(classes, speakers)`.
        distribution: Of a sample: `"mu_law"` (default), classes that lie closer where it is quiet,
            or `"logistics"`, a mixture of discretised logistics on equally spaced levels.
        levels: How many a sample has. Defaults to 256 of the mu-law, and 65,536 of logistics.
        components: Of the mixture of logistics. Defaults to 10.
        num_stacks: How often the dilations 1, 2, 4, ... are gone through. Defaults to 2.
        layers_per_stack: Dilations of each. Defaults to 8, so that a sample hears
            `receptive_field` = 511 before it.
        residual_channels: Of what goes from layer to layer. Defaults to 32.
        skip_channels: Of what all layers give. Defaults to 64.
        head_channels: Of the layer before the last. Defaults to 96.
        condition_channels: Of the conditions' vectors. Defaults to 24.
        positions: Places of the clip that have vectors of their own, interpolated between; 1 for a
            network that is not told where in the clip it is. Defaults to 12.
        window: Samples of the random windows that are trained on, or `None` for whole clips.
            Defaults to 2,560. A sample counts where it hears `receptive_field` samples, or a
            quarter of the window, before it, or all since the clip's beginning.
        condition_encoder: Keras layer from conditions, which are then what `fit` takes as labels,
            to `[batch, features]`; or with `samples_per_frame` to `[batch, frames, features]`,
            stretched to samples. It trains along where it has trainable weights.
        condition_shape: Shape of a condition, `(None, features)` of frames, where the encoder does
            not say it.
        samples_per_frame: Samples that a frame lasts.
        class_names: Names of the classes, instead of `num_classes` or with it; labels that are
            names give them, too.
        seed: Seed of order and windows. See `TrainerModel`.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg

        times = np.arange(400) / 8000
        waves = [0.5 * np.sin(2 * np.pi * (300 + 200 * (n % 2)) * times) for n in range(16)]
        labels = [n % 2 for n in range(16)]
        model = ktg.WaveNet(8000, 2, layers_per_stack=4, residual_channels=8, skip_channels=8)
        model.fit(waves, labels, epochs=1, verbose=0)
        tones = model.sample([0, 1], seconds=0.02, seed=0)
        bits = model.bits_per_sample(waves, labels)
        ```

    Reference:
        van den Oord et al., "WaveNet: A generative model for raw audio", 2016.
    """

    default_rate = 4e-3

    def __init__(
        self,
        sample_rate: int,
        num_classes: int | None = None,
        num_speakers: int | None = None,
        distribution: str = "mu_law",
        levels: int | None = None,
        components: int = 10,
        num_stacks: int = 2,
        layers_per_stack: int = 8,
        residual_channels: int = 32,
        skip_channels: int = 64,
        head_channels: int = 96,
        condition_channels: int = 24,
        positions: int = 12,
        window: int | None = 2560,
        condition_encoder: keras.layers.Layer | None = None,
        condition_shape: Sequence[int | None] | None = None,
        samples_per_frame: int | None = None,
        class_names: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        if num_classes is None and class_names is not None:
            num_classes = len(checked_class_names(class_names))
        self.sizes = {
            "sample_rate": sample_rate,
            "levels": _LEVELS.get(distribution, 256) if levels is None else levels,
            "components": components,
            "num_stacks": num_stacks,
            "layers_per_stack": layers_per_stack,
            "residual_channels": residual_channels,
            "skip_channels": skip_channels,
            "head_channels": head_channels,
            "condition_channels": condition_channels,
            "positions": positions,
        }
        for name, size in self.sizes.items():
            check_whole(name, size, 2 if name == "levels" else 1, _MOST.get(name))
        if not 2 <= num_stacks * layers_per_stack <= _MOST_LAYERS:
            raise ValueError(
                f"There must be at least two layers and at most {_MOST_LAYERS}, num_stacks times "
                "layers_per_stack. "
                f"Received: num_stacks={num_stacks}, layers_per_stack={layers_per_stack}"
            )
        if window is not None:
            check_whole("window", window, 2)
        check_condition_arguments(num_classes, num_speakers, condition_encoder, samples_per_frame)
        self.sample_rate, self.window = sample_rate, window
        self.num_classes, self.num_speakers = num_classes, num_speakers
        self.set_class_names(class_names)
        self.distribution_name = distribution
        self.distribution = distribution_of(distribution, self.sizes["levels"], components)
        self.condition_encoder = condition_encoder
        self.condition_shape = None if condition_shape is None else tuple(condition_shape)
        self.samples_per_frame = samples_per_frame
        self.condition_scale, features = None, None
        if condition_encoder is not None:
            features = encoded_features(condition_encoder, self.condition_shape, samples_per_frame)
            self.condition_scale = ConditionScale(features, name="condition_scale")
        self.dilations = tuple(2**k for k in range(layers_per_stack)) * num_stacks
        self.conditions = ClipConditions(
            condition_channels,
            positions,
            num_classes,
            num_speakers,
            features,
            samples_per_frame,
            name="conditions",
            dtype="float32",
        )
        self.network = SampleNetwork(
            self.distribution,
            self.dilations,
            residual_channels,
            skip_channels,
            head_channels,
            condition_channels,
            name="network",
            dtype=self.dtype_policy,
        )
        groups = (num_classes or 1) * (num_speakers or 1)
        self.clip_lengths = ClipLengths(groups, name="clip_lengths", dtype="float32")
        self.build()

    def build(self, input_shape: Any = None) -> None:
        self.network.build()
        self.built = True

    @property
    def receptive_field(self) -> int:
        """How many samples before it a sample hears."""
        return sum(self.dilations) + 1

    # Training

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Where the window of each clip begins, `[batch]` in [0, 1)."""
        if not training or self.window is None:
            return None
        values = values_and_mask(keras.utils.unpack_x_y_sample_weight(data)[0])[0]
        return tf.random.stateless_uniform(tf.shape(values)[:1], seed)

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        clips = whole_clips(x, weights)
        if self.window is not None:
            context = min(self.receptive_field, self.window // 4)
            clips = windows(clips, noise, self.window, context)
        count = tf.reduce_sum(clips.counted)
        variables = self.trainable_variables
        gradients, loss, _ = self.gradients_of(
            lambda: (self._mean_nats(clips, y, training=True), ()),
            variables,
            loss_weight(count, self.optimizer),
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        seconds = tf.cast(clips.lengths, tf.float32) / self.sample_rate
        self.clip_lengths.count(self.groups_of(y, clips.lengths), seconds)
        return self.track_loss(loss, count)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        clips = whole_clips(x, weights)
        loss = self.replica_function(self._mean_nats)(clips, y, training=False)
        return self.track_loss(loss, tf.reduce_sum(clips.counted))

    def groups_of(self, y: Any, lengths: Any) -> Any:
        """The group of each clip among those that have a distribution of lengths, int32 `[batch]`.

        Args:
            y: Labels or conditions, entered.
            lengths: Of the clips.
        """
        sizes = self.label_sizes()
        if not sizes:
            return tf.zeros_like(lengths)
        rows = label_rows(y, len(sizes))
        return rows[:, 0] if len(sizes) == 1 else rows[:, 0] * self.num_speakers + rows[:, 1]

    # Computing

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """The parameters of each sample's distribution, given those before it.

        Args:
            inputs: Waves `[batch, samples]`, or a pair of them and their labels or conditions.
            training: Whether an encoder of conditions trains.

        Returns:
            float32 `[batch, samples, parameters]`: logits of the levels, or of each component its
            logits, locations and scales as the mixture takes them.
        """
        waves, y = inputs if isinstance(inputs, (tuple, list)) else (inputs, None)
        return self._parameters(whole_clips(waves), y, training)

    def conditions_at(self, y: Any, times: Any, lengths: Any, training: bool = False) -> tf.Tensor:
        """What samples are told, float32 `[batch, samples, condition_channels]`.

        Args:
            y: Labels or conditions, entered.
            times: Of the samples, int32 `[batch, samples]`.
            lengths: Of the clips, int32 `[batch]`.
            training: Whether an encoder trains.
        """
        known: Any = None
        if self.condition_encoder is not None:
            known = self.condition_encoder(condition_values(y), training=training)
            known = known if self.condition_scale is None else self.condition_scale(known)
        elif self.label_sizes():
            known = label_rows(y, len(self.label_sizes()))
        return self.conditions(known, times, lengths)

    def _parameters(self, clips: Clips, y: Any, training: bool) -> tf.Tensor:
        times = clips.begins[:, None] + tf.range(tf.shape(clips.waves)[1])[None]
        conditions = self.conditions_at(y, times, clips.lengths, training)
        return self.network(self.distribution.quantized(clips.before), conditions)

    def sample_nats(self, clips: Clips, y: Any, training: bool = False) -> tf.Tensor:
        """-log p of each sample that counts, by its weight, `[batch, samples]`.

        Args:
            clips: Of `whole_clips`.
            y: Labels or conditions, entered.
            training: Whether an encoder trains.
        """
        parameters = self._parameters(clips, y, training)
        nats = self.distribution.nats(parameters, self.distribution.quantized(clips.waves))
        return nats * clips.counted

    def _mean_nats(self, clips: Clips, y: Any, training: bool) -> tf.Tensor:
        nats = tf.reduce_sum(self.sample_nats(clips, y, training))
        return tf.math.divide_no_nan(nats, tf.reduce_sum(clips.counted))

    # What the model says of waves, and makes

    @takes_any_data("waves", "labels")
    def log_likelihood(self, waves: Any, labels: Any = None, lengths: Any = None) -> np.ndarray:
        """Log p of the samples of each wave given its length, in nats.

        Args:
            waves: As in `fit`.
            labels: As in `fit`.
            lengths: As in `fit`.

        Returns:
            float64 `[count]`.
        """
        x = waves if lengths is None else with_lengths(waves, lengths)
        check_waves(x, "waves")
        self.check_labels(labels, lengths_of(x))
        if labels is not None and count_of(labels) != count_of(x):
            raise ValueError(
                "There must be labels for every wave. "
                f"Received: {count_of(x)} waves, {count_of(labels)} labels"
            )
        return -wave_nats(self, x, labels)

    def bits_per_sample(self, waves: Any, labels: Any = None, lengths: Any = None) -> float:
        """Mean -log2 p of a sample of waves, given the waves' lengths.

        Args:
            waves: As in `fit`.
            labels: As in `fit`.
            lengths: As in `fit`.
        """
        x = self.entered("waves", waves, False)
        x = x if lengths is None else with_lengths(x, lengths)
        nats = -float(self.log_likelihood(x, labels).sum())
        return nats / math.log(2) / float(np.sum(np.asarray(lengths_of(x))))

    @takes_any_data("labels")
    def sample(
        self,
        labels: Any = None,
        seconds: Any = None,
        temperature: float = 1.0,
        seed: int | None = None,
        count: int | None = None,
    ) -> Any:
        """A wave for each label.

        Args:
            labels: As in `fit`, one for each wave. `None` without conditions.
            seconds: How long they are: a number, or one for each. By default each has a length
                drawn from those of its class and speaker; of frames, theirs.
            temperature: Below 1 it sharpens each sample's distribution: divides the logits, and
                multiplies the scales of logistics. Defaults to 1.
            seed: Of the draws; those of a wave depend on the seed and its row alone. `None`
                (default) draws afresh each time.
            count: How many, without conditions. Defaults to 1.

        Returns:
            float32 `[count, samples]` in [-1, 1] of one number of seconds, else a list of arrays
            `[samples]`.

        Raises:
            ValueError: A number is out of its range, labels are none of this model's, or no length
                is known.
        """
        lengths = asked_lengths(self, labels, seconds, count, seed)
        check_temperature(temperature)
        found = generated_waves(self, labels, lengths, float(temperature), seed)
        return np.stack(found) if np.ndim(seconds) == 0 and seconds is not None else found

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """Nothing: a loop over samples is no function of one answer.

        Raises:
            ValueError: Always, with what to do instead.
        """
        raise ValueError(
            "A WaveNet is not exported: save it, model.save('sound.keras'), and sample where it is "
            "served, ktg.load_model('sound.keras').sample(labels). Received: export of a WaveNet"
        )

    # Saving

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self.sizes,
            "distribution": self.distribution_name,
            "num_classes": self.num_classes,
            "num_speakers": self.num_speakers,
            "window": self.window,
            "condition_encoder": keras.saving.serialize_keras_object(self.condition_encoder),
            "condition_shape": self.condition_shape,
            "samples_per_frame": self.samples_per_frame,
            "class_names": self.class_names,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WaveNet:
        encoder = Nested(keras.layers.Layer, optional=True)
        return cls(**arguments_from_file(cls, config, condition_encoder=encoder))
