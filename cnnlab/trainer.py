"""The state of a stack in training, and what it does in an epoch.

K variants, N images of a batch, C H W image, L classes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cnnlab.config import Config
from cnnlab.data.batches import Images, Normalise, evaluation, training
from cnnlab.data.split import Data
from cnnlab.parts import build, configured
from cnnlab.stack import Stack


class Trainer:
    """The state of a stack in training: weights, the optimizer's averages, images on the device."""

    def __init__(
        self,
        configs: Sequence[Config],
        models: Sequence[nn.Module],
        data: Data,
        device: torch.device,
    ):
        first = configs[0]
        self.configs = configs
        self.device = device
        self.stack = Stack(
            [model.to(device, memory_format=torch.channels_last) for model in models]
        )
        self.train, self.val = Images(data.train, device), Images(data.val, device)
        self.normalise = Normalise(data.train, device)
        self.batch_size = first.batch_size
        self.steps = math.ceil(len(data.train) / first.batch_size)
        self.seeds = [config.seed for config in configs]
        self.operations = [
            {name: configured(part) for name, part in config.augment.items()} for config in configs
        ]
        self.bf16 = first.precision == "bf16"
        rates = [build(config.lr, config.epochs, self.steps) for config in configs]
        self.rates = torch.tensor(np.array(rates), dtype=torch.float32).T.to(device)  # (steps, K)
        self.update = configured(
            {"_target_": first.optimizer["_target_"], **self._numbers(configs)}
        )
        self.state: dict[str, dict[str, torch.Tensor]] = {
            name: {} for name in self.stack.parameters
        }
        self.best_weights: list[dict[str, torch.Tensor]] = [{} for _ in configs]

    def _numbers(self, configs: Sequence[Config]) -> dict[str, Any]:
        """The optimizer's numbers, (K,) each; what is no number is the same for all."""
        return {
            key: torch.tensor([config.optimizer[key] for config in configs], device=self.device)
            if isinstance(value, float)
            else value
            for key, value in configs[0].optimizer.items()
            if key != "_target_"
        }

    def epoch(
        self, epoch: int, advance: Callable[[int], None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Trains one epoch: the losses (steps, K), and how many images were classified right (K,).

        Everything is summed on the device: reading a number there would make the host wait.
        """
        size = self.stack.size
        losses = torch.empty(self.steps, size, device=self.device)
        correct = torch.zeros(size, dtype=torch.long, device=self.device)
        batches = training(
            self.train, self.normalise, self.seeds, self.operations, epoch, self.batch_size
        )
        for step, (images, labels) in enumerate(batches):
            logits = self._logits(images, training=True)  # (K, N, L)
            loss = _losses(logits, labels)  # (K,)
            gradients = torch.autograd.grad(loss.sum(), list(self.stack.parameters.values()))
            self._step(gradients, self.rates[(epoch - 1) * self.steps + step])
            with torch.no_grad():
                losses[step] = loss
                correct += (logits.argmax(-1) == labels).sum(-1)
            advance(step + 1)
        return losses.cpu(), correct.cpu()

    @torch.no_grad()
    def _step(self, gradients: Sequence[torch.Tensor], rates: torch.Tensor) -> None:
        """Changes each parameter (K, ...), with (K,) learning rates."""
        for (name, parameter), gradient in zip(
            self.stack.parameters.items(), gradients, strict=True
        ):
            shape = (-1,) + (1,) * (parameter.ndim - 1)  # (K, 1, ..., 1), to be broadcast
            numbers = {
                key: value.view(shape)
                for key, value in self.update.keywords.items()
                if isinstance(value, torch.Tensor)
            }
            self.update(parameter, gradient, self.state[name], rates.view(shape), **numbers)

    def snapshot(self, slot: int) -> dict[str, np.ndarray]:
        """All that one slot needs to go on from here: arrays by name, copied to the CPU."""
        found = {f"weights/{name}": each for name, each in self.stack.weights(slot).items()}
        for name, state in self.state.items():
            for key, tensor in state.items():
                whose, own = ("own", tensor[slot]) if tensor.ndim else ("all", tensor)
                own = own.detach().cpu().clone(memory_format=torch.contiguous_format)
                found[f"optimizer/{whose}/{name}/{key}"] = own
        return {name: tensor.numpy() for name, tensor in found.items()}

    def restore(self, slot: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Puts back what `snapshot` gave."""
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        weights = "weights/"
        self.stack.load(
            slot, {n.removeprefix(weights): t for n, t in tensors.items() if n.startswith(weights)}
        )
        for name, tensor in tensors.items():
            if not name.startswith("optimizer/"):
                continue
            _, whose, of, key = name.split("/")
            if whose == "all":  # such as the number of steps
                self.state[of][key] = tensor.clone()
                continue
            # Laid out in memory as the parameter is: so were the sums that are continued.
            state = self.state[of].setdefault(
                key, torch.zeros_like(self.stack.parameters[of], requires_grad=False)
            )
            state[slot] = tensor.to(state.device)

    @torch.no_grad()
    def evaluate(self, images: Images) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss (K,) and accuracy (K,) on a split."""
        loss = torch.zeros(self.stack.size, device=self.device)
        correct = torch.zeros(self.stack.size, dtype=torch.long, device=self.device)
        for batch, labels in evaluation(images, self.normalise):
            logits = self._logits(batch, training=False)  # (K, N, L)
            shared = labels.expand(self.stack.size, -1)  # (N,) -> (K, N)
            loss += _losses(logits, shared) * len(labels)
            correct += (logits.argmax(-1) == shared).sum(-1)
        return (loss / len(images)).cpu(), correct.cpu() / len(images)

    def measured(
        self,
        epoch: int,
        slot: int,
        losses: torch.Tensor,
        correct: torch.Tensor,
        validation: tuple[torch.Tensor, torch.Tensor],
    ) -> dict[str, Any]:
        """One slot's row of metrics.csv, or where its loss stopped being a number."""
        finite = losses[:, slot].isfinite()
        if not finite.all():
            return {"diverged": f"epoch {epoch}, step {int(finite.int().argmin()) + 1}"}
        if not validation[0][slot].isfinite():
            return {"diverged": f"epoch {epoch}, validation"}
        count = len(self.train)
        sizes = torch.full((self.steps,), self.batch_size)
        sizes[-1] = count - self.batch_size * (self.steps - 1)
        return {
            "epoch": epoch,
            "train_loss": round(float((losses[:, slot].double() * sizes).sum()) / count, 6),
            "train_accuracy": round(int(correct[slot]) / count, 6),
            "val_loss": round(float(validation[0][slot]), 6),
            "val_accuracy": round(float(validation[1][slot]), 6),
            "lr": float(f"{float(self.rates[(epoch - 1) * self.steps, slot]):.6g}"),
        }

    def _logits(self, images: torch.Tensor, *, training: bool) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.stack(images, training=training).float()


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(K, N, L) and (K, N) -> (K,) mean cross-entropy of each variant."""
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")  # (K N,)
    return each.view(labels.shape).mean(1)
