"""The schema of the registry of published weight files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# torch.hub writes the first digits of a file's sha256 into its name: mobilenet_v2-7ebf99e0.pth.
_HUB_PREFIX = re.compile(r"-([0-9a-f]{8,64})\.pth$")


@dataclass(frozen=True)
class InputSpec:
    """How an image becomes the input for which the published score was measured.

    Attributes:
        size_hw: the input, in pixels, after a centre crop.
        resize_px: the shorter side before that crop.
        interpolation: ``bilinear`` or ``bicubic``.
        mean: per channel, RGB, of pixel / 255.
        std: per channel, RGB, of pixel / 255.
        crop: ``center``; of detectors ``letterbox``.
        pad_value: of a letterbox, the grey around the image.
    """

    size_hw: tuple[int, int]
    resize_px: int
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: Literal["center", "letterbox"] = "center"
    pad_value: int | None = None


@dataclass(frozen=True)
class WeightSet:
    """One weight file that somebody published, with its chain of custody.

    Attributes:
        name: ours; how it is built stands in ``weight_sets``.
        architecture: a name of ``ARCHITECTURES`` or ``DETECTORS``.
        dialect: the form of the network that the tensors fit.
        url: where its publisher keeps it.
        mirrors: other places, tried in turn. A mirror whose file has the same name holds the same bytes; another name
            means the same tensors in another container, with a hash of its own.
        num_bytes: size of the file at ``url``, within ``num_bytes_tolerance``; None where not established.
        sha256: all 64 digits; None where not established.
        hash_prefix: the leading digits of the sha256 that the publisher gives in the file's name.
        md5: where the publisher gives an md5 instead.
        num_classes: 0 for a file without a classifier.
        background_class: whether class 0 is "background", as in slim's heads of 1001.
        input: the preprocessing that the claimed score belongs to.
        licence: of the weights, by SPDX name. The terms of use of the training data apply beside it.
        source: the page that the claims come from.
        top1: the score that its publisher claims, in percent; None where there is none. Not measured by us.
        top5: likewise.
        ap: of a detector, the average precision that its publisher claims, in percent; None for classifiers.
        claim_dataset: what the claim was measured on.
        options: arguments of the architecture's builder beyond width and classes.
        tags: ``notop`` for a file without a classifier.
        aliases: the set's names at its origin, which ``find_weight_set`` resolves too.
    """

    name: str
    architecture: str
    dialect: str
    width_mult: float
    url: str
    mirrors: tuple[str, ...]
    num_bytes: int | None
    sha256: str | None
    hash_prefix: str | None
    md5: str | None
    num_classes: int
    background_class: bool
    input: InputSpec
    licence: str
    source: str
    top1: float | None
    top5: float | None
    claim_dataset: str = "ImageNet-1k val"
    training_data: str = "ImageNet-1k"
    options: Mapping[str, object] = field(default_factory=dict, hash=False)
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    num_bytes_tolerance: int = 0
    ap: float | None = None

    @property
    def check(self) -> Literal["sha256", "prefix", "md5", "size", "nothing"]:
        """The strongest that a download can be compared with; ``prefix`` is the first digits of its sha256."""
        if self.sha256 is not None:
            return "sha256"
        if self.hash_prefix is not None:
            return "prefix"
        if self.md5 is not None:
            return "md5"
        return "nothing" if self.num_bytes is None else "size"

    @property
    def is_checked(self) -> bool:
        """Whether its full sha256 is known: all else can be made to fit, and is taken only where it is asked for."""
        return self.check == "sha256"


def published_prefix(url: str) -> str | None:
    """The leading sha256 digits in a file name of torch.hub's pattern, or None."""
    found = _HUB_PREFIX.search(url)
    return found.group(1) if found else None
