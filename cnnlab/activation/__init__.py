"""Activation functions: one a file, each a function that makes a module of one layer's activation.

    def activation(*, ...) -> nn.Module      # any shape -> the same shape

The keyword-only arguments are the keys of the option's yaml below conf/activation/.
"""
