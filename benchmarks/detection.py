"""Blood cells (bccd_400): a detector's head on a pretrained network, and what stands beside it.

    python benchmarks/detection.py             # all parts, in this order:
    python benchmarks/detection.py features    # features once; it is saved for the next four
    python benchmarks/detection.py few         # few labelled images
    python benchmarks/detection.py random      # the same network with random weights
    python benchmarks/detection.py retinanet   # KerasHub's detector on the same network
    python benchmarks/detection.py speed       # images a second, suppression included
    python benchmarks/detection.py tuned       # features once, then all parameters

Every budget counts the CPU's seconds (`time.process_time`) of all that follows the imports: reading
the images, making the model, features, training. `--choose` trains and judges on the official
training and validation split; `test` is looked at only to publish. Crops and lights are there since
flips alone learnt by heart (0.961 on train, 0.783 on val); with them val gave 0.801.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from report import publish, shared
from time_budget import TimeBudget

import keras_transgen as ktg
from keras_transgen.evaluation import mean_average_precision
from keras_transgen.transfer.detection import BoxAugmentation

GOALS = {
    "features": 0.82,
    "tuned": 0.88,
    "platelets": 0.70,
    "random": 0.5,
    "few": 0.6,
    "step": 0.1,
}
SIZE, BATCH, VIEWS, FEW = 256, 16, 12, 20
RATE, DECAY = 3e-3, 1e-3
PARTS = ("features", "few", "random", "retinanet", "speed", "tuned")
OTHER = "KerasHub's RetinaNet"
clock = time.process_time


class Budget(TimeBudget):
    """Counts from `begin` on, and lets the rate rise over 50 steps and fall along a cosine."""

    def __init__(self, seconds, rate, begin):
        super().__init__(seconds, clock=clock)
        self.rate, self.begin = rate, begin

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.before = self.spent = self.start - self.begin

    def on_train_batch_begin(self, batch, logs=None):
        share = (self.spent - self.before) / (self.seconds - self.before)
        risen = min(1.0, (self.steps + 1) / 50)
        fallen = 0.5 + 0.5 * math.cos(math.pi * min(1.0, share))
        self.model.optimizer.learning_rate = self.rate * risen * fallen

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.steps == 2:
            self.settled = self.spent

    def an_image(self):
        """CPU seconds of a step divided by its images, compilation not counted."""
        return (self.spent - self.settled) / (self.steps - 2) / BATCH

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch + 1
        if not epoch % 5:
            print(f"{self.spent:.0f} s, {self.steps} steps: {logs['loss']:.3f}", flush=True)


def cells(options, count=None):
    """Images to train on, and those to judge by."""
    splits = ("train", "val") if options.choose else ("trainval", "test")
    train, test = (
        ktg.datasets.voc_boxes(shared("data", "bccd_400"), split, skip_empty=True)
        for split in splits
    )
    names = train.class_names
    return (train if count is None else train.take(count)), test, names


def module():
    return str(shared("hub", "mobilenet_v2_100_224_feature_vector"))


def random_network(data, measured):
    """The module's network with random weights; its statistics may be those of the images."""
    network = keras.applications.MobileNetV2((SIZE, SIZE, 3), weights=None, include_top=False)
    if not measured:
        return ktg.KerasBackbone(network, name="random", value_range=(-1.0, 1.0))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    for images in data.map(lambda image, _: tf.image.resize(image, (SIZE, SIZE))).batch(8).take(8):
        network(images / 127.5 - 1.0, training=True)
    return ktg.KerasBackbone(network, name="random", value_range=(-1.0, 1.0))


def detector(backbone, names, **settings):
    varied = BoxAugmentation(vertical=True, smallest_crop=0.6, brightness=0.2, contrast=0.2)
    return ktg.Detector(
        backbone, class_names=names, image_size=SIZE, augmentation=varied, seed=0, **settings
    )


def trained(model, data, seconds, rate, begin):
    """The model after a budget, and the budget."""
    budget = Budget(seconds, rate, begin)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=DECAY, global_clipnorm=10.0))
    model.fit(data, batch_size=BATCH, epochs=10_000, verbose=0, callbacks=[budget])
    return model, budget


