"""Models: one a file, each a function or class that makes one module.

    def model(shape, classes, norm, activation, *, ...) -> nn.Module   # (N, C, H, W) -> (N, L)

`shape` is (C, H, W); `norm` takes a number of channels and `activation` takes nothing, each gives
a module. The keyword-only arguments are the keys of the option's yaml below conf/model/. Name
each layer: layers of the same name start from the same weights in every variant. First weights
other than PyTorch's own are set in a method `reset_parameters`, of the layer or of the model.
"""
