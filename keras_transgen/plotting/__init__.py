"""Matplotlib figures, returned and never shown. Importing this room does not import Matplotlib."""

from keras_transgen.plotting.boxes import plot_boxes
from keras_transgen.plotting.confusion_matrix import plot_confusion_matrix
from keras_transgen.plotting.few_shot_chart import plot_few_shot_chart
from keras_transgen.plotting.fine_tuning_recipe import plot_fine_tuning_recipe
from keras_transgen.plotting.latent_map import plot_latent_map
from keras_transgen.plotting.learning_curves import plot_learning_curves
from keras_transgen.plotting.learning_rate_finder import plot_learning_rate_finder
from keras_transgen.plotting.method_comparison import plot_method_comparison
from keras_transgen.plotting.mosaic import image_mosaic
from keras_transgen.plotting.parallel_coordinates import plot_parallel_coordinates
from keras_transgen.plotting.piano_roll import plot_piano_roll
from keras_transgen.plotting.sample_grid import plot_sample_grid
from keras_transgen.plotting.save_figure import save_figure
from keras_transgen.plotting.sequence_saliency import plot_sequence_saliency
from keras_transgen.plotting.spectrogram import plot_spectrogram, spectrogram
from keras_transgen.plotting.translations import plot_translations
from keras_transgen.plotting.traversal import plot_traversal

__all__ = [
    "image_mosaic",
    "plot_boxes",
    "plot_confusion_matrix",
    "plot_few_shot_chart",
    "plot_fine_tuning_recipe",
    "plot_latent_map",
    "plot_learning_curves",
    "plot_learning_rate_finder",
    "plot_method_comparison",
    "plot_parallel_coordinates",
    "plot_piano_roll",
    "plot_sample_grid",
    "plot_sequence_saliency",
    "plot_spectrogram",
    "plot_translations",
    "plot_traversal",
    "save_figure",
    "spectrogram",
]
