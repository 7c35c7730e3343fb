"""A plan carried out: stacks, workers, records, and what a person sees of it."""
