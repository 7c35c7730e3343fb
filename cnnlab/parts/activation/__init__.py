"""Activation functions: one a file, each a function that makes a module of one layer's activation.

    def activation(*, ...) -> nn.Module      # any shape -> the same shape

The keyword-only arguments are the keys of the option's yaml below conf/activation/.
"""

from torch import nn

GROWING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Tanh)
"""Never fall as their input grows: of the largest of four numbers they make the largest of the four
results, so that a max-pool may come first, and leave them a quarter of the work."""
