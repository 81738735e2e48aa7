"""`python -m keras_transgen.cli`."""

from keras_transgen.cli.application import main

if __name__ == "__main__":
    main()
