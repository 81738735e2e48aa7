"""Sound, one sample after the other: WaveNet."""
