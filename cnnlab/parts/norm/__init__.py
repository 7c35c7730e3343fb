"""Normalisation layers: one a file, each a function from a number of channels to a module.

    def norm(channels: int, *, ...) -> nn.Module      # (N, C, H, W) -> (N, C, H, W)

The keyword-only arguments are the keys of the option's yaml below conf/norm/.
"""
