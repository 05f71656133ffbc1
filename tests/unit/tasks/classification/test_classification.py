"""The loss and the validation of classification, against plain formulas."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litevision.evaluation import evaluate_bundle, scores
from litevision.exporting.bundle import export_bundle
from litevision.hub import load
from litevision.image import Preprocess
from litevision.models.network import Network
from litevision.runtime import Normalisation, Weights
from litevision.tasks.classification.objective import ClassificationObjective, batch_mix
from litevision.tasks.classification.recipe import Augment, ClassificationRecipe
from litevision.training.image_cache import ImageCache
from trainings import CLASSES, select_split, tiny_network, tiny_recipe, write_colours

NORMALISATION = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
PREPROCESS = Preprocess((32, 32), 36, "center", "bilinear")


class Fixed(nn.Module):
    """Gives the same logits whatever it sees, and keeps what it saw."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        return self.logits


class FixedTeacher:
    def __init__(self, found: Tensor) -> None:
        self._found = found

    def logits(self, images: Tensor) -> Tensor:
        self.seen = images
        return self._found


def task(
    recipe: ClassificationRecipe, tmp_path: Path, counts: tuple[int, ...] = (1, 1, 1), teacher: Any = None
) -> ClassificationObjective:
    store = ImageCache(tmp_path / "cache", [], Path.read_bytes, 0)
    return ClassificationObjective(recipe, NORMALISATION, counts, (), store, teacher)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=random)
    return images, torch.tensor([0, 2, 1, 2])


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(1)) * 2


def plain(*changes: Any) -> ClassificationRecipe:
    return tiny_recipe({"loss": {"label_smoothing": 0.0}}, *changes)


def test_images_are_normalised_and_channels_last(batch: tuple[Tensor, Tensor], logits: Tensor, tmp_path: Path) -> None:
    network = Fixed(logits)
    task(plain(), tmp_path).loss(network, batch)
    expected = (batch[0].double() / 255 - torch.tensor(NORMALISATION.mean, dtype=torch.float64).view(3, 1, 1)) / (
        torch.tensor(NORMALISATION.std, dtype=torch.float64).view(3, 1, 1)
    )
    torch.testing.assert_close(network.seen.double(), expected, rtol=0, atol=1e-5)
    assert network.seen.is_contiguous(memory_format=torch.channels_last)


def test_cross_entropy_with_label_smoothing(batch: tuple[Tensor, Tensor], logits: Tensor, tmp_path: Path) -> None:
    found = task(tiny_recipe({"loss": {"label_smoothing": 0.2}}), tmp_path).loss(Fixed(logits), batch)
    targets = np.full((4, 3), 0.2 / 3) + 0.8 * np.eye(3)[batch[1]]
    x = logits.double().numpy()
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    assert found.item() == pytest.approx(-(targets * log_p).sum(1).mean())


def test_class_weights(batch: tuple[Tensor, Tensor], logits: Tensor, tmp_path: Path) -> None:
    counts = (10, 30, 60)
    found = task(plain({"loss": {"class_weights": "balanced"}}), tmp_path, counts).loss(Fixed(logits), batch)
    each = -logits.double().log_softmax(1)[range(4), batch[1]].numpy()
    weights = np.array([100 / (3 * counts[label]) for label in batch[1]])
    assert found.item() == pytest.approx((weights * each).sum() / weights.sum())


@pytest.mark.parametrize(("weight", "temperature"), [(0.3, 1.0), (0.5, 4.0), (1.0, 2.0)])
def test_distillation(
    batch: tuple[Tensor, Tensor], logits: Tensor, tmp_path: Path, weight: float, temperature: float
) -> None:
    told = torch.randn(4, 3, generator=torch.Generator().manual_seed(2)) * 3
    recipe = plain({"loss": {"teacher_weight": weight, "teacher_temperature": temperature}})
    teacher = FixedTeacher(told)
    found = task(recipe, tmp_path, teacher=teacher).loss(Fixed(logits), batch)

    def softmax(x: Tensor) -> Any:
        e = np.exp(x.double().numpy() / temperature)
        return e / e.sum(1, keepdims=True)

    p, q = softmax(told), softmax(logits)
    distance = (p * np.log(p / q)).sum(1).mean() * temperature**2
    hard = -logits.double().log_softmax(1)[range(4), batch[1]].mean()
    assert found.item() == pytest.approx(float((1 - weight) * hard + weight * distance), rel=1e-5)
    assert torch.equal(teacher.seen, batch[0].float())


def test_a_teacher_that_says_the_same_adds_no_gradient(
    batch: tuple[Tensor, Tensor], logits: Tensor, tmp_path: Path
) -> None:
    network = Fixed(logits.clone())
    recipe = plain({"loss": {"teacher_weight": 1.0}})
    task(recipe, tmp_path, teacher=FixedTeacher(logits + 5)).loss(network, batch).backward()
    assert network.logits.grad is not None
    assert float(network.logits.grad.abs().max()) < 1e-6


