"""A small network on scikit-learn's digits, and the loop that trains it. Nothing is downloaded.

1,797 handwritten digits of 8 x 8 pixels come with the package scikit-learn (the test set of the UCI archive's
"Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, 1998).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from tqdm import tqdm

TEST = 297  # digits that are kept for the test, the last ones; 1,500 are left for training


@dataclass(frozen=True)
class Digits:
    """For training and for the test: images N x 1 x 8 x 8, float32 from 0 to 1, labels N, int64 0 to 9."""

    images: torch.Tensor
    labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor


def digits(device: str = "cpu") -> Digits:
    """The data set, in its own order, on `device`."""
    from sklearn.datasets import load_digits  # a second to import, which only this needs

    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16  # grey values from 0 to 16
    labels = torch.tensor(data.target, dtype=torch.int64)
    parts = images[:-TEST], labels[:-TEST], images[-TEST:], labels[-TEST:]
    return Digits(*(part.contiguous().to(device) for part in parts))


def small_cnn(
    conv: type[nn.Conv2d] = nn.Conv2d, channels: tuple[int, int] = (8, 16), seed: int = 0, device: str = "cpu"
) -> nn.Sequential:
    """Two convolutions of 3 x 3, the second with stride 2, and a linear layer: N x 1 x 8 x 8 to N x 10.

    Args:
        conv: the class of the convolutions, with the constructor and the initialisation of torch.nn.Conv2d.
        channels: outputs of the two convolutions.
        seed: decides the parameters, which are drawn on the CPU: the same for every class and device.
        device: where the parameters go.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, second = channels
        model = nn.Sequential(
            conv(1, first, 3, padding=1),
            nn.ReLU(),
            conv(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * 4 * 4, 10),
        )
    return model.to(device)


def train(
    model: nn.Module,
    data: Digits,
    steps: int,
    batch: int = 32,
    rate: float = 0.1,
    seed: int = 0,
    name: str = "",
) -> list[float]:
    """Train by stochastic gradient descent (momentum 0.9), and return the loss of every step.

    Args:
        model: gives logits, N x 10, for images.
        data: where the batches come from: epoch after epoch, each in an order of its own.
        steps: batches to train on.
        batch: images of one; what is left over at an epoch's end is left out.
        rate: the learning rate.
        seed: decides the order of the images; the same on every machine.
        name: stands before the progress bar.

    Raises:
        ValueError: a batch is larger than the data set.
        FloatingPointError: the loss is not finite; says at which step.
    """
    if not 0 < batch <= len(data.images):
        raise ValueError(f"batch must be from 1 to {len(data.images)}, not {batch}")
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    losses, order = [], torch.empty(0, dtype=torch.int64)
    with _one_thread():
        for step in tqdm(range(steps), name, unit="step", file=sys.stdout, mininterval=0.5):
            if len(order) < batch:
                order = torch.randperm(len(data.images), generator=generator)
            chosen, order = order[:batch].to(data.images.device), order[batch:]
            loss = nn.functional.cross_entropy(model(data.images[chosen]), data.labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the loss of step {step} is {losses[-1]}: is a gradient wrong?")
    return losses


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one CPU thread: operations as small as these would mostly wait for the other threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def accuracy(model: nn.Module, data: Digits) -> float:
    """The part of the test images that the model's largest logit names rightly, 0 to 1."""
    return (model(data.test_images).argmax(1) == data.test_labels).float().mean().item()
