"""Trains the weights of zoo/imagenet-1k.onnx, rounded to 8 and 4 bits, to answer as their original does.

    python tools/round_imagenet.py WEIGHTS SHARED/data --work FOLDER

WEIGHTS is a real MobileNetV2 with its classifier, 14 MB; as whole numbers of 8 bits, and of 4 bits in its last third,
the same network has 2.3 MB. Rounded to the nearest it has lost much; this gives it back, in three steps, each of which
is kept in FOLDER and taken up again by the next call:

1. crops of freely licensed images, mixed with each other, and what the original answers to them;
2. rounding column by column, where what is left of a column's error is made good by those still to come (Frantar et
   al. 2022, arXiv:2210.17323);
3. training of the rounded layers to answer as the original does, on soft targets, straight through the rounding
   (Jacob et al. 2018, arXiv:1712.05877). Batch normalisation is folded into the convolutions, and so is frozen.

Images that were held back choose the epoch. Then tools/pack_imagenet.py makes the bundle.
"""

import argparse
import copy
import json
import math
import random
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from litevision import zoo
from litevision.exporting.bundle import export_bundle
from litevision.exporting.graph import fold_batch_norm
from litevision.models.pretrained import Pretrained
from litevision.weights.load import load_network

RECIPE = Path(zoo.__file__).with_name("imagenet-1k.toml")
SIDE = 224
TAIL = ("features.block_14", "features.block_15", "features.block_16", "features.conv_last", "head.classifier")
"""What is stored in 4 bits, depthwise convolutions apart, and trained."""
HELD_BACK = ("elephant", "owl", "pets", "hot_dog", "kite_and_cold", "sunflower")
BLOCK = 32
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("data", type=Path, help="the folder with clothing, bccd and photos")
    parser.add_argument("--work", type=Path, required=True)
    for name, value in tomllib.loads(RECIPE.read_text("utf-8")).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    teacher = fold_batch_norm(load_network(str(options.weights)))
    student = fold_batch_norm(teacher).to(memory_format=torch.channels_last)
    for name, layer in kernels(student):
        if bits_of(name) == 8:
            round_8(layer)
    train, held = collected(teacher, options)
    first = options.work / "rounded.pt"
    if first.exists():
        student = rounded_like(teacher)
        student.load_state_dict(torch.load(first))
    else:
        say("rounded to the nearest", agreement(rounded_like(teacher), held))
        for name, layer in kernels(student):
            if bits_of(name) == 4:
                last = name == TAIL[-1]
                damping = options.classifier_damping if last else options.damping
                compensate(student, layer, train, damping, len(train.features) if last else 512)
        torch.save(student.state_dict(), first)
    say("column by column", agreement(student, held))
    teach(student, train, held, options)


