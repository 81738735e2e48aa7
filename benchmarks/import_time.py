"""Import time of the package against Keras and TensorFlow alone, and of the command's help."""

import subprocess
import sys

from report import in_turn, median, publish

REPEATS = 7


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    seconds = in_turn(
        {
            "import tensorflow, keras": lambda: run(
                sys.executable, "-c", "import tensorflow, keras"
            ),
            "import tensorflow, keras, keras_transgen": lambda: run(
                sys.executable, "-c", "import tensorflow, keras, keras_transgen"
            ),
            "import keras_transgen; keras_transgen.FeatureTransfer": lambda: run(
                sys.executable, "-c", "import keras_transgen as k; k.FeatureTransfer"
            ),
            "keras-transgen --help": lambda: run(
                sys.executable, "-m", "keras_transgen.cli", "--help"
            ),
        },
        REPEATS,
    )
    base = median(seconds["import tensorflow, keras"])
    rows = [("command", "median seconds", "ratio")]
    rows += [
        (f"`{name}`", f"{median(values):.2f}", f"{median(values) / base:.2f}")
        for name, values in seconds.items()
    ]
    ratio = median(seconds["import tensorflow, keras, keras_transgen"]) / base
    help_seconds = median(seconds["keras-transgen --help"])
    verdict = f"Ratio {ratio:.2f}; help in {help_seconds:.2f} s. " + (
        "Reached." if ratio <= 1.1 and help_seconds < 1 else "Missed."
    )
    publish(
        "Import time",
        "at most 1.1 times `import tensorflow, keras`; `keras-transgen --help` under 1 s",
        rows,
        verdict,
        __file__,
    )


if __name__ == "__main__":
    main()
