"""What can be compared: numbers of a run, one each. Whatever is to be known of one stands here."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of a run that can be compared.

    Attributes:
        name: its column in the table of runs
        label: in words; the epoch that it is of is part of them
        unit: of its differences
        scale: from its own unit to that one
        less_is_better: of two numbers
        chosen: how a run's number was chosen
        digits: after the point, of a number
        limits: that no number, and so no mean, can pass; a share's are 0 and 1
        beside: metrics that a variant's mean is shown with: of a number that was chosen on the
            validation images, those that were not
    """

    name: str
    label: str
    unit: str = "points"  # percentage points
    scale: int = 100
    less_is_better: bool = False
    chosen: str
    digits: int = 4
    limits: tuple[float, float] = (0.0, 1.0)
    beside: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The label, with the unit where numbers have one: `last training loss (nats)`."""
        return f"{self.label} ({self.unit})" if self.scale == 1 else self.label

    @property
    def difference_digits(self) -> int:
        """After the point of a difference, so that it shows the digits of the two numbers."""
        return self.digits - round(math.log10(self.scale))


_ALL = (
    Metric(
        name="best_val_accuracy",
        label="best validation accuracy",
        chosen="each run counts with its best epoch",
        beside=("final_val_accuracy", "test_accuracy"),
    ),
    Metric(
        name="final_val_accuracy",
        label="last validation accuracy",
        chosen="each run counts with its last epoch",
    ),
    Metric(
        name="final_train_accuracy",
        label="last training accuracy",
        chosen="each run counts with its last epoch",
    ),
    Metric(
        name="final_train_loss",
        label="last training loss",
        unit="nats",
        scale=1,
        less_is_better=True,
        limits=(-math.inf, math.inf),
        chosen="each run counts with its last epoch; less is better",
    ),
    Metric(
        name="test_accuracy",
        label="test accuracy of the best weights",
        chosen="each run counts with its best weights by validation",
    ),
)

METRICS = {metric.name: metric for metric in _ALL}
"""By name; a report's first choice comes first."""