def kernels(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Every convolution and the classifier, by its path."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield name.removesuffix(".conv"), module


def bits_of(name: str) -> int:
    return 4 if name.startswith(TAIL) and not name.endswith("depthwise") else 8


class Rounded(nn.Module):
    """A kernel [O, I, ...] as whole numbers times a scale for each output and block of inputs; gradients pass."""

    def __init__(self, scale: Tensor, lowest: int, highest: int) -> None:
        super().__init__()
        self.scale = nn.Buffer(scale.detach().half().float())
        self.lowest, self.highest = lowest, highest

    def spread(self, like: Tensor) -> Tensor:
        """The scale of each number of ``like``."""
        inputs = like.flatten(1).shape[1]
        return self.scale.repeat_interleave(math.ceil(inputs / self.scale.shape[1]), 1)[:, :inputs].reshape(like.shape)

    def codes(self, kernel: Tensor) -> Tensor:
        return (kernel / self.spread(kernel)).round().clamp(self.lowest, self.highest)

    def forward(self, kernel: Tensor) -> Tensor:
        rounded = self.codes(kernel) * self.spread(kernel)
        return kernel + (rounded - kernel).detach()


def round_8(layer: nn.Module) -> None:
    kernel = layer.weight
    scale = kernel.flatten(1).abs().amax(1, keepdim=True).clamp(min=1e-6) / 127
    parametrize.register_parametrization(layer, "weight", Rounded(scale, -127, 127))


def round_4(layer: nn.Module, scale: Tensor) -> None:
    parametrize.register_parametrization(layer, "weight", Rounded(scale, -8, 7))


def best_scale(block: Tensor) -> Tensor:
    """The scale of each row [O, B], signed, with the least squared error in 4 bits, [O, 1]."""
    index = block.abs().argmax(1, keepdim=True)
    extreme = block.gather(1, index)
    best, least = torch.zeros_like(extreme), torch.full_like(extreme, math.inf)
    for part in torch.linspace(0.5, 1.05, 23):
        scale = (-extreme * part / 8).half().float()
        scale = torch.where(scale.abs() < 1e-7, torch.full_like(scale, 1e-7), scale)
        error = ((block / scale).round().clamp(-8, 7) * scale - block).square().sum(1, keepdim=True)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best


def rounded_like(network: nn.Module) -> nn.Module:
    """A copy of a folded network with every kernel rounded to the nearest."""
    student = copy.deepcopy(network)
    for name, layer in kernels(student):
        if bits_of(name) == 8:
            round_8(layer)
        else:
            flat = layer.weight.detach().flatten(1)
            round_4(layer, torch.cat([best_scale(block) for block in flat.split(BLOCK, 1)], 1))
    return student


def compensate(student: nn.Module, layer: Any, train: "Answers", damping: float, crops: int) -> None:
    """Rounds ``layer`` to 4 bits, column by column; later columns make good for the errors of earlier ones."""
    inputs = layer.weight.shape[1]
    moment, count = torch.zeros(inputs, inputs), 0

    def gather(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        nonlocal count
        rows = given[0].detach()
        rows = rows.movedim(1, -1).reshape(-1, inputs) if rows.dim() == 4 else rows
        moment.addmm_(rows.T, rows)
        count += len(rows)

    hook = layer.register_forward_pre_hook(gather)
    with torch.no_grad():
        for features, _ in train.batches(torch.arange(min(crops, len(train.features)))):
            tail(student, features)
    hook.remove()
    moment /= count
    moment += damping * moment.diagonal().mean() * torch.eye(inputs)
    factor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(moment.double())), upper=True).float()
    kernel, scales = layer.weight.detach().flatten(1).clone(), []
    for start in range(0, inputs, BLOCK):
        block = kernel[:, start : start + BLOCK]
        scales.append(best_scale(block))
        errors = torch.zeros_like(block)
        for at in range(block.shape[1]):
            column = block[:, at : at + 1]
            rounded = (column / scales[-1]).round().clamp(-8, 7) * scales[-1]
            errors[:, at : at + 1] = (column - rounded) / factor[start + at, start + at]
            block[:, at + 1 :] -= errors[:, at : at + 1] * factor[start + at, start + at + 1 : start + block.shape[1]]
            block[:, at : at + 1] = rounded
        kernel[:, start + BLOCK :] -= errors @ factor[start : start + block.shape[1], start + BLOCK :]
    with torch.no_grad():
        layer.weight.copy_(kernel.reshape(layer.weight.shape))
    round_4(layer, torch.cat(scales, 1))


def tail(network: Any, features: Tensor) -> Tensor:
    """The part that is trained, to logits [N, 1000]."""
    started, features = False, features.contiguous(memory_format=torch.channels_last)
    for name, part in network.features.named_children():
        started = started or f"features.{name}" == TAIL[0]
        if started:
            features = part(features)
    found: Tensor = network.head(features)
    return found


