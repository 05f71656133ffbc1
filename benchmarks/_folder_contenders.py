"""The contenders of folder.py. Each runs in a process of its own, warms up on one batch, then times one pass.

    python benchmarks/_folder_contenders.py NAME WORKPLACE THREADS

prints JSON: images a second, seconds of imports and loading, the engine, and of each image the best class and by how
much its probability leads.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litevision.runtime import Classifier

START = time.perf_counter()
BATCH = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Answers = list[tuple[int, float]]
Run = Callable[[list[Path]], Answers]


@dataclass(frozen=True)
class Job:
    """The folder with ``images/photos`` and the models, and how many threads there are."""

    place: Path
    threads: int

    def photos(self) -> list[Path]:
        """The images, in order."""
        return sorted((self.place / "images/photos").iterdir())


def torchvision(job: Job) -> tuple[str, Run]:
    """The tutorial's way: ImageFolder, DataLoader, the transforms of the weights, eager."""
    import torch
    from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

    network = mobilenet_v2()
    network.load_state_dict(torch.load(job.place / "torchvision.pth", weights_only=True))
    return "torch fp32", _torch_run(job, network, MobileNet_V2_Weights.IMAGENET1K_V1.transforms())


def timm(job: Job) -> tuple[str, Run]:
    """The same with timm's network and transforms."""
    import timm

    network = timm.create_model("mobilenetv2_100", checkpoint_path=job.place / "timm.pth")
    transform = timm.data.create_transform((3, 224, 224), interpolation="bilinear", mean=MEAN, std=STD, crop_pct=0.875)
    return "torch fp32", _torch_run(job, network, transform)


def _torch_run(job: Job, network: Any, transform: Any) -> Run:
    import torch
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    torch.set_num_threads(job.threads)
    network.eval()
    order: list[int] = []  # refilled for each pass, so that the workers, once started, see both
    dataset = ImageFolder(job.place / "images", transform)
    loader = DataLoader(dataset, BATCH, sampler=order, num_workers=job.threads, persistent_workers=True)

    def run(paths: list[Path]) -> Answers:
        order[:] = range(len(paths))
        with torch.inference_mode():
            return [answer for images, _ in loader for answer in _answers(network(images).softmax(1).numpy())]

    return run


def loop(job: Job, *, pool: bool) -> tuple[str, Run]:
    """A plain loop around onnxruntime: Pillow and numpy prepare a batch, then every thread computes it.

    Args:
        pool: images are prepared by as many threads, ahead of the batch that is computed.
    """
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    session = onnxruntime.InferenceSession(job.place / "plain.onnx", options, providers=["CPUExecutionProvider"])

    def run(paths: list[Path]) -> Answers:
        answers = []
        with ThreadPoolExecutor(job.threads) as executor:
            images = (executor.map if pool else map)(_prepared_by_hand, paths)
            for part in _chunks(paths, BATCH):
                [logits] = session.run(None, {"images": np.stack([next(images) for _ in part])})
                exponents = np.exp(logits - logits.max(1, keepdims=True))
                answers += _answers(exponents / exponents.sum(1, keepdims=True))
        return answers

    return "onnxruntime fp32", run


def _prepared_by_hand(path: Path) -> Any:
    import numpy as np
    from PIL import Image

    image = Image.open(path).convert("RGB")
    short = min(image.size)
    width, height = int(256 * image.width / short), int(256 * image.height / short)
    left, top = round((width - 224) / 2), round((height - 224) / 2)
    image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
    normalised = (np.asarray(image, np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return normalised.transpose(2, 0, 1)


def litevision(job: Job, *, engine: str) -> tuple[str, Run]:
    """What ``litevision classify FOLDER`` does."""
    from litevision.runtime.pipeline import classify_stream

    classifier = _opened(job, engine)

    def run(paths: list[Path]) -> Answers:
        answers = []
        for answer in classify_stream(classifier, paths, workers=job.threads, top=2):
            first, second = answer.predictions
            answers.append((first.index, first.score - second.score))
        return answers

    return classifier.bundle.engine.choice.title, run


def decoding(job: Job) -> tuple[str, Run]:
    """litevision without the network: as many workers, which prepare images alone."""
    from litevision.runtime.pipeline import BATCH_SIZE

    preprocess = _opened(job, "onnxruntime").preprocess

    def run(paths: list[Path]) -> Answers:
        with ThreadPoolExecutor(job.threads) as executor:
            list(executor.map(preprocess.batch, _chunks(paths, BATCH_SIZE)))
        return []

    return "", run


def inference(job: Job, *, engine: str) -> tuple[str, Run]:
    """litevision without images: as many workers, each of which computes ready batches on one thread."""
    import numpy as np

    from litevision.runtime.pipeline import BATCH_SIZE

    classifier = _opened(job, engine)
    batch_u8_nhwc = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, *classifier.preprocess.size_hw, 3), np.uint8)

    def run(paths: list[Path]) -> Answers:
        batches = [batch_u8_nhwc[: len(part)] for part in _chunks(paths, BATCH_SIZE)]
        with ThreadPoolExecutor(job.threads) as executor:
            list(executor.map(classifier.probabilities, batches))
        return []

    return classifier.bundle.engine.choice.title, run


def _opened(job: Job, engine: str) -> "Classifier":
    """As ``litevision classify`` opens it for a folder."""
    from litevision.runtime import load

    path, precision = job.place / "bundle.onnx", None
    if engine == "auto":
        from litevision.runtime.engines.auto import choose

        photos = job.photos()
        decision = choose(path, threads=1, streams=job.threads, images=len(photos), sample=photos[:16])
        engine, precision = decision.choice.name, decision.choice.precision
    return load(path, engine=engine, precision=precision, threads=1, streams=job.threads)


def _answers(probabilities: Any) -> Answers:
    """Each row's best class and how far it leads."""
    import numpy as np

    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return list(zip(probabilities.argmax(1).tolist(), (two[:, 1] - two[:, 0]).tolist(), strict=True))


def _chunks(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    return (paths[start : start + size] for start in range(0, len(paths), size))


CONTENDERS: dict[str, Callable[[Job], tuple[str, Run]]] = {
    "torchvision": torchvision,
    "timm": timm,
    "onnxruntime loop": partial(loop, pool=False),
    "onnxruntime loop, thread pool": partial(loop, pool=True),
    "litevision, onnxruntime": partial(litevision, engine="onnxruntime"),
    "litevision, auto": partial(litevision, engine="auto"),
    "decoding alone": decoding,
    "inference alone, onnxruntime": partial(inference, engine="onnxruntime"),
    "inference alone, auto": partial(inference, engine="auto"),
}


def main() -> None:
    """Times the contender that the command line names."""
    name, place, threads = sys.argv[1:]
    job = Job(Path(place), int(threads))
    engine, run = CONTENDERS[name](job)
    setup_s = time.perf_counter() - START
    paths = job.photos()
    run(paths[:BATCH])
    start = time.perf_counter()
    answers = run(paths)
    images_per_s = len(paths) / (time.perf_counter() - start)
    if not all(math.isfinite(margin) for _, margin in answers):
        sys.exit("the network gives no numbers")
    print(json.dumps({"images_per_s": images_per_s, "setup_s": setup_s, "engine": engine, "answers": answers}))


if __name__ == "__main__":
    main()