def by_features(options, seconds, random=None, count=None):
    begin = clock()
    keras.utils.set_random_seed(0)
    data, test, names = cells(options, count)
    backbone = module() if random is None else random_network(data, random == "measured")
    model, budget = trained(detector(backbone, names, views=VIEWS), data, seconds, RATE, begin)
    return model, budget, shown(model.evaluate(test))


def shown(result):
    print(result, flush=True)
    return result


def row(name, result, budget):
    by_class = result["by_class"].values()
    found = (f"{value:.3f}" for value in (result["map50"], result["map"], *by_class))
    if budget is None:
        return (name, *found)
    return (name, *found, f"{budget.spent:.0f}", f"{budget.before:.0f}", f"{budget.steps}")


def header(result):
    names = (f"{name} (AP50)" for name in result["by_class"])
    return ("side", "mAP50", "mAP", *names, "CPU seconds", "of these before training", "steps")


def verdict(reached):
    return "Reached" if reached else "Missed"


def features(options):
    model, budget, found = by_features(options, options.seconds)
    model.save(options.save)
    if options.choose:
        return
    publish(
        "Detection: blood cells, features once",
        f"mAP50 at least {GOALS['features']} on the test split within {options.seconds:.0f} CPU "
        "seconds, everything counted",
        [header(found), row("MobileNetV2's module, frozen", found, budget)],
        f"{verdict(found['map50'] >= GOALS['features'])}. {model.head.count_params():,} parameters "
        f"train; {VIEWS} views of each of 292 images at {SIZE}.",
        __file__,
    )


def beside(options, claim, goal, share_of, seconds, note, sides):
    """Other detectors beside the one that `features` saved, judged alike."""
    known = ktg.load_model(options.save)
    found = shown(known.evaluate(cells(options)[1]))
    rows = [header(found)]
    of_all = row("all images, pretrained", found, None)
    rows.append((*of_all, f"{options.seconds:.0f}", "", ""))
    shares = []
    for name, kwargs in sides.items():
        _, budget, other = by_features(options, seconds, **kwargs)
        rows.append(row(name, other, budget))
        shares.append(other["map50"] / found["map50"])
    told = ", ".join(f"{share:.2f}" for share in shares)
    publish(
        claim,
        goal,
        rows,
        f"{told} of it: {verdict(all(map(share_of, shares))).lower()}. {note}",
        __file__,
    )


def few(options):
    beside(
        options,
        f"Detection: {FEW} labelled images",
        f"mAP50 at least {GOALS['few']} of that with all",
        lambda share: share >= GOALS["few"],
        options.seconds / 3,
        f"The first {FEW} of the split, for a third of the time.",
        {f"{FEW} images": {"count": FEW}},
    )


def random(options):
    beside(
        options,
        "Detection: a random backbone at equal time",
        f"at most {GOALS['random']} of the pretrained one's mAP50",
        lambda share: share <= GOALS["random"],
        options.seconds,
        "The first has the statistics of 64 training images in its batch normalisation, the second "
        "those that Keras begins with.",
        {
            "random weights, statistics measured": {"random": "measured"},
            "random weights as they are": {"random": "plain"},
        },
    )


def tuned(options):
    """A head on features for a third of the time, then all parameters from there."""
    begin = clock()
    keras.utils.set_random_seed(0)
    data, test, names = cells(options)
    head, first = trained(
        detector(module(), names, views=VIEWS), data, options.tuned_seconds / 3, RATE, begin
    )
    model = detector(module(), names, transfer="parameter")
    model.head.set_weights(head.head.get_weights())
    model, budget = trained(model, data, options.tuned_seconds, options.tuned_rate, begin)
    before, found = shown(head.evaluate(test)), shown(model.evaluate(test))
    if options.choose:
        return
    platelets = found["by_class"]["Platelets"]
    reached = found["map50"] >= GOALS["tuned"] and platelets >= GOALS["platelets"]
    publish(
        "Detection: blood cells, 15 minutes",
        f"mAP50 at least {GOALS['tuned']} and platelets at least {GOALS['platelets']} on the test "
        f"split within {options.tuned_seconds:.0f} CPU seconds, any kind of transfer",
        [
            header(found),
            row("features once", before, first),
            row("then all parameters", found, budget),
        ],
        f"{verdict(reached)}. Published for YOLOv8n, on another split and a GPU: 0.904.",
        __file__,
    )


