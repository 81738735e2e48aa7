"""The embedded default data and small readers. Importing this room does not import TensorFlow."""

from keras_transgen.datasets.by_class import sample_per_class, stratified_split
from keras_transgen.datasets.digits import load_digits, load_digits_split
from keras_transgen.datasets.idx import load_idx_folder, read_idx
from keras_transgen.datasets.image_check import unreadable_images
from keras_transgen.datasets.image_folder import image_folder, image_folder_split
from keras_transgen.datasets.image_index import ImageIndex, index_images
from keras_transgen.datasets.image_pairs import image_pairs
from keras_transgen.datasets.viewed_image import read_image

__all__ = [
    "ImageIndex",
    "image_folder",
    "image_folder_split",
    "image_pairs",
    "index_images",
    "load_digits",
    "load_digits_split",
    "load_idx_folder",
    "read_idx",
    "read_image",
    "sample_per_class",
    "stratified_split",
    "unreadable_images",
]
