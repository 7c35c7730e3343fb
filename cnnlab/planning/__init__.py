"""From what a person types to a plan: the runs of a sweep, and the state of each."""
