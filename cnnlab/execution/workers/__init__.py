"""A pool of worker processes that loses no job; it knows nothing of training."""
