"""A driver of an extraction, to be killed. Arguments: Ray's address, images, output."""

import sys

import ray

from keras_transgen.distributed import extract_with_ray

OPTIONS = {
    "image_size": 8,
    "color_mode": "grayscale",
    "rows_per_file": 1,
    "num_workers": 1,
    "progress": False,
}

if __name__ == "__main__":
    address, images, output = sys.argv[1:]
    ray.init(address=address, log_to_driver=False, logging_level="error")
    extract_with_ray("digits", images, output, **OPTIONS)