class Answers:
    """Features of crops where the trained part begins, as float16, and what the original answers to the crops."""

    def __init__(self, features: Tensor, logits: Tensor) -> None:
        self.features, self.logits = features, logits

    def batches(self, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.arange(len(self.features)) if order is None else order
        for at in order.split(BATCH):
            yield self.features[at].float(), self.logits[at]


def collected(teacher: Any, options: Any) -> tuple[Answers, Answers]:
    kept = options.work / "answers.pt"
    if not kept.exists():
        data = options.data
        chance = random.Random(options.seed)
        facts = teacher.pretrained
        original = Engine(teacher, options.work / "original.onnx", facts, features=False)
        rounded = Engine(rounded_like(teacher), options.work / "rounded.onnx", facts, features=True)
        photos = sorted(it for it in (data / "photos").iterdir() if it.suffix in (".jpg", ".bmp"))
        held = [it for it in photos if it.stem in HELD_BACK]
        photos = [it for it in photos if it not in held] + sorted((data / "photos/exif").glob("*_1.jpg"))
        clothing = sorted((data / "clothing/train").rglob("*.jpg"))
        names = (data / "bccd/ImageSets/Main/train.txt").read_text().split()
        blood = [data / f"bccd/JPEGImages/{name}.jpg" for name in names]
        pool = clothing + blood + photos * (len(clothing) // (2 * len(photos)))
        validation = sorted((data / "clothing/validation").rglob("*.jpg"))
        validation += held * (len(validation) // len(held))
        chance.shuffle(pool)
        torch.save(
            [
                answers(original, rounded, pool, options.crops, chance, mix=True),
                answers(original, rounded, validation, len(validation), chance, mix=False),
            ],
            kept,
        )
    return tuple(Answers(*it) for it in torch.load(kept))  # type: ignore[return-value]


def answers(
    teacher: "Engine", student: "Engine", files: list[Path], count: int, chance: random.Random, *, mix: bool
) -> tuple[Tensor, Tensor]:
    """Features of ``count`` crops as float16, and the logarithms of the original's probabilities for them."""
    features, answered = [], []
    start = time.perf_counter()
    for at in range(0, count, BATCH):
        images = torch.stack([crop(files[index % len(files)], chance) for index in range(at, min(at + BATCH, count))])
        batch = (mixed(images, chance) if mix else images).numpy()
        features.append(torch.from_numpy(student(batch)).half())
        answered.append(torch.from_numpy(teacher(batch)).log())
        if at % (20 * BATCH) == 0:
            say("crops", {"made": at + len(images), "s": round(time.perf_counter() - start)})
    return torch.cat(features), torch.cat(answered)


class Engine:
    """One output of a network in onnxruntime, several times as quick as torch; it takes uint8 [N, 224, 224, 3]."""

    def __init__(self, network: Any, path: Path, facts: Pretrained, *, features: bool) -> None:
        if not path.exists():
            export_bundle(
                network,
                path,
                labels=facts.labels or (),
                preprocess=facts.preprocess,
                normalisation=facts.normalisation,
                weights=facts.weights,
                training_data="",
            )
        model = onnx.load(path)
        self.output = model.graph.output[0].name
        if features:
            kernel = f"network.{TAIL[0]}.expand.conv.weight"
            [self.output] = [
                node.input[0] for node in model.graph.node if node.op_type == "Conv" and kernel in node.input
            ]
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(self.output))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def __call__(self, images: Any) -> Any:
        return self.session.run([self.output], {"images": images})[0]


def crop(path: Path, chance: random.Random) -> Tensor:
    """A part of the image, of any size from a twelfth to all of it, mirrored, its colours and light changed: uint8."""
    with Image.open(path) as opened:
        opened.draft("RGB", (400, 400))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    area = image.width * image.height * chance.uniform(0.08, 1)
    stretch = math.exp(chance.uniform(-0.3, 0.3))
    width, height = (
        min(round(math.sqrt(area * stretch)), image.width),
        min(round(math.sqrt(area / stretch)), image.height),
    )
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    if chance.random() < 0.5:
        image = ImageOps.mirror(image)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = change(image).enhance(chance.uniform(0.6, 1.4))
    if chance.random() < 0.2:
        image = image.rotate(chance.choice((90, 180, 270)))
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(SIDE, SIDE, 3)


def mixed(images: Tensor, chance: random.Random) -> Tensor:
    """A third as it is, a third blended with another, a third with a rectangle of another."""
    result = images.clone()
    for index in range(len(images)):
        other, kind = images[chance.randrange(len(images))], chance.randrange(3)
        if kind == 1:
            part = chance.uniform(0.2, 0.5)
            result[index] = (images[index] * (1 - part) + other * part).round().byte()
        elif kind == 2:
            width, height = chance.randint(60, 180), chance.randint(60, 180)
            left, top = chance.randint(0, SIDE - width), chance.randint(0, SIDE - height)
            result[index, :, top : top + height, left : left + width] = other[
                :, top : top + height, left : left + width
            ]
    return result


def agreement(student: nn.Module, held: Answers) -> dict[str, float]:
    """How far the answers to images that were held back are the original's."""
    with torch.inference_mode():
        found = torch.cat([tail(student, features) for features, _ in held.batches()])
    same = (found.argmax(1) == held.logits.argmax(1)).float().mean().item()
    return {"agreement": round(same, 4), "divergence": round(divergence(found, held.logits).item(), 5)}


def divergence(found: Tensor, wanted: Tensor, temperature: float = 1.0) -> Tensor:
    wanted = functional.log_softmax(wanted / temperature, 1)
    found = functional.log_softmax(found / temperature, 1)
    return functional.kl_div(found, wanted, log_target=True, reduction="batchmean") * temperature**2


def teach(student: nn.Module, train: Answers, held: Answers, options: Any) -> None:
    """Trains the 4-bit layers and their neighbours, and keeps the epoch that agrees best on images held back."""
    parameters = [it for name, it in student.named_parameters() if name.startswith(TAIL)]
    optimizer = torch.optim.Adam(parameters, lr=options.lr)
    steps = math.ceil(len(train.features) / BATCH) * options.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda at: 0.5 * (1 + math.cos(math.pi * min(at / steps, 1)))
    )
    state = options.work / "training.pt"
    epoch, best = 0, agreement(student, held)["divergence"]
    if state.exists():
        kept = torch.load(state)
        student.load_state_dict(kept["student"]), optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        epoch, best = kept["epoch"], kept["best"]
    else:
        torch.save(student.state_dict(), options.work / "best.pt")
    for at in range(epoch, options.epochs):
        order = torch.randperm(len(train.features), generator=torch.Generator().manual_seed(options.seed + at))
        total = 0.0
        for features, logits in train.batches(order):
            loss = divergence(tail(student, features), logits, 1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step(), schedule.step()
            total += loss.item()
        found = agreement(student, held)
        say(f"epoch {at + 1}", {"loss": round(total / math.ceil(len(train.features) / BATCH), 5), **found})
        if found["divergence"] < best:
            best = found["divergence"]
            torch.save(student.state_dict(), options.work / "best.pt")
        kept = {"student": student.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        torch.save({**kept, "epoch": at + 1, "best": best}, state)


def say(what: str, found: dict[str, Any]) -> None:
    print(what, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
