"""Images on their way to training: datasets, splits, batches, augmentation, sharing, download."""
