"""Pretrained networks from anywhere, each as one trainable Keras layer."""

from keras_transgen.backbones.backbone import Backbone
from keras_transgen.backbones.extraction import Features, extract_features
from keras_transgen.backbones.image_preprocessing import ImagePreprocessing
from keras_transgen.backbones.input_contract import InputContract
from keras_transgen.backbones.keras_model import KerasBackbone
from keras_transgen.backbones.load import load_backbone
from keras_transgen.backbones.load_model import load_model
from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.backbones.parameter_groups import ParameterGroup
from keras_transgen.backbones.saved_model import SavedModelBackbone
from keras_transgen.backbones.sound.log_mel_spectrogram import LogMelSpectrogram
from keras_transgen.backbones.sound.spec_augment import SpecAugment
from keras_transgen.backbones.sound.wave_augmentation import RandomNoise, RandomTimeShift

__all__ = [
    "Backbone",
    "Features",
    "ImagePreprocessing",
    "InputContract",
    "KerasBackbone",
    "LogMelSpectrogram",
    "MultiScaleFeatures",
    "ParameterGroup",
    "RandomNoise",
    "RandomTimeShift",
    "SavedModelBackbone",
    "SpecAugment",
    "extract_features",
    "load_backbone",
    "load_model",
]
