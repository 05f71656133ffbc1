"""The fine-tuning loop of tutorials: eager, float32, NCHW, SGD with a cosine, a DataLoader worker a core.

    python benchmarks/_torchvision_finetuning.py FOLDER WEIGHTS EPOCHS SIZE THREADS SEED

prints JSON: the seconds of all epochs, and the validation images' top-1 in percent. WEIGHTS is a state_dict, or "none".
"""

import json
import sys
import time
from pathlib import Path

import torch
from _torchvision_loop import BATCH, MEAN, STD
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import mobilenet_v2
from training import CROP_SCALE, LR, MOMENTUM, WEIGHT_DECAY


def main() -> None:
    """Trains, and scores the last epoch."""
    folder, weights, *numbers = sys.argv[1:]
    epochs, size_px, threads, seed = map(int, numbers)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    as_input = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    cut = [transforms.RandomResizedCrop(size_px, CROP_SCALE), transforms.RandomHorizontalFlip()]
    whole = [transforms.Resize(size_px), transforms.CenterCrop(size_px)]
    dataset = ImageFolder(str(Path(folder, "train")), transforms.Compose(cut + as_input))
    judges = ImageFolder(str(Path(folder, "validation")), transforms.Compose(whole + as_input))
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=threads, drop_last=True)
    network = mobilenet_v2()
    if weights != "none":
        network.load_state_dict(torch.load(weights, weights_only=True))
    network.classifier[1] = nn.Linear(network.last_channel, len(dataset.classes))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), LR, MOMENTUM, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    network.train()
    start = time.perf_counter()
    for _ in range(epochs):
        for images, target in loader:
            loss = criterion(network(images), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    seconds = time.perf_counter() - start
    network.eval()
    with torch.inference_mode():
        right = sum(int((network(images).argmax(1) == target).sum()) for images, target in DataLoader(judges, BATCH))
    print(json.dumps({"seconds": seconds, "top1": 100 * right / len(judges), "engine": "torch fp32"}))


if __name__ == "__main__":
    main()