@pytest.mark.parametrize("options", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}])
def test_mixed_targets_are_parts_that_follow_from_the_seed(batch: tuple[Tensor, Tensor], options: Any) -> None:
    mix = batch_mix(Augment(**options), 3)
    assert mix is not None
    found = []
    for seed in (0, 0, 1, 2, 3):
        torch.manual_seed(seed)
        images, targets = mix(batch[0].float(), batch[1])
        assert targets.shape == (4, 3)
        torch.testing.assert_close(targets.sum(1), torch.ones(4))
        assert float(targets.min()) >= 0
        found.append(images)
    assert torch.equal(found[0], found[1])
    assert any(not torch.equal(found[0], other) for other in found[2:])


def test_mixup_mixes_what_its_targets_say(batch: tuple[Tensor, Tensor]) -> None:
    mix = batch_mix(Augment(mixup=1.0), 3)
    assert mix is not None
    torch.manual_seed(3)
    images, targets = mix(batch[0].float(), torch.tensor([0, 1, 2, 0]))
    # Image 1 is mixed with the one before it.
    part = float(targets[1, 1])
    assert 0 < part < 1
    assert float(targets[1, 0]) == pytest.approx(1 - part)
    torch.testing.assert_close(images[1], part * batch[0][1] + (1 - part) * batch[0][0], rtol=1e-5, atol=1e-3)


def test_cutmix_takes_as_much_area_as_its_targets_say() -> None:
    mix = batch_mix(Augment(cutmix=1.0), 2)
    assert mix is not None
    images = torch.stack([torch.full((3, 20, 20), float(value)) for value in (0, 9)])
    for seed in range(5):
        torch.manual_seed(seed)
        mixed, targets = mix(images, torch.tensor([0, 1]))
        assert set(mixed.unique().tolist()) <= {0.0, 9.0}
        assert float((mixed[0] == 9).float().mean()) == pytest.approx(float(targets[0, 1]), abs=1e-6)


def test_no_mix_unless_asked_for() -> None:
    assert batch_mix(Augment(), 3) is None


def test_a_mixed_batch_reaches_the_network(batch: tuple[Tensor, Tensor], logits: Tensor, tmp_path: Path) -> None:
    mixing = task(plain({"augment": {"mixup": 1.0}}), tmp_path)
    network = Fixed(logits)
    torch.manual_seed(3)
    mixing.loss(network, batch)
    unmixed = Fixed(logits)
    task(plain(), tmp_path / "other").loss(unmixed, batch)
    assert not torch.allclose(network.seen, unmixed.seen)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Network]:
    """Validation images, and a network with statistics of its own, so that its answers differ."""
    folder = write_colours(tmp_path_factory.mktemp("data"), 1, validation=13)  # more than a batch
    network = tiny_network(seed=4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    images = torch.stack(
        [torch.from_numpy(PREPROCESS(sample.path)).permute(2, 0, 1) for sample in select_split(folder, "validation")]
    )
    with torch.no_grad():
        network.train()((images / 255 - 0.45) / 0.225)
    return folder, network.eval()


def validated(folder: Path, network: Network, tmp_path: Path) -> Any:
    samples = select_split(folder, "validation")
    store = ImageCache(tmp_path / "cache", [sample.path for sample in samples], PREPROCESS, 10**7)
    return ClassificationObjective(plain(), NORMALISATION, (1, 1, 1), samples, store, None).validate(network)


def test_validation_is_the_runtimes_preprocessing_and_the_network(judged: tuple[Path, Network], tmp_path: Path) -> None:
    folder, network = judged
    losses, right = [], []
    for sample in select_split(folder, "validation"):
        image = torch.from_numpy(PREPROCESS(sample.path)).double().permute(2, 0, 1) / 255
        mean, std = (torch.tensor(value).double().view(3, 1, 1) for value in (NORMALISATION.mean, NORMALISATION.std))
        with torch.no_grad():
            logits = network(((image - mean) / std)[None].float())[0]
        losses.append(float(F.cross_entropy(logits.double(), torch.tensor(sample.label))))
        right.append(int(logits.argmax()) == sample.label)
    found = validated(folder, network, tmp_path)
    assert len(losses) == 39
    assert len({round(loss, 3) for loss in losses}) > 10
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert found.top1 == pytest.approx(100 * np.mean(right))


def test_validation_agrees_with_the_bundle(judged: tuple[Path, Network], tmp_path: Path) -> None:
    folder, network = judged
    found = validated(folder, network, tmp_path)
    export_bundle(
        network,
        tmp_path / "model.onnx",
        labels=CLASSES,
        preprocess=PREPROCESS,
        normalisation=NORMALISATION,
        weights=Weights(name="tiny", provenance="tests", licence="Apache-2.0", sha256="0" * 64),
        training_data="none",
    )
    samples = select_split(folder, "validation")
    measured = scores(evaluate_bundle(load(tmp_path / "model.onnx"), samples, CLASSES, split="validation"))
    assert measured.mean_loss == pytest.approx(found.loss, rel=1e-4)
    assert measured.top1 == pytest.approx(found.top1)
