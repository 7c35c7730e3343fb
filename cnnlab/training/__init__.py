"""Training: one run, or many as one model."""
