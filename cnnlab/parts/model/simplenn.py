"""SimpleNN: two convolutions and three linear layers, the small CNN of many first courses.

N batch, C H W image, L classes.
"""

from collections.abc import Callable

import torch
from torch import nn

from cnnlab.core.limits import Decay
from cnnlab.parts.activation import GROWING
from cnnlab.parts.layers.dropout import Dropout


class SimpleNN(nn.Module):
    """conv C->8 5x5, conv 8->16 3x3, a 2x2 max-pool after each, then linear 120, 84, L.

    For 3x32x32 images the first linear layer has 576 inputs, as in the lab this comes from.

    Args:
        shape: (C, H, W) of one image; H and W at least 12
        classes: L
        norm: makes the normalisation after a convolution, from its channels
        activation: makes one activation
        dropout: probability with which each output of the first two linear layers is left out

    Raises:
        ValueError: if the convolutions leave nothing of the image
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        norm: Callable[[int], nn.Module],
        activation: Callable[[], nn.Module],
        *,
        dropout: Decay = 0.0,
    ):
        super().__init__()
        channels, height, width = shape
        if min(height, width) < 12:
            raise ValueError(
                f"model=simplenn: images of {height}x{width} pixels are too small; "
                "its convolutions need at least 12x12."
            )
        rows, columns = (((side - 4) // 2 - 2) // 2 for side in (height, width))
        self.conv1 = nn.Conv2d(channels, 8, 5)
        self.norm1 = norm(8)
        self.activation1 = activation()
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.norm2 = norm(16)
        self.activation2 = activation()
        self.pool = nn.MaxPool2d(2, 2)
        self.linear1 = nn.Linear(16 * rows * columns, 120)
        self.activation3 = activation()
        self.dropout1 = Dropout(dropout)
        self.linear2 = nn.Linear(120, 84)
        self.activation4 = activation()
        self.dropout2 = Dropout(dropout)
        self.linear3 = nn.Linear(84, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, L) logits."""
        x = self.pooled(self.norm1(self.conv1(x)), self.activation1)  # (N, 8, (H-4)/2, (W-4)/2)
        x = self.pooled(self.norm2(self.conv2(x)), self.activation2)  # (N, 16, rows, columns)
        x = x.flatten(1)  # (N, 16 rows columns)
        x = self.dropout1(self.activation3(self.linear1(x)))
        x = self.dropout2(self.activation4(self.linear2(x)))
        return self.linear3(x)

    def pooled(self, x: torch.Tensor, activation: nn.Module) -> torch.Tensor:
        """The activation, then the pool; in the other order where that is the same."""
        if isinstance(activation, GROWING):
            return activation(self.pool(x))
        return self.pool(activation(x))
