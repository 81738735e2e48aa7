"""Music as frames of notes: the model, its network, and what writes."""
