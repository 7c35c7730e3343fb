"""The lab's own way, as a student writes it: the opponent of `benchmarks.grid`.

torchvision's transforms on PIL images, a DataLoader, one run after the other, the same model and
the same numbers: `python -m benchmarks.reference images.npz --workers 2 --epochs 2`. Prints the
seconds of each epoch, validation included.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.trainers import config_of
from cnnlab.data.dataset import Data, Split
from cnnlab.parts.data.npz import npz
from cnnlab.training.assemble import assemble


class Pictures(Dataset):
    """As torchvision's CIFAR10: an array in memory, a PIL image at a time."""

    def __init__(self, split: Split, transform: transforms.Compose):
        self.images, self.labels, self.transform = split.images, split.labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def loaders(data: Data, batch_size: int, workers: int) -> tuple[DataLoader, DataLoader]:
    """Of the training images and of the validation images."""
    pixels = data.train.images / 255
    last = [
        transforms.ToTensor(),
        transforms.Normalize(pixels.mean((0, 1, 2)).tolist(), pixels.std((0, 1, 2)).tolist()),
    ]
    first = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    training = Pictures(data.train, transforms.Compose([*first, *last]))
    validation = Pictures(data.val, transforms.Compose(last))
    return (
        DataLoader(training, batch_size=batch_size, shuffle=True, num_workers=workers),
        DataLoader(validation, batch_size=100, num_workers=workers),
    )


def train(
    model: nn.Module, training: DataLoader, optimizer: torch.optim.Optimizer, device: torch.device
) -> tuple[float, float]:
    """One epoch: mean loss and accuracy."""
    model.train()
    loss_sum, correct, count = 0.0, 0, 0
    for images, labels in training:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        outputs = model(images)
        loss = nn.functional.cross_entropy(outputs, labels)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(labels)
        correct += (outputs.argmax(1) == labels).sum().item()
        count += len(labels)
    return loss_sum / count, correct / count


@torch.no_grad()
def validate(model: nn.Module, validation: DataLoader, device: torch.device) -> float:
    """Accuracy."""
    model.eval()
    correct, count = 0, 0
    for images, labels in validation:
        images, labels = images.to(device), labels.to(device)
        correct += (model(images).argmax(1) == labels).sum().item()
        count += len(labels)
    return correct / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--norms", nargs="+", default=["bn", "none"])
    parser.add_argument("--rates", nargs="+", type=float, default=[0.01, 0.02, 0.1])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    asked = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = npz(path=str(asked.images), validation=0.1, split_seed=0)
    seconds = []
    for norm in asked.norms:
        config = config_of(f"norm={norm}")
        for rate in asked.rates:
            torch.manual_seed(0)
            training, validation = loaders(data, config.batch_size, asked.workers)
            model = assemble(config, data.shape, len(data.classes)).to(device)
            optimizer = torch.optim.SGD(
                model.parameters(), rate, momentum=config.optimizer["momentum"],
                weight_decay=config.optimizer["weight_decay"],
            )  # fmt: skip
            for _ in range(asked.epochs):
                began = time.perf_counter()
                train(model, training, optimizer, device)
                validate(model, validation, device)
                seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
