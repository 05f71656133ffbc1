"""The loop of torchvision's references, as tutorials have it: eager, float32, NCHW, SGD, a DataLoader worker a core.

    python benchmarks/_torchvision_loop.py FOLDER EPOCHS SIZE THREADS

prints JSON: the images a second of the EPOCHS after the first, and the share of their time that waited for images.
"""

import json
import math
import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import mobilenet_v2
from training import CROP_SCALE, LR, MOMENTUM, WEIGHT_DECAY

BATCH = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    """Trains, and times all epochs but the first."""
    folder, *numbers = sys.argv[1:]
    epochs, size_px, threads = map(int, numbers)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(size_px, CROP_SCALE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    dataset = ImageFolder(folder, transform)
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=threads, drop_last=True)
    network = mobilenet_v2(num_classes=len(dataset.classes)).train()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), LR, MOMENTUM, weight_decay=WEIGHT_DECAY)
    images_seen, seconds, wait_seconds = 0, 0.0, 0.0
    for epoch in range(1 + epochs):
        start = mark = time.perf_counter()
        waited = 0.0
        for images, target in loader:
            waited += time.perf_counter() - mark
            loss = criterion(network(images), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if not math.isfinite(loss.item()):
                sys.exit(f"the loss is {loss.item()}")
            mark = time.perf_counter()
        if epoch:
            images_seen += len(loader) * BATCH
            seconds += mark - start
            wait_seconds += waited
    result = {"images_per_s": images_seen / seconds, "wait_share": wait_seconds / seconds, "engine": "torch fp32"}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
