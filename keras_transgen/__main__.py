"""`python -m keras_transgen`: the command."""

from keras_transgen.cli.application import main

if __name__ == "__main__":
    main()
