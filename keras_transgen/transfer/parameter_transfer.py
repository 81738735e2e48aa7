"""Transfer of parameters: training starts from the pretrained ones, and all of them move."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.training.counts import check_weights
from keras_transgen.transfer.fine_tuning import FineTuning
from keras_transgen.transfer.heads import dense_of
from keras_transgen.transfer.schedules import (
    UnfreezeAt,
    layer_decay_factors,
    optimizer_by_group,
    unfreezing_steps,
    warm_up_and_decay,
)
from keras_transgen.transfer.tasks import ClassificationLoss

# Where nothing could be tried: the middle of what was best in eleven tasks.
UNTRIED = 3e-4
# Arguments of the constructor that are not `TransferModel`'s.
SETTINGS = (
    "learning_rate",
    "layer_decay",
    "label_smoothing",
    "weight_decay",
    "warm_up",
    "gradual_unfreezing",
)


@keras.saving.register_keras_serializable(package="keras_transgen")
class ParameterTransfer(FineTuning):
    """Fine-tunes a whole pretrained network, by a recipe that does not harm it at the start.

    The head is first fitted as a linear probe on features extracted once (a random head would
    send large gradients through the network); then everything is tuned by Adam with a small
    learning rate that warms up and falls along a cosine. The first `fit` finds this rate, and how
    far to leave the probe, on held-out examples; where nothing is clearly better than the probe,
    it is kept. A model that its user compiles trains as it was compiled, after the same probe.

    A `fit` that names no epochs takes as many as make about 200 steps, from 3 to 20 (100 steps
    with a network of more than a million parameters); with a rate that was given it takes one.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes. It is set to
            train; `freeze_to` and `normalization="adapt"` keep their meaning.
        num_classes: Number of classes, labels or regression outputs.
        head_initialization: `"probe"` or `"random"`. Defaults to `"probe"`, and to `"random"`
            with a head of one's own that is not one dense layer.
        learning_rate: `"auto"` (default) tries rates from 3e-5 to 1e-2 on held-out examples
            (`validation_data` of 200 or more, else as many of five folds as hold out 200, two at
            most with a network of more than a million parameters): twelve steps of each, then
            whole trainings at the best and the next ones up. `recipe` says what was found. With
            the callback `BackupAndRestore` the search goes on after a kill. A number is the
            highest learning rate of the default optimizer, without any search.
        layer_decay: Factor of the learning rate from one parameter group to the one before it,
            such as 0.8; the head has the full rate. Defaults to the same rate for all.
        gradual_unfreezing: Share of the training, such as 0.5, in which the groups are unfrozen
            one after the other, from the output to the input. Defaults to all at once.
        warm_up: Share of the training in which the learning rate rises. Defaults to 0.3: Adam's
            first steps, of equal size for all parameters, are what harms a fitted network most.
        label_smoothing: Of the default loss in classification. Defaults to 0; with a learning
            rate that was given to 0.1, since a network that the probe has fitted already would
            else only be driven to larger logits.
        weight_decay: Of AdamW. Defaults to 0, which is Adam.
        **kwargs: As in `TransferModel`.

    Raises:
        ValueError: An argument is none of its values, or the backbone cannot train.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer import ParameterTransfer

        images, labels = ktg.datasets.load_digits()
        model = ParameterTransfer("digits", num_classes=10, layer_decay=0.7)
        model.fit(images[:64], labels[:64], epochs=1, verbose=0)
        ```

    Reference:
        Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform
        Out-of-Distribution, 2022; Howard and Ruder, Universal Language Model Fine-tuning for Text
        Classification, 2018.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        *,
        head_initialization: str | None = None,
        learning_rate: float | str = "auto",
        layer_decay: float | None = None,
        gradual_unfreezing: float | None = None,
        warm_up: float = 0.3,
        label_smoothing: float | None = None,
        weight_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        # Wrong values shall not wait for the first fit to be noticed.
        warm_up_and_decay(1.0, 1, warm_up)
        if label_smoothing is None:
            label_smoothing = 0.0 if learning_rate == "auto" else 0.1
        ClassificationLoss(label_smoothing)
        if layer_decay is not None:
            layer_decay_factors(1, layer_decay)
        if gradual_unfreezing is not None and not 0.0 < gradual_unfreezing <= 1.0:
            raise ValueError(
                "gradual_unfreezing must be a share of the training, in (0, 1]. "
                f"Received: gradual_unfreezing={gradual_unfreezing}"
            )
        check_weights(weight_decay=weight_decay)
        super().__init__(
            backbone,
            num_classes,
            learning_rate=learning_rate,
            head_initialization=head_initialization or "random",
            **kwargs,
        )
        if head_initialization is None and (not self.built or dense_of(self.head) is not None):
            self.head_initialization = "probe"
        self._refuse_what_cannot_train()
        self.backbone.trainable = True
        self.layer_decay = layer_decay
        self.gradual_unfreezing = gradual_unfreezing
        self.warm_up = warm_up
        self.label_smoothing = label_smoothing
        self.weight_decay = weight_decay

    def _refuse_what_cannot_train(self) -> None:
        if not any(group.variables for group in self.backbone.parameter_groups()):
            raise ValueError(
                "This network has no parameters that could be tuned: it is for inference only. "
                f"Use FeatureTransfer. Received: backbone {self.backbone.name!r}"
            )

    def default_loss(self) -> keras.losses.Loss:
        """Cross-entropy with label smoothing, or the other tasks' loss."""
        if self.task == "classification":
            return ClassificationLoss(self.label_smoothing)
        return super().default_loss()

    def default_optimizer_is_for_one_fit(self) -> bool:
        """The schedule is as long as one `fit`."""
        return True

    def default_optimizer(
        self, steps_per_epoch: int | None = None, epochs: int | None = None
    ) -> keras.optimizers.Optimizer:
        """Adam with warm-up and cosine decay, by group where layers are treated differently.

        Args:
            steps_per_epoch: Steps an epoch of the coming `fit`; `None` if not known.
            epochs: Epochs of the coming `fit`; `None` if not known.

        Raises:
            ValueError: Groups are to be unfrozen over a training of unknown length.
        """
        steps = steps_per_epoch * epochs if steps_per_epoch and epochs else None
        highest = self.highest_rate()
        if self.layer_decay is None and self.gradual_unfreezing is None:
            return self._adam(warm_up_and_decay(highest, steps, self.warm_up))
        groups = self.parameter_groups()
        factors = layer_decay_factors(len(groups), self.layer_decay or 1.0)
        starts = [0] * len(groups)
        if self.gradual_unfreezing is not None:
            if steps is None:
                raise ValueError(
                    "Gradual unfreezing needs to know how long the training is: give fit "
                    "steps_per_epoch, or data that know their length. Received: "
                    f"gradual_unfreezing={self.gradual_unfreezing}, steps={steps}"
                )
            starts = unfreezing_steps(len(groups), int(steps * self.gradual_unfreezing))

        def make(index: int) -> keras.optimizers.Optimizer:
            rate = highest * factors[index]
            schedule = warm_up_and_decay(rate, steps, self.warm_up)
            return self._adam(UnfreezeAt(schedule, starts[index]) if starts[index] else schedule)

        return optimizer_by_group(groups, make)

    def optimizer_at(self, schedule: Any) -> keras.optimizers.Optimizer:
        """Adam by a schedule, by group where layers have rates of their own.

        Args:
            schedule: Learning rate or schedule; by group, one with a method `with_share`.
        """
        if self.layer_decay is None:
            return self._adam(schedule)
        groups = self.parameter_groups()
        factors = layer_decay_factors(len(groups), self.layer_decay)
        return optimizer_by_group(
            groups, lambda index: self._adam(schedule.with_share(factors[index]))
        )

    @property
    def warm_up_share(self) -> float:
        """Share of a training in which the learning rate rises."""
        return self.warm_up

    def untried_rate(self) -> float:
        """The middle of what was best where it was measured; for a fresh head Adam's own."""
        return 1e-3 if self.head_initialization == "random" else UNTRIED

    def trial_settings(self) -> dict[str, Any]:
        """What the losses of trials depend on, beside the data and the network."""
        return {**super().trial_settings(), **{name: getattr(self, name) for name in SETTINGS}}

    def _adam(self, schedule: Any) -> keras.optimizers.Optimizer:
        if self.weight_decay:
            return keras.optimizers.AdamW(schedule, weight_decay=self.weight_decay)
        return keras.optimizers.Adam(schedule)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the model from, backbone included."""
        return {**super().get_config(), **{name: getattr(self, name) for name in SETTINGS}}