def kerashub_detector():
    """KerasHub's RetinaNet on the module's network and weights, frozen as for features."""
    import keras_hub

    network = keras.applications.MobileNetV2((SIZE, SIZE, 3), weights=None, include_top=False)
    values = {weight.path: weight for weight in ktg.load_backbone(module()).weights}
    for weight in network.weights:
        weight.assign(values[weight.path.replace("depthwise/kernel", "depthwise/depthwise_kernel")])
    network.trainable = False
    layers = {"P3": "block_6_expand_relu", "P4": "block_13_expand_relu", "P5": "out_relu"}
    network.pyramid_outputs = {key: network.get_layer(name).output for key, name in layers.items()}
    backbone = keras_hub.models.RetinaNetBackbone(
        network, min_level=3, max_level=5, use_p5=False, image_shape=(SIZE, SIZE, 3)
    )
    model = keras_hub.models.RetinaNetObjectDetector(backbone, 3, bounding_box_format="xyxy")
    model.prediction_decoder = keras_hub.layers.NonMaxSuppression(
        "xyxy", from_logits=True, confidence_threshold=0.01
    )
    return model


def kerashub_batches(ours, data, training):
    """Images in [-1, 1] with boxes, padded; flipped at random for training."""
    batches = ours.fitted(data).cache()
    batches = batches.shuffle(300, seed=0).repeat() if training else batches
    flip = BoxAugmentation(vertical=True)

    def prepared(number, batch):
        images, objects = batch
        images = tf.cast(images, tf.float32) / 255.0
        boxes, labels = objects["boxes"], objects["labels"]
        if training:
            images, boxes, labels = flip(images, boxes, labels, seed=tf.stack([number, 0]))
        return images * 2.0 - 1.0, {"boxes": boxes, "labels": labels}

    shapes = ([SIZE, SIZE, 3], {"boxes": [100, 4], "labels": [100]})
    padding = (tf.constant(0, tf.uint8), {"boxes": 0.0, "labels": tf.constant(-1, tf.int64)})
    batches = batches.padded_batch(BATCH, shapes, padding, drop_remainder=training)
    return batches.enumerate().map(prepared).prefetch(2)


def kerashub_found(model, images):
    """What `predict` gives, whose suppression cannot be traced for a batch of unknown size."""
    made = model.decode_predictions(model(images, training=False), images)
    return {name: np.asarray(values) for name, values in made.items()}


def judged(model, batches):
    truth, found = [], []
    for images, objects in batches:
        made = kerashub_found(model, images)
        for place in range(len(images)):
            truth.append({name: values[place].numpy() for name, values in objects.items()})
            kept = made["labels"][place] >= 0
            # KerasHub calls the scores so.
            scores = made["confidence"][place]
            found.append(
                {
                    "boxes": made["boxes"][place][kept],
                    "labels": made["labels"][place][kept],
                    "scores": scores[kept],
                }
            )
    return mean_average_precision(truth, found)


def retinanet(options):
    """KerasHub's detector for the same seconds; the detector of `features` must be saved."""
    ours = ktg.load_model(options.save)
    data, test, _ = cells(options)
    begin = clock()
    _, short = trained(ours, data, options.seconds / 2, RATE, begin)
    ours = ktg.load_model(options.save)
    found = shown(ours.evaluate(test))
    begin = clock()
    keras.utils.set_random_seed(0)
    theirs = kerashub_detector()
    budget = Budget(options.seconds, options.retinanet_rate, begin)
    optimizer = keras.optimizers.AdamW(weight_decay=DECAY, global_clipnorm=10.0)
    theirs.compile(optimizer=optimizer, jit_compile=False)
    theirs.fit(
        kerashub_batches(ours, data, True),
        steps_per_epoch=len(data) // BATCH,
        epochs=10_000,
        verbose=0,
        callbacks=[budget],
    )
    begin = clock()
    other = judged(theirs, kerashub_batches(ours, test, False))
    print(other, f"judged in {clock() - begin:.0f} s", flush=True)
    ratio = short.an_image() / budget.an_image()
    reached = ratio <= GOALS["step"] and found["map50"] > other.map50
    publish(
        "Detection: a step beside KerasHub's RetinaNet on the same network",
        f"at most {GOALS['step']} of its CPU seconds an image, and mAP50 above it at equal time",
        [
            ("side", "CPU ms an image and step", "steps", "mAP50 on the test split"),
            ("ours, features once", f"{short.an_image() * 1000:.1f}", "", f"{found['map50']:.3f}"),
            (
                OTHER,
                f"{budget.an_image() * 1000:.1f}",
                f"{budget.steps}",
                f"{other.map50:.3f}",
            ),
        ],
        f"{ratio:.3f} of its step: {verdict(reached).lower()}. Its levels are the same three, its "
        f"network is frozen too, its images are flipped; {options.seconds:.0f} CPU seconds each, "
        f"AdamW at {options.retinanet_rate:g}, its own losses. Extracting the features is not in "
        "our step, but in our seconds.",
        __file__,
    )


