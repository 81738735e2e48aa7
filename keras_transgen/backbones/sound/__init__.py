"""Sound on its way into a network: spectrograms, and layers that vary recordings in training."""
