"""Optimizers: one a file, each a function that makes one step for one parameter, in place.

    def optimizer(parameter, gradient, state, lr, *, ...) -> None

`state` is a dict of the optimizer's own for this parameter, empty before the first step. `lr` and
the keyword-only arguments, which are the keys of the option's yaml below conf/optimizer/, may be
numbers or tensors that broadcast against the parameter: so one call serves many runs at once,
each with its own. (PyTorch's optimizers take one number for all.)
"""
