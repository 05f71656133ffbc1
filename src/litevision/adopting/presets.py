"""How well-known projects feed their networks: one row of ``PRESETS`` each.

A preset is what ``--preset`` says at once; each of its facts can be said by an option of its own, which then counts.
"""

from dataclasses import dataclass, replace
from typing import Any

from litevision.adopting.foreign import Channels, Feeding
from litevision.errors import UnknownNameError, UsageError
from litevision.image import Preprocess
from litevision.image.transforms import Align, Crop, Interpolation
from litevision.runtime.metadata import NORMALISATIONS, Normalisation, Task

IMAGENET, HALF, UNIT = (NORMALISATIONS[name] for name in ("imagenet", "half", "unit"))
NONE = Normalisation((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
ADOPTED_NORMALISATIONS = {**NORMALISATIONS, "none": NONE}
"""By name: those of `litevision.runtime.metadata.NORMALISATIONS`, and pixels from 0 to 255 as they are."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A row of ``PRESETS``; what is None is taken from the file or by the task.

    Attributes:
        help: whose networks these are, in a few words.
        normalisation: of pixels, in the order red, green, blue.
        channels: the order that the network takes.
        crop: how an image becomes the input.
        crop_fraction: of the crop "center", the part of the resized shorter side that is kept.
        interpolation: the filter of the resize.
        pad_value: of a letterbox, its grey.
        align: of a letterbox, where the image lies.
        decoding: the row of ``DECODINGS``; None for the one that is recognised.
        iou_threshold: of a detector whose boxes are to be suppressed, from which overlap on.
        score_threshold: of such a detector, the scores that are worth a box.
    """

    help: str
    normalisation: Normalisation | None = None
    channels: Channels | None = None
    crop: Crop | None = None
    crop_fraction: float | None = None
    interpolation: Interpolation | None = None
    pad_value: int | None = None
    align: Align | None = None
    decoding: str | None = None
    iou_threshold: float | None = None
    score_threshold: float | None = None


_FOCAL = Normalisation(  # 123.675, 116.28, 103.53 and 58.395, 57.12, 57.375 in 0 to 255, in the order red, green, blue
    (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
)

PRESETS = {
    "torchvision": Preset(help="classifiers of torchvision", normalisation=IMAGENET, crop_fraction=0.875),
    "timm": Preset(
        help="most classifiers of timm", normalisation=IMAGENET, crop_fraction=0.875, interpolation="bicubic"
    ),
    "keras": Preset(help="classifiers of Keras that take [-1, 1]", normalisation=HALF, crop="stretch"),
    "yolox": Preset(
        help="YOLOX", normalisation=NONE, channels="bgr", crop="letterbox", align="top-left", decoding="yolox"
    ),
    "nanodet": Preset(
        help="NanoDet and NanoDet-Plus",
        normalisation=_FOCAL,
        channels="bgr",
        crop="letterbox",
        pad_value=0,
        score_threshold=0.05,
    ),
    "picodet": Preset(
        help="PicoDet, without its post-processing",
        normalisation=_FOCAL,
        channels="bgr",
        crop="stretch",
        decoding="picodet",
        score_threshold=0.025,
    ),
    "deimv2": Preset(
        help="DEIM, DEIMv2, RT-DETR, D-FINE of RGB in [0, 1]", normalisation=UNIT, crop="stretch", decoding="detr"
    ),
    "fastestdet": Preset(help="FastestDet", normalisation=UNIT, channels="bgr", crop="stretch", decoding="fastestdet"),
    "ssdlite": Preset(
        help="detectors of torchvision, which resize and normalise by themselves",
        normalisation=UNIT,
        crop="stretch",
        decoding="torchvision",
    ),
    "ultralytics": Preset(help="YOLO as ultralytics exports it", normalisation=UNIT, crop="letterbox"),
}
"""Every preset by name."""


def facts_with(preset: str | None, **given: Any) -> Preset:
    """Find what a preset says, with other facts where they are given; a preset that says nothing for None.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if preset is not None and preset not in PRESETS:
        raise UnknownNameError.of("preset", preset, PRESETS)
    facts = Preset(help="") if preset is None else PRESETS[preset]
    if given.get("crop") not in (None, facts.crop):  # what belongs to the crop goes with it
        facts = replace(facts, crop_fraction=None, pad_value=None, align=None)
    return replace(facts, **{name: value for name, value in given.items() if value is not None})


def feeding_of(facts: Preset, *, is_raw: bool) -> Feeding:
    """Return how pixels are fed; a file that takes uint8, ``is_raw``, has its normalisation inside.

    Raises:
        UsageError: nothing says how pixels are normalised.
    """
    normalisation = NONE if is_raw else facts.normalisation
    if normalisation is None:
        raise UsageError(
            "nobody knows how this file takes pixels; say it with --preset "
            f"({', '.join(PRESETS)}), with --normalisation ({', '.join(ADOPTED_NORMALISATIONS)}), or with --mean and "
            "--std"
        )
    return Feeding(normalisation, facts.channels or "rgb")


def preprocess_of(facts: Preset, size_hw: tuple[int, int], task: Task) -> Preprocess:
    """Return what makes the input of an image: by default a letterbox for a detector, and the middle for a classifier.

    Raises:
        UsageError: facts that do not go together.
    """
    crop = facts.crop or ("letterbox" if task == "detection" else "center")
    if crop != "letterbox" and (facts.pad_value is not None or facts.align is not None):
        raise UsageError(f"padding and where it goes belong to the crop 'letterbox', got {crop!r}")
    if task == "detection" and crop == "center":
        raise UsageError("the crop 'center' cuts objects off; a detector needs 'letterbox' or 'stretch'")
    plain = Preprocess(size_hw, min(size_hw), crop, facts.interpolation or "bilinear", facts.pad_value, facts.align)
    return plain.with_resize(crop_fraction=facts.crop_fraction)