def opencv_network(ours, images):
    """The maps of the same network by OpenCV, one image at once; `None` where it is not there."""
    try:
        import cv2
    except ImportError:
        return None
    holder = tf.Module()
    holder.features = ours.features
    spec = tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32, name="images")
    holder.maps = tf.function(lambda images: ours.features(images, training=False), [spec])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(holder, folder, signatures=holder.maps)
        content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
        (Path(folder) / "network.tflite").write_bytes(content)
        network = cv2.dnn.readNetFromTFLite(str(Path(folder) / "network.tflite"))
    scaled = np.ascontiguousarray((images / np.float32(255.0)).transpose(0, 3, 1, 2))
    coarsest = np.asarray(ours.features(tf.constant(images[:1] / np.float32(255.0)))[-1])

    def maps(image):
        network.setInput(image)
        return network.forward()

    found = maps(scaled[:1]).transpose(0, 2, 3, 1)
    print("OpenCV", cv2.__version__, "differs by", np.abs(found - coarsest).max(), flush=True)
    return lambda: [maps(scaled[place : place + 1]) for place in range(len(scaled))]


def speed(options):
    """Images a second from arrays of the model's size, suppression included."""
    ours = ktg.load_model(options.save)
    _, test, _ = cells(options)
    images = np.stack([image.numpy() for image, _ in ours.fitted(test)])
    theirs = kerashub_detector()
    scaled = images / np.float32(127.5) - 1.0
    sides = {
        "ours": lambda: ours.predict(images, batch_size=BATCH, verbose=0),
        OTHER: lambda: [
            kerashub_found(theirs, scaled[start : start + BATCH])
            for start in range(0, len(scaled), BATCH)
        ],
    }
    by_opencv = opencv_network(ours, images)
    if by_opencv is not None:
        sides["OpenCV's DNN, the network alone, no head and no suppression"] = by_opencv
    spent = {}
    for side in sides.values():
        side()
    for name, side in sides.items():
        begin = clock()
        for _ in range(3):
            side()
        spent[name] = (clock() - begin) / 3
    publish(
        f"Detection: {len(images)} images at {SIZE}, suppression included",
        "images a CPU second, told beside KerasHub's RetinaNet on the same network",
        [
            ("side", "CPU seconds", "images a CPU second"),
            *((name, f"{each:.2f}", f"{len(images) / each:.1f}") for name, each in spent.items()),
        ],
        f"{spent[OTHER] / spent['ours']:.1f} times as many as KerasHub's; batches of {BATCH}, and "
        "one image at once by OpenCV.",
        __file__,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", default=PARTS, choices=PARTS)
    arguments.add_argument("--seconds", type=float, default=300.0)
    arguments.add_argument("--tuned-seconds", type=float, default=900.0)
    arguments.add_argument("--tuned-rate", type=float, default=5e-4)
    arguments.add_argument("--retinanet-rate", type=float, default=1e-3)
    arguments.add_argument("--choose", action="store_true", help="train and judge on train and val")
    arguments.add_argument("--save", default="/tmp/detection.keras", help="of `features`")
    options = arguments.parse_args()
    for part in options.parts:
        globals()[part](options)


if __name__ == "__main__":
    main()
