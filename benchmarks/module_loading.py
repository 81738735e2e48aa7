"""What the audit and the private copy cost: CPU seconds to load a module, before and now.

`--before FOLDER` gives the checkout to compare with; without it, TensorFlow's own loader is the
other side.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from report import in_turn, median, publish

REPEATS = 7
SHARED = Path(os.environ.get("KERAS_TRANSGEN_SHARED", "../shared")).resolve()
WARM_UP = "mobilenet_v1_025_224_feature_vector"
MODULES = ["mobilenet_v2_100_224_feature_vector"]
if importlib.util.find_spec("tensorflow_text"):
    MODULES.append("universal_sentence_encoder_multilingual")

CODE = """
import sys, time, tensorflow as tf
if "universal" in sys.argv[1]:
    import tensorflow_text
tf.saved_model.load(sys.argv[2])
if sys.argv[3] == "ours":
    from keras_transgen.backbones import SavedModelBackbone as load
else:
    load = tf.saved_model.load
start = time.process_time()
load(sys.argv[1])
print(time.process_time() - start)
"""


def seconds(side: str, module: str, checkout: Path, home: str) -> float:
    paths = [str(checkout), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "KERAS_TRANSGEN_HOME": home,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    arguments = [str(SHARED / "hub" / name) for name in (module, WARM_UP)]
    ran = subprocess.run(
        [sys.executable, "-c", CODE, *arguments, side],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=checkout,
    )
    return float(ran.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path, help="another checkout of the package")
    before = parser.parse_args().before
    here = Path(__file__).resolve().parents[1]
    other, name = ("plain", "tf.saved_model.load") if before is None else ("ours", "before")
    rows = [("module", "store", name, "now", "ratio")]
    worst = 0.0
    for module in MODULES:
        for is_stored in (False, True):
            taken: dict[str, list[float]] = {name: [], "now": []}

            def side(key: str, checkout: Path, kind: str, taken=taken, module=module) -> None:
                with tempfile.TemporaryDirectory() as empty:
                    home = homes[key] if is_stored else empty  # noqa: B023
                    taken[key].append(seconds(kind, module, checkout, home))

            with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
                homes = {name: one, "now": two}
                calls = {
                    name: lambda s=side: s(name, before or here, other),
                    "now": lambda s=side: s("now", here, "ours"),
                }
                for call in calls.values():
                    call()
                for values in taken.values():
                    values.clear()
                in_turn(calls, REPEATS)
            ratio = median(taken["now"]) / median(taken[name])
            worst = max(worst, ratio)
            rows.append(
                (
                    module,
                    "has it" if is_stored else "is empty",
                    f"{median(taken[name]):.2f}",
                    f"{median(taken['now']):.2f}",
                    f"{ratio:.2f}",
                )
            )
    publish(
        "Loading a module",
        "at most 1.1 times the CPU seconds of before the audit of today",
        rows,
        f"At most {worst:.2f}. " + ("Reached." if worst <= 1.1 else "Missed."),
        __file__,
    )


if __name__ == "__main__":
    main()
