"""The state of a stack in training, and what it does in an epoch.

K variants, G groups of them that see the same images, N images of a batch, C H W image, L classes.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cnnlab.config.schema import Config
from cnnlab.config.targets import build, configured
from cnnlab.core.seeding import generator, global_generators
from cnnlab.data.batches import Images, Seeds, Supply, evaluation, training
from cnnlab.parts.layers.dropout import Dropout
from cnnlab.training.compat import make_fx, mark_static
from cnnlab.training.stack import Stack
from cnnlab.training.updates import axes, clipped, losses_of, update_of, without_decay


class Trainer:
    """The state of a stack in training: weights and the optimizer's averages, on the device.

    Args:
        configs: K; alike in what `cnnlab.config.keys.Key.stack` wants alike
        models: K; one for each config, of equal `cnnlab.training.structure.structure`
        supply: the images
        compiled: whether steps are compiled
    """

    def __init__(
        self,
        configs: Sequence[Config],
        models: Sequence[nn.Module],
        supply: Supply,
        *,
        compiled: bool = False,
    ):
        first = configs[0]
        self.configs, self.supply, self.device = configs, supply, supply.device
        self.stack = Stack(
            [
                model.to(self.device, supply.dtype, memory_format=torch.channels_last)
                for model in models
            ]
        )
        self.batch_size = first.batch_size
        self.steps = math.ceil(len(supply.train) / first.batch_size)
        self.seeds, self.operations = _groups(configs)
        self.bf16 = first.precision == "bf16"
        rates = [build(config.lr, config.epochs, self.steps) for config in configs]
        self.rates = self._tensor(np.array(rates)).T.contiguous()  # (steps, K)
        self.updates = self._updates()
        self.state: dict[str, dict[str, torch.Tensor]] = {
            name: {} for name in self.stack.parameters
        }
        self.losses = losses_of([config.loss for config in configs], self._tensor)
        limits = [config.clip_norm for config in configs]
        if any(limit is not None for limit in limits):
            limits = [math.inf if limit is None else limit for limit in limits]
        self.limits = self._any(limits)
        layers = self.stack.module.named_modules()
        self.dropouts = [name for name, m in layers if isinstance(m, Dropout) and m.active]
        self.best_weights: list[dict[str, torch.Tensor]] = [{} for _ in configs]
        self.compiled = compiled
        self._fast: Callable[..., Any] | None = None

    def _updates(self) -> dict[str, Callable[..., None]]:
        """The optimizer of each parameter that is trained, by its name."""
        parts = [config.optimizer for config in self.configs]
        bare = without_decay(self.stack.module, parts[0].get("exclude"))
        plain = [{**part, "weight_decay": 0.0} for part in parts] if bare else parts
        made: dict[tuple[int, bool], Callable[..., None]] = {}
        for name, each in self.stack.parameters.items():
            kind = (each.ndim, name in bare)
            if kind not in made:
                made[kind] = update_of(plain if name in bare else parts, each.ndim, self._tensor)
        return {
            name: made[each.ndim, name in bare]
            for name, each in self.stack.parameters.items()
            if each.requires_grad
        }

    def _tensor(self, numbers: Any) -> torch.Tensor:
        return torch.as_tensor(numbers, dtype=self.supply.dtype, device=self.device)

    def _any(self, numbers: Sequence[float | None]) -> torch.Tensor | None:
        """(K,); None where nobody has one."""
        return self._tensor(numbers) if any(numbers) else None

    def epoch(
        self, epoch: int, advance: Callable[[int], None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Trains one epoch: the losses (steps, K), and how many images were classified right (K,).

        Everything is summed on the device: reading a number there would make the host wait.
        """
        # A model that draws from them is alone: `training.stackable`.
        with global_generators(self.configs[0].seed_of("dropout"), "model", epoch):
            return self._epoch(epoch, advance)

    def _epoch(
        self, epoch: int, advance: Callable[[int], None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        size = self.stack.size
        losses = torch.empty(self.steps, size, device=self.device, dtype=self.supply.dtype)
        correct = torch.zeros(size, dtype=torch.long, device=self.device)
        batches = training(
            self.supply.train, self.supply.normalise, self.seeds, self.operations, epoch,
            self.batch_size,
        )  # fmt: skip
        keys = {name: self._keys(name, epoch) for name in self.dropouts}
        for step, (images, labels) in enumerate(batches):
            for name, key in keys.items():
                self.stack.buffers[f"{name}.key"].copy_(key + step)
            loss, right = self._step(images, labels, self.rates[(epoch - 1) * self.steps + step])
            losses[step] = loss
            correct += right
            advance(step + 1)
        return losses.cpu(), correct.cpu()

    def _keys(self, layer: str, epoch: int) -> torch.Tensor:
        """(K,) what the masks of a dropout layer begin with in an epoch."""
        seeds = [
            generator(config.seed_of("dropout"), f"dropout/{layer}", epoch).initial_seed()
            for config in self.configs
        ]
        signed = [seed - 2**64 if seed >= 2**63 else seed for seed in seeds]
        return torch.tensor(signed, device=self.device)

    def _step(
        self, images: torch.Tensor, labels: torch.Tensor, rates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step for (K,) learning rates: losses (K,) and images classified right (K,)."""
        tensors = self._tensors()
        # The first step makes the optimizer's averages; the last one of an epoch may be smaller.
        if not self.compiled or not self._begun or images.shape[1] != self.batch_size:
            return self._one_step(tensors, images, labels, rates)
        if self._fast is None:
            self._fast = self._compile(tensors, images, labels, rates)
        with torch.no_grad():
            return self._fast(tensors, images, labels, rates)

    @property
    def _begun(self) -> bool:
        return any(self.state.values())

    def _tensors(self) -> dict[str, Any]:
        """All that a step changes."""
        stack = self.stack
        return {"parameters": stack.parameters, "buffers": stack.buffers, "state": self.state}

    def _compile(self, *example: Any) -> Callable[..., Any]:
        """A step, its gradients and updates included, as one graph that PyTorch compiles.

        On a GPU as one CUDA graph, launched as a whole: a small network's time goes into launching
        its many small kernels.
        """
        kept = [each.detach().clone() for each in _leaves(self._tensors())]
        graph = make_fx(lambda *given: self._one_step(*given))(*example)  # which runs it
        with torch.no_grad():
            for tensor, before in zip(_leaves(self._tensors()), kept, strict=True):
                tensor.copy_(before)
        # It warns that there is no CUDA, where nobody asked for it.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        if self.device.type != "cuda":
            return torch.compile(graph)
        for tensor in _leaves(self._tensors()):
            mark_static(tensor)
        return torch.compile(graph, mode="reduce-overhead")

    def _one_step(
        self,
        tensors: Mapping[str, Any],
        images: torch.Tensor,
        labels: torch.Tensor,
        rates: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        parameters = tensors["parameters"]
        logits = self._logits(parameters, tensors["buffers"], images, training=True)  # (K, N, L)
        labels = labels.repeat_interleave(self.stack.size // len(labels), 0)  # (G, N) -> (K, N)
        loss = self.losses(logits, labels)  # (K,)
        trained = {name: parameters[name] for name in self.updates}
        found = torch.autograd.grad(loss.sum(), list(trained.values()), allow_unused=True)
        # As PyTorch's optimizers: what has no part in the loss stays as it is.
        used = {n: each for n, each in zip(trained, found, strict=True) if each is not None}
        with torch.no_grad():
            if self.limits is not None:
                shorter = clipped(list(used.values()), self.limits)
                used = dict(zip(used, shorter, strict=True))
            for name, gradient in used.items():
                rate = rates.view(axes(gradient.ndim))
                self.updates[name](trained[name], gradient, tensors["state"][name], rate)
            return loss.detach(), (logits.argmax(-1) == labels).sum(-1)

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
                self.state[of][key] = tensor.clone().to(self.device)
                continue
            # Laid out in memory as the parameter is: so were the sums that are continued.
            state = self.state[of].setdefault(
                key, torch.zeros_like(self.stack.parameters[of], requires_grad=False)
            )
            state[slot] = tensor.to(state.device)

    @torch.no_grad()
    def evaluate(self, images: Images) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss (K,) and accuracy (K,) on a split."""
        with global_generators(self.configs[0].seed_of("dropout"), "evaluation"):
            loss = torch.zeros(self.stack.size, device=self.device, dtype=self.supply.dtype)
            correct = torch.zeros(self.stack.size, dtype=torch.long, device=self.device)
            stack = self.stack
            for batch, labels in evaluation(images, self.supply.normalise):
                logits = self._logits(stack.parameters, stack.buffers, batch, training=False)
                shared = labels.expand(stack.size, -1)  # (N,) -> (K, N)
                each = F.cross_entropy(logits.flatten(0, 1), shared.flatten(), reduction="none")
                loss += each.view(shared.shape).mean(1) * len(labels)
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
        count = len(self.supply.train)
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

    def _logits(
        self,
        parameters: Mapping[str, torch.Tensor],
        buffers: Mapping[str, torch.Tensor],
        images: torch.Tensor,
        *,
        training: bool,
    ) -> torch.Tensor:
        """(K, N, L), of the supply's dtype."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            logits = self.stack.apply(parameters, buffers, images, training=training)
        return logits.to(self.supply.dtype)


def dtype_of(config: Config) -> torch.dtype:
    """Of a run's weights and images."""
    return torch.float64 if config.precision == "fp64" else torch.float32


def _groups(
    configs: Sequence[Config],
) -> tuple[list[Seeds], list[Mapping[str, Callable[..., torch.Tensor]]]]:
    """The seeds and the augmentation of each group of neighbours that see the same images.

    Groups are equally large; where neighbours do not agree, each variant is a group.
    """
    seeds = [Seeds(config.seed_of("order"), config.seed_of("augment")) for config in configs]
    keys = [repr(key) for key in zip(seeds, (config.augment for config in configs), strict=True)]
    count = len(set(keys))
    each = len(keys) // count
    grouped = all(keys[slot] == keys[slot - slot % each] for slot in range(len(keys)))
    step = each if grouped and each * count == len(keys) else 1
    operations = [
        {name: configured(part) for name, part in config.augment.items()}
        for config in configs[::step]
    ]
    return seeds[::step], operations


def _leaves(tensors: Mapping[str, Any]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for each in tensors.values():
        found += _leaves(each) if isinstance(each, Mapping) else [each]
    return found
