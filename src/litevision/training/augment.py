"""What is done to training images: to each on its own, and to a batch."""

from collections.abc import Callable

from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from litevision.training.batches import Transform
from litevision.training.recipe import Augment

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes images [N, 3, H, W] and classes [N]; gives images and the parts of the classes [N, classes]."""

_GREY = [124, 116, 104]  # ImageNet's mean, where a rotation or a shear leaves the image's edge
_RATIO = (3 / 4, 4 / 3)


def image_transform(options: Augment, size_hw: tuple[int, int]) -> Transform:
    """Pillow image to ``uint8[3, H, W]``; every draw comes from torch's own generator."""
    steps: list[Callable[..., object]] = [
        v2.RandomResizedCrop(list(size_hw), options.crop_scale, _RATIO, InterpolationMode.BILINEAR, antialias=True)
    ]
    if options.flip:
        steps.append(v2.RandomHorizontalFlip())
    if options.policy == "trivialaugment":
        steps.append(v2.TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR, fill=_GREY))
    if options.policy == "randaugment":
        steps.append(v2.RandAugment(interpolation=InterpolationMode.BILINEAR, fill=_GREY))
    steps.append(v2.PILToTensor())
    if options.erasing:
        steps.append(v2.RandomErasing(options.erasing, value=_GREY))
    transform: Transform = v2.Compose(steps)
    return transform


def batch_mix(options: Augment, num_classes: int) -> Mix | None:
    """Mixup, CutMix, or one of the two by chance; None without either."""
    mixes: list[Mix] = []
    if options.mixup:
        mixes.append(v2.MixUp(alpha=options.mixup, num_classes=num_classes))
    if options.cutmix:
        mixes.append(v2.CutMix(alpha=options.cutmix, num_classes=num_classes))
    if not mixes:
        return None
    mix: Mix = v2.RandomChoice(mixes)
    return mix
