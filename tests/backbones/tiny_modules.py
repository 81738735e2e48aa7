"""SavedModels of a few dozen parameters, one for each way that real modules are made."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

MOMENTUM = 0.9


class ConvolutionModule(tf.train.Checkpoint):
    """TF-Hub's reusable form: two blocks, normalisation, dropout, a training argument."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        draw = np.random.default_rng(seed)

        def variable(name: str, shape: list[int], trainable: bool = True) -> tf.Variable:
            values = draw.normal(0.0, 0.5, shape).astype("float32")
            return tf.Variable(values, name=name, trainable=trainable)

        self.kernel = variable("tiny/block_1_conv/kernel", [3, 3, 1, 4])
        self.gamma = tf.Variable(tf.ones([4]), name="tiny/block_1_BN/gamma")
        self.beta = tf.Variable(tf.zeros([4]), name="tiny/block_1_BN/beta")
        self.mean = tf.Variable(tf.zeros([4]), name="tiny/block_1_BN/moving_mean", trainable=False)
        self.variance = tf.Variable(
            tf.ones([4]), name="tiny/block_1_BN/moving_variance", trainable=False
        )
        self.dense = variable("tiny/block_2_dense/kernel", [4, 3])
        self.trainable_variables = [self.kernel, self.gamma, self.beta, self.dense]
        self.variables = [*self.trainable_variables, self.mean, self.variance]
        self.regularization_losses = [self.penalty]

    @tf.function(input_signature=[])
    def penalty(self) -> tf.Tensor:
        return 0.01 * tf.reduce_sum(self.kernel**2)

    @tf.function
    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = tf.nn.conv2d(images, self.kernel, 1, "VALID")
        if training:
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            self.mean.assign(MOMENTUM * self.mean + (1 - MOMENTUM) * mean)
            self.variance.assign(MOMENTUM * self.variance + (1 - MOMENTUM) * variance)
        else:
            mean, variance = self.mean + 0.0, self.variance + 0.0
        x = (x - mean) * tf.math.rsqrt(variance + 1e-3) * self.gamma + self.beta
        x = tf.reduce_mean(tf.nn.relu(x), [1, 2])
        if training:
            x = tf.nn.dropout(x, 0.5)
        return x @ self.dense


def convolution_module(folder: Path, size: int | None = 8, seed: int = 0) -> Path:
    module = ConvolutionModule(seed)
    spec = tf.TensorSpec([None, size, size, 1])
    for training in (False, True):
        module.__call__.get_concrete_function(spec, training=training)
    return save(module, folder)


def save(module: tf.train.Checkpoint | tf.Module, folder: Path, **kwargs: object) -> Path:
    tf.saved_model.save(module, str(folder), **kwargs)
    return folder


def plain_module(folder: Path) -> Path:
    """No list of variables, no training argument, one trainable and one fixed variable."""
    module = tf.Module()
    module.layers = [tf.Variable([[1.0, 2.0], [3.0, 4.0]]), tf.Variable([1.0, -1.0])]
    module.scale = tf.Variable(2.0, trainable=False)
    module.__call__ = tf.function(
        lambda x: (x @ module.layers[0] + module.layers[1]) * module.scale,
        input_signature=[tf.TensorSpec([None, 2])],
    )
    return save(module, folder)


def dictionary_module(folder: Path) -> Path:
    """Takes and gives a dict, as text encoders do."""
    module = tf.Module()
    module.table = tf.Variable(
        np.arange(12.0, dtype="float32").reshape(4, 3), name="encoder/embedding/table"
    )

    @tf.function(
        input_signature=[
            {"ids": tf.TensorSpec([None, 2], tf.int32), "mask": tf.TensorSpec([None, 2], tf.int32)}
        ]
    )
    def call(inputs: dict) -> dict:
        rows = (
            tf.gather(module.table, inputs["ids"]) * tf.cast(inputs["mask"], tf.float32)[..., None]
        )
        return {"pooled": tf.reduce_sum(rows, 1), "sequence": rows}

    module.__call__ = call
    return save(module, folder)


def list_module(folder: Path) -> Path:
    """Takes two tensors in a list."""
    module = tf.Module()
    module.weight = tf.Variable(3.0, name="join/weight")
    spec = tf.TensorSpec([None, 2])
    module.__call__ = tf.function(
        lambda inputs: inputs[0] + module.weight * inputs[1], input_signature=[[spec, spec]]
    )
    return save(module, folder)


def text_module(folder: Path) -> Path:
    """Sentences in, vectors out."""
    module = tf.Module()
    module.table = tf.Variable(tf.random.stateless_normal([16, 3], [0, 0]), name="embedding/table")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def call(sentences: tf.Tensor) -> tf.Tensor:
        return tf.gather(module.table, tf.strings.to_hash_bucket_fast(sentences, 16))

    module.__call__ = call
    return save(module, folder)


def option_module(folder: Path) -> Path:
    """A further Python argument, saved for two of its values."""
    module = tf.Module()
    module.weight = tf.Variable([2.0, 3.0], name="scale/weight")

    @tf.function
    def call(x: tf.Tensor, training: bool = False, square: bool = False) -> tf.Tensor:
        y = x * module.weight
        return y * y if square else y

    spec = tf.TensorSpec([None, 2])
    for square in (False, True):
        call.get_concrete_function(spec, training=False, square=square)
    module.__call__ = call
    return save(module, folder)


def constant_module(folder: Path) -> Path:
    """No variables at all."""
    module = tf.Module()
    module.__call__ = tf.function(lambda x: x * 2.0, [tf.TensorSpec([None, 2])])
    return save(module, folder)


def signature_module(folder: Path) -> Path:
    """Nothing but a serving signature."""
    module = tf.Module()
    module.kernel = tf.Variable([[1.0], [2.0]], name="serving/kernel")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="features")])
    def serve(features: tf.Tensor) -> dict:
        return {"score": features @ module.kernel}

    return save(module, folder, signatures=serve)


def graph_module(folder: Path) -> Path:
    """As TensorFlow 1 wrote them: a session's graph with a signature."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        features = v1.placeholder(tf.float32, [None, 2], "features")
        kernel = v1.get_variable("kernel", initializer=[[1.0], [2.0]], use_resource=True)
        score = features @ kernel
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(
            session, str(folder), inputs={"features": features}, outputs={"score": score}
        )
    return folder


def exported_module(folder: Path) -> tuple[Path, keras.Model]:
    """What `keras.Model.export` writes, and the model itself."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, name="dense_1"),
            keras.layers.BatchNormalization(name="dense_1_bn"),
            keras.layers.Dense(2, name="dense_2"),
        ]
    )
    model.export(folder, verbose=False)
    return folder, model


def sound_module(folder: Path, samples: int | None = None) -> Path:
    """YAMNet's interface: one waveform in; scores, embeddings and a spectrogram by frame out."""
    draw = np.random.default_rng(2)
    module = tf.Module()
    module.kernel = tf.Variable(draw.normal(size=(16, 6)).astype("float32"), name="frames/kernel")
    module.projection = tf.Variable(draw.normal(size=(6, 3)).astype("float32"), name="top/kernel")

    @tf.function(input_signature=[tf.TensorSpec([samples], tf.float32)])
    def call(waveform: tf.Tensor) -> tuple:
        frames = tf.signal.frame(waveform, 16, 8)
        embeddings = tf.tanh(frames @ module.kernel)
        spectrogram = tf.abs(tf.signal.rfft(tf.signal.frame(waveform, 16, 16)))
        return tf.nn.softmax(embeddings @ module.projection), embeddings, spectrogram

    module.__call__ = call
    return save(module, folder)
