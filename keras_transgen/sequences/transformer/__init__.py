"""The Transformer: attention, blocks and stacks of them, with caches for generation."""
