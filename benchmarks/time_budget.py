"""A clock for training alone, still while samples are judged, and rates that fall by it."""

import time

import keras


class TimeBudget(keras.callbacks.Callback):
    """Stops training when its time is over; `look` is called after chosen epochs, off the clock.

    Args:
        seconds: Of training.
        look: Called with the epoch's number, counted from 1, after the epochs in `epochs`.
        epochs: After which to look.
        clock: What counts the seconds. Defaults to those of the wall; `time.process_time` counts
            the CPU's.
    """

    def __init__(self, seconds, look=None, epochs=(), clock=time.perf_counter):
        super().__init__()
        self.seconds, self.look, self.epochs = seconds, look, set(epochs)
        self.clock = clock
        self.spent, self.steps, self.epoch = 0.0, 0, 0

    def on_train_begin(self, logs=None):
        self.start = self.clock()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        now = self.clock()
        self.spent, self.start = self.spent + now - self.start, now
        if self.spent >= self.seconds:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch + 1
        shown = {name: round(float(value), 3) for name, value in (logs or {}).items()}
        print(f"{self.spent:.0f} s, epoch {self.epoch}: {shown}", flush=True)
        if self.look is not None and self.epoch in self.epochs:
            self.look(self.epoch)
        self.start = self.clock()


class FallingRates(keras.callbacks.Callback):
    """Lets the rates of a model's optimizers fall to nearly none in the second half of a budget.

    Args:
        budget: The `TimeBudget` of the same training, which stands after it in the list.
    """

    def __init__(self, budget):
        super().__init__()
        self.budget = budget

    def on_train_begin(self, logs=None):
        optimizer = self.model.optimizer
        optimizers = getattr(optimizer, "optimizers", [optimizer])
        self.rates = [(each, float(each.learning_rate)) for each in optimizers]

    def on_train_batch_begin(self, batch, logs=None):
        left = 1.0 - self.budget.spent / self.budget.seconds
        for optimizer, rate in self.rates:
            optimizer.learning_rate = rate * max(0.02, min(1.0, 2.0 * left))
