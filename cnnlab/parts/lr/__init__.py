"""Learning-rate schedules: one a file, each a pure function that gives a rate for every step.

    def schedule(epochs: int, steps: int, *, base, ...) -> np.ndarray     # (epochs * steps,)

`steps` is the number of steps in an epoch. The keyword-only arguments are the keys of the option's
yaml below conf/lr/; every schedule has `base`.
"""
