"""`python -m keras_transgen.cli`."""

from keras_transgen.cli.application import main

main()
