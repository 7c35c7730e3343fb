"""Losses: one a file, each a function of a batch's logits and labels.

    def loss(logits, labels, *, ...) -> torch.Tensor   # (N, L) and (N,) -> (N,), or their mean, ()

It is written for one run: a stack calls it for all of its runs at once, through `torch.func.vmap`.
There a number that differs between the runs is a tensor of no axes, so a loss that asks whether a
number is 0 is computed alone. The keyword-only arguments are the keys of the option's yaml below
conf/loss/. Validation loss is always plain cross-entropy, so that variants can be compared.
"""
