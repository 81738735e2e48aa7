"""The `keras-transgen` command."""

from keras_transgen.cli.application import main

__all__ = ["main"]
